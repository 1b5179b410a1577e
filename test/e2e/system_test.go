package e2e

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"cloud.google.com/go/storage"

	"github.com/millrace-ml/millrace/internal/devserver"
	"github.com/millrace-ml/millrace/internal/localcloud/events"
	"github.com/millrace-ml/millrace/shared/batch"
	"github.com/millrace-ml/millrace/shared/ledger"
)

func TestAPredictionHasTheTrainersBits(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	f, err := os.Open(filepath.Join(models, "bike-demand", "parity.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for in := bufio.NewScanner(f); in.Scan(); {
		var row struct {
			Instance   json.RawMessage
			Prediction float64
		}
		if err := json.Unmarshal(in.Bytes(), &row); err != nil {
			t.Fatal(err)
		}
		var got struct{ Predictions []float64 }
		status, body := ask(t, http.MethodPost, s.console+"/v1/models/bike-demand:predict", []byte(`{"instances":[`+string(row.Instance)+`]}`), nil, &got)
		if status != http.StatusOK || len(got.Predictions) != 1 || got.Predictions[0] != max(row.Prediction, 0) {
			t.Errorf("%s: %d %s, want %v", row.Instance, status, body, max(row.Prediction, 0))
		}
	}
	if status, body := ask(t, http.MethodGet, s.console+"/", nil, nil, nil); status != http.StatusOK || !strings.Contains(body, "bike-demand:predict") {
		t.Errorf("console page: %d %.300s", status, body)
	}
	if status, body := ask(t, http.MethodGet, s.console+"/", nil, http.Header{"Origin": {"http://example.com"}}, nil); status != http.StatusForbidden {
		t.Errorf("a foreign Origin: %d %s, want 403", status, body)
	}
}

// An upload comes back scored, and what the file gives is what a request gives, to the bit.
func TestAnUploadComesBackScoredAsARequestIs(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	content := sample(t)
	s.upload(t, inbox, "bike-demand/a.csv", content)
	run := s.settled(t, 1)["bike-demand/a.csv"]
	s.published(t, run, 240, 0)
	got := records(t, s.read(t, batch.OutputPrefix("bike-demand", run.ID)+"predictions-00000-of-00001.csv"))
	rows := records(t, content)
	head := rows[0]
	names := []string{"dteday", "hr", "season", "holiday", "workingday", "weathersit", "temp", "atemp", "hum", "windspeed"}
	var instances []string
	for _, row := range rows[1:] {
		var parts []string
		for _, n := range names {
			v := row[slices.Index(head, n)]
			switch n {
			case "dteday":
				v = strconv.Quote(v)
			case "holiday", "workingday":
				v = strconv.FormatBool(v == "1")
			}
			parts = append(parts, strconv.Quote(n)+":"+v)
		}
		instances = append(instances, "{"+strings.Join(parts, ",")+"}")
	}
	var answer struct{ Predictions []json.Number }
	ask(t, http.MethodPost, s.console+"/v1/models/bike-demand:predict", []byte(`{"instances":[`+strings.Join(instances, ",")+`]}`), nil, &answer)
	if len(answer.Predictions) != 240 || len(got) != 241 || strings.Join(got[0], ",") != "instant,row,count,model_version" {
		t.Fatalf("%d answers, %d records, header %v", len(answer.Predictions), len(got), got[0])
	}
	for i, p := range answer.Predictions {
		if want := []string{rows[i+1][0], strconv.Itoa(i + 1), p.String(), "2011"}; !slices.Equal(got[i+1], want) {
			t.Fatalf("row %d of the file gives %v, as a request %v", i+1, got[i+1], want)
		}
	}
}

func records(t *testing.T, b []byte) [][]string {
	t.Helper()
	r, err := csv.NewReader(bytes.NewReader(b)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// A file copied into the inbox folder is uploaded once, also over a restart.
func TestTheInboxFolder(t *testing.T) {
	t.Parallel()
	data := filepath.Join(t.TempDir(), "data")
	in := func(o *devserver.Options) { o.Data = data }
	s := start(t, in)
	path := filepath.Join(data, "inbox", "bike-demand", "deep", "b.csv")
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, sample(t), 0o644); err != nil {
		t.Fatal(err)
	}
	first := s.settled(t, 1)["bike-demand/deep/b.csv"]
	s.published(t, first, 240, 0)
	s.stop()
	s = start(t, in)
	// Another file shows that the folder was looked through; the first must not have started a second run.
	if err := os.WriteFile(filepath.Join(filepath.Dir(path), "c.csv"), sample(t), 0o644); err != nil {
		t.Fatal(err)
	}
	found := s.settled(t, 2)
	if found["bike-demand/deep/b.csv"].ID != first.ID {
		t.Errorf("runs %v, want the first one still", slices.Sorted(maps.Keys(found)))
	}
}

// A tick starts its run once, however often it comes; a person's start with a key does the same.
func TestATickAndARequest(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	zone, err := time.LoadLocation("America/New_York")
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now().In(zone)
	tick := time.Date(now.Year(), now.Month(), now.Day(), 2, 15, 0, 0, zone)
	if tick.After(now) { // the latest one: an earlier one would make the sweep catch this one up
		tick = tick.AddDate(0, 0, -1)
	}
	s.upload(t, inbox, "scheduled/bike-demand/"+tick.Format("2006-01-02")+".csv", sample(t))
	header := http.Header{"X-Cloudscheduler-Scheduletime": {tick.Format(time.RFC3339)}, "Content-Type": {"application/json"}}
	for range 2 {
		untilTaken(t, s.trigger+"/ticks", []byte(`{"model":"bike-demand","schedule":"nightly"}`), header)
	}
	person := http.Header{"Idempotency-Key": {"today-1"}, "Content-Type": {"application/json"}}
	body := []byte(`{"model":"bike-demand","schedule":"nightly","at":"` + tick.Format(time.RFC3339) + `"}`)
	for range 2 {
		untilTaken(t, s.trigger+"/runs", body, person)
	}
	if status, answer := ask(t, http.MethodPost, s.trigger+"/runs", []byte(`{"model":"bike-demand","schedule":"nightly","at":"2020-01-01T00:00:00Z"}`), person, nil); status != http.StatusConflict {
		t.Errorf("the same key for something else: %d %s, want 409", status, answer)
	}
	kinds := map[ledger.Kind]int{}
	s.settled(t, 2)
	for _, r := range s.runs(t) {
		kinds[r.Kind]++
		s.published(t, r, 240, 0)
	}
	if kinds[ledger.Tick] != 1 || kinds[ledger.Request] != 1 {
		t.Errorf("runs by kind: %v", kinds)
	}
}

// untilTaken delivers as Pub/Sub and Scheduler do: what is handed back with 503 comes again.
func untilTaken(t *testing.T, url string, body []byte, header http.Header) {
	for deadline := time.Now().Add(patience); ; {
		status, answer := ask(t, http.MethodPost, url, body, header, nil)
		if status == http.StatusOK {
			return
		}
		if status != http.StatusServiceUnavailable || time.Now().After(deadline) {
			t.Errorf("deliver to %s: %d %s", url, status, answer)
			return
		}
		time.Sleep(100 * time.Millisecond) // the redelivery's backoff
	}
}

// push is the body of a Pub/Sub push about an object.
func push(t *testing.T, a *storage.ObjectAttrs, id string) []byte {
	t.Helper()
	object, err := json.Marshal(map[string]string{
		"kind": "storage#object", "bucket": a.Bucket, "name": a.Name, "generation": strconv.FormatInt(a.Generation, 10),
		"size": strconv.FormatInt(a.Size, 10), "timeCreated": a.Created.Format(time.RFC3339Nano),
	})
	if err != nil {
		t.Fatal(err)
	}
	body, err := json.Marshal(map[string]any{"deliveryAttempt": 1, "subscription": "projects/p/subscriptions/s", "message": map[string]any{
		"messageId": id, "publishTime": time.Now().Format(time.RFC3339Nano), "data": base64.StdEncoding.EncodeToString(object),
		"attributes": map[string]string{"eventType": "OBJECT_FINALIZE", "bucketId": a.Bucket, "objectId": a.Name, "objectGeneration": strconv.FormatInt(a.Generation, 10), "payloadFormat": "JSON_API_V1"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	return body
}

func TestSixteenDeliveriesAtOnceAreOneRun(t *testing.T) {
	t.Parallel()
	s := start(t, func(o *devserver.Options) { o.Faults = events.Faults{Drop: true} })
	a := s.upload(t, inbox, "bike-demand/dup.csv", sample(t))
	var all sync.WaitGroup
	for i := range 16 {
		body := push(t, a, strconv.Itoa(i)) // each with an id of its own, as two notification configurations would give
		all.Go(func() {
			untilTaken(t, s.onupload+"/", body, http.Header{"Content-Type": {"application/json"}})
		})
	}
	all.Wait()
	s.published(t, s.settled(t, 1)["bike-demand/dup.csv"], 240, 0)
}

func TestWithEveryEventDroppedTheSameRunsComeOut(t *testing.T) {
	t.Parallel()
	s := start(t, func(o *devserver.Options) { o.Faults = events.Faults{Drop: true} })
	for i := range 5 {
		s.upload(t, inbox, fmt.Sprintf("bike-demand/lost-%d.csv", i), sample(t))
	}
	for _, r := range s.settled(t, 5) {
		s.published(t, r, 240, 0)
	}
}

func TestBadFilesAreRecordedAndOthersGoOn(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	head, body, _ := strings.Cut(string(sample(t)), "\n")
	bad := map[string]string{ // object -> what the reason says
		"bike-demand/empty.csv": "", "bike-demand/header.csv": "no rows", "bike-demand/columns.csv": "windspeed", "bike-demand/binary.csv": "",
		"bike-demand/a..b.csv": "",
	}
	content := map[string]string{
		"bike-demand/empty.csv": "", "bike-demand/header.csv": head + "\n", "bike-demand/columns.csv": "a,b\n1,2\n",
		"bike-demand/binary.csv": "\x00\x01\x02\xff" + body, "bike-demand/a..b.csv": "x\n1\n",
	}
	for name := range bad {
		s.upload(t, inbox, name, []byte(content[name]))
	}
	s.upload(t, inbox, "bike-demand/.tmp/hidden.csv", sample(t))
	s.upload(t, inbox, "nobody/x.csv", sample(t))
	s.upload(t, inbox, "bike-demand/good.csv", sample(t))
	// A rejected row in good company, and more of them than the manifest's 5 % allow.
	rows := strings.SplitAfter(string(sample(t)), "\n")
	spoil := func(n int) []byte {
		out := slices.Clone(rows)
		for i := 1; i <= n; i++ {
			out[i] = strings.Replace(out[i], "/2012", "/none", 1)
		}
		return []byte(strings.Join(out, ""))
	}
	s.upload(t, inbox, "bike-demand/some.csv", spoil(5))
	s.upload(t, inbox, "bike-demand/many.csv", spoil(50))
	var found map[string]*ledger.Run
	eventually(t, func() string {
		found = map[string]*ledger.Run{}
		for _, r := range s.runs(t) {
			if r.State.Final() {
				found[r.Dataset.Object] = r
			}
		}
		for _, name := range append(slices.Collect(maps.Keys(bad)), "bike-demand/good.csv", "bike-demand/some.csv", "bike-demand/many.csv") {
			if found[name] == nil {
				return fmt.Sprintf("%s is not over; those that are: %v", name, slices.Sorted(maps.Keys(found)))
			}
		}
		return ""
	})
	for name, want := range bad {
		r := found[name]
		if r == nil || r.State != ledger.Invalid || r.Reason == "" || !strings.Contains(r.Reason, want) {
			t.Errorf("%s: %+v, want invalid with a reason that says %q", name, r, want)
			continue
		}
		if names := s.list(t, batch.OutputPrefix(r.Model, r.ID)); len(names) > 0 {
			t.Errorf("%s is invalid and has output %v", name, names)
		}
	}
	if r := found["bike-demand/.tmp/hidden.csv"]; r != nil && r.State != ledger.Ignored {
		t.Errorf("a temporary file is %s, want ignored", r.State)
	}
	s.published(t, found["bike-demand/good.csv"], 240, 0)
	some := found["bike-demand/some.csv"]
	s.published(t, some, 240, 5)
	rejects := records(t, s.read(t, batch.OutputPrefix(some.Model, some.ID)+"rejected_rows.csv"))
	if len(rejects) != 6 || strings.Join(rejects[0], ",") != "row,column,value,reason" || rejects[1][0] != "1" || rejects[1][1] != "dteday" || rejects[1][2] != "8/1/none" {
		t.Errorf("rejected rows %v", rejects)
	}
	if r := found["bike-demand/many.csv"]; r.State != ledger.Failed || !strings.Contains(r.Reason, "50") || slices.Contains(s.list(t, batch.OutputPrefix(r.Model, r.ID)), batch.SuccessObject(r.Model, r.ID)) {
		t.Errorf("too many rejected rows: %s %q, output %v", r.State, r.Reason, s.list(t, batch.OutputPrefix(r.Model, r.ID)))
	}
}

func TestAnOverwriteWhileRunning(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	first := s.upload(t, inbox, "bike-demand/o.csv", sample(t))
	rows := strings.SplitAfter(string(sample(t)), "\n")
	second := s.upload(t, inbox, "bike-demand/o.csv", []byte(strings.Join(rows[:101], "")))
	states := map[int64]*ledger.Run{}
	eventually(t, func() string {
		clear(states)
		for _, r := range s.runs(t) {
			if !r.State.Final() {
				return fmt.Sprintf("generation %d is %s", r.Dataset.Generation, r.State)
			}
			states[r.Dataset.Generation] = r
		}
		if states[second.Generation] == nil {
			return "the second generation has no run"
		}
		return ""
	})
	s.published(t, states[second.Generation], 100, 0)
	if r := states[first.Generation]; r != nil && r.State == ledger.Succeeded {
		s.published(t, r, 240, 0)
	} else if r != nil && r.State != ledger.Superseded && r.State != ledger.Invalid {
		t.Errorf("the first generation is %s: %s, want succeeded or superseded", r.State, r.Reason)
	}
}

func TestAModelFolderIsReloadedWhenItChanges(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "models")
	if err := os.CopyFS(dir, os.DirFS(models)); err != nil {
		t.Fatal(err)
	}
	s := start(t, func(o *devserver.Options) { o.Models = dir })
	path := filepath.Join(dir, "bike-demand", "model.yaml")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	version := func() string {
		var answer struct {
			States []struct{ Version string } `json:"model_version_status"`
		}
		ask(t, http.MethodGet, s.console+"/v1/models/bike-demand", nil, nil, &answer)
		return answer.States[0].Version
	}
	write := func(text string) {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write(strings.Replace(string(text), `version: "2011"`, `version: "2011b"`, 1))
	eventually(t, func() string {
		if v := version(); v != "2011b" {
			return "version " + v + " is served"
		}
		return ""
	})
	write("name: bike-demand\nnonsense: 1\n")
	eventually(t, func() string {
		if _, page := ask(t, http.MethodGet, s.console+"/", nil, nil, nil); !strings.Contains(page, "nonsense") {
			return "the console does not say that the folder is refused"
		}
		return ""
	})
	if v := version(); v != "2011b" {
		t.Errorf("a refused folder took version 2011b out: %s is served", v)
	}
	s.upload(t, inbox, "bike-demand/v.csv", sample(t))
	if r := s.settled(t, 1)["bike-demand/v.csv"]; r.Release.Version != "2011b" {
		t.Errorf("the run took version %s, want 2011b", r.Release.Version)
	}
}

func TestATakenPortIsNamed(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	var port int
	if _, err := fmt.Sscanf(s.storage, "http://127.0.0.1:%d", &port); err != nil {
		t.Fatal(err)
	}
	err := devserver.Run(t.Context(), devserver.Options{Port: port - 1, Data: t.TempDir(), Models: models, Binary: binary})
	if err == nil || !strings.Contains(err.Error(), "is taken") {
		t.Errorf("Run on a taken port: %v", err)
	}
	err = devserver.Run(t.Context(), devserver.Options{Data: s.data, Models: models, Binary: binary})
	if err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("Run on a data folder in use: %v", err)
	}
}
