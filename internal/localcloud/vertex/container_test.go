package vertex_test

import (
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"cloud.google.com/go/aiplatform/apiv1/aiplatformpb"
	"github.com/google/go-cmp/cmp"
	bolt "go.etcd.io/bbolt"

	"github.com/millrace-ml/millrace/internal/localcloud/vertex"
)

func TestEnvironmentHoldsNothingElse(t *testing.T) {
	t.Setenv("MUST_NOT_BE_SEEN", "1")
	c := open(t, func(o *vertex.Options) {
		o.Env = map[string]string{"STORAGE_EMULATOR_HOST": "127.0.0.1:1", "FIRESTORE_EMULATOR_HOST": "127.0.0.1:2"}
	})
	job := c.run(request("env", pipeline(t, `
components:
  limits:
    run: ['env:`+c.dir+`/limits']
    resources: {cpuLimit: 1.5, memoryLimit: 2.0}
    env: [{name: A, value: "{{$.pipeline_job_name}}"}, {name: B, value: "$(A)-$$(A)-$(NONE)"}, {name: DATA, value: /gcs/b/x}, {name: STORAGE_EMULATOR_HOST, value: "evil:1"}]
  none: {run: ['env:`+c.dir+`/none']}
  own: {run: ['env:`+c.dir+`/own'], resources: {cpuLimit: 4.0}, env: [{name: GOMAXPROCS, value: '1'}]}
root: {dag: {tasks: {limits: {componentRef: {name: limits}}, none: {componentRef: {name: none}}, own: {componentRef: {name: own}}}}}
`), nil))
	wantState(t, job, "SUCCEEDED")
	base := []string{"FIRESTORE_EMULATOR_HOST=127.0.0.1:2", "GOOGLE_CLOUD_PROJECT=demo", "STORAGE_EMULATOR_HOST=127.0.0.1:1", "TMPDIR=FOLDER/tmp"}
	folder := regexp.MustCompile(regexp.QuoteMeta(filepath.Join(c.dir, "tasks")) + `/demo/us-central1/env/\d+/1`)
	for file, extra := range map[string][]string{
		"limits": {"A=env", "B=env-$(A)-$(NONE)", "DATA=FOLDER/gcs/b/x", "GOMAXPROCS=2", "GOMEMLIMIT=1800000000"},
		"none":   nil,
		"own":    {"GOMAXPROCS=1"},
	} {
		got := lines(t, filepath.Join(c.dir, file))
		for i := range got {
			got[i] = folder.ReplaceAllString(got[i], "FOLDER")
		}
		want := slices.Concat(base, extra)
		slices.Sort(want)
		slices.Sort(got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("environment of %s (-want +got):\n%s", file, diff)
		}
	}
}

const argumentSpec = `
components:
  a:
    run:
      - args:DIR/args
      - "arg:{{$.inputs.parameters['n']}}|{{$.inputs.parameters['f']}}|{{$.inputs.parameters['o']}}"
      - '{"Concat": ["arg:", "a", {"IfPresent": {"InputName": "s", "Then": "-then-{{$.inputs.parameters[''s'']}}", "Else": "no"}}]}'
      - '{"IfPresent": {"InputName": "s", "Then": ["arg:1", "arg:{{$.inputs.parameters[''s'']}}"]}}'
      - '{"IfPresent": {"InputName": "none", "Then": ["arg:never"]}}'
      - '{"IfPresent": {"InputName": "none", "Then": ["arg:never"], "Else": ["arg:else"]}}'
      - "arg:{{$.pipeline_job_resource_name}} {{$.pipeline_task_name}} {{$.pipeline_root}}"
      - "arg:--out=/gcs/b/x"
      - "arg:{{$.outputs.parameters['r'].output_file}}"
      - "out:r=1"
    in: {n: NUMBER_INTEGER, f: NUMBER_DOUBLE, s: STRING, o: STRUCT}
    optional: {none: STRING}
    out: {r: NUMBER_INTEGER}
root:
  in: {s: STRING}
  dag:
    tasks:
      a:
        componentRef: {name: a}
        inputs: {parameters: {n: {runtimeValue: {constant: 1472953}}, f: {runtimeValue: {constant: 1.0e+21}}, o: {runtimeValue: {constant: {b: '<&>', a: [1, true]}}}, s: {componentInputParameter: s}}}
`

func TestArguments(t *testing.T) {
	t.Parallel()
	c := open(t, nil)
	job := c.run(request("args", pipeline(t, replace(argumentSpec, "DIR", c.dir)), map[string]any{"s": `{"Concat": ["x"]} {{$.pipeline_job_name}}`}))
	wantState(t, job, "SUCCEEDED")
	b, err := os.ReadFile(filepath.Join(c.dir, "args"))
	if err != nil {
		t.Fatal(err)
	}
	var args []string
	if err := json.Unmarshal(b, &args); err != nil {
		t.Fatal(err)
	}
	folder := regexp.MustCompile(`/\S+/tasks/demo/us-central1/args/\d+/1`).FindString(args[len(args)-2])
	want := []string{
		`arg:1472953|1000000000000000000000|{"a":[1,true],"b":"<&>"}`,
		`arg:a-then-{"Concat": ["x"]} {{$.pipeline_job_name}}`,
		`arg:1`, `arg:{"Concat": ["x"]} {{$.pipeline_job_name}}`,
		`arg:else`,
		`arg:` + jobName("args") + ` a gs://artifacts/root`,
		`arg:--out=` + folder + `/gcs/b/x`,
		`arg:` + folder + `/gcs/artifacts/root/args/` + filepath.Base(filepath.Dir(folder)) + `/r`,
		`out:r=1`,
	}
	if diff := cmp.Diff(want, args[3:]); diff != "" {
		t.Errorf("arguments (-want +got):\n%s", diff)
	}
	var in struct {
		Inputs  struct{ ParameterValues map[string]any }
		Outputs struct {
			Parameters map[string]struct{ OutputFile string }
			OutputFile string
		}
	}
	if err := json.Unmarshal([]byte(args[1]), &in); err != nil {
		t.Fatalf("executor input: %v", err)
	}
	base := folder + "/gcs/artifacts/root/args/" + filepath.Base(filepath.Dir(folder))
	if in.Outputs.OutputFile != base+"/executor_output.json" || in.Outputs.Parameters["r"].OutputFile != base+"/r" || in.Inputs.ParameterValues["n"] != 1472953.0 {
		t.Errorf("executor input: %s", args[1])
	}
}

func TestOutputsFromFiles(t *testing.T) {
	t.Parallel()
	c := open(t, nil)
	job := c.run(request("files", pipeline(t, `
components:
  a:
    run:
      - "file:{{$.outputs.parameters['text'].output_file}}=verbatim \n"
      - "file:{{$.outputs.parameters['list'].output_file}}=[1, 2]"
      - "file:{{$.outputs.parameters['both'].output_file}}=1"
      - "out:both=2"
      - "out:undeclared=3"
    out: {text: STRING, list: LIST, both: NUMBER_INTEGER}
root: {dag: {tasks: {a: {componentRef: {name: a}}}}}
`), nil))
	wantState(t, job, "SUCCEEDED")
	for key, want := range map[string]any{"text": "verbatim \n", "list": []any{1.0, 2.0}, "both": 2.0} {
		if diff := cmp.Diff(want, output(t, job, "a", key)); diff != "" {
			t.Errorf("output %s (-want +got):\n%s", key, diff)
		}
	}
	if details(job)["a"].GetExecution().GetMetadata().GetFields()["output:undeclared"] != nil {
		t.Error("an output that is not declared was taken")
	}
}

func TestCPULimitsHoldTasksBack(t *testing.T) {
	t.Parallel()
	c := open(t, func(o *vertex.Options) { o.CPUs = 2 })
	c.create(request("cpu", pipeline(t, `
components:
  big: {run: ["wait:`+c.dir+`/{{$.pipeline_task_name}}"], resources: {cpuLimit: 64.0}}
  one: {run: ["wait:`+c.dir+`/{{$.pipeline_task_name}}"], resources: {cpuLimit: 1.0}}
root: {dag: {tasks: {a: {componentRef: {name: one}}, b: {componentRef: {name: one}}, c: {componentRef: {name: one}}, z: {componentRef: {name: big}}}}}
`), nil))
	most := 0
	for range 4 {
		var now []string
		job := c.until("cpu", "something runs", func(j *aiplatformpb.PipelineJob) bool {
			now = inState(j, "RUNNING", "")
			done := len(inState(j, "SUCCEEDED", ""))
			return len(now) > 0 && (len(now) == 2 || done > 0 || slices.Contains(now, "z"))
		})
		most = max(most, len(now))
		if len(now) > 2 || (slices.Contains(now, "z") && len(now) > 1) {
			t.Fatalf("%v run at once on 2 CPUs", now)
		}
		touch(t, filepath.Join(c.dir, now[0]))
		c.until("cpu", now[0]+" is finished", func(j *aiplatformpb.PipelineJob) bool { return states(j)[now[0]] == "SUCCEEDED" })
		_ = job
	}
	wantState(t, c.until("cpu", "the job is finished", ended), "SUCCEEDED")
}

func TestLogsAreCappedAndKeepTheirEnd(t *testing.T) {
	t.Parallel()
	c := open(t, func(o *vertex.Options) { o.LogBytes = 1000 })
	job := c.run(request("log", pipeline(t, `
components: {a: {run: ['stdout:the beginning', 'spam:2000', 'stderr:the end', 'exit:1']}}
root: {dag: {tasks: {a: {componentRef: {name: a}}}}}
`), nil))
	wantState(t, job, "FAILED")
	path, err := c.server.Logs(jobName("log"), details(job)["a"].TaskId, 1)
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	text := string(b)
	if !strings.HasPrefix(text, "the beginning\n") || !strings.Contains(text, "the end\n") || !strings.Contains(text, "bytes left out]") || len(text) > 1000+33<<10 {
		t.Errorf("log of %d bytes: %.40q … %.40q", len(text), text, text[len(text)-40:])
	}
	if _, err := c.server.Logs(jobName("log"), 999, 1); err == nil {
		t.Error("a log of a task that does not exist was found")
	}
}

func TestWhatAProcessLeavesInItsGroupIsEnded(t *testing.T) {
	t.Parallel()
	c := open(t, nil)
	wantState(t, c.run(request("left", pipeline(t, `
components: {a: {run: ['spawn:`+c.dir+`/child']}}
root: {dag: {tasks: {a: {componentRef: {name: a}}}}}
`), nil)), "SUCCEEDED")
	gone(t, lines(t, filepath.Join(c.dir, "child"))[0])
}

func TestImageTableIsChecked(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		repo string
		im   vertex.Image
		want string
	}{
		"the running test binary": {"r/i", vertex.Image{Binary: []string{self}}, "is a test binary"},
		"a relative path":         {"r/i", vertex.Image{Binary: []string{"step"}}, "does not begin with an absolute path"},
		"no program":              {"r/i", vertex.Image{}, "does not begin with an absolute path"},
		"a tag":                   {"host:5000/r/i:v1", vertex.Image{Binary: []string{stepBinary}}, "leave the tag and the digest out"},
		"a digest":                {"r/i@sha256:1", vertex.Image{Binary: []string{stepBinary}}, "leave the tag and the digest out"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db, err := bolt.Open(filepath.Join(t.TempDir(), "db"), 0o600, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			s, err := vertex.Open(db, t.TempDir(), vertex.Options{Images: map[string]vertex.Image{tc.repo: tc.im}, Log: slog.New(slog.DiscardHandler)})
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("Open: %v, %v, want an error with %q", s, err, tc.want)
			}
		})
	}
}

// TestATestBinaryIsKnownByWhatItIs renames the test binary.
func TestATestBinaryIsKnownByWhatItIs(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	renamed := filepath.Join(t.TempDir(), "step")
	if err := os.Symlink(self, renamed); err != nil {
		t.Fatal(err)
	}
	db, err := bolt.Open(filepath.Join(t.TempDir(), "db"), 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := vertex.Open(db, t.TempDir(), vertex.Options{Images: map[string]vertex.Image{"r/i": {Binary: []string{renamed}}}}); err == nil {
		t.Error("a renamed test binary was taken")
	}
}
