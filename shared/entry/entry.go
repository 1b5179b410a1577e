// Package entry is a process from start to end: settings from the environment, logs with Cloud Logging's keys, limits,
// buffered answers, the trace, one log line per request, and the drain after SIGTERM. Every function, the local cloud and
// the step container start through it, so that what a laptop shows is what runs deployed. It is not for business rules,
// and it opens no Google client (package cloud does).
package entry

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/millrace-ml/millrace/shared/fault"
)

// Function is an opened function: what answers its requests, and what to close when the process leaves.
type Function struct {
	Handler http.Handler
	Close   func(context.Context) error // may be nil
}

type unitKey struct{}

// Unit is the hash of the unit that was deployed, for an Open to tell who asks; "" where nothing is deployed.
func Unit(ctx context.Context) string {
	unit, _ := ctx.Value(unitKey{}).(string)
	return unit
}

// WithUnit is the context in which an Open finds the unit.
func WithUnit(ctx context.Context, unit string) context.Context {
	return context.WithValue(ctx, unitKey{}, unit)
}

// OpenFunc reads the settings and opens a function. It fails on anything that would make the function unable to answer.
type OpenFunc = func(ctx context.Context, getenv func(string) string) (*Function, error)

// registered is a name's Open and, once Start ran, the handler it gave. The registrations are the package's only state
// (style 6): functions-framework calls by name, too.
type registered struct {
	open    OpenFunc
	handler atomic.Pointer[http.Handler]
}

var (
	registryMu sync.Mutex
	registry   = map[string]*registered{}
)

// HTTP registers open under name and gives the function for functions.HTTP. It opens nothing: Start does, for the one
// that FUNCTION_TARGET names. A request before that is answered with 503.
func HTTP(name string, open OpenFunc) func(http.ResponseWriter, *http.Request) {
	if open == nil {
		panic("entry: HTTP(" + name + ") without an Open")
	}
	registryMu.Lock()
	defer registryMu.Unlock()
	if registry[name] != nil {
		panic("entry: " + name + " is registered twice")
	}
	f := &registered{open: open}
	registry[name] = f
	return func(w http.ResponseWriter, r *http.Request) {
		if h := f.handler.Load(); h != nil {
			(*h).ServeHTTP(w, r)
			return
		}
		WriteError(w, r, fault.New(fault.Unavailable, nil, "%s is not open: the process was started without FUNCTION_TARGET=%s", name, name))
	}
}

// lookup finds a registration; its error names those that exist.
func lookup(name string) (*registered, error) {
	registryMu.Lock()
	defer registryMu.Unlock()
	if f := registry[name]; f != nil {
		return f, nil
	}
	names := make([]string, 0, len(registry))
	for n := range registry {
		names = append(names, n)
	}
	slices.Sort(names)
	return nil, fmt.Errorf("FUNCTION_TARGET: %q is not a function of this build, which has %s", name, strings.Join(names, ", "))
}

// Start opens the function that FUNCTION_TARGET names and takes SIGTERM. It is called by the generated root's init, after
// every function registered itself; unit is what the root embeds. On an error it logs one line and exits 1 before the port
// listens, so that a bad revision never becomes ready. Without FUNCTION_TARGET it does nothing.
func Start(unit string) {
	target := os.Getenv("FUNCTION_TARGET")
	if target == "" {
		return
	}
	if err := start(target, unit, os.Getenv); err != nil {
		NewLogger(os.Stdout).Error("start failed: "+err.Error(), "function", target)
		os.Exit(1)
	}
}

func start(target, unit string, getenv func(string) string) error {
	var set Settings
	if err := Config(getenv, &set); err != nil {
		return err
	}
	reg, err := lookup(target)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), startLimit)
	defer cancel()
	f, err := reg.open(WithUnit(ctx, unit), getenv)
	if err != nil {
		return err
	}
	d := &drain{}
	log := NewLogger(os.Stdout)
	h := Serve(target, f, ServeOptions{Log: log, Project: set.Project, Timeout: set.deadline(), drain: d})
	reg.handler.Store(&h)
	d.onSIGTERM(func() { leave(f, log) })
	return nil
}
