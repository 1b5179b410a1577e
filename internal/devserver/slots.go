package devserver

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"net/http"
	"sync"
	"sync/atomic"

	bolt "go.etcd.io/bbolt"

	"github.com/millrace-ml/millrace/shared/entry"
	"github.com/millrace-ml/millrace/shared/fault"
)

// slot is the place of one real-time model: its port, and the function that answers there now. Swapping is atomic; the old
// function is closed after the new one answers.
type slot struct {
	name    string
	addr    string
	current atomic.Pointer[opened]
	reason  atomic.Pointer[string] // why there is none
	mu      sync.Mutex             // one swap at a time
}

type opened struct {
	function *entry.Function
	handler  http.Handler
}

// ServeHTTP answers with the model, or with 503 while it is absent: only on a laptop can that be.
func (s *slot) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if o := s.current.Load(); o != nil {
		o.handler.ServeHTTP(w, r)
		return
	}
	why := "it is being loaded"
	if p := s.reason.Load(); p != nil {
		why = *p
	}
	entry.WriteError(w, r, fault.New(fault.Unavailable, nil, "model %s is not ready: %s", s.name, why))
}

// swap puts f in, or takes the model out when f is nil.
func (s *slot) swap(ctx context.Context, f *entry.Function, options entry.ServeOptions, reason string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var next *opened
	if f != nil {
		next = &opened{f, entry.Serve("Predict", f, options)}
	}
	s.reason.Store(&reason)
	old := s.current.Swap(next)
	if old != nil && old.function.Close != nil {
		return old.function.Close(ctx)
	}
	return nil
}

var slotsBucket = []byte("devserver.slots")

// number gives the model's number, which it keeps as long as the data folder lives, so that its URL stays.
func number(db *bolt.DB, model string) (n int, err error) {
	err = db.Update(func(tx *bolt.Tx) error {
		b, err := tx.CreateBucketIfNotExists(slotsBucket)
		if err != nil {
			return err
		}
		if v := b.Get([]byte(model)); v != nil {
			n = int(binary.BigEndian.Uint64(v))
			return nil
		}
		n = b.Stats().KeyN
		return b.Put([]byte(model), binary.BigEndian.AppendUint64(nil, uint64(n)))
	})
	return n, err
}

// slotOf finds a model's slot, or makes one that listens.
func (d *Server) slotOf(model string) (*slot, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if s := d.slots[model]; s != nil {
		return s, nil
	}
	n, err := number(d.db, model)
	if err != nil {
		return nil, fmt.Errorf("number of model %s: %w", model, err)
	}
	l, err := listen(d.opts.Port, portModels+n)
	if err != nil {
		return nil, err
	}
	s := &slot{name: model, addr: l.Addr().String()}
	d.slots[model] = s
	d.serve(l, s)
	return s, nil
}

// serve answers on a listener until the server stops.
func (d *Server) serve(l net.Listener, h http.Handler) {
	srv := &http.Server{Handler: guard(h), ReadHeaderTimeout: headerLimit, IdleTimeout: idleLimit, MaxHeaderBytes: 16 << 10}
	d.servers = append(d.servers, srv)
	d.tasks.Go(func() { d.report("serve "+l.Addr().String(), srv.Serve(l)) })
}

// guard keeps pages of other sites out: they could reach loopback through the browser. The host must be this machine's,
// and a request that names its origin must come from a page of this server.
func guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host, _, err := net.SplitHostPort(r.Host)
		if err != nil {
			host = r.Host
		}
		if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
			entry.WriteError(w, r, fault.New(fault.Forbidden, nil, "Host: %q is not this machine's loopback", host))
			return
		}
		if origin := r.Header.Get("Origin"); origin != "" && origin != "http://"+r.Host {
			entry.WriteError(w, r, fault.New(fault.Forbidden, nil, "Origin: %q may not use this server", origin))
			return
		}
		next.ServeHTTP(w, r)
	})
}
