package pipeline

import (
	"encoding/json"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	gcs "cloud.google.com/go/storage"
	"google.golang.org/grpc/codes"

	"github.com/millrace-ml/millrace/internal/localcloud/chaos"
	"github.com/millrace-ml/millrace/shared/fault"
)

func propose(t *testing.T, c *gcs.Client, in PublishInput) (string, *Release) {
	t.Helper()
	uri, r, err := Propose(t.Context(), c, artifacts, in)
	if err != nil {
		t.Fatal(err)
	}
	return uri, r
}

func TestACandidateIsAReleaseWithoutAPointer(t *testing.T) {
	t.Parallel()
	c, _ := bucket(t)
	in := input(t, batchModel("tides", "tides/"))
	uri, r := propose(t, c, in)
	if got := objects(t, c, ""); len(got) != 3 || !strings.HasPrefix(got[0], "candidates/tides/") || uri != "gs://artifacts/"+got[0] {
		t.Errorf("objects are %v, the candidate is %s", got, uri)
	}
	if named, err := CandidateURI(artifacts, in); err != nil || named != uri {
		t.Errorf("CandidateURI = %s, %v", named, err)
	}
	read, err := ReadCandidate(t.Context(), c, artifacts, "tides", uri)
	if err != nil {
		t.Fatal(err)
	}
	if read.Folder != r.Folder || read.Spec != r.Spec || read.Image != in.Image || !read.same(r) {
		t.Errorf("read %+v, wrote %+v", read, r)
	}
	in.Commit, in.Now = "c2", in.Now.Add(time.Hour)
	if again, _ := propose(t, c, in); again != uri {
		t.Errorf("the same content of another commit is %s, before it was %s", again, uri)
	}
	in.Image = "example/step@sha256:def"
	if other, _ := propose(t, c, in); other == uri {
		t.Error("another image is the same candidate")
	}
	released := publish(t, c, in)
	if released.Folder != r.Folder || released.Commit != "c2" || released.ReleasedAt.IsZero() {
		t.Errorf("the release after its candidate is %+v", released)
	}
	if got := objects(t, c, "models/"); len(got) != 1 {
		t.Errorf("folders are %v", got)
	}
}

func TestProposeUnderFaults(t *testing.T) {
	t.Parallel()
	for call := 1; call <= 3; call++ {
		for _, after := range []bool{false, true} {
			t.Run(itoa(call)+" after="+map[bool]string{false: "no", true: "yes"}[after], func(t *testing.T) {
				t.Parallel()
				c, faults := bucket(t)
				faults.Arm(chaos.Fault{Match: "storage:objects.insert", N: call, After: after, Code: codes.Unavailable})
				uri, _ := propose(t, c, input(t, batchModel("tides", "")))
				if faults.Disarm() != 0 {
					t.Fatal("the fault did not strike")
				}
				if _, err := ReadCandidate(t.Context(), c, artifacts, "tides", uri); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

func TestReadCandidateRefuses(t *testing.T) {
	t.Parallel()
	c, _ := bucket(t)
	uri, r := propose(t, c, input(t, batchModel("tides", "")))
	digest := strings.TrimSuffix(uri[len("gs://artifacts/candidates/tides/"):], ".json")
	// named puts a changed candidate under the name of its content.
	named := func(change func(*Release)) string {
		forged := *r
		change(&forged)
		data, err := json.Marshal(forged)
		if err != nil {
			t.Fatal(err)
		}
		uri := uriOf(artifacts, candidateKind, "tides", Digest(data))
		put(t, c, strings.TrimPrefix(uri, "gs://artifacts/"), string(data))
		return uri
	}
	put(t, c, "candidates/tides/"+strings.Repeat("a", 64)+".json", "{}")
	for name, tc := range map[string]struct {
		model, uri string
		kind       fault.Kind
		want       string
	}{
		"another bucket":        {"tides", strings.Replace(uri, "artifacts", "elsewhere", 1), fault.Invalid, "expected gs://artifacts/candidates/tides/"},
		"another model's":       {"waves", uri, fault.Invalid, "none of model"},
		"a model's name":        {"../tides", "gs://artifacts/candidates/../tides/" + digest + ".json", fault.Invalid, "none of model"},
		"a way out":             {"tides", "gs://artifacts/candidates/tides/../../released/tides.json", fault.Invalid, "none of model"},
		"the pointer":           {"tides", "gs://artifacts/released/tides.json", fault.Invalid, "none of model"},
		"no URI":                {"tides", "candidates/tides/" + digest + ".json", fault.Invalid, "none of model"},
		"nothing":               {"tides", "", fault.Invalid, "none of model"},
		"upper case":            {"tides", "gs://artifacts/candidates/tides/" + strings.Repeat("A", 64) + ".json", fault.Invalid, "none of model"},
		"one that is not there": {"tides", "gs://artifacts/candidates/tides/" + strings.Repeat("b", 64) + ".json", fault.NotFound, "not there"},
		"other bytes":           {"tides", "gs://artifacts/candidates/tides/" + strings.Repeat("a", 64) + ".json", fault.Invalid, "has digest"},
		"a foreign folder":      {"tides", named(func(r *Release) { r.Folder = strings.Replace(r.Folder, "artifacts", "elsewhere", 1) }), fault.Invalid, "expected those of the model in the same bucket"},
		"another's pipeline":    {"tides", named(func(r *Release) { r.Spec = strings.Replace(r.Spec, "/tides/", "/waves/", 1) }), fault.Invalid, "expected those of the model"},
		"a digest of something": {"tides", named(func(r *Release) { r.FolderDigest = r.SpecDigest }), fault.Invalid, "expected those of the model"},
		"another model inside":  {"tides", named(func(r *Release) { r.Model = "waves" }), fault.Invalid, "it names the model"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := ReadCandidate(t.Context(), c, artifacts, tc.model, tc.uri)
			if err == nil || fault.KindOf(err) != tc.kind || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v (%v), want something with %q", err, fault.KindOf(err), tc.want)
			}
		})
	}
}

func TestProposeRefusesWhatPublishRefuses(t *testing.T) {
	t.Parallel()
	c, _ := bucket(t)
	publish(t, c, input(t, batchModel("tides", "sea/")))
	before := objects(t, c, "")
	if _, _, err := Propose(t.Context(), c, artifacts, input(t, batchModel("waves", "sea/waves/"))); fault.KindOf(err) != fault.Conflict {
		t.Errorf("an overlap gave %v", err)
	}
	if after := objects(t, c, ""); !slices.Equal(before, after) {
		t.Errorf("it left %v", after)
	}
}

func content(t *testing.T, c *gcs.Client, object string) string {
	t.Helper()
	r, err := c.Bucket(artifacts).Object(object).NewReader(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	data, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
