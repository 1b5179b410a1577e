package vertex_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	gcs "cloud.google.com/go/storage"
	"github.com/google/go-cmp/cmp"
	bolt "go.etcd.io/bbolt"
	"google.golang.org/api/iterator"
	"google.golang.org/api/option"

	"github.com/millrace-ml/millrace/internal/localcloud/storage"
	"github.com/millrace-ml/millrace/internal/localcloud/vertex"
)

// bucket is a real client of a local Cloud Storage with the bucket artifacts.
func bucket(t *testing.T) *gcs.Client {
	t.Helper()
	dir := t.TempDir()
	db, err := bolt.Open(filepath.Join(dir, "db"), 0o600, &bolt.Options{NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	s, err := storage.Open(db, dir, storage.Options{NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.CreateBucket("artifacts"); err != nil {
		t.Fatal(err)
	}
	h := httptest.NewServer(s.Handler())
	client, err := gcs.NewClient(t.Context(), option.WithEndpoint(h.URL+"/storage/v1/"), option.WithoutAuthentication())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		err := client.Close()
		h.Close()
		if err := errors.Join(err, s.Close(), db.Close()); err != nil {
			t.Error(err)
		}
	})
	return client
}

func put(t *testing.T, c *gcs.Client, name, text string) {
	t.Helper()
	w := c.Bucket("artifacts").Object(name).NewWriter(t.Context())
	if _, err := io.WriteString(w, text); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}

// objects are the objects below a prefix with their text.
func objects(t *testing.T, c *gcs.Client, prefix string) map[string]string {
	t.Helper()
	all := map[string]string{}
	it := c.Bucket("artifacts").Objects(t.Context(), &gcs.Query{Prefix: prefix})
	for {
		o, err := it.Next()
		if errors.Is(err, iterator.Done) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		r, err := c.Bucket("artifacts").Object(o.Name).NewReader(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(r)
		if err := errors.Join(err, r.Close()); err != nil {
			t.Fatal(err)
		}
		all[strings.TrimPrefix(o.Name, prefix)] = string(b)
	}
}

const artifactSpec = `
deploymentSpec:
  executors:
    exec-import: {importer: {artifactUri: {constant: "gs://artifacts/given/data"}, typeSchema: {schemaTitle: system.Dataset}}}
components:
  import: {executorLabel: exec-import, outputDefinitions: {artifacts: {data: {artifactType: {schemaTitle: system.Dataset}}}}}
  split:
    inputDefinitions: {artifacts: {data: &dataset {artifactType: {schemaTitle: system.Dataset, schemaVersion: 0.0.1}}}}
    outputDefinitions: {artifacts: {left: *dataset, folder: *dataset, empty: *dataset}}
    run:
      - "copy:{{$.inputs.artifacts['data'].path}}={{$.outputs.artifacts['left'].path}}"
      - "file:{{$.outputs.artifacts['folder'].path}}/a.txt=one"
      - "file:{{$.outputs.artifacts['folder'].path}}/deep/b.txt=two"
      - 'artifact:left={"metadata":{"rows":7}}'
  join:
    inputDefinitions: {artifacts: {left: *dataset, folder: *dataset, empty: *dataset}}
    outputDefinitions: {artifacts: {all: *dataset}}
    run:
      - "copy:{{$.inputs.artifacts['folder'].path}}/deep/b.txt={{$.outputs.artifacts['all'].path}}"
      - "arg:{{$.inputs.artifacts['left'].uri}}"
    out: {rows: NUMBER_INTEGER}
root:
  dag:
    tasks:
      import: {componentRef: {name: import}}
      split: {componentRef: {name: split}, inputs: {artifacts: {data: {taskOutputArtifact: {producerTask: import, outputArtifactKey: data}}}}}
      join:
        componentRef: {name: join}
        inputs:
          artifacts:
            left: {taskOutputArtifact: {producerTask: split, outputArtifactKey: left}}
            folder: {taskOutputArtifact: {producerTask: split, outputArtifactKey: folder}}
            empty: {taskOutputArtifact: {producerTask: split, outputArtifactKey: empty}}
        triggerPolicy: {condition: "inputs.artifacts['left'][0].metadata['rows'] == 7"}
`

func TestArtifactsAreFetchedAndUploaded(t *testing.T) {
	t.Parallel()
	client := bucket(t)
	put(t, client, "given/data", "the input")
	c := open(t, func(o *vertex.Options) { o.Storage = client })
	spec := replace(artifactSpec, `- "arg:{{$.inputs.artifacts['left'].uri}}"`, `- "out:rows={{$.inputs.artifacts['left'].metadata['rows']}}"`)
	job := c.run(request("arts", pipeline(t, spec), nil))
	wantState(t, job, "SUCCEEDED")
	split, join := details(job)["split"].TaskId, details(job)["join"].TaskId
	want := map[string]string{
		fmt.Sprint(split, "/left"): "the input", fmt.Sprint(split, "/folder/a.txt"): "one", fmt.Sprint(split, "/folder/deep/b.txt"): "two",
		fmt.Sprint(join, "/all"): "two",
	}
	if diff := cmp.Diff(want, objects(t, client, "root/arts/")); diff != "" {
		t.Errorf("objects (-want +got):\n%s", diff)
	}
	if got := output(t, job, "join", "rows"); got != 7.0 {
		t.Errorf("metadata reached the next task as %v, want 7", got)
	}
	left := details(job)["join"].Inputs["left"].GetArtifacts()
	if len(left) != 1 || left[0].Uri != fmt.Sprintf("gs://artifacts/root/arts/%d/left", split) || left[0].SchemaTitle != "system.Dataset" || !strings.Contains(left[0].Name, "/metadataStores/default/artifacts/") {
		t.Errorf("input artifact left: %v", left)
	}
	folders, err := filepath.Glob(filepath.Join(c.dir, "tasks/demo/us-central1/arts/*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range folders {
		if filepath.Base(f) == "objects" {
			t.Error("the kept objects of a finished job are left")
		}
		if left, err := filepath.Glob(f + "/*/*"); err != nil || !slices.Equal(left, []string{f + "/1/log"}) {
			t.Errorf("a finished task left %v, %v, want its log", left, err)
		}
	}
}

func TestArtifactLoopsAndLists(t *testing.T) {
	t.Parallel()
	client := bucket(t)
	c := open(t, func(o *vertex.Options) { o.Storage = client })
	job := c.run(request("list", pipeline(t, `
components:
  make:
    in: {item: STRING}
    outputDefinitions: {artifacts: {a: &any {artifactType: {schemaTitle: system.Artifact}}}}
    run: ["file:{{$.outputs.artifacts['a'].path}}={{$.inputs.parameters['item']}}"]
  each:
    inputDefinitions: {artifacts: {one: *any}}
    outputDefinitions: {artifacts: {b: *any}}
    run: ["copy:{{$.inputs.artifacts['one'].path}}={{$.outputs.artifacts['b'].path}}"]
  both:
    outputDefinitions: {artifacts: {all: {artifactType: {schemaTitle: system.Artifact}, isArtifactList: true}}}
    dag:
      tasks:
        x: {componentRef: {name: make}, inputs: {parameters: {item: {runtimeValue: {constant: x}}}}}
        y: {componentRef: {name: make}, inputs: {parameters: {item: {runtimeValue: {constant: y}}}}}
      outputs: {artifacts: {all: {artifactSelectors: [{producerSubtask: y, outputArtifactKey: a}, {producerSubtask: x, outputArtifactKey: a}]}}}
root:
  dag:
    tasks:
      make: {componentRef: {name: make}, parameterIterator: {itemInput: item, items: {raw: '["p","q"]'}}}
      each:
        componentRef: {name: each}
        inputs: {artifacts: {list: {taskOutputArtifact: {producerTask: make, outputArtifactKey: a}}}}
        artifactIterator: {itemInput: one, items: {inputArtifact: list}}
      both: {componentRef: {name: both}}
`), nil))
	wantState(t, job, "SUCCEEDED")
	uris := func(task, key string) (all []string) {
		for _, a := range details(job)[task].Outputs[key].GetArtifacts() {
			all = append(all, strings.TrimPrefix(a.Uri, "gs://artifacts/"))
		}
		return all
	}
	for _, tc := range []struct{ task, key, want string }{{"make", "a", "p q"}, {"each", "b", "p q"}, {"both", "all", "y x"}} {
		var got []string
		for _, u := range uris(tc.task, tc.key) {
			got = append(got, objects(t, client, u)[""])
		}
		if strings.Join(got, " ") != tc.want {
			t.Errorf("artifacts %s of %s hold %v, want %s", tc.key, tc.task, got, tc.want)
		}
	}
}

func TestWhatFailsAnArtifact(t *testing.T) {
	t.Parallel()
	client := bucket(t)
	for name, tc := range map[string]struct {
		action, want string
		storage      *gcs.Client
	}{
		"a changed name":      {`artifact:a={"name":"mine"}`, `changes its name`, client},
		"two for one":         {`file:{{$.outputs.output_file}}={"artifacts":{"a":{"artifacts":[{},{}]}}}`, `it is declared as one`, client},
		"no storage":          {`file:{{$.outputs.artifacts['a'].path}}=x`, "vertex.Options.Storage", nil},
		"a missing bucket":    {`artifact:a={"uri":"gs://elsewhere/x"}", "file:gcs/elsewhere/x=y`, "upload output artifact a: write gs://elsewhere/x", client},
		"a URI that climbs":   {`artifact:a={"uri":"gs://artifacts/../../x"}`, "cannot be a path", client},
		"no executor output":  {`file:{{$.outputs.output_file}}={`, "executor_output.json", client},
		"outputs of any kind": {`file:{{$.outputs.output_file}}=[]`, "executor_output.json", client},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := open(t, func(o *vertex.Options) { o.Storage = tc.storage })
			job := c.run(request("bad", pipeline(t, `
components:
  a: {run: ["`+replace(replace(tc.action, `"`, `\"`), `\", \"`, `", "`)+`"], outputDefinitions: {artifacts: {a: {artifactType: {schemaTitle: system.Artifact}}}}}
root: {dag: {tasks: {a: {componentRef: {name: a}}}}}
`), nil))
			wantState(t, job, "FAILED")
			if e := details(job)["a"].GetError().GetMessage(); !strings.Contains(e, tc.want) {
				t.Errorf("error %q, want one with %q", e, tc.want)
			}
		})
	}
}

func TestAFetchedArtifactIsOneFileForAllTasks(t *testing.T) {
	t.Parallel()
	client := bucket(t)
	put(t, client, "given/data", strings.Repeat("x", 1<<20))
	c := open(t, func(o *vertex.Options) { o.Storage = client })
	job := c.run(request("shared", pipeline(t, `
deploymentSpec:
  executors:
    exec-import: {importer: {artifactUri: {constant: "gs://artifacts/given/data"}, typeSchema: {schemaTitle: system.Dataset}}}
components:
  import: {executorLabel: exec-import, outputDefinitions: {artifacts: {data: &d {artifactType: {schemaTitle: system.Dataset}}}}}
  read:
    inputDefinitions: {artifacts: {data: *d}, parameters: {item: {parameterType: STRING}}}
    run: ["links:{{$.inputs.artifacts['data'].path}}=`+c.dir+`/links"]
root:
  dag:
    tasks:
      import: {componentRef: {name: import}}
      read:
        componentRef: {name: read}
        inputs: {artifacts: {data: {taskOutputArtifact: {producerTask: import, outputArtifactKey: data}}}}
        parameterIterator: {itemInput: item, items: {raw: '["a","b","c"]'}}
        iteratorPolicy: {parallelismLimit: 1}
`), nil))
	wantState(t, job, "SUCCEEDED")
	got := lines(t, filepath.Join(c.dir, "links"))
	if len(got) != 3 || len(slices.Compact(got)) != 1 || !strings.HasPrefix(got[0], "2-names") {
		t.Errorf("in the three tasks %v, want one file with 2 names: the kept one and the task's", got)
	}
}
