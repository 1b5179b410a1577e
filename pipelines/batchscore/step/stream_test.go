package step

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"cloud.google.com/go/storage"
	"google.golang.org/api/option"

	"github.com/millrace-ml/millrace/shared/fault"
)

// silent is a Cloud Storage that answers a read's first bytes and nothing else, ever.
func silent(t *testing.T) *objects {
	t.Helper()
	gone := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			w.Header().Set("X-Goog-Generation", "1")
			w.Header().Set("Content-Length", "100")
			_, _ = io.WriteString(w, "some")
			_ = http.NewResponseController(w).Flush()
		}
		select {
		case <-gone:
		case <-r.Context().Done():
		}
	}))
	client, err := storage.NewClient(t.Context(), option.WithEndpoint(server.URL+"/storage/v1/"), option.WithoutAuthentication())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		close(gone)
		_ = client.Close()
		server.Close()
	})
	o := newObjects(client, time.Now)
	o.call, o.stall = 100*time.Millisecond, 100*time.Millisecond
	return o
}

// TestStreamsThatStandStill: no call waits for ever, and what was waited for in vain is tried again.
func TestStreamsThatStandStill(t *testing.T) {
	t.Parallel()
	for name, call := range map[string]func(ctx context.Context, o *objects) error{
		"read": func(ctx context.Context, o *objects) error {
			r, err := o.read(ctx, "b", "o", 1, 0, -1)
			if err != nil {
				return err
			}
			defer r.Close()
			_, err = io.Copy(io.Discard, r)
			return err
		},
		"write": func(ctx context.Context, o *objects) error {
			w := o.write(ctx, "b", "o", "text/plain")
			if _, err := w.Write(make([]byte, 3*uploadChunk)); err != nil {
				w.abort()
				return err
			}
			_, err := w.Close()
			return err
		},
		"end of a write": func(ctx context.Context, o *objects) error {
			w := o.write(ctx, "b", "o", "text/plain")
			if _, err := io.WriteString(w, "text"); err != nil {
				return err
			}
			_, err := w.Close()
			return err
		},
		"small write": func(ctx context.Context, o *objects) error {
			_, err := o.createJSON(ctx, "b", "o", "text")
			return err
		},
		"attributes": func(ctx context.Context, o *objects) error {
			_, err := o.attrs(ctx, "b", "o", 0)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := silent(t)
			done := make(chan error, 1)
			go func() { done <- call(t.Context(), o) }()
			select {
			case err := <-done:
				if kind := fault.KindOf(err); err == nil || !kind.Retry() {
					t.Errorf("error is %v of kind %v, want one that is tried again", err, kind)
				}
			case <-time.After(20 * time.Second):
				t.Error("the call waits for ever")
			}
		})
	}
}

// TestASlowConsumerIsNoStall: only time inside of calls counts.
func TestASlowConsumerIsNoStall(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, w := newWatch(t.Context(), time.Minute)
		for range 3 {
			w.begin()
			time.Sleep(50 * time.Second) // of the bubble's clock
			w.end()
			time.Sleep(time.Hour)
			synctest.Wait()
			if ctx.Err() != nil {
				t.Fatal("the watch struck outside of a call")
			}
		}
		w.begin()
		time.Sleep(61 * time.Second)
		synctest.Wait()
		if err := w.close(ctx, ctx.Err()); !errors.Is(err, errStalled) {
			t.Errorf("error is %v, want a stall", err)
		}
	})
}
