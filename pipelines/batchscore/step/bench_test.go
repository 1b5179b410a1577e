package step_test

import (
	"strings"
	"testing"

	"github.com/millrace-ml/millrace/pipelines/batchscore"
)

// BenchmarkPlanScorePublish is a whole small run in one process, storage server included.
func BenchmarkPlanScorePublish(b *testing.B) {
	w := newWorld(b, bikes(b))
	lines := strings.SplitAfter(sample(b), "\n")
	const rows = 100_000
	var text strings.Builder
	text.WriteString(lines[0])
	for i := range rows {
		text.WriteString(lines[1+i%(len(lines)-2)])
	}
	generation := w.put(b, inbox, "f.csv", text.String())
	b.SetBytes(int64(text.Len()))
	for b.Loop() {
		for _, bucket := range []string{staging, outbox} {
			for _, name := range w.list(b, bucket, "") {
				if err := w.client.Bucket(bucket).Object(name).Delete(b.Context()); err != nil {
					b.Fatal(err)
				}
			}
		}
		w.run(b, batchscore.StepPlan, object("f.csv", generation)).ok(b)
	}
	b.ReportMetric(rows*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}
