package vertex

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/structpb"
)

// task waits for what a task depends on, decides whether it runs, and runs it.
func (r *run) task(ctx context.Context, s *scope, t *task) outcome {
	rec := r.record(join(s.path, t.name))
	if o, ok := rec.decided(); ok {
		return o
	}
	blocked := false
	for _, up := range t.upstream {
		res := s.results[up]
		<-res.done // it always comes: tasks end when ctx does, and compile excludes cycles
		if res.state == interrupted {
			return outcome{state: interrupted}
		}
		blocked = blocked || (res.state != taskSucceeded && res.state != taskSkipped)
	}
	exempt := s.exempt || t.completed()
	if o, stopped := r.stopped(ctx, rec); stopped {
		return o
	}
	if rec.detail.State == taskPending && rec.attempt == 1 {
		if blocked && !t.completed() {
			return r.end(rec, outcome{state: taskNotTriggered}, change{})
		}
		if r.halted(exempt) {
			return r.halt(rec)
		}
	}
	in, err := r.inputs(s, t, rec)
	if err != nil {
		return r.fail(rec, err)
	}
	if t.condition != nil {
		ok, err := holds(t.condition, in)
		if err != nil {
			return r.fail(rec, fmt.Errorf("condition %q: %w", t.spec.TriggerPolicy.Condition, err))
		}
		if !ok {
			return r.end(rec, outcome{state: taskNotTriggered}, change{})
		}
	}
	if t.spec.GetIterator() != nil {
		return r.iterate(ctx, t, rec, in, exempt)
	}
	return r.component(ctx, t, rec, in, exempt)
}

// stopped ends a task that may not start any more because its job is being cancelled or the server is closing.
func (r *run) stopped(ctx context.Context, rec *record) (outcome, bool) {
	if ctx.Err() == nil {
		return outcome{}, false
	}
	return r.cutOff(ctx, rec, change{}), true
}

// cutOff is the outcome of a task whose work ctx ended.
func (r *run) cutOff(ctx context.Context, rec *record, c change) outcome {
	if !errors.Is(context.Cause(ctx), errCancelled) {
		return outcome{state: interrupted}
	}
	return r.end(rec, outcome{state: taskCancelled, err: status.New(codes.Canceled, "The task was cancelled.")}, c)
}

// halted says that FAIL_FAST keeps new tasks from starting.
func (r *run) halted(exempt bool) bool { return r.failFast && !exempt && r.failed.Load() }

// component runs what a task, or one iteration of it, refers to.
func (r *run) component(ctx context.Context, t *task, rec *record, in *values, exempt bool) outcome {
	if t.component.executor == nil {
		if !r.begin(rec, in) {
			return outcome{state: interrupted}
		}
		o := r.dag(ctx, &scope{path: rec.detail.TaskUniqueName, parent: rec.detail.TaskId, component: t.component, in: in, exempt: exempt})
		return r.end(rec, o, change{})
	}
	if imp := t.component.executor.GetImporter(); imp != nil {
		return r.importer(t, rec, in, imp)
	}
	return r.container(ctx, t, rec, in, exempt)
}

// iterate runs a task once for each item, at most parallelismLimit at a time and in the order of the items.
func (r *run) iterate(ctx context.Context, t *task, rec *record, in *values, exempt bool) outcome {
	items, err := iterations(t, in)
	if err != nil {
		return r.fail(rec, err)
	}
	names := make([]string, len(items))
	for i := range items {
		names[i] = fmt.Sprintf("%s-%d", t.name, i)
	}
	path := rec.detail.TaskUniqueName
	if !r.begin(rec, in) || !r.add(path, rec.detail.TaskId, names) {
		return outcome{state: interrupted}
	}
	limit := int(t.spec.GetIteratorPolicy().GetParallelismLimit())
	if limit <= 0 {
		limit = max(len(items), 1)
	}
	slots := make(chan struct{}, limit)
	all := make([]outcome, len(items))
	var wg sync.WaitGroup
	for i := range items {
		slots <- struct{}{} // running iterations end when ctx does, so a slot always comes
		wg.Go(func() {
			defer func() { <-slots }()
			all[i] = r.iteration(ctx, t, r.record(join(path, names[i])), items[i], exempt)
		})
	}
	wg.Wait()
	o := summarise("The loop failed because some iterations failed. The failed iterations are: [%s].", names, all)
	if o.state == taskSucceeded {
		o.out = gather(t, all)
	}
	return r.end(rec, o, change{})
}

func (r *run) iteration(ctx context.Context, t *task, rec *record, in *values, exempt bool) outcome {
	if o, ok := rec.decided(); ok {
		return o
	}
	if o, stopped := r.stopped(ctx, rec); stopped {
		return o
	}
	if rec.detail.State == taskPending && rec.attempt == 1 && r.halted(exempt) {
		return r.halt(rec)
	}
	return r.component(ctx, t, rec, in, exempt)
}

// iterations are the inputs of each iteration.
func iterations(t *task, in *values) ([]*values, error) {
	var all []*values
	if it := t.spec.GetArtifactIterator(); it != nil {
		for i := range in.arts[it.GetItems().GetInputArtifact()] {
			one := in.with()
			one.arts[it.ItemInput] = in.arts[it.Items.InputArtifact][i : i+1]
			all = append(all, one)
		}
		return all, nil
	}
	it := t.spec.GetParameterIterator()
	items, err := loopItems(it.GetItems().GetRaw(), it.GetItems().GetInputParameter(), in)
	if err != nil {
		return nil, err
	}
	def := t.component.spec.GetInputDefinitions().GetParameters()[it.ItemInput]
	for i, item := range items {
		if err := checkType(item, def.GetParameterType()); err != nil {
			return nil, fmt.Errorf("item %d of the loop: %w", i, err)
		}
		one := in.with()
		one.params[it.ItemInput] = item
		all = append(all, one)
	}
	return all, nil
}

// loopItems reads the items of a parameter iterator: raw JSON, a list, or a string that holds a JSON array.
func loopItems(raw, param string, in *values) ([]*structpb.Value, error) {
	place := "the loop's items"
	if param != "" {
		place = "input " + param
		v := in.params[param]
		if l := v.GetListValue(); l != nil {
			return l.Values, nil
		}
		if v == nil {
			return nil, fmt.Errorf("%s, over which the task loops, is absent", place)
		}
		raw = text(v)
	}
	v, err := parseJSON([]byte(raw))
	if err != nil || v.GetListValue() == nil {
		return nil, fmt.Errorf("%s: %s is not a JSON array", place, shorten(raw, 60))
	}
	return v.GetListValue().Values, nil
}

// gather is the output of a loop: each parameter a list in the order of the items (null where an iteration gave none),
// each artifact the list of all.
func gather(t *task, all []outcome) *values {
	out := newValues()
	defs := t.component.spec.GetOutputDefinitions()
	for k := range defs.GetParameters() {
		l := &structpb.ListValue{}
		for _, o := range all {
			v := structpb.NewNullValue()
			if o.out != nil && o.out.params[k] != nil {
				v = o.out.params[k]
			}
			l.Values = append(l.Values, v)
		}
		out.params[k] = structpb.NewListValue(l)
	}
	for k := range defs.GetArtifacts() {
		for _, o := range all {
			if o.out != nil {
				out.arts[k] = append(out.arts[k], o.out.arts[k]...)
			}
		}
	}
	return out
}
