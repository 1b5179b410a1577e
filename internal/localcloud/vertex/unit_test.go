package vertex

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/aiplatform/apiv1/aiplatformpb"
	"github.com/google/go-cmp/cmp"
	"github.com/kubeflow/pipelines/api/v2alpha1/go/pipelinespec"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/structpb"
)

func TestBackoff(t *testing.T) {
	t.Parallel()
	seconds := func(s float64) *durationpb.Duration { return durationpb.New(time.Duration(s * float64(time.Second))) }
	for name, tc := range map[string]struct {
		policy *pipelinespec.PipelineTaskSpec_RetryPolicy
		n      int
		want   time.Duration
	}{
		"none":                       {nil, 1, 0},
		"the first":                  {&pipelinespec.PipelineTaskSpec_RetryPolicy{BackoffDuration: seconds(30)}, 1, 30 * time.Second},
		"twice by default":           {&pipelinespec.PipelineTaskSpec_RetryPolicy{BackoffDuration: seconds(30)}, 3, 120 * time.Second},
		"by a factor":                {&pipelinespec.PipelineTaskSpec_RetryPolicy{BackoffDuration: seconds(1), BackoffFactor: 3}, 4, 27 * time.Second},
		"capped":                     {&pipelinespec.PipelineTaskSpec_RetryPolicy{BackoffDuration: seconds(30), BackoffMaxDuration: seconds(45)}, 2, 45 * time.Second},
		"an hour at most":            {&pipelinespec.PipelineTaskSpec_RetryPolicy{BackoffDuration: seconds(1), BackoffMaxDuration: seconds(9999)}, 5000, time.Hour},
		"nothing times infinity":     {&pipelinespec.PipelineTaskSpec_RetryPolicy{}, 5000, 0},
		"a negative one is none":     {&pipelinespec.PipelineTaskSpec_RetryPolicy{BackoffDuration: seconds(-5)}, 2, 0},
		"a cap of nothing":           {&pipelinespec.PipelineTaskSpec_RetryPolicy{BackoffDuration: seconds(5), BackoffMaxDuration: seconds(0)}, 2, 0},
		"a factor below one shrinks": {&pipelinespec.PipelineTaskSpec_RetryPolicy{BackoffDuration: seconds(8), BackoffFactor: 0.5}, 3, 2 * time.Second},
	} {
		if got := backoff(tc.policy, tc.n); got != tc.want {
			t.Errorf("%s: %v, want %v", name, got, tc.want)
		}
	}
}

func TestRepository(t *testing.T) {
	t.Parallel()
	for ref, want := range map[string]string{
		"a/b": "a/b", "a/b:v1": "a/b", "a/b@sha256:12": "a/b", "a/b:v1@sha256:12": "a/b", "host:5000/a/b": "host:5000/a/b", "host:5000/a/b:v1": "host:5000/a/b", "img": "img",
	} {
		if got := repository(ref); got != want {
			t.Errorf("repository(%q) = %q, want %q", ref, got, want)
		}
	}
}

func TestWildcard(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		pattern, s string
		want       bool
	}{
		{"abc", "abc", true}, {"abc", "abcd", false}, {"*", "", true}, {"a*", "abc", true}, {"*c", "abc", true}, {"*b*", "abc", true}, {"a*c", "ac", true},
		{"a*a", "a", false}, {"*a*a*", "a", false}, {"*ab*b", "ab", false}, {"a*b*c", "a-b-b-c", true}, {"a*b*c", "a-c-b", false},
	} {
		if got := wildcard(tc.pattern, tc.s); got != tc.want {
			t.Errorf("wildcard(%q, %q) = %v", tc.pattern, tc.s, got)
		}
	}
}

func TestLocalPath(t *testing.T) {
	t.Parallel()
	for uri, want := range map[string]string{
		"gs://b/k": "b/k", "gs://b": "b", "gs://b/a/b.c": "b/a/b.c", "gs://b/..k": "b/..k",
		"gs://": "", "gs:///k": "", "s3://b/k": "", "gs://b/../k": "", "gs://../k": "", "gs://b//k": "", "gs://b/./k": "", "gs://b/k/": "", `gs://b/a\b`: "", "gs://b/a\x00b": "",
	} {
		got, err := localPath(uri)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("localPath(%q) = %q, %v, want %q", uri, got, err, want)
		}
		if err == nil && !filepath.IsLocal(got) {
			t.Errorf("localPath(%q) = %q leaves the folder", uri, got)
		}
	}
}

func TestPathsOfArguments(t *testing.T) {
	t.Parallel()
	io := &attemptIO{paths: paths{root: "/t"}}
	for in, want := range map[string]string{
		"/gcs/b/x": "/t/gcs/b/x", "--out=/gcs/b/x": "/t/gcs/b/x", "/gcsfuse/x": "/gcsfuse/x", "x/gcs/b": "x/gcs/b", `{"a"="/gcs/b"}`: `{"a"="/gcs/b"}`, "plain": "plain",
	} {
		if strings.HasPrefix(in, "--") {
			want = "--out=" + want
		}
		if got := io.argument(in); got != want {
			t.Errorf("argument(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestExpand(t *testing.T) {
	t.Parallel()
	lookup := func(p string) (string, error) { return "<" + p + "{{$}}>", nil }
	for in, want := range map[string]string{
		"":                      "",
		"plain":                 "plain",
		"{{$}}":                 "<${{$}}>",
		"a{{$.x}}b{{$.y['k']}}": "a<$.x{{$}}>b<$.y['k']{{$}}>",
		"{{$.open":              "{{$.open",
		"{{ $ }}":               "{{ $ }}",
	} {
		if got, err := expand(in, lookup); err != nil || got != want {
			t.Errorf("expand(%q) = %q, %v, want %q", in, got, err, want)
		}
	}
}

func TestTextOfValues(t *testing.T) {
	t.Parallel()
	for want, v := range map[string]any{
		"raw \"text\"": "raw \"text\"", "1472953": 1472953, "0.1": 0.1, "-2.5": -2.5, "true": true, `[1,"<a>",null]`: []any{1, "<a>", nil}, `{"a":1,"b":{}}`: map[string]any{"b": map[string]any{}, "a": 1},
	} {
		if got := text(value(t, v)); got != want {
			t.Errorf("text(%v) = %q, want %q", v, got, want)
		}
	}
	if got := text(nil) + text(structpb.NewNullValue()); got != "" {
		t.Errorf("text of nothing = %q", got)
	}
	if got := text(structpb.NewNumberValue(1e21)); got != "1000000000000000000000" {
		t.Errorf("text of a large number = %q", got)
	}
}

func TestReferences(t *testing.T) {
	t.Parallel()
	vars := map[string]string{"A": "1"}
	for in, want := range map[string]string{"$(A)": "1", "x$(A)y$(A)": "x1y1", "$$(A)": "$(A)", "$(B)": "$(B)", "$A": "$A", "$()": "$()"} {
		if got := references(in, vars); got != want {
			t.Errorf("references(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestRecordsComeBackFromTheFile(t *testing.T) {
	t.Parallel()
	in := &record{detail: &aiplatformpb.PipelineTaskDetail{TaskUniqueName: "a.b", State: taskRunning}, outputs: newValues().output(), attempt: 3, notBefore: time.Unix(5, 0).UTC(), halted: true}
	b, err := in.encode()
	if err != nil {
		t.Fatal(err)
	}
	out, err := decodeRecord(b)
	if err != nil {
		t.Fatal(err)
	}
	if out.attempt != 3 || !out.notBefore.Equal(in.notBefore) || !out.halted || out.detail.TaskUniqueName != "a.b" {
		t.Errorf("got %+v", out)
	}
	if diff := cmp.Diff(newValues().params, outputValues(out.outputs).params); diff != "" {
		t.Error(diff)
	}
	for _, bad := range []string{"", "{", `{"detail":"///"}`} {
		if _, err := decodeRecord([]byte(bad)); err == nil {
			t.Errorf("the record %q was read", bad)
		}
	}
}
