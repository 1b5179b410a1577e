package vertex_test

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"cloud.google.com/go/aiplatform/apiv1/aiplatformpb"
	"github.com/google/go-cmp/cmp"
)

const loopSpec = `
components:
  make: {run: ['out:items=[{"n":1},{"n":2},{"n":3}]', 'out:none=[]', 'out:text="[\"a\",\"b\"]"'], out: {items: LIST, none: LIST, text: STRING}}
  score: {run: ["out:item={{$.inputs.parameters['item']}}", "out:name=\"{{$.pipeline_task_name}}\""], in: {item: STRUCT}, out: {item: STRUCT, name: STRING}}
  word: {run: ["out:w=\"{{$.inputs.parameters['item']}}\""], in: {item: STRING}, out: {w: STRING}}
  body:
    in: {item: STRUCT}
    out: {item: STRUCT}
    dag:
      tasks: {score: {componentRef: {name: score}, inputs: {parameters: {item: {componentInputParameter: item}}}}}
      outputs: {parameters: {item: {valueFromParameter: {producerSubtask: score, outputParameterKey: item}}}}
  sum: {run: ["out:seen={{$.inputs.parameters['all']}}", "out:empty={{$.inputs.parameters['empty']}}"], in: {all: LIST, empty: LIST}, out: {seen: LIST, empty: LIST}}
root:
  dag:
    tasks:
      make: {componentRef: {name: make}}
      dags: &loop
        componentRef: {name: body}
        inputs: {parameters: {items: {taskOutputParameter: {producerTask: make, outputParameterKey: items}}}}
        parameterIterator: {itemInput: item, items: {inputParameter: items}}
      tasks: {<<: *loop, componentRef: {name: score}}
      empty: {<<: *loop, inputs: {parameters: {items: {taskOutputParameter: {producerTask: make, outputParameterKey: none}}}}}
      text: {componentRef: {name: word}, inputs: {parameters: {items: {taskOutputParameter: {producerTask: make, outputParameterKey: text}}}}, parameterIterator: {itemInput: item, items: {inputParameter: items}}}
      raw: {componentRef: {name: word}, parameterIterator: {itemInput: item, items: {raw: '["x","y"]'}}}
      sum:
        componentRef: {name: sum}
        inputs:
          parameters:
            all: {taskOutputParameter: {producerTask: dags, outputParameterKey: item}}
            empty: {taskOutputParameter: {producerTask: empty, outputParameterKey: item}}
`

func TestLoop(t *testing.T) {
	t.Parallel()
	c := open(t, nil)
	job := c.run(request("loop", pipeline(t, loopSpec), nil))
	wantState(t, job, "SUCCEEDED")
	items := []any{map[string]any{"n": 1.0}, map[string]any{"n": 2.0}, map[string]any{"n": 3.0}}
	for _, tc := range []struct {
		task, key string
		want      any
	}{
		{"dags", "item", items}, {"tasks", "item", items}, {"empty", "item", []any{}}, {"text", "w", []any{"a", "b"}}, {"raw", "w", []any{"x", "y"}},
		{"sum", "seen", items}, {"sum", "empty", []any{}}, {"dags.dags-1.score", "item", items[1]}, {"tasks.tasks-2", "item", items[2]},
	} {
		if diff := cmp.Diff(tc.want, output(t, job, tc.task, tc.key)); diff != "" {
			t.Errorf("output %s of %s (-want +got):\n%s", tc.key, tc.task, diff)
		}
	}
	all := details(job)
	if d := all["dags.dags-1"]; d.ParentTaskId != all["dags"].TaskId || all["dags.dags-1.score"].ParentTaskId != d.TaskId || d.TaskName != "dags-1" {
		t.Errorf("the iteration has not its place: %v", d)
	}
}

func TestLoopsThatCannotRun(t *testing.T) {
	t.Parallel()
	c := open(t, nil)
	for name, tc := range map[string]struct{ items, itemType, want string }{
		"no array":           {`{raw: '{"a":1}'}`, "STRING", `{"a":1} is not a JSON array`},
		"item of wrong type": {`{raw: '["a",2]'}`, "STRING", "item 1 of the loop: 2 is not of type STRING"},
		"absent":             {`{inputParameter: nothing}`, "STRING", "input nothing, over which the task loops, is absent"},
	} {
		id := strings.ReplaceAll(name, " ", "-")
		job := c.run(request(id, pipeline(t, `
components: {a: {run: ['arg:'], in: {item: `+tc.itemType+`}}}
root: {dag: {tasks: {loop: {componentRef: {name: a}, parameterIterator: {itemInput: item, items: `+tc.items+`}}}}}
`), nil))
		wantState(t, job, "FAILED")
		if e := details(job)["loop"].GetError().GetMessage(); !strings.Contains(e, tc.want) {
			t.Errorf("%s: error %q, want one with %q", name, e, tc.want)
		}
	}
}

func TestParallelismLimit(t *testing.T) {
	t.Parallel()
	c := open(t, nil)
	for _, limit := range []int{2, 0} {
		gates := t.TempDir()
		id := fmt.Sprintf("limit-%d", limit)
		c.create(request(id, pipeline(t, `
components: {a: {run: ["wait:`+gates+`/{{$.inputs.parameters['item']}}"], in: {item: NUMBER_INTEGER}, resources: {cpuLimit: 0.1}}}
root: {dag: {tasks: {loop: {componentRef: {name: a}, parameterIterator: {itemInput: item, items: {raw: '[0,1,2,3,4,5]'}}, iteratorPolicy: {parallelismLimit: `+fmt.Sprint(limit)+`}}}}}
`), nil))
		at := limit
		if at == 0 {
			at = 6
		}
		for next := range 6 {
			want := running("loop.loop-", next, min(next+at, 6))
			c.until(id, fmt.Sprintf("%v run", want), func(j *aiplatformpb.PipelineJob) bool { return slices.Equal(inState(j, "RUNNING", "loop.loop-"), want) })
			touch(t, filepath.Join(gates, fmt.Sprint(next)))
		}
		wantState(t, c.until(id, "the job is finished", ended), "SUCCEEDED")
	}
}

func running(prefix string, from, to int) (names []string) {
	for i := from; i < to; i++ {
		names = append(names, fmt.Sprint(prefix, i))
	}
	return names
}

// inState are the tasks with a prefix that are in a state, sorted.
func inState(j *aiplatformpb.PipelineJob, state, prefix string) []string {
	var names []string
	for n, s := range states(j) {
		if s == state && strings.HasPrefix(n, prefix) {
			names = append(names, n)
		}
	}
	slices.Sort(names)
	return names
}

func TestOtherIterationsGoOnAfterOneFailed(t *testing.T) {
	t.Parallel()
	c := open(t, nil)
	for policy, last := range map[string]string{"PIPELINE_FAILURE_POLICY_FAIL_SLOW": "SUCCEEDED", "PIPELINE_FAILURE_POLICY_FAIL_FAST": "NOT_TRIGGERED"} {
		id := "loop-" + strings.ToLower(policy[len(policy)-4:])
		r := request(id, pipeline(t, `
components: {a: {run: ["exit:{{$.inputs.parameters['item']}}"], in: {item: NUMBER_INTEGER}}}
root: {dag: {tasks: {loop: {componentRef: {name: a}, parameterIterator: {itemInput: item, items: {raw: '[0,5,0]'}}, iteratorPolicy: {parallelismLimit: 1}}}}}
`), nil)
		r.PipelineJob.RuntimeConfig.FailurePolicy = aiplatformpb.PipelineFailurePolicy(aiplatformpb.PipelineFailurePolicy_value[policy])
		job := c.run(r)
		wantState(t, job, "FAILED")
		want := map[string]string{"loop": "FAILED", "loop.loop-0": "SUCCEEDED", "loop.loop-1": "FAILED", "loop.loop-2": last}
		if diff := cmp.Diff(want, states(job)); diff != "" {
			t.Errorf("%s: task states (-want +got):\n%s", policy, diff)
		}
	}
}

func TestFailFastLeavesNoDagSucceededThatIsIncomplete(t *testing.T) {
	t.Parallel()
	c := open(t, nil)
	r := request("incomplete", pipeline(t, `
components:
  a: {run: ["wait:`+c.dir+`/gate"], in: {item: STRING}}
  bad: {run: ['wait:`+c.dir+`/bad', 'exit:1']}
  exit: {run: ["out:state=\"{{$.inputs.parameters['s']}}\""], in: {s: STRING}, out: {state: STRING}}
  work: {dag: {tasks: {loop: {componentRef: {name: a}, parameterIterator: {itemInput: item, items: {raw: '["a","b"]'}}, iteratorPolicy: {parallelismLimit: 1}}}}}
root:
  dag:
    tasks:
      bad: {componentRef: {name: bad}}
      work: {componentRef: {name: work}}
      exit:
        componentRef: {name: exit}
        inputs: {parameters: {s: {taskFinalStatus: {producerTask: work}, parameterExpressionSelector: 'struct_value["state"]'}}}
        triggerPolicy: {strategy: ALL_UPSTREAM_TASKS_COMPLETED}
`), nil)
	r.PipelineJob.RuntimeConfig.FailurePolicy = aiplatformpb.PipelineFailurePolicy_PIPELINE_FAILURE_POLICY_FAIL_FAST
	c.create(r)
	c.until("incomplete", "the first iteration runs", func(j *aiplatformpb.PipelineJob) bool { return states(j)["work.loop.loop-0"] == "RUNNING" })
	touch(t, filepath.Join(c.dir, "bad"))
	c.until("incomplete", "bad has failed while the first iteration runs", func(j *aiplatformpb.PipelineJob) bool {
		return states(j)["bad"] == "FAILED" && states(j)["work.loop.loop-0"] == "RUNNING"
	})
	touch(t, filepath.Join(c.dir, "gate"))
	job := c.until("incomplete", "the job is finished", ended)
	want := map[string]string{
		"bad": "FAILED", "work": "FAILED", "work.loop": "FAILED", "work.loop.loop-0": "SUCCEEDED", "work.loop.loop-1": "NOT_TRIGGERED", "exit": "SUCCEEDED",
	}
	if diff := cmp.Diff(want, states(job)); diff != "" {
		t.Errorf("task states (-want +got):\n%s", diff)
	}
	if got := output(t, job, "exit", "state"); got != "FAILED" {
		t.Errorf("the exit task saw %v, want FAILED", got)
	}
}
