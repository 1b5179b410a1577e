package storage_test

import (
	"encoding/json"
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
	srv := httptest.NewServer(proxy)
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
