package cloud

import (
	"strings"
	"testing"

	"github.com/millrace-ml/millrace/shared/entry"
)

var good = map[string]string{
	"GOOGLE_CLOUD_PROJECT": "p", "REGION": "us-central1", "INBOX_BUCKET": "i", "OUTBOX_BUCKET": "o", "STAGING_BUCKET": "s", "ARTIFACTS_BUCKET": "a",
	"PIPELINE_SERVICE_ACCOUNT": "x@p.iam.gserviceaccount.com",
}

func TestConfig(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		set  map[string]string
		want []string // parts of the error, none = good
	}{
		"complete":                         {nil, nil},
		"local servers":                    {map[string]string{"STORAGE_EMULATOR_HOST": "http://127.0.0.1:1", "FIRESTORE_EMULATOR_HOST": "localhost:2", "VERTEX_ENDPOINT": "[::1]:3"}, nil},
		"an address elsewhere":             {map[string]string{"STORAGE_EMULATOR_HOST": "10.0.0.1:80", "VERTEX_ENDPOINT": "example.com:443"}, []string{`STORAGE_EMULATOR_HOST: "10.0.0.1:80" is not a loopback`, "VERTEX_ENDPOINT"}},
		"a loopback name in another name":  {map[string]string{"FIRESTORE_EMULATOR_HOST": "localhost.example.com:1"}, []string{"FIRESTORE_EMULATOR_HOST"}},
		"no port":                          {map[string]string{"VERTEX_ENDPOINT": "127.0.0.1"}, []string{"VERTEX_ENDPOINT"}},
		"the outbox is the inbox":          {map[string]string{"OUTBOX_BUCKET": "i"}, []string{`OUTBOX_BUCKET: "i" is the inbox`}},
		"nobody to run pipelines, no zone": {map[string]string{"PIPELINE_SERVICE_ACCOUNT": "", "REGION": ""}, []string{"PIPELINE_SERVICE_ACCOUNT is not set", "REGION is not set"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var cfg Config
			err := entry.Config(func(k string) string {
				if v, ok := tc.set[k]; ok {
					return v
				}
				return good[k]
			}, &cfg)
			if (err == nil) != (tc.want == nil) {
				t.Fatalf("Config: %v, want %q", err, tc.want)
			}
			for _, w := range tc.want {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("Config: %v, want it to say %q", err, w)
				}
			}
		})
	}
}

func TestAClientForAnAddressElsewhereIsRefused(t *testing.T) {
	t.Parallel()
	e := Endpoints{Storage: "10.0.0.1:80", Firestore: "10.0.0.1:80", Vertex: "10.0.0.1:80"}
	_, storage := Storage(t.Context(), e)
	_, firestore := Firestore(t.Context(), e, "p", "(default)")
	_, pipelines := Pipelines(t.Context(), e, "r")
	for name, err := range map[string]error{"storage": storage, "firestore": firestore, "pipelines": pipelines} {
		if err == nil || !strings.Contains(err.Error(), "loopback") {
			t.Errorf("open %s elsewhere: %v", name, err)
		}
	}
}
