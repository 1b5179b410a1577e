package step_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/millrace-ml/millrace/pipelines/batchscore"
)

// The alert on rejected rows counts lines that say so, not runs that keep within their limit.
func TestTheLogTellsRejectedRowsAboveTheLimit(t *testing.T) {
	t.Parallel()
	for limit, over := range map[string]bool{"10%": false, "1%": true} {
		t.Run(limit, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, bikes(t, `max_rejected: "`+limit+`"`))
			w.put(t, inbox, "f.csv", rowsWithFaults(t))
			var found []map[string]any
			for line := range strings.Lines(w.run(t, batchscore.StepPlan, object("f.csv", 0)).ok(t).log) {
				var m map[string]any
				if err := json.Unmarshal([]byte(line), &m); err != nil {
					t.Fatal(err)
				}
				if m["event"] == "row_rejects" {
					found = append(found, m)
				}
			}
			if len(found) != 1 || found[0]["over_limit"] != over || found[0]["run_id"] != runID || found[0]["model"] != model || found[0]["rejected"] != 4.0 {
				t.Errorf("logged %v, expected one line of row_rejects with over_limit %t", found, over)
			}
		})
	}
}
