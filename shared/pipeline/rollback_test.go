package pipeline

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	gcs "cloud.google.com/go/storage"
	"google.golang.org/grpc/codes"

	"github.com/millrace-ml/millrace/internal/localcloud/chaos"
	"github.com/millrace-ml/millrace/shared/fault"
)

// shelf is an artifacts bucket with a clock: each move comes a minute after the one before.
type shelf struct {
	*testing.T
	c  *gcs.Client
	at time.Time
}

func newShelf(t *testing.T, versions ...string) *shelf {
	t.Helper()
	c, _ := bucket(t)
	s := &shelf{t, c, input(t, batchModel("tides", "")).Now}
	for _, v := range versions {
		s.publish(v)
	}
	return s
}

func (s *shelf) tick() time.Time {
	s.at = s.at.Add(time.Minute)
	return s.at
}

func (s *shelf) input(version string) PublishInput {
	m := batchModel("tides", "")
	m.Version = version
	in := input(s.T, m)
	in.Now, in.Commit = s.tick(), "commit of "+version
	return in
}

func (s *shelf) publish(version string) *Release {
	s.Helper()
	return publish(s.T, s.c, s.input(version))
}

func (s *shelf) rollback() (from, to string, err error) {
	f, t, err := Rollback(s.Context(), s.c, artifacts, "tides", s.tick())
	if err != nil {
		return "", "", err
	}
	return f.Manifest.Version, t.Manifest.Version, nil
}

// moved rolls back and says if that did not go from one version to the other.
func (s *shelf) moved(from, to string) {
	s.Helper()
	f, t, err := s.rollback()
	if err != nil || f != from || t != to {
		s.Fatalf("rolled back from %q to %q, %v; want from %q to %q", f, t, err, from, to)
	}
	if now := s.current(); now.Manifest.Version != to || now.Commit != "commit of "+to {
		s.Fatalf("the pointer says version %s of %q, want %s", now.Manifest.Version, now.Commit, to)
	}
}

func (s *shelf) current() *Release {
	s.Helper()
	list, err := Releases(s.Context(), s.c, artifacts)
	if err != nil || len(list) != 1 {
		s.Fatalf("%v, %v", list, err)
	}
	return &list[0]
}

// none rolls back and says if there was a release to go back to.
func (s *shelf) none() {
	s.Helper()
	at := generation(s.T, s.c, "released/tides.json")
	_, _, err := s.rollback()
	if fault.KindOf(err) != fault.NotFound || !strings.Contains(err.Error(), "no release is before the current one") {
		s.Fatalf("got %v", err)
	}
	if generation(s.T, s.c, "released/tides.json") != at {
		s.Error("the pointer moved")
	}
}

func TestRollbackGoesBackOneByOne(t *testing.T) {
	t.Parallel()
	s := newShelf(t, "A", "B", "C")
	s.moved("C", "B")
	s.moved("B", "A")
	s.none()
}

func TestARollbackIsNeverToWhatWasTakenBack(t *testing.T) {
	t.Parallel()
	s := newShelf(t, "A", "B", "C")
	s.moved("C", "B")
	s.moved("B", "A")
	s.publish("D")
	s.moved("D", "A")
	s.none()
	s.publish("C") // the same content once more is a release like any
	s.publish("E")
	s.moved("E", "C")
	s.moved("C", "A")
	s.none()
}

func TestRollbackKeepsWhatHappened(t *testing.T) {
	t.Parallel()
	s := newShelf(t, "A", "B")
	kept := map[string]string{}
	for _, name := range objects(t, s.c, "history/") {
		kept[name] = content(t, s.c, name)
	}
	bad := s.current()
	s.moved("B", "A")
	now := s.current()
	if !now.ReleasedAt.Equal(s.at) || kept[now.Withdrew] == "" || !strings.Contains(kept[now.Withdrew], bad.FolderDigest) {
		t.Errorf("the pointer is of %s and took back %q", now.ReleasedAt, now.Withdrew)
	}
	names := objects(t, s.c, "history/tides/")
	if len(names) != 3 || !slices.IsSorted(names) {
		t.Errorf("history is %v, want a copy of each of three moves, by time", names)
	}
	if content(t, s.c, names[2]) != content(t, s.c, "released/tides.json") {
		t.Error("the newest copy is not what the pointer says")
	}
	for name, text := range kept {
		if content(t, s.c, name) != text {
			t.Errorf("%s was changed", name)
		}
	}
	// What a rollback restored is the current content: to release it once more changes nothing.
	at := generation(t, s.c, "released/tides.json")
	if s.publish("A"); generation(t, s.c, "released/tides.json") != at {
		t.Error("the pointer moved for unchanged content")
	}
}

func TestRollbackRefuses(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		model string
		spoil func(*testing.T, *shelf)
		kind  fault.Kind
		want  string
	}{
		"a model that is not released": {"waves", nil, fault.NotFound, "is not released"},
		"what is no name":              {"../tides", nil, fault.Invalid, "is no name of a model"},
		"a pointer of no use":          {"tides", func(t *testing.T, s *shelf) { put(t, s.c, "released/tides.json", "{") }, fault.Invalid, "release the model again"},
		"a history that is gone":       {"tides", func(t *testing.T, s *shelf) { s.remove(t, objects(t, s.c, "history/")...) }, fault.NotFound, "is not there"},
		"a history of no use":          {"tides", func(t *testing.T, s *shelf) { put(t, s.c, objects(t, s.c, "history/")[0], "{}") }, fault.Invalid, "it names the model"},
		"a pipeline that is gone":      {"tides", func(t *testing.T, s *shelf) { s.remove(t, objects(t, s.c, "pipelines/")...) }, fault.NotFound, "cannot start runs any more"},
		"a folder that is gone":        {"tides", func(t *testing.T, s *shelf) { s.remove(t, objects(t, s.c, "models/")...) }, fault.NotFound, "cannot start runs any more"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newShelf(t, "A", "B")
			if tc.spoil != nil {
				tc.spoil(t, s)
			}
			at := generation(t, s.c, "released/tides.json")
			_, _, err := Rollback(t.Context(), s.c, artifacts, tc.model, s.tick())
			if err == nil || fault.KindOf(err) != tc.kind || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v (%v), want something with %q", err, fault.KindOf(err), tc.want)
			}
			if generation(t, s.c, "released/tides.json") != at {
				t.Error("the pointer moved")
			}
		})
	}
}

func (s *shelf) remove(t *testing.T, names ...string) {
	t.Helper()
	for _, name := range names {
		if err := s.c.Bucket(artifacts).Object(name).Delete(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

func TestRollbackRefusesAPrefixThatAnotherModelHasTaken(t *testing.T) {
	t.Parallel()
	c, _ := bucket(t)
	publish(t, c, input(t, batchModel("tides", "sea/")))
	moved := input(t, batchModel("tides", "tides/"))
	moved.Now = moved.Now.Add(time.Minute)
	publish(t, c, moved)
	publish(t, c, input(t, batchModel("waves", "sea/")))
	if _, _, err := Rollback(t.Context(), c, artifacts, "tides", moved.Now.Add(time.Hour)); fault.KindOf(err) != fault.Conflict || !strings.Contains(err.Error(), "overlaps") {
		t.Errorf("got %v", err)
	}
}

// Each call of a rollback fails once, before and after it applied: the pointer has moved once in the end.
func TestRollbackUnderFaults(t *testing.T) {
	t.Parallel()
	c, faults := bucket(t)
	s := &shelf{t, c, input(t, batchModel("tides", "")).Now}
	s.publish("A")
	s.publish("B")
	faults.Reset()
	s.moved("B", "A")
	calls := faults.Calls()
	if len(calls) < 5 {
		t.Fatalf("calls are %v", calls)
	}
	for i, name := range calls[:len(calls)-2] { // the last two are the test's own look
		n := 1
		for _, before := range calls[:i] {
			if before == name {
				n++
			}
		}
		for _, after := range []bool{false, true} {
			t.Run(itoa(i)+" "+name+" after="+map[bool]string{false: "no", true: "yes"}[after], func(t *testing.T) {
				t.Parallel()
				c, faults := bucket(t)
				s := &shelf{t, c, input(t, batchModel("tides", "")).Now}
				s.publish("A")
				s.publish("B")
				faults.Arm(chaos.Fault{Match: name, N: n, After: after, Code: codes.Unavailable})
				s.moved("B", "A")
				if faults.Disarm() != 0 {
					t.Error("the fault did not strike")
				}
				s.none()
			})
		}
	}
}

func TestRollbackAtTheSameMoment(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		others func(*shelf)
		kind   fault.Kind
		now    string
	}{
		"as somebody's release":        {func(s *shelf) { s.publish("D") }, fault.Conflict, "D"},
		"as somebody's equal rollback": {func(s *shelf) { s.moved("C", "B") }, 0, "B"},
		"as two rollbacks":             {func(s *shelf) { s.moved("C", "B"); s.moved("B", "A") }, fault.Conflict, "A"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url, _ := serveBucket(t)
			s := &shelf{t, dial(t, url, http.DefaultTransport), input(t, batchModel("tides", "")).Now}
			for _, v := range []string{"A", "B", "C"} {
				s.publish(v)
			}
			slow := dial(t, url, &between{run: func() { tc.others(s) }})
			from, to, err := Rollback(t.Context(), slow, artifacts, "tides", s.at.Add(time.Hour))
			if (err != nil) != (tc.kind != 0) || err != nil && fault.KindOf(err) != tc.kind {
				t.Fatalf("got %v", err)
			}
			if err == nil && (from.Manifest.Version != "C" || to.Manifest.Version != "B") {
				t.Errorf("rolled back from %s to %s", from.Manifest.Version, to.Manifest.Version)
			}
			if now := s.current().Manifest.Version; now != tc.now {
				t.Errorf("the pointer says %s, want %s", now, tc.now)
			}
		})
	}
}
