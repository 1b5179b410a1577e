package bundle

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/millrace-ml/millrace/shared/pipeline"
)

func TestImageOptionsAreChecked(t *testing.T) {
	t.Parallel()
	pinned := t.TempDir()
	if err := writeFile(filepath.Join(pinned, ImageConfig), []byte("defaultBaseImage: example.invalid/pinned@sha256:"+strings.Repeat("1", 64)+"\n")); err != nil {
		t.Fatal(err)
	}
	bare := t.TempDir()
	if err := writeFile(filepath.Join(bare, ImageConfig), []byte("builds: []\n")); err != nil {
		t.Fatal(err)
	}
	good := ImageOptions{Repo: repo, To: "example.invalid/step", Base: "example.invalid/base@sha256:" + strings.Repeat("0", 64), Tag: "t"}
	for name, c := range map[string]struct {
		edit func(*ImageOptions)
		want string
	}{
		"good":                  {func(*ImageOptions) {}, ""},
		"a base by tag":         {func(o *ImageOptions) { o.Base = "example.invalid/base:latest" }, "is not named by digest"},
		"the checkout's base":   {func(o *ImageOptions) { o.Repo, o.Base = pinned, "" }, ""},
		"no base anywhere":      {func(o *ImageOptions) { o.Repo, o.Base = bare, "" }, "has no defaultBaseImage"},
		"no config":             {func(o *ImageOptions) { o.Repo, o.Base = t.TempDir(), "" }, ".ko.yaml: no such file"},
		"no repository":         {func(o *ImageOptions) { o.To = "" }, "no repository to push to"},
		"an image for its name": {func(o *ImageOptions) { o.To = good.Base }, "no repository to push to"},
		"no tag":                {func(o *ImageOptions) { o.Tag = "" }, "no tag"},
	} {
		o := good
		c.edit(&o)
		text, err := o.Command()
		if name == "the checkout's base" && !strings.Contains(text, "=example.invalid/pinned@sha256:1") {
			t.Errorf("the base of the checkout is not taken: %s", text)
		}
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: error %v, want %q", name, err, c.want)
		}
	}
}

func TestAReferenceWithoutItsTag(t *testing.T) {
	t.Parallel()
	for ref, want := range map[string]string{"localhost:5000/a/step:v1@sha256:0": "localhost:5000/a/step@sha256:0", "localhost:5000/step@sha256:0": "localhost:5000/step@sha256:0"} {
		if got := untagged(ref); got != want {
			t.Errorf("%s: %s, want %s", ref, got, want)
		}
	}
}

// registry runs the registry that is pinned beside ko and gives its host:port.
func registry(t *testing.T) string {
	t.Helper()
	bin := filepath.Join(t.TempDir(), "registry")
	if _, err := goTool(t.Context(), repo, nil, "build", "-modfile="+koModule, "-o", bin, "github.com/google/go-containerregistry/cmd/registry"); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), bin, "-port=0")
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	drained := make(chan struct{})
	t.Cleanup(func() {
		cmd.Process.Kill()
		<-drained
		cmd.Wait()
	})
	lines := bufio.NewScanner(stderr)
	port := ""
	for port == "" && lines.Scan() {
		if m := regexp.MustCompile(`serving on port (\d+)`).FindStringSubmatch(lines.Text()); m != nil {
			port = m[1]
		}
	}
	go func() {
		defer close(drained)
		for lines.Scan() {
		}
	}()
	if port == "" {
		t.Fatal("the registry does not say its port")
	}
	return "localhost:" + port
}

func get(t *testing.T, url string) []byte {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("GET %s: %d %.200s %v", url, resp.StatusCode, body, err)
	}
	return body
}

func put(t *testing.T, url, kind string, body []byte) {
	t.Helper()
	req, err := http.NewRequest(http.MethodPut, url, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", kind)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusCreated {
		t.Fatalf("PUT %s: %s", url, resp.Status)
	}
}

const (
	manifestKind = "application/vnd.oci.image.manifest.v1+json"
	configKind   = "application/vnd.oci.image.config.v1+json"
)

// pushEmpty puts an image without a layer into the registry.
func pushEmpty(t *testing.T, host string) (ref string) {
	t.Helper()
	config := []byte(`{"architecture":"amd64","os":"linux","config":{},"rootfs":{"type":"layers","diff_ids":[]}}`)
	resp, err := http.Post("http://"+host+"/v2/base/blobs/uploads/", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	put(t, "http://"+host+resp.Header.Get("Location")+"?digest="+pipeline.Digest(config), "application/octet-stream", config)
	manifest := fmt.Appendf(nil, `{"schemaVersion":2,"mediaType":%q,"config":{"mediaType":%q,"digest":%q,"size":%d},"layers":[]}`,
		manifestKind, configKind, pipeline.Digest(config), len(config))
	digest := pipeline.Digest(manifest)
	put(t, "http://"+host+"/v2/base/manifests/"+digest, manifestKind, manifest)
	return host + "/base@" + digest
}

// checkout is a copy of what the step image is made of: its digest must not depend on the folder.
func checkout(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"cmd/step", "pipelines", "shared", "tools/ko"} {
		if err := os.CopyFS(filepath.Join(dir, name), os.DirFS(filepath.Join(repo, name))); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"go.mod", "go.sum"} {
		if err := copyFile(filepath.Join(repo, name), filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestTheStepImage(t *testing.T) {
	if os.Getenv("MILLRACE_TEST_IMAGE") == "" {
		t.Skip("skipped: the step image; MILLRACE_TEST_IMAGE=1 builds ko and the image, minutes the first time")
	}
	t.Parallel()
	host := registry(t)
	base := pushEmpty(t, host)
	var refs []string
	sboms := t.TempDir()
	first, second := checkout(t), t.TempDir()
	if err := os.CopyFS(second, os.DirFS(first)); err != nil {
		t.Fatal(err)
	}
	for name, dir := range map[string]string{"one": first, "two": second} {
		var log bytes.Buffer
		ref, err := Image(t.Context(), ImageOptions{Repo: dir, To: host + "/" + name, Base: base, Tag: "unit-0", SBOM: filepath.Join(sboms, name), Log: &log})
		if err != nil {
			t.Fatalf("%v\n%s", err, log.String())
		}
		refs = append(refs, ref)
	}
	slices.Sort(refs)
	_, one, _ := strings.Cut(refs[0], "@")
	if _, two, _ := strings.Cut(refs[1], "@"); one != two || !strings.HasPrefix(refs[0], host+"/one@sha256:") {
		t.Errorf("two builds of one checkout: %s", refs)
	}
	var manifest struct {
		Config struct{ Digest string }
		Layers []struct{ Digest string }
	}
	decode(t, get(t, "http://"+host+"/v2/one/manifests/"+one), &manifest)
	var config struct {
		Architecture string
		Created      string
		Config       struct{ Entrypoint []string }
	}
	decode(t, get(t, "http://"+host+"/v2/one/blobs/"+manifest.Config.Digest), &config)
	if len(config.Config.Entrypoint) != 1 || config.Config.Entrypoint[0] != "/ko-app/step" || config.Architecture != "amd64" {
		t.Errorf("the image is configured as %+v", config)
	}
	bill := get(t, "http://"+host+"/v2/one/manifests/"+strings.Replace(one, ":", "-", 1)+".sbom")
	if !bytes.Contains(bill, []byte("spdx")) {
		t.Errorf("the bill of materials is %s", bill)
	}
	if found, err := filepath.Glob(filepath.Join(sboms, "one", "*")); err != nil || len(found) == 0 {
		t.Errorf("no bill of materials in the folder: %v", err)
	}
	binary := filepath.Join(t.TempDir(), "step")
	for _, l := range manifest.Layers {
		extract(t, get(t, "http://"+host+"/v2/one/blobs/"+l.Digest), "ko-app/step", binary)
	}
	if runtime.GOOS+"/"+runtime.GOARCH != "linux/amd64" {
		return
	}
	// The binary runs with nothing around it: told no step, it says which there are.
	out, err := exec.CommandContext(t.Context(), binary).CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || !bytes.Contains(out, []byte("publish")) {
		t.Errorf("step without arguments: %v %s", err, out)
	}
}

func decode(t *testing.T, data []byte, into any) {
	t.Helper()
	if err := json.Unmarshal(data, into); err != nil {
		t.Fatal(err)
	}
}

// extract writes one file of a layer, if it has it.
func extract(t *testing.T, layer []byte, name, to string) {
	t.Helper()
	z, err := gzip.NewReader(bytes.NewReader(layer))
	if err != nil {
		t.Fatal(err)
	}
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		if strings.TrimPrefix(h.Name, "/") != name {
			continue
		}
		data, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(to, data, 0o755); err != nil {
			t.Fatal(err)
		}
	}
}
