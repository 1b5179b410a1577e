package pipeline

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"

	"github.com/millrace-ml/millrace/internal/localcloud/chaos"
	"github.com/millrace-ml/millrace/shared/fault"
	"github.com/millrace-ml/millrace/shared/manifest"
)

func TestPublishAndFetch(t *testing.T) {
	t.Parallel()
	c, _ := bucket(t)
	in := input(t, batchModel("tides", "tides/"))
	r := publish(t, c, in)
	want := []string{"history/tides/20240506T070809Z-", "models/tides/" + r.FolderDigest[7:] + ".tar", "pipelines/tides/" + r.SpecDigest[7:] + ".yaml", "released/tides.json"}
	got := objects(t, c, "")
	if len(got) != 4 || !slices.Equal(got[1:], want[1:]) || !strings.HasPrefix(got[0], want[0]) {
		t.Errorf("objects are %v", got)
	}
	if r.ImageDigest != "sha256:abc" || r.Commit != "c1" || r.Folder != "gs://artifacts/"+want[1] {
		t.Errorf("release is %+v", r)
	}
	list, err := Releases(t.Context(), c, artifacts)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(asJSON(t, []Release{*r}), asJSON(t, list)); d != "" {
		t.Errorf("-published +listed:\n%s", d)
	}
	spec, err := ReadSpec(t.Context(), c, r.Spec, r.SpecDigest)
	if err != nil || !bytes.Equal(spec, in.Spec) {
		t.Errorf("the spec came back otherwise: %v", err)
	}
	dir := filepath.Join(t.TempDir(), "deep", "model")
	if err := Fetch(t.Context(), c, r.Folder, r.FolderDigest, dir); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(map[string]string{"model.yaml": "name: tides", "artifact/m": "1"}, contents(t, dir)); d != "" {
		t.Error(d)
	}
}

func asJSON(t *testing.T, v any) string {
	t.Helper()
	j, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(j)
}

func TestPublishMovesThePointerForNewContentOnly(t *testing.T) {
	t.Parallel()
	c, _ := bucket(t)
	m := batchModel("tides", "tides/")
	first := publish(t, c, input(t, m))
	at := generation(t, c, "released/tides.json")

	again := input(t, m)
	again.Commit, again.Now = "c2", again.Now.Add(time.Hour)
	if r := publish(t, c, again); r.Commit != "c1" || !r.ReleasedAt.Equal(first.ReleasedAt) {
		t.Errorf("unchanged content gave a release of %s at %s", r.Commit, r.ReleasedAt)
	}
	if g := generation(t, c, "released/tides.json"); g != at {
		t.Error("the pointer moved for unchanged content")
	}

	for name, change := range map[string]func(*PublishInput){
		"folder":     func(in *PublishInput) { in.Folder = folder(map[string]string{"model.yaml": "other"}) },
		"spec":       func(in *PublishInput) { in.Spec = append(in.Spec, "\n# changed\n"...) },
		"parameters": func(in *PublishInput) { in.Parameters = map[string]any{"source": "gs://a/c"} },
		"image":      func(in *PublishInput) { in.Image = "example/step@sha256:def" },
		"manifest":   func(in *PublishInput) { m := *in.Manifest; m.Version = "2"; in.Manifest = &m },
	} {
		in := input(t, m)
		change(&in)
		publish(t, c, in)
		if g := generation(t, c, "released/tides.json"); g == at {
			t.Errorf("the pointer did not move for a new %s", name)
		} else {
			at = g
		}
	}
	back := publish(t, c, input(t, m))
	if back.FolderDigest != first.FolderDigest || generation(t, c, "released/tides.json") == at {
		t.Error("the old content was not released again")
	}
}

func TestPublishTellsWhereARunComesFrom(t *testing.T) {
	t.Parallel()
	c, _ := bucket(t)
	m := batchModel("tides", "")
	in := input(t, m)
	in.Spec = []byte(strings.Replace(example(t), "      run_id: {parameterType: STRING}\n      rate:",
		"      run_id: {parameterType: STRING}\n      spec_digest: {parameterType: STRING}\n      commit: {parameterType: STRING}\n      rate:", 1))
	r := publish(t, c, in)
	if r.Parameters["spec_digest"] != r.SpecDigest || r.Parameters["commit"] != "c1" || in.Parameters["commit"] != nil {
		t.Errorf("parameters are %v", r.Parameters)
	}
	in.Commit = "c2"
	if r := publish(t, c, in); r.Commit != "c1" {
		t.Error("a new commit alone moved the pointer")
	}
}

func TestPublishRefuses(t *testing.T) {
	t.Parallel()
	c, _ := bucket(t)
	publish(t, c, input(t, batchModel("tides", "sea/tides/")))
	for name, tc := range map[string]struct {
		change func(*PublishInput)
		kind   fault.Kind
		want   string
	}{
		"a prefix below another model's": {func(in *PublishInput) { in.Manifest = batchModel("waves", "sea/tides/high/") }, fault.Conflict, `"sea/tides/high/" overlaps with "sea/tides/" of the released model tides`},
		"a prefix above another model's": {func(in *PublishInput) { in.Manifest = batchModel("waves", "sea/") }, fault.Conflict, "overlaps"},
		"no manifest":                    {func(in *PublishInput) { in.Manifest = nil }, fault.Internal, "needs a model folder and its manifest"},
		"no time":                        {func(in *PublishInput) { in.Now = time.Time{} }, fault.Internal, "has no time"},
		"a real-time model":              {func(in *PublishInput) { in.Manifest = &manifest.Manifest{Name: "x"} }, fault.Invalid, "does not serve batch"},
		"what is no pipeline":            {func(in *PublishInput) { in.Spec = []byte("a: b") }, fault.Invalid, "pipeline of waves: a: unknown field"},
		"what lint refuses":              {func(in *PublishInput) { in.Spec = bytes.Replace(in.Spec, []byte("2.1.0"), []byte("2.0.0"), 1) }, fault.Invalid, "schemaVersion"},
		"a parameter of the wrong type":  {func(in *PublishInput) { in.Parameters["rate"] = "high" }, fault.Invalid, "parameters.rate"},
		"a parameter nobody gives":       {func(in *PublishInput) { delete(in.Parameters, "source") }, fault.Invalid, "parameters.source: nothing"},
		"a folder with a bad name":       {func(in *PublishInput) { in.Folder = folder(map[string]string{"a\\b": ""}) }, fault.Invalid, "is no name of a file"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := input(t, batchModel("waves", "waves/"))
			tc.change(&in)
			_, err := Publish(t.Context(), c, artifacts, in)
			if err == nil || fault.KindOf(err) != tc.kind || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v (%v), want something with %q", err, fault.KindOf(err), tc.want)
			}
			if got := objects(t, c, "released/"); len(got) != 1 {
				t.Errorf("released are %v", got)
			}
		})
	}
}

// Each write of a release fails once, before and after it applied: the release is then whole or not there, and the next
// one succeeds.
func TestPublishUnderFaults(t *testing.T) {
	t.Parallel()
	for call := 1; call <= 4; call++ {
		for _, after := range []bool{false, true} {
			t.Run(itoa(call)+" after="+map[bool]string{false: "no", true: "yes"}[after], func(t *testing.T) {
				t.Parallel()
				c, faults := bucket(t)
				faults.Arm(chaos.Fault{Match: "storage:objects.insert", N: call, After: after, Code: codes.Unavailable})
				r := publish(t, c, input(t, batchModel("tides", ""))) // the client itself repeats
				if faults.Disarm() != 0 {
					t.Fatal("the fault did not strike")
				}
				list, err := Releases(t.Context(), c, artifacts)
				if err != nil || len(list) != 1 || list[0].FolderDigest != r.FolderDigest {
					t.Errorf("releases are %v, %v", list, err)
				}
				if h := objects(t, c, "history/"); len(h) != 1 {
					t.Errorf("history is %v", h)
				}
			})
		}
	}
}

// between runs once, before the first request whose body names the pointer is sent.
type between struct {
	once sync.Once
	run  func()
}

func (b *between) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method == http.MethodPost {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		if bytes.Contains(body, []byte(`"name":"released/`)) {
			b.once.Do(b.run)
		}
	}
	return http.DefaultTransport.RoundTrip(r)
}

func TestPublishDoesNotOverwriteAReleaseItHasNotSeen(t *testing.T) {
	t.Parallel()
	for name, before := range map[string]bool{"the first release": false, "a later one": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url, _ := serveBucket(t)
			c := dial(t, url, http.DefaultTransport)
			if before {
				publish(t, c, input(t, batchModel("tides", "")))
			}
			theirs := input(t, batchModel("tides", ""))
			theirs.Folder = folder(map[string]string{"model.yaml": "theirs"})
			var won *Release
			slow := dial(t, url, &between{run: func() { won = publish(t, c, theirs) }})
			ours := input(t, batchModel("tides", ""))
			ours.Folder = folder(map[string]string{"model.yaml": "ours"})
			if _, err := Publish(t.Context(), slow, artifacts, ours); fault.KindOf(err) != fault.Conflict || !strings.Contains(err.Error(), "released by someone else") {
				t.Errorf("got %v", err)
			}
			list, err := Releases(t.Context(), c, artifacts)
			if err != nil || len(list) != 1 || list[0].FolderDigest != won.FolderDigest {
				t.Errorf("released is %v, %v, want theirs", list, err)
			}
		})
	}
}

func TestPublishLosesARaceLoudly(t *testing.T) {
	t.Parallel()
	c, _ := bucket(t)
	errs := make(chan error, 8)
	for i := range cap(errs) {
		go func() {
			in := input(t, batchModel("tides", ""))
			in.Folder = folder(map[string]string{"model.yaml": itoa(i)})
			_, err := Publish(context.WithoutCancel(t.Context()), c, artifacts, in)
			errs <- err
		}()
	}
	won := 0
	for range cap(errs) {
		switch err := <-errs; {
		case err == nil:
			won++
		case fault.KindOf(err) != fault.Conflict:
			t.Errorf("got %v", err)
		}
	}
	if won == 0 {
		t.Error("nobody released")
	}
}
