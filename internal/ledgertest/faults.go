package ledgertest

import (
	"context"
	"strings"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Fault is one scripted failure of a client's call.
type Fault struct {
	Method  string     // suffix of the full method name, such as "/Commit"
	Skip    int        // matching calls that pass before it strikes
	Times   int        // how often it strikes; 0 means once
	Applied bool       // the server gets the call, its answer is replaced
	Code    codes.Code // what the client sees
	Silent  bool       // the client sees nothing until its deadline
}

// Faults is a client interceptor that plays faults in order. The zero value passes everything.
type Faults struct {
	mu    sync.Mutex
	armed []*Fault
	calls []string
}

// Arm adds a fault.
func (f *Faults) Arm(fault Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	fault.Times = max(fault.Times, 1)
	f.armed = append(f.armed, &fault)
}

// Calls is how many calls of a method (suffix) were made.
func (f *Faults) Calls(method string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := 0
	for _, c := range f.calls {
		if strings.HasSuffix(c, method) {
			n++
		}
	}
	return n
}

func (f *Faults) next(method string) *Fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = append(f.calls, method)
	for _, a := range f.armed {
		if a.Times == 0 || !strings.HasSuffix(method, a.Method) {
			continue
		}
		if a.Skip > 0 {
			a.Skip--
			continue
		}
		a.Times--
		return a
	}
	return nil
}

// Unary is the interceptor of unary calls.
func (f *Faults) Unary(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	fault := f.next(method)
	if fault == nil {
		return invoke(ctx, method, req, reply, cc, opts...)
	}
	if fault.Applied {
		if err := invoke(ctx, method, req, reply, cc, opts...); err != nil {
			return err
		}
	}
	return fault.strike(ctx)
}

// Stream is the interceptor of streaming calls, which Firestore's reads are.
func (f *Faults) Stream(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, open grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	if fault := f.next(method); fault != nil {
		return nil, fault.strike(ctx)
	}
	return open(ctx, desc, cc, method, opts...)
}

// Dial are the options that put the interceptors into a connection.
func (f *Faults) Dial() []grpc.DialOption {
	return []grpc.DialOption{grpc.WithUnaryInterceptor(f.Unary), grpc.WithStreamInterceptor(f.Stream)}
}

func (f *Fault) strike(ctx context.Context) error {
	if f.Silent {
		<-ctx.Done()
		return status.FromContextError(ctx.Err()).Err()
	}
	return status.Error(f.Code, "scripted fault")
}
