package e2e

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/millrace-ml/millrace/internal/candidate"
	"github.com/millrace-ml/millrace/shared/batch"
	"github.com/millrace-ml/millrace/shared/pipeline"
)

const staging, artifacts = "millrace-staging", "millrace-artifacts"

// A release is tried by the whole pipeline before its pointer moves, then it is released, and then taken back.
func TestTryReleaseRollBack(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	released := func() *pipeline.Release {
		t.Helper()
		list, err := pipeline.Releases(t.Context(), s.client, artifacts)
		if err != nil || len(list) != 1 {
			t.Fatalf("released are %v, %v", list, err)
		}
		return &list[0]
	}
	before := released()
	checkout := t.TempDir()
	if err := os.CopyFS(filepath.Join(checkout, "models"), os.DirFS(models)); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(checkout, "models", "bike-demand", "model.yaml")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, bytes.Replace(text, []byte(`version: "2011"`), []byte(`version: "2012"`), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	millrace := func(args ...string) []byte {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), binary, args...)
		cmd.Env = append(os.Environ(), "STORAGE_EMULATOR_HOST="+strings.TrimPrefix(s.storage, "http://"))
		var errs bytes.Buffer
		cmd.Stderr = &errs
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("millrace %q: %v\n%s", args, err, errs.String())
		}
		return out
	}
	try := func() (r candidate.Result) {
		t.Helper()
		out := millrace("ci", "--repo", checkout, "try", "bike-demand", "--image", before.Image, "--bucket", artifacts, "--staging", staging,
			"--trigger", s.trigger, "--unit", strings.Repeat("0123abcd", 8), "--deadline", patience.String())
		if err := json.Unmarshal(out, &r); err != nil {
			t.Fatalf("%s: %v", out, err)
		}
		return r
	}

	first := try()
	if first.Rows == 0 || first.Found {
		t.Errorf("the trial shows %+v", first)
	}
	if now := released(); now.Manifest.Version != "2011" {
		t.Errorf("the trial moved the pointer to version %s", now.Manifest.Version)
	}
	if names := s.list(t, ""); len(names) != 0 {
		t.Errorf("the trial left %q in the outbox", names)
	}
	r, err := s.client.Bucket(staging).Object(batch.SuccessObject("bike-demand", first.RunID)).NewReader(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	proof, err := io.ReadAll(r)
	if err != nil || r.Close() != nil || !bytes.Contains(proof, []byte(`"2012"`)) {
		t.Errorf("the trial's proof is %s, %v", proof, err)
	}
	if status, body := ask(t, http.MethodGet, s.trigger+"/runs", nil, nil, nil); status != http.StatusOK || !strings.Contains(body, first.Candidate) {
		t.Errorf("the list of runs does not tell the candidate: %d %s", status, body)
	}
	if out := string(millrace("runs", "--url", s.trigger, "show", first.RunID)); !strings.Contains(out, "request of the candidate gs://") || !strings.Contains(out, "in staging") {
		t.Errorf("the trial is shown as\n%s", out)
	}
	if again := try(); !again.Found || again.RunID != first.RunID {
		t.Errorf("tried again: %+v", again)
	}

	millrace("ci", "--repo", checkout, "release", "bike-demand", "--image", before.Image, "--bucket", artifacts)
	if now := released(); now.Manifest.Version != "2012" {
		t.Fatalf("released is version %s", now.Manifest.Version)
	}
	from, to, err := pipeline.Rollback(t.Context(), s.client, artifacts, "bike-demand", time.Now())
	if err != nil || from.Manifest.Version != "2012" || to.FolderDigest != before.FolderDigest {
		t.Fatalf("rolled back from %+v to %+v, %v", from, to, err)
	}
	if now := released(); now.Manifest.Version != "2011" || now.SpecDigest != before.SpecDigest {
		t.Errorf("after the rollback version %s is released", now.Manifest.Version)
	}
}
