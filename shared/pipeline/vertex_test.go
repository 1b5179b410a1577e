package pipeline

import (
	"context"
	"net"
	"strings"
	"sync"
	"testing"

	aiplatform "cloud.google.com/go/aiplatform/apiv1"
	"cloud.google.com/go/aiplatform/apiv1/aiplatformpb"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
)

// answer is what the fake does with one call: apply it or not, then answer with a code, or not at all.
type answer struct {
	apply bool
	code  codes.Code
	mute  bool // no answer until the caller gives up
}

// vertex is a small PipelineService that works, but for scripted answers to its first calls.
type vertex struct {
	aiplatformpb.UnimplementedPipelineServiceServer
	mu             sync.Mutex
	jobs           map[string]*aiplatformpb.PipelineJob
	creates, gets  []answer // what remains of the script
	created, asked int      // calls
	last           *aiplatformpb.CreatePipelineJobRequest
	silent         chan struct{} // told when a mute call has been taken
	patient        bool          // mute calls wait for the client's own deadline
}

// next takes an answer from a script; without one, calls are applied and answered.
func next(script *[]answer) answer {
	if len(*script) == 0 {
		return answer{apply: true}
	}
	a := (*script)[0]
	*script = (*script)[1:]
	return a
}

func (v *vertex) CreatePipelineJob(ctx context.Context, r *aiplatformpb.CreatePipelineJobRequest) (*aiplatformpb.PipelineJob, error) {
	v.mu.Lock()
	v.created++
	v.last = r
	a, name := next(&v.creates), r.Parent+"/pipelineJobs/"+r.PipelineJobId
	_, there := v.jobs[name]
	if a.apply && !there {
		r.PipelineJob.Name = name
		v.jobs[name] = r.PipelineJob
	}
	v.mu.Unlock()
	switch {
	case a.mute:
		return nil, v.keepSilent(ctx)
	case a.code != codes.OK:
		return nil, status.Error(a.code, "scripted")
	case there:
		return nil, status.Error(codes.AlreadyExists, "Pipeline job with the specified ID already exists.")
	}
	return r.PipelineJob, nil
}

func (v *vertex) GetPipelineJob(ctx context.Context, r *aiplatformpb.GetPipelineJobRequest) (*aiplatformpb.PipelineJob, error) {
	v.mu.Lock()
	v.asked++
	a, job := next(&v.gets), v.jobs[r.Name]
	v.mu.Unlock()
	switch {
	case a.mute:
		return nil, v.keepSilent(ctx)
	case a.code != codes.OK:
		return nil, status.Error(a.code, "scripted")
	case job == nil:
		return nil, status.Error(codes.NotFound, "no such job")
	}
	return job, nil
}

func (v *vertex) keepSilent(ctx context.Context) error {
	select {
	case v.silent <- struct{}{}:
	default:
	}
	<-ctx.Done()
	return ctx.Err()
}

// serve starts the fake and a real client of it.
func (v *vertex) serve(t *testing.T) *aiplatform.PipelineClient {
	t.Helper()
	if v.jobs == nil {
		v.jobs = map[string]*aiplatformpb.PipelineJob{}
	}
	v.silent = make(chan struct{}, 1)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := grpc.NewServer()
	aiplatformpb.RegisterPipelineServiceServer(s, v)
	var wg sync.WaitGroup
	wg.Go(func() { _ = s.Serve(l) })
	c, err := aiplatform.NewPipelineClient(t.Context(), option.WithEndpoint(l.Addr().String()), option.WithoutAuthentication(),
		option.WithGRPCDialOption(grpc.WithTransportCredentials(insecure.NewCredentials())),
		option.WithGRPCDialOption(grpc.WithUnaryInterceptor(v.hurry)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = c.Close()
		s.Stop()
		wg.Wait()
	})
	return c
}

// hurry gives a call that will get no answer a short deadline, so that every other one can have a long one: a test on a busy
// machine must not lose answers that it did not script.
func (v *vertex) hurry(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, call grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	v.mu.Lock()
	script := v.creates
	if strings.HasSuffix(method, "GetPipelineJob") {
		script = v.gets
	}
	mute := len(script) > 0 && script[0].mute
	v.mu.Unlock()
	if !mute || v.patient {
		return call(ctx, method, req, reply, cc, opts...)
	}
	// The call must reach the server before it is given up, else the script is one behind.
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	ended := make(chan error, 1)
	go func() { ended <- call(ctx, method, req, reply, cc, opts...) }()
	select {
	case <-v.silent:
		cancel(context.DeadlineExceeded)
		<-ended
		return status.FromContextError(context.DeadlineExceeded).Err()
	case err := <-ended:
		return err
	}
}

// count gives the calls so far and the jobs that are there.
func (v *vertex) count() (created, jobs int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.created, len(v.jobs)
}
