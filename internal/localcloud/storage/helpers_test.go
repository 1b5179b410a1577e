package storage_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync/atomic"
	"testing"

	"github.com/millrace-ml/millrace/internal/localcloud/chaos"
)

// chaos is the switch that the server was started with.
func (s *server) chaos(t testing.TB) *chaos.Switch {
	t.Helper()
	if s.options.Chaos == nil {
		t.Fatal("the server was started without a switch")
	}
	return s.options.Chaos
}

// names lists the bucket.
func (s *server) names(t testing.TB) (out []string) {
	t.Helper()
	a := s.send(t, "GET", "/storage/v1/b/box/o", "").wants(t, 200)
	var list struct{ Items []struct{ Name string } }
	if err := json.Unmarshal([]byte(a.body), &list); err != nil {
		t.Fatal(err)
	}
	for _, o := range list.Items {
		out = append(out, o.Name)
	}
	return out
}

// switchboard is an address that stays while servers behind it come and go.
type switchboard struct {
	url    string
	target atomic.Pointer[url.URL]
}

func newSwitchboard(t testing.TB) *switchboard {
	t.Helper()
	b := &switchboard{}
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.Out.URL.Scheme, r.Out.URL.Host, r.Out.Host = "http", b.target.Load().Host, r.In.Host
	}}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// Google's client fills its buffer again when an answer comes, also while net/http still sends the request from it
		// (the race detector sees that). So no answer comes, not even "bad gateway", before all of a request has been read.
		body, err := io.ReadAll(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(srv.Close)
	b.url = srv.URL
	return b
}

func (b *switchboard) to(address string) {
	u, err := url.Parse(address)
	if err != nil {
		panic(err)
	}
	b.target.Store(u)
}
