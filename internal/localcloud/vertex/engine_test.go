package vertex_test

import (
	"path/filepath"
	"strings"
	"testing"

	"cloud.google.com/go/aiplatform/apiv1/aiplatformpb"
	"github.com/google/go-cmp/cmp"
)

func TestStatesTimesAndDetailsOfAJob(t *testing.T) {
	t.Parallel()
	c := open(t, nil)
	gate := filepath.Join(c.dir, "gate")
	created := c.create(request("one", pipeline(t, `
components:
  hello: {run: ['wait:`+gate+`', 'out:n=3'], out: {n: NUMBER_INTEGER}, in: {x: STRING}}
  group: {in: {x: STRING}, dag: {tasks: {hello: {componentRef: {name: hello}, inputs: {parameters: {x: {componentInputParameter: x}}}}}}}
root: {dag: {tasks: {group: {componentRef: {name: group}, inputs: {parameters: {x: {runtimeValue: {constant: word}}}}}}}}
`), nil))
	wantState(t, created, "PENDING")
	if created.Name != jobName("one") || created.CreateTime == nil || created.StartTime != nil || created.PipelineSpec == nil {
		t.Errorf("the answer is not the whole new job: %v", created)
	}
	running := c.until("one", "the task runs", func(j *aiplatformpb.PipelineJob) bool { return states(j)["group.hello"] == "RUNNING" })
	wantState(t, running, "RUNNING")
	if running.StartTime == nil || running.EndTime != nil || running.Error != nil {
		t.Errorf("running: start %v, end %v, error %v", running.StartTime, running.EndTime, running.Error)
	}
	touch(t, gate)
	job := c.until("one", "the job is finished", ended)
	wantState(t, job, "SUCCEEDED")
	if job.EndTime == nil || job.Error != nil {
		t.Errorf("finished: end %v, error %v", job.EndTime, job.Error)
	}
	if got := output(t, job, "group.hello", "n"); got != 3.0 {
		t.Errorf("output n = %v, want 3", got)
	}
	all := details(job)
	group, hello := all["group"], all["group.hello"]
	if hello.TaskId == 0 || hello.TaskId == group.TaskId || hello.ParentTaskId != group.TaskId || group.ParentTaskId != 0 || hello.TaskName != "hello" {
		t.Errorf("ids: group %d below %d, hello %d below %d, name %q", group.TaskId, group.ParentTaskId, hello.TaskId, hello.ParentTaskId, hello.TaskName)
	}
	if hello.CreateTime == nil || hello.StartTime == nil || hello.EndTime == nil {
		t.Errorf("times: %v %v %v", hello.CreateTime, hello.StartTime, hello.EndTime)
	}
	if diff := cmp.Diff([]string{"PENDING", "RUNNING", "SUCCEEDED"}, history(hello)); diff != "" {
		t.Errorf("pipeline_task_status (-want +got):\n%s", diff)
	}
	if got := hello.GetExecution().GetMetadata().GetFields()["input:x"].GetStringValue(); got != "word" {
		t.Errorf("input x in the execution = %q", got)
	}
	if hello.GetExecutorDetail().GetContainerDetail().GetMainJob() == "" {
		t.Error("no main job in the container detail")
	}
}

func TestParametersAreResolvedAndChecked(t *testing.T) {
	t.Parallel()
	c := open(t, nil)
	job := c.run(request("params", pipeline(t, `
components:
  make:
    run: ['out:s="text"', 'out:i=7', 'out:b=true', 'out:l=[1,"two"]', 'out:o={"k":{"deep":5}}']
    out: {s: STRING, i: NUMBER_INTEGER, b: BOOLEAN, l: LIST, o: STRUCT}
  show:
    run: ["out:got={\"s\":\"{{$.inputs.parameters['s']}}\",\"i\":{{$.inputs.parameters['i']}},\"b\":{{$.inputs.parameters['b']}},\"l\":{{$.inputs.parameters['l']}},\"k\":{{$.inputs.parameters['k']}},\"d\":\"{{$.inputs.parameters['d']}}\",\"none\":\"{{$.inputs.parameters['none']}}\",\"c\":\"{{$.inputs.parameters['c']}}\",\"r\":\"{{$.inputs.parameters['r']}}\"}"]
    in: {s: STRING, i: NUMBER_INTEGER, b: BOOLEAN, l: LIST, k: NUMBER_DOUBLE, c: STRING, r: STRING}
    optional: {none: STRING}
    inputDefinitions: {parameters: {d: {parameterType: STRING, defaultValue: fallback}}}
    out: {got: STRUCT}
root:
  in: {r: STRING}
  dag:
    tasks:
      make: {componentRef: {name: make}}
      show:
        componentRef: {name: show}
        inputs:
          parameters:
            s: {taskOutputParameter: {producerTask: make, outputParameterKey: s}}
            i: {taskOutputParameter: {producerTask: make, outputParameterKey: i}}
            b: {taskOutputParameter: {producerTask: make, outputParameterKey: b}}
            l: {taskOutputParameter: {producerTask: make, outputParameterKey: l}}
            k: {taskOutputParameter: {producerTask: make, outputParameterKey: o}, parameterExpressionSelector: 'parseJson(string_value)["k"]["deep"]'}
            c: {runtimeValue: {constant: "{{$.pipeline_job_name}}/{{$.inputs.parameters['s']}}"}}
            r: {componentInputParameter: r}
`), map[string]any{"r": "{{$.pipeline_job_name}} stays"}))
	wantState(t, job, "SUCCEEDED")
	want := map[string]any{
		"s": "text", "i": 7.0, "b": true, "l": []any{1.0, "two"}, "k": 5.0, "d": "fallback", "none": "", "c": "params/text", "r": "{{$.pipeline_job_name}} stays",
	}
	if diff := cmp.Diff(want, output(t, job, "show", "got")); diff != "" {
		t.Errorf("what the step saw (-want +got):\n%s", diff)
	}
}

func TestWhatFailsATask(t *testing.T) {
	t.Parallel()
	c := open(t, nil)
	for name, tc := range map[string]struct{ component, inputs, want string }{
		"exit code":                {`{run: ['stderr:first', 'stderr:the reason', 'exit:3']}`, `{}`, "exit status 3; stderr ends: first\nthe reason"},
		"killed":                   {`{run: ['pid:/nonexistent/x']}`, `{}`, "no such file or directory"},
		"missing output":           {`{run: ['out:a=1'], out: {a: NUMBER_INTEGER, b: STRING}}`, `{}`, "output parameter b was not written"},
		"output of another type":   {`{run: ['out:a="x"'], out: {a: NUMBER_INTEGER}}`, `{}`, "output parameter a: x is not of type NUMBER_INTEGER"},
		"integer out of range":     {`{run: ['out:a=9007199254740993'], out: {a: NUMBER_INTEGER}}`, `{}`, "is not of type NUMBER_INTEGER"},
		"missing input":            {`{run: ['out:a=1'], in: {x: STRING}}`, `{}`, "input x is missing"},
		"input of another type":    {`{run: ['out:a=1'], in: {x: STRING}}`, `{x: {runtimeValue: {constant: 5}}}`, "input x: 5 is not of type STRING"},
		"unknown placeholder":      {`{run: ["arg:{{$.inputs.parameters['y']}}"]}`, `{}`, "{{$.inputs.parameters['y']}} is no known placeholder"},
		"unknown image":            {`{run: ['out:a=1'], image: 'other.example/x@sha256:1'}`, `{}`, `no program is known for the image "other.example/x"; known are ` + stepRepo + `; add one with --image`},
		"command of another image": {`{run: ['out:a=1'], command: [sh, -c, ls]}`, `{}`, `command "sh" is not the entrypoint "/ko-app/step"`},
		"bad name of a variable":   {`{run: ['out:a=1'], env: [{name: '1A', value: x}]}`, `{}`, `env: "1A" is no name of a variable`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := &cloud{t: t, client: c.client}
			id := "fails-" + strings.ReplaceAll(name, " ", "-")
			job := c.run(request(id, pipeline(t, `
components: {a: `+tc.component+`}
root: {dag: {tasks: {a: {componentRef: {name: a}, retryPolicy: {maxRetryCount: 0}, inputs: {parameters: `+tc.inputs+`}}}}}
`), nil))
			wantState(t, job, "FAILED")
			d := details(job)["a"]
			if d.State.String() != "FAILED" || !strings.Contains(d.GetError().GetMessage(), tc.want) {
				t.Errorf("task %s, error %q, want one with %q", d.State, d.GetError().GetMessage(), tc.want)
			}
			if !strings.Contains(job.GetError().GetMessage(), "The failed tasks are: [a]. a: "+d.GetError().GetMessage()) {
				t.Errorf("job error %q does not name the task and repeat its message", job.GetError().GetMessage())
			}
		})
	}
}

func TestTriggersAndConditions(t *testing.T) {
	t.Parallel()
	c := open(t, nil)
	job := c.run(request("triggers", pipeline(t, `
components:
  ok: {run: ['out:n=3', 'out:word="heads"', 'out:flag=true'], out: {n: NUMBER_INTEGER, word: STRING, flag: BOOLEAN}}
  bad: {run: ['exit:1']}
  leaf: {run: ['arg:'], optional: {n: NUMBER_INTEGER, word: STRING, flag: BOOLEAN}}
root:
  dag:
    tasks:
      ok: {componentRef: {name: ok}}
      bad: {componentRef: {name: bad}}
      after-bad: {componentRef: {name: leaf}, dependentTasks: [bad]}
      after-that: {componentRef: {name: leaf}, dependentTasks: [after-bad]}
      always: {componentRef: {name: leaf}, dependentTasks: [bad, after-bad], triggerPolicy: {strategy: ALL_UPSTREAM_TASKS_COMPLETED}}
      always-not: {componentRef: {name: leaf}, dependentTasks: [bad], triggerPolicy: {strategy: ALL_UPSTREAM_TASKS_COMPLETED, condition: 'false'}}
      text: &text
        componentRef: {name: leaf}
        inputs:
          parameters:
            n: {taskOutputParameter: {producerTask: ok, outputParameterKey: n}}
            word: {taskOutputParameter: {producerTask: ok, outputParameterKey: word}}
            flag: {taskOutputParameter: {producerTask: ok, outputParameterKey: flag}}
        triggerPolicy: {condition: "inputs.parameter_values['word'] == 'heads'"}
      integer: {<<: *text, triggerPolicy: {condition: "int(inputs.parameter_values['n']) > 2 && inputs.parameter_values['flag'] == true"}}
      negated: {<<: *text, triggerPolicy: {condition: "!(inputs.parameter_values['word'] == 'heads')"}}
      below: {<<: *text, triggerPolicy: {condition: "inputs.parameter_values['n'] < 3"}}
      error: {<<: *text, triggerPolicy: {condition: "inputs.parameter_values['nothing'] == 1"}}
`), nil))
	wantState(t, job, "FAILED")
	want := map[string]string{
		"ok": "SUCCEEDED", "bad": "FAILED", "after-bad": "NOT_TRIGGERED", "after-that": "NOT_TRIGGERED", "always": "SUCCEEDED",
		"always-not": "NOT_TRIGGERED", "text": "SUCCEEDED", "integer": "SUCCEEDED", "negated": "NOT_TRIGGERED", "below": "NOT_TRIGGERED", "error": "FAILED",
	}
	if diff := cmp.Diff(want, states(job)); diff != "" {
		t.Errorf("task states (-want +got):\n%s", diff)
	}
	if e := details(job)["error"].GetError().GetMessage(); !strings.Contains(e, "no such key: nothing") {
		t.Errorf("error of a condition that cannot be evaluated: %q", e)
	}
}

const branchSpec = `
components:
  say: {run: ["out:v=\"{{$.inputs.parameters['v']}}\""], in: {v: STRING}, out: {v: STRING}}
  branch:
    in: {v: STRING}
    out: {v: STRING}
    dag:
      tasks: {say: {componentRef: {name: say}, inputs: {parameters: {v: {componentInputParameter: v}}}}}
      outputs: {parameters: {v: {valueFromParameter: {producerSubtask: say, outputParameterKey: v}}}}
  branches:
    in: {coin: STRING}
    out: {v: STRING}
    dag:
      tasks:
        heads: &heads
          componentRef: {name: branch}
          inputs: {parameters: {coin: {componentInputParameter: coin}, v: {runtimeValue: {constant: was heads}}}}
          triggerPolicy: {condition: "inputs.parameter_values['coin'] == 'heads'"}
        tails: {<<: *heads, inputs: {parameters: {coin: {componentInputParameter: coin}, v: {runtimeValue: {constant: was tails}}}}, triggerPolicy: {condition: "SECOND"}}
      outputs: {parameters: {v: {valueFromOneof: {parameterSelectors: [{producerSubtask: heads, outputParameterKey: v}, {producerSubtask: tails, outputParameterKey: v}]}}}}
root:
  in: {coin: STRING}
  dag:
    tasks:
      branches: {componentRef: {name: branches}, inputs: {parameters: {coin: {componentInputParameter: coin}}}}
      end: {componentRef: {name: say}, inputs: {parameters: {v: {taskOutputParameter: {producerTask: branches, outputParameterKey: v}}}}}
`

func TestDagOutputs(t *testing.T) {
	t.Parallel()
	c := open(t, nil)
	either := "!(inputs.parameter_values['coin'] == 'heads')"
	for _, tc := range []struct{ id, coin, second, want string }{
		{"first-branch", "heads", either, "was heads"},
		{"second-branch", "tails", either, "was tails"},
	} {
		job := c.run(request(tc.id, pipeline(t, replace(branchSpec, "SECOND", tc.second)), map[string]any{"coin": tc.coin}))
		wantState(t, job, "SUCCEEDED")
		if got := output(t, job, "end", "v"); got != tc.want {
			t.Errorf("%s: output %v, want %q", tc.id, got, tc.want)
		}
	}
	job := c.run(request("both-branches", pipeline(t, replace(branchSpec, "SECOND", "true")), map[string]any{"coin": "heads"}))
	wantState(t, job, "FAILED")
	if e := details(job)["branches"].GetError().GetMessage(); !strings.Contains(e, "2 tasks gave the value of which only one may") {
		t.Errorf("error of a oneof with two values: %q", e)
	}
	job = c.run(request("no-branch", pipeline(t, replace(branchSpec, "SECOND", "false")), map[string]any{"coin": "edge"}))
	wantState(t, job, "FAILED")
	if got := states(job)["branches"]; got != "SUCCEEDED" {
		t.Errorf("a dag in which nothing was triggered is %s, want SUCCEEDED", got)
	}
	if e := details(job)["end"].GetError().GetMessage(); !strings.Contains(e, "input v is missing") {
		t.Errorf("error of a consumer whose value no branch gave: %q", e)
	}
}
