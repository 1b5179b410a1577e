package chaos_test

import (
	"context"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"github.com/millrace-ml/millrace/internal/localcloud/chaos"
)

// countingHealth applies calls, so that a test sees whether a fault let them.
type countingHealth struct {
	grpc_health_v1.UnimplementedHealthServer
	checks, watches atomic.Int64
}

func (c *countingHealth) Check(ctx context.Context, _ *grpc_health_v1.HealthCheckRequest) (*grpc_health_v1.HealthCheckResponse, error) {
	c.checks.Add(1)
	return &grpc_health_v1.HealthCheckResponse{}, ctx.Err()
}

func (c *countingHealth) Watch(_ *grpc_health_v1.HealthCheckRequest, st grpc.ServerStreamingServer[grpc_health_v1.HealthCheckResponse]) error {
	c.watches.Add(1)
	return st.Send(&grpc_health_v1.HealthCheckResponse{Status: grpc_health_v1.HealthCheckResponse_SERVING})
}

func TestAfterMeansApplied(t *testing.T) {
	t.Parallel()
	for when, want := range map[string]int64{"before": 0, "after": 1} {
		t.Run(when, func(t *testing.T) {
			t.Parallel()
			applied := &countingHealth{}
			fault := "action=fail:UNAVAILABLE,when=" + when
			client := serve(t, armed(t, "match=health:Check,"+fault+";match=health:Watch,"+fault), applied)
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			if _, err := client.Check(ctx, &grpc_health_v1.HealthCheckRequest{}); status.Code(err) != codes.Unavailable {
				t.Error(err)
			}
			st, err := client.Watch(ctx, &grpc_health_v1.HealthCheckRequest{})
			if err == nil {
				_, err = st.Recv() // what the handler sent must not arrive
			}
			if status.Code(err) != codes.Unavailable {
				t.Error(err)
			}
			if applied.checks.Load() != want || applied.watches.Load() != want {
				t.Errorf("applied %d and %d times, want %d", applied.checks.Load(), applied.watches.Load(), want)
			}
		})
	}
}

// serveHealth is a gRPC server with a unary and a streaming call.
func serveHealth(t *testing.T, s *chaos.Switch) grpc_health_v1.HealthClient {
	t.Helper()
	return serve(t, s, health.NewServer())
}

func serve(t *testing.T, s *chaos.Switch, impl grpc_health_v1.HealthServer) grpc_health_v1.HealthClient {
	t.Helper()
	srv := grpc.NewServer(grpc.UnaryInterceptor(s.UnaryInterceptor), grpc.StreamInterceptor(s.StreamInterceptor))
	grpc_health_v1.RegisterHealthServer(srv, impl)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = srv.Serve(l) }()
	t.Cleanup(srv.Stop)
	conn, err := grpc.NewClient(l.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return grpc_health_v1.NewHealthClient(conn)
}

func TestInterceptors(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		fault string
		want  codes.Code
	}{
		"nothing":      {"", codes.OK},
		"before":       {"match=health:Check,action=fail:ABORTED", codes.Aborted},
		"after":        {"match=health:Check,action=fail:UNAVAILABLE,when=after", codes.Unavailable},
		"another call": {"match=firestore:,action=fail:ABORTED", codes.OK},
		"dropped":      {"action=drop", codes.DeadlineExceeded},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := armed(t, c.fault)
			client := serveHealth(t, s)
			deadline := 10 * time.Second
			if c.want == codes.DeadlineExceeded {
				deadline = 100 * time.Millisecond
			}
			ctx, cancel := context.WithTimeout(t.Context(), deadline)
			defer cancel()
			_, err := client.Check(ctx, &grpc_health_v1.HealthCheckRequest{})
			if got := status.Code(err); got != c.want {
				t.Errorf("%v, want %v", err, c.want)
			}
			if d := cmp.Diff([]string{"health:Check"}, s.Calls()); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}

func TestStreamFailsBeforeItsFirstMessage(t *testing.T) {
	t.Parallel()
	client := serveHealth(t, armed(t, "match=health:Watch,action=fail:UNAVAILABLE"))
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for _, want := range []codes.Code{codes.Unavailable, codes.OK} {
		st, err := client.Watch(ctx, &grpc_health_v1.HealthCheckRequest{})
		if err == nil {
			_, err = st.Recv()
		}
		if status.Code(err) != want {
			t.Errorf("%v, want %v", err, want)
		}
	}
}

func TestRPCNames(t *testing.T) {
	t.Parallel()
	for method, want := range map[string]string{
		"/google.firestore.v1.Firestore/Commit":                         "firestore:Commit",
		"/google.cloud.aiplatform.v1.PipelineService/CreatePipelineJob": "vertex:CreatePipelineJob",
		"/google.pubsub.v1.Publisher/Publish":                           "pubsub:Publish",
		"/google.longrunning.Operations/GetOperation":                   "operations:GetOperation",
		"/grpc.health.v1.Health/Check":                                  "health:Check",
	} {
		if got := chaos.RPCName(method); got != want {
			t.Errorf("%s is %s, want %s", method, got, want)
		}
	}
}
