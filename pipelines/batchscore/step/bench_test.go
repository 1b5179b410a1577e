package step_test

import (
	"strings"
	"testing"

	"github.com/millrace-ml/millrace/pipelines/batchscore"
)

// repeated is the sample's rows over and over.
func repeated(t testing.TB, rows int) string {
	t.Helper()
	lines := strings.SplitAfter(sample(t), "\n")
	lines, header := lines[1:len(lines)-1], lines[0]
	var text strings.Builder
	text.WriteString(header)
	for i := range rows {
		text.WriteString(lines[i%len(lines)])
	}
	return text.String()
}

// BenchmarkPlanScorePublish is a whole small run in one process, storage server included.
func BenchmarkPlanScorePublish(b *testing.B) {
	w := newWorld(b, bikes(b))
	const rows = 100_000
	text := repeated(b, rows)
	generation := w.put(b, inbox, "f.csv", text)
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		for _, bucket := range []string{staging, outbox} {
			for _, name := range w.list(b, bucket, "") {
				w.remove(b, bucket, name)
			}
		}
		w.run(b, batchscore.StepPlan, object("f.csv", generation)).ok(b)
	}
	b.ReportMetric(rows*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}
