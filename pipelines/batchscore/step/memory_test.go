package step_test

import (
	"encoding/json"
	"io"
	"runtime"
	"runtime/metrics"
	"strings"
	"testing"
	"time"

	"github.com/millrace-ml/millrace/pipelines/batchscore"
)

// peak watches the live and dead objects of the heap until stop is called, which answers the most bytes seen.
func peak() (stop func() uint64) {
	runtime.GC()
	quit, done := make(chan struct{}), make(chan uint64)
	go func() {
		sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
		tick := time.NewTicker(2 * time.Millisecond)
		defer tick.Stop()
		most := uint64(0)
		for {
			metrics.Read(sample)
			most = max(most, sample[0].Value.Uint64())
			select {
			case <-quit:
				done <- most
				return
			case <-tick.C:
			}
		}
	}()
	return func() uint64 { close(quit); return <-done }
}

// TestOneLineOf100MB is not parallel: it measures the heap of the whole process, that of the storage server included.
func TestOneLineOf100MB(t *testing.T) {
	w := newWorld(t, bikes(t))
	lines := strings.SplitAfter(sample(t), "\n")
	out := w.client.Bucket(inbox).Object("f.csv").NewWriter(t.Context())
	out.ChunkSize = 1 << 20
	block := strings.Repeat("x", 1<<20)
	_, err := io.WriteString(out, strings.Join(lines[:50], ""))
	for range 100 {
		if err == nil {
			_, err = io.WriteString(out, block)
		}
	}
	if err == nil {
		_, err = io.WriteString(out, "\n"+strings.Join(lines[50:], ""))
	}
	if cerr := out.Close(); err != nil || cerr != nil {
		t.Fatal(err, cerr)
	}
	stop := peak()
	planned := w.run(t, batchscore.StepPlan, object("f.csv", out.Attrs().Generation)).ok(t)
	if mode := planned.text(t, batchscore.OutMode); mode != batchscore.ModeSharded {
		t.Fatalf("mode is %q", mode)
	}
	var shards []json.RawMessage
	if err := json.Unmarshal(planned.outputs[batchscore.OutShards], &shards); err != nil {
		t.Fatal(err)
	}
	for _, s := range shards {
		w.run(t, batchscore.StepScore, map[string]any{batchscore.ParamShard: s, batchscore.ParamHeader: planned.outputs[batchscore.OutHeader]}).ok(t)
	}
	w.run(t, batchscore.StepPublish, map[string]any{batchscore.ParamCount: len(shards)}).ok(t)
	most := stop()
	t.Logf("most bytes of heap: %d MiB", most>>20)
	if most > 64<<20 {
		t.Errorf("the heap had %d MiB", most>>20)
	}
	p := w.published(t)
	if len(p.rejected) != 1 || p.rejected[0][0] != "50" || !strings.HasPrefix(p.rejected[0][3], "the row has 104857600 bytes") || len([]rune(p.rejected[0][2])) != 80 {
		t.Errorf("rejected rows are %.300q", p.rejected)
	}
	if want := int64(len(lines) - 1); p.success.Rows != want { // the last of lines is empty, the long one is new
		t.Errorf("%d rows, want %d", p.success.Rows, want)
	}
}
