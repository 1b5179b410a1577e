package vertex_test

import (
	"path/filepath"
	"strings"
	"testing"

	"cloud.google.com/go/aiplatform/apiv1/aiplatformpb"
	"github.com/google/go-cmp/cmp"
)

func TestExitTask(t *testing.T) {
	t.Parallel()
	c := open(t, nil)
	for _, tc := range []struct{ id, policy, action, state string }{
		{"after-success", "", "arg:", "SUCCEEDED"},
		{"after-failure", "", "exit:4", "FAILED"},
		{"after-failure-fail-fast", "PIPELINE_FAILURE_POLICY_FAIL_FAST", "exit:4", "FAILED"},
	} {
		r := request(tc.id, pipeline(t, `
components:
  step: {run: ['`+tc.action+`']}
  work: {dag: {tasks: {step: {componentRef: {name: step}}}}}
  finish: {run: ["out:status={{$.inputs.parameters['status']}}"], in: {status: TASK_FINAL_STATUS}, out: {status: STRUCT}}
root:
  dag:
    tasks:
      work: {componentRef: {name: work}}
      finish:
        componentRef: {name: finish}
        dependentTasks: [work]
        inputs: {parameters: {status: {taskFinalStatus: {producerTask: work}}}}
        triggerPolicy: {strategy: ALL_UPSTREAM_TASKS_COMPLETED}
`), nil)
		r.PipelineJob.RuntimeConfig.FailurePolicy = aiplatformpb.PipelineFailurePolicy(aiplatformpb.PipelineFailurePolicy_value[tc.policy])
		job := c.run(r)
		wantState(t, job, tc.state)
		status := output(t, job, "finish", "status").(map[string]any)
		if status["state"] != tc.state || status["pipelineJobResourceName"] != jobName(tc.id) || status["pipelineTaskName"] != "work" {
			t.Errorf("%s: final status %v", tc.id, status)
		}
		e, ok := status["error"].(map[string]any)
		if message, _ := e["message"].(string); !ok || (tc.state == "FAILED") != strings.Contains(message, "step: exit status 4") {
			t.Errorf("%s: error of the final status: %v", tc.id, status["error"])
		}
	}
}

func TestFailurePolicies(t *testing.T) {
	t.Parallel()
	c := open(t, nil)
	gate := filepath.Join(c.dir, "gate")
	spec := `
components:
  bad: {run: ['wait:` + gate + `-bad', 'exit:1']}
  slow: {run: ['wait:` + gate + `']}
  leaf: {run: ['arg:']}
root:
  dag:
    tasks:
      bad: {componentRef: {name: bad}}
      slow: {componentRef: {name: slow}}
      next: {componentRef: {name: leaf}, dependentTasks: [slow]}
      exit: {componentRef: {name: leaf}, dependentTasks: [next], triggerPolicy: {strategy: ALL_UPSTREAM_TASKS_COMPLETED}}
`
	for id, tc := range map[string]struct {
		policy aiplatformpb.PipelineFailurePolicy
		next   string
	}{
		"fail-default": {aiplatformpb.PipelineFailurePolicy_PIPELINE_FAILURE_POLICY_UNSPECIFIED, "SUCCEEDED"},
		"fail-slow":    {aiplatformpb.PipelineFailurePolicy_PIPELINE_FAILURE_POLICY_FAIL_SLOW, "SUCCEEDED"},
		"fail-fast":    {aiplatformpb.PipelineFailurePolicy_PIPELINE_FAILURE_POLICY_FAIL_FAST, "NOT_TRIGGERED"},
	} {
		r := request(id, pipeline(t, spec), nil)
		r.PipelineJob.RuntimeConfig.FailurePolicy = tc.policy
		c.create(r)
		c.until(id, "slow runs", func(j *aiplatformpb.PipelineJob) bool { return states(j)["slow"] == "RUNNING" })
		touch(t, gate+"-bad")
		c.until(id, "bad has failed while slow runs", func(j *aiplatformpb.PipelineJob) bool {
			return states(j)["bad"] == "FAILED" && states(j)["slow"] == "RUNNING"
		})
		touch(t, gate)
		job := c.until(id, "the job is finished", ended)
		remove(t, gate)
		remove(t, gate+"-bad")
		wantState(t, job, "FAILED")
		want := map[string]string{"bad": "FAILED", "slow": "SUCCEEDED", "next": tc.next, "exit": "SUCCEEDED"}
		if diff := cmp.Diff(want, states(job)); diff != "" {
			t.Errorf("%s: task states (-want +got):\n%s", id, diff)
		}
	}
}

func TestCacheOnlyWhereItIsEnabled(t *testing.T) {
	t.Parallel()
	c := open(t, nil)
	journal := filepath.Join(c.dir, "journal")
	spec := pipeline(t, `
components:
  step: {run: ['journal:`+journal+`=ran', "out:v=\"{{$.inputs.parameters['v']}}\""], in: {v: STRING}, out: {v: STRING}}
root:
  in: {v: STRING}
  dag:
    tasks:
      cached: {componentRef: {name: step}, cachingOptions: {enableCache: true}, inputs: {parameters: {v: {componentInputParameter: v}}}}
      off: {componentRef: {name: step}, cachingOptions: {}, dependentTasks: [cached], inputs: {parameters: {v: {taskOutputParameter: {producerTask: cached, outputParameterKey: v}}}}}
`)
	for i, tc := range []struct{ id, v, cached string }{{"cache-a", "x", "SUCCEEDED"}, {"cache-b", "x", "SKIPPED"}, {"cache-c", "y", "SUCCEEDED"}} {
		job := c.run(request(tc.id, spec, map[string]any{"v": tc.v}))
		wantState(t, job, "SUCCEEDED")
		if diff := cmp.Diff(map[string]string{"cached": tc.cached, "off": "SUCCEEDED"}, states(job)); diff != "" {
			t.Errorf("run %d: task states (-want +got):\n%s", i, diff)
		}
		if got := output(t, job, "cached", "v"); got != tc.v {
			t.Errorf("run %d: output %v, want %s", i, got, tc.v)
		}
	}
	if n := len(lines(t, journal)); n != 5 {
		t.Errorf("%d processes ran, want 5", n)
	}
}

func TestImporter(t *testing.T) {
	t.Parallel()
	c := open(t, nil)
	job := c.run(request("import", pipeline(t, `
deploymentSpec:
  executors:
    exec-import:
      importer: {artifactUri: {runtimeParameter: uri}, typeSchema: {schemaTitle: system.Model, schemaVersion: 0.0.1}, metadata: {from: "{{$.inputs.parameters['uri']}}"}}
components:
  import: {executorLabel: exec-import, in: {uri: STRING}, outputDefinitions: {artifacts: {model: {artifactType: {schemaTitle: system.Model}}}}}
root:
  in: {uri: STRING}
  dag: {tasks: {import: {componentRef: {name: import}, inputs: {parameters: {uri: {componentInputParameter: uri}}}}}}
`), map[string]any{"uri": "gs://elsewhere/model"}))
	wantState(t, job, "SUCCEEDED")
	arts := details(job)["import"].Outputs["model"].GetArtifacts()
	if len(arts) != 1 || arts[0].Uri != "gs://elsewhere/model" || arts[0].SchemaTitle != "system.Model" || arts[0].Metadata.AsMap()["from"] != "gs://elsewhere/model" {
		t.Errorf("imported artifacts: %v", arts)
	}
}

func TestTheWorkedExampleRuns(t *testing.T) {
	t.Parallel()
	spec := sharedSpec(t, "reference/pipeline-example.yaml")
	c := open(t, nil)
	_, err := c.client.CreatePipelineJob(t.Context(), request("example", spec, map[string]any{"input_uri": "gs://in/x.csv", "model_uri": "gs://m/1", "run_id": "r1"}))
	if err != nil {
		t.Fatal(err)
	}
	job := c.until("example", "the job is finished", ended)
	// Its image is not in the table here: the tasks fail with that reason, and the exit task is tried all the same.
	want := map[string]string{"work": "FAILED", "work.prepare": "FAILED", "work.when-rows": "NOT_TRIGGERED", "notify": "FAILED"}
	if diff := cmp.Diff(want, states(job)); diff != "" {
		t.Errorf("task states (-want +got):\n%s", diff)
	}
}
