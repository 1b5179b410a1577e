// Package cloud opens Google's clients from settings. What differs between a laptop and Google Cloud is only the address
// given here, so an address other than Google's must be loopback. The clients are used as they are: there is no interface
// around them and no other way to open one.
package cloud

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"

	aiplatform "cloud.google.com/go/aiplatform/apiv1"
	"cloud.google.com/go/firestore"
	"cloud.google.com/go/storage"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// Config says where the project's things are. The step container takes project, database, region and buckets from the
// pipeline's parameters instead and reads only Endpoints.
type Config struct {
	Project         string `env:"GOOGLE_CLOUD_PROJECT,required"`
	Region          string `env:"REGION,required"`
	Database        string `env:"FIRESTORE_DATABASE" envDefault:"(default)"`
	Inbox           string `env:"INBOX_BUCKET,required"`
	Outbox          string `env:"OUTBOX_BUCKET,required"`
	Staging         string `env:"STAGING_BUCKET,required"`
	Artifacts       string `env:"ARTIFACTS_BUCKET,required"`
	PipelineAccount string `env:"PIPELINE_SERVICE_ACCOUNT,required"` // runs the pipelines; empty would mean the Compute default
	Endpoints
}

// Endpoints are host:port of servers other than Google's. Storage and Firestore use the names that Google's own clients
// read, so that other programs in the same environment find the same servers.
type Endpoints struct {
	Storage   string `env:"STORAGE_EMULATOR_HOST"`
	Firestore string `env:"FIRESTORE_EMULATOR_HOST"`
	Vertex    string `env:"VERTEX_ENDPOINT"`
}

// Valid reports what the types cannot: equal buckets would feed a run's output back into the inbox.
func (c *Config) Valid() []string {
	problems := c.Endpoints.Valid()
	for _, b := range []struct{ name, value string }{{"OUTBOX_BUCKET", c.Outbox}, {"STAGING_BUCKET", c.Staging}, {"ARTIFACTS_BUCKET", c.Artifacts}} {
		if b.value == c.Inbox {
			problems = append(problems, fmt.Sprintf("%s: %q is the inbox; what is written there would start runs", b.name, b.value))
		}
	}
	return problems
}

// Valid reports addresses that are not loopback.
func (e *Endpoints) Valid() []string {
	var problems []string
	for _, a := range []struct{ name, value string }{
		{"STORAGE_EMULATOR_HOST", e.Storage}, {"FIRESTORE_EMULATOR_HOST", e.Firestore}, {"VERTEX_ENDPOINT", e.Vertex},
	} {
		if a.value != "" && !loopback(a.value) {
			problems = append(problems, fmt.Sprintf("%s: %q is not a loopback host:port; only Google's own address, by leaving it unset, or a local one is allowed", a.name, a.value))
		}
	}
	return problems
}

// bare cuts the scheme that Python's clients want in STORAGE_EMULATOR_HOST.
func bare(address string) string {
	return strings.TrimSuffix(strings.TrimPrefix(address, "http://"), "/")
}

func loopback(address string) bool {
	host, port, err := net.SplitHostPort(bare(address))
	if err != nil || port == "" {
		return false
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// plain are the options of a gRPC client that talks to a local server.
func plain(address string) []option.ClientOption {
	return []option.ClientOption{
		option.WithEndpoint(bare(address)),
		option.WithoutAuthentication(),
		option.WithGRPCDialOption(grpc.WithTransportCredentials(insecure.NewCredentials())),
	}
}

// Storage opens Cloud Storage.
func Storage(ctx context.Context, e Endpoints) (*storage.Client, error) {
	var opts []option.ClientOption
	if e.Storage != "" {
		if problems := e.Valid(); problems != nil {
			return nil, fmt.Errorf("open storage: %s", strings.Join(problems, "; "))
		}
		opts = []option.ClientOption{option.WithEndpoint("http://" + bare(e.Storage) + "/storage/v1/"), option.WithoutAuthentication()}
	}
	c, err := storage.NewClient(ctx, opts...)
	if err != nil {
		return nil, fmt.Errorf("open storage: %w", err)
	}
	return c, nil
}

// Firestore opens a project's database.
func Firestore(ctx context.Context, e Endpoints, project, database string) (*firestore.Client, error) {
	var opts []option.ClientOption
	if e.Firestore != "" {
		if problems := e.Valid(); problems != nil {
			return nil, fmt.Errorf("open firestore: %s", strings.Join(problems, "; "))
		}
		opts = plain(e.Firestore)
	}
	c, err := firestore.NewClientWithDatabase(ctx, project, database, opts...)
	if err != nil {
		return nil, fmt.Errorf("open firestore database %s: %w", database, err)
	}
	return c, nil
}

// Pipelines opens Vertex AI Pipelines in a region. The client's own default endpoint is global and has no pipelines.
func Pipelines(ctx context.Context, e Endpoints, region string) (*aiplatform.PipelineClient, error) {
	opts := []option.ClientOption{option.WithEndpoint(region + "-aiplatform.googleapis.com:443")}
	if e.Vertex != "" {
		if problems := e.Valid(); problems != nil {
			return nil, fmt.Errorf("open pipelines: %s", strings.Join(problems, "; "))
		}
		opts = plain(e.Vertex)
	}
	c, err := aiplatform.NewPipelineClient(ctx, opts...)
	if err != nil {
		return nil, fmt.Errorf("open pipelines in %s: %w", region, err)
	}
	return c, nil
}

// Clients are the clients of a function that starts and follows runs.
type Clients struct {
	Storage   *storage.Client
	Firestore *firestore.Client
	Pipelines *aiplatform.PipelineClient
}

// Open opens all of them, or none.
func Open(ctx context.Context, cfg Config) (*Clients, error) {
	objects, err := Storage(ctx, cfg.Endpoints)
	if err != nil {
		return nil, err
	}
	records, err := Firestore(ctx, cfg.Endpoints, cfg.Project, cfg.Database)
	if err != nil {
		return nil, errors.Join(err, objects.Close())
	}
	jobs, err := Pipelines(ctx, cfg.Endpoints, cfg.Region)
	if err != nil {
		return nil, errors.Join(err, objects.Close(), records.Close())
	}
	return &Clients{objects, records, jobs}, nil
}

// Close closes all of them. It does not wait, so it needs no time of its own.
func (c *Clients) Close(context.Context) error {
	return errors.Join(c.Storage.Close(), c.Firestore.Close(), c.Pipelines.Close())
}
