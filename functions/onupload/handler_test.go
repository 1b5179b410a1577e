package onupload

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/millrace-ml/millrace/internal/batchtest"
	"github.com/millrace-ml/millrace/internal/localcloud/chaos"
	"github.com/millrace-ml/millrace/shared/batch"
	"github.com/millrace-ml/millrace/shared/entry"
	"github.com/millrace-ml/millrace/shared/ledger"
)

// serve opens the function as its deployment does and serves it.
func serve(t *testing.T, c *batchtest.Cloud, env map[string]string) *httptest.Server {
	t.Helper()
	f, err := Open(t.Context(), c.Getenv(env))
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(entry.Serve("OnUpload", f, entry.ServeOptions{Log: slog.New(slog.DiscardHandler)}))
	t.Cleanup(func() {
		s.Close()
		if err := f.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
	return s
}

func resource(u batch.Upload) string {
	return fmt.Sprintf(`{"kind":"storage#object","bucket":%q,"name":%q,"generation":"%d","metageneration":"1","size":"%d","timeCreated":%q,"newField":{}}`,
		u.Bucket, u.Object, u.Generation, u.Size, u.Created.Format(time.RFC3339Nano))
}

// push is a Pub/Sub push of a bucket notification.
func pushOf(u batch.Upload, messageID string) string {
	return fmt.Sprintf(`{"message":{"attributes":{"eventType":"OBJECT_FINALIZE","bucketId":%q,"objectId":%q,"payloadFormat":"JSON_API_V1"},"data":%q,"messageId":%q,"publishTime":"2024-04-19T21:01:59.503Z"},"deliveryAttempt":2,"subscription":"projects/p/subscriptions/s"}`,
		u.Bucket, u.Object, base64.StdEncoding.EncodeToString([]byte(resource(u))), messageID)
}

func post(t *testing.T, url, body string, header map[string]string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	for k, v := range header {
		req.Header.Set(k, v)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, string(b)
}

func eventarc(u batch.Upload) map[string]string {
	return map[string]string{
		"ce-specversion": "1.0", "ce-id": "9475010998622634", "ce-type": finalized,
		"ce-source":  "//storage.googleapis.com/projects/_/buckets/" + u.Bucket,
		"ce-subject": "objects/x", "ce-time": "2024-04-19T21:01:59.503551Z", "ce-bucket": u.Bucket,
		"Content-Type": "application/json; charset=utf-8",
	}
}

func TestBothFormsOfOneEventAreOneRun(t *testing.T) {
	t.Parallel()
	c := batchtest.New(t)
	s := serve(t, c, nil)
	u := c.Upload(t, "rides/a.csv", "x\n1\n")
	for name, send := range map[string]func() (*http.Response, string){
		"push":             func() (*http.Response, string) { return post(t, s.URL, pushOf(u, "1"), nil) },
		"push, another id": func() (*http.Response, string) { return post(t, s.URL+"/projects/p/topics/t", pushOf(u, "2"), nil) },
		"eventarc":         func() (*http.Response, string) { return post(t, s.URL, resource(u), eventarc(u)) },
		"eventarc, structured": func() (*http.Response, string) {
			return post(t, s.URL, structured(u), map[string]string{"Content-Type": "application/cloudevents+json"})
		},
	} {
		res, body := send()
		var run ledger.Run
		if err := json.Unmarshal([]byte(body), &run); err != nil || res.StatusCode != 200 || run.State != ledger.Submitted {
			t.Errorf("%s: %s %s; expected 200 and the submitted run", name, res.Status, body)
		}
	}
	if run := c.TheRun(t); len(c.Vertex.Jobs()) != 1 || run.Dataset.Generation != u.Generation {
		t.Errorf("run %+v with jobs %v, expected one", run, c.Vertex.Jobs())
	}
}

func structured(u batch.Upload) string {
	return fmt.Sprintf(`{"specversion":"1.0","id":"7","type":%q,"source":"//storage.googleapis.com/projects/_/buckets/b","datacontenttype":"application/json","data":%s}`, finalized, resource(u))
}

func TestSixteenDeliveriesAtOnce(t *testing.T) {
	t.Parallel()
	c := batchtest.New(t)
	s := serve(t, c, nil)
	u := c.Upload(t, "rides/a.csv", "x\n1\n")
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			res, body := post(t, s.URL, pushOf(u, fmt.Sprint(i)), nil)
			if res.StatusCode == 503 {
				if n, err := strconv.Atoi(res.Header.Get("Retry-After")); err != nil || n < 1 || n > 15 {
					t.Errorf("503 with Retry-After %q, expected 1 to 15", res.Header.Get("Retry-After"))
				}
			} else if res.StatusCode != 200 || !strings.Contains(body, `"state":"submitted"`) {
				t.Errorf("%s %s, expected 200 with a submitted run, or 503", res.Status, body)
			}
		})
	}
	wg.Wait()
	if res, _ := post(t, s.URL, pushOf(u, "again"), nil); res.StatusCode != 200 {
		t.Errorf("afterwards: %s, expected 200", res.Status)
	}
	if jobs := c.Vertex.Jobs(); len(jobs) != 1 {
		t.Errorf("jobs %v, expected one", jobs)
	}
	c.TheRun(t)
}

func TestWhatIsAcknowledged(t *testing.T) {
	t.Parallel()
	c := batchtest.New(t)
	s := serve(t, c, nil)
	good := c.Upload(t, "rides/a.csv", "x\n1\n")
	other := good
	other.Bucket = batchtest.Outbox
	elsewhere := good
	elsewhere.Object = "bikes/a.csv"
	deleted := eventarc(good)
	deleted["ce-type"] = "google.cloud.storage.object.v1.deleted"
	bad := func(old, new string) string { return strings.Replace(pushOf(good, "1"), old, new, 1) }
	data := func(object string) string {
		return bad(base64.StdEncoding.EncodeToString([]byte(resource(good))), base64.StdEncoding.EncodeToString([]byte(object)))
	}
	smoke := good
	smoke.Object, smoke.Bucket = ".smoke/probe", "any"
	cases := map[string]struct {
		body   string
		header map[string]string
		says   string
	}{
		"a smoke test's object":    {pushOf(smoke, "1"), nil, "smoke tests"},
		"empty body":               {"", nil, "neither a CloudEvent nor"},
		"not JSON":                 {"hello", nil, "neither a CloudEvent nor"},
		"JSON without a message":   {"{}", nil, "neither a CloudEvent nor"},
		"object without a wrapper": {resource(good), nil, "neither a CloudEvent nor"},
		"another type of push":     {bad("OBJECT_FINALIZE", "OBJECT_DELETE"), nil, "OBJECT_DELETE"},
		"another type of event":    {resource(good), deleted, "deleted"},
		"another bucket":           {pushOf(other, "1"), nil, "inbox"},
		"no model's prefix":        {pushOf(elsewhere, "1"), nil, "no released model"},
		"no data":                  {data(""), nil, "object resource"},
		"data that is no object":   {data("[1]"), nil, "object resource"},
		"generation of words":      {data(strings.Replace(resource(good), `"generation":"`, `"generation":"x`, 1)), nil, "object resource"},
		"negative size":            {data(strings.Replace(resource(good), `"size":"`, `"size":"-`, 1)), nil, "whole numbers"},
		"fraction as size":         {data(strings.Replace(resource(good), `"size":"4"`, `"size":4.5`, 1)), nil, "whole numbers"},
		"too large":                {strings.Repeat("x", bodyLimit+1), nil, "larger than"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			res, body := post(t, s.URL, tc.body, tc.header)
			if res.StatusCode != 200 || !strings.Contains(body, tc.says) {
				t.Errorf("%s %s; expected 200 because of %q", res.Status, body, tc.says)
			}
		})
	}
	if n := len(c.Runs(t)); n != 0 {
		t.Errorf("%d records, expected none", n)
	}
	empty := c.Upload(t, "rides/empty.csv", "")
	if res, body := post(t, s.URL, pushOf(empty, "1"), nil); res.StatusCode != 200 || !strings.Contains(body, `"state":"invalid"`) {
		t.Errorf("a file of no bytes: %s %s; expected 200 and an invalid run", res.Status, body)
	}
}

func TestNumbersMayComeAsNumbers(t *testing.T) {
	t.Parallel()
	c := batchtest.New(t)
	s := serve(t, c, nil)
	u := c.Upload(t, "rides/a.csv", "x\n1\n")
	body := strings.NewReplacer(`"generation":"`, `"generation":`, `","metageneration"`, `,"metageneration"`, `"size":"4"`, `"size":4`).Replace(resource(u))
	if res, got := post(t, s.URL, body, eventarc(u)); res.StatusCode != 200 || !strings.Contains(got, "submitted") {
		t.Errorf("%s %s; expected a submitted run", res.Status, got)
	}
}

func TestGETSaysWhatIsDeployed(t *testing.T) {
	t.Parallel()
	f, err := Open(entry.WithUnit(t.Context(), "sha256:1234"), batchtest.New(t).Getenv(nil))
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	f.Handler.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	if want := `{"function":"OnUpload","unit":"sha256:1234"}`; w.Code != 200 || strings.TrimSpace(w.Body.String()) != want {
		t.Errorf("GET /: %d %s, want %s", w.Code, w.Body, want)
	}
	if err := f.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestOnlyPOST(t *testing.T) {
	t.Parallel()
	s := serve(t, batchtest.New(t), nil)
	res, err := http.Get(s.URL + "/any")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != 405 || res.Header.Get("Allow") != "POST" {
		t.Errorf("GET: %s, Allow %q; expected 405 and POST", res.Status, res.Header.Get("Allow"))
	}
}

func TestWaitingLineIs202(t *testing.T) {
	t.Parallel()
	c := batchtest.New(t)
	s := serve(t, c, nil)
	c.Vertex.Script(batchtest.Answer{Code: codes.ResourceExhausted})
	for i, name := range []string{"rides/a.csv", "rides/b.csv"} {
		u := c.Upload(t, name, "x\n1\n")
		res, body := post(t, s.URL, pushOf(u, "1"), nil)
		if res.StatusCode != 202 || !strings.Contains(body, `"state":"pending"`) {
			t.Errorf("upload %d: %s %s; expected 202 and pending", i+1, res.Status, body)
		}
	}
}

func TestHandedBack(t *testing.T) {
	t.Parallel()
	type answer struct {
		status int
		retry  bool
	}
	cases := map[string]struct {
		faults  []chaos.Fault
		answers []batchtest.Answer
		want    []answer
	}{
		"ledger down":     {faults: many(chaos.Fault{Match: "firestore:", Code: codes.Unavailable}), want: []answer{{503, true}, {504, false}}},
		"ledger aborts":   {faults: many(chaos.Fault{Match: "firestore:Commit", Code: codes.Aborted}), want: []answer{{503, true}}},
		"ledger silent":   {faults: many(chaos.Fault{Match: "firestore:Commit", Action: chaos.Drop}), want: []answer{{504, false}, {503, true}}},
		"storage down":    {faults: many(chaos.Fault{Match: "storage:", Code: codes.Unavailable}), want: []answer{{503, true}, {504, false}}},
		"vertex down":     {answers: often(codes.Unavailable), want: []answer{{503, true}, {504, false}}},
		"vertex internal": {answers: often(codes.Internal), want: []answer{{503, true}, {504, false}}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := batchtest.New(t)
			s := serve(t, c, map[string]string{"START_DEADLINE": "2s", "LEASE": "1s", "LEASE_MARGIN": "0s"})
			u := c.Upload(t, "rides/a.csv", "x\n1\n")
			for _, f := range tc.faults {
				c.Faults.Arm(f)
			}
			c.Vertex.Script(tc.answers...)
			began := time.Now()
			res, body := post(t, s.URL, pushOf(u, "1"), nil)
			got := answer{res.StatusCode, res.Header.Get("Retry-After") != ""}
			ok := false
			for _, w := range tc.want {
				ok = ok || got == w
			}
			if !ok || !strings.Contains(body, `"error"`) {
				t.Errorf("%s, Retry-After %q: %s; expected one of %v", res.Status, res.Header.Get("Retry-After"), body, tc.want)
			}
			if took := time.Since(began); took > 5*time.Second {
				t.Errorf("the answer took %v, expected the deadline of 2s", took)
			}
			if n := len(c.Vertex.Jobs()); n != 0 {
				t.Errorf("%d jobs", n)
			}
		})
	}
}

func many(f chaos.Fault) []chaos.Fault {
	faults := make([]chaos.Fault, 300)
	for i := range faults {
		faults[i] = f
	}
	return faults
}

func often(code codes.Code) []batchtest.Answer {
	answers := make([]batchtest.Answer, 100)
	for i := range answers {
		answers[i] = batchtest.Answer{Code: code}
	}
	return answers
}

func TestLiveOwnerIs503ForTheRestOfItsLease(t *testing.T) {
	t.Parallel()
	c := batchtest.New(t)
	s := serve(t, c, nil)
	u := c.Upload(t, "rides/a.csv", "x\n1\n")
	c.Vertex.OnCreate(func(string) {
		res, body := post(t, s.URL, pushOf(u, "2"), nil)
		n, err := strconv.Atoi(res.Header.Get("Retry-After"))
		if res.StatusCode != 503 || err != nil || n < 10 || n > 15 {
			t.Errorf("beside a live owner: %s, Retry-After %q, %s; expected 503 and about 15", res.Status, res.Header.Get("Retry-After"), body)
		}
	})
	if res, body := post(t, s.URL, pushOf(u, "1"), nil); res.StatusCode != 200 {
		t.Errorf("%s %s", res.Status, body)
	}
}

func TestOpenNamesEveryBadSetting(t *testing.T) {
	t.Parallel()
	c := batchtest.New(t)
	_, err := Open(t.Context(), c.Getenv(map[string]string{"REGION": "", "PIPELINE_SERVICE_ACCOUNT": "", "START_DEADLINE": "soon"}))
	for _, name := range []string{"REGION", "PIPELINE_SERVICE_ACCOUNT", "START_DEADLINE"} {
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("Open = %v, expected it to name %s", err, name)
		}
	}
	for name, env := range map[string]map[string]string{
		"OUTBOX_BUCKET":   {"OUTBOX_BUCKET": batchtest.Inbox},
		"LEASE":           {"LEASE": "10ms"},
		"LEASE_MARGIN":    {"LEASE_MARGIN": "-1s"},
		"VERTEX_ENDPOINT": {"VERTEX_ENDPOINT": "example.com:443"},
	} {
		if _, err := Open(t.Context(), c.Getenv(env)); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("Open with %v = %v, expected it to name %s", env, err, name)
		}
	}
}
