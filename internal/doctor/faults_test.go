package doctor

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// brokenProject breaks one thing of a healthy project.
type brokenProject struct {
	name    string
	change  func(world)
	check   string
	status  Status
	message string
	fix     []string // exactly these lines
}

// with changes one answer.
func with(key string, change func(object)) func(world) {
	return func(w world) {
		o, ok := w[key].(object)
		if !ok {
			panic("no answer " + key)
		}
		change(o)
	}
}

func without(keys ...string) func(world) {
	return func(w world) {
		for _, key := range keys {
			if _, ok := w[key]; !ok {
				panic("no answer " + key)
			}
			delete(w, key)
		}
	}
}

func refused(key string, status int, reason string) func(world) {
	return func(w world) {
		if _, ok := w[key]; !ok {
			panic("no answer " + key)
		}
		w[key] = refusal{status, reason}
	}
}

// drop takes a member out of a policy.
func drop(key, role, member string) func(world) {
	return with(key, func(o object) {
		all := o["bindings"].(things)
		n := len(all)
		o["bindings"] = slices.DeleteFunc(slices.Clone(all), func(b any) bool {
			return b.(object)["role"] == role && b.(object)["members"].(things)[0] == member
		})
		if len(o["bindings"].(things)) == n {
			panic("no " + role + " of " + member)
		}
	})
}

// of gives an element of a list of objects, by its name's end.
func of(o object, list, name string) object {
	for _, x := range o[list].(things) {
		if n, ok := x.(object)["name"].(string); ok && strings.HasSuffix(n, "/"+name) {
			return x.(object)
		}
	}
	panic("no " + name)
}

func set(o object, path string, value any) {
	keys := strings.Split(path, ".")
	for _, k := range keys[:len(keys)-1] {
		o = o[k].(object)
	}
	o[keys[len(keys)-1]] = value
}

var (
	policyKey   = post("cloudresourcemanager", "v3/projects/acme-prod:getIamPolicy")
	servicesKey = get("run", "v2/"+at+"/services")
	jobsKey     = get("cloudscheduler", "v1/"+at+"/jobs")
	pushKey     = get("pubsub", "v1/projects/acme-prod/subscriptions/uploads-push")
	deployerKey = post("iam", "v1/projects/acme-prod/serviceAccounts/"+mail("deployer")+":getIamPolicy")
)

func serviceIs(name, path string, value any) func(world) {
	return with(servicesKey, func(o object) { set(of(o, "services", name), path, value) })
}

func jobIs(name, path string, value any) func(world) {
	return with(jobsKey, func(o object) { set(of(o, "jobs", name), path, value) })
}

func bucketIs(kind, path string, value any) func(world) {
	return with(get("storage", "storage/v1/b/acme-prod-"+kind), func(o object) { set(o, path, value) })
}

func apiOff(api string) func(world) {
	return with(get("serviceusage", "v1/projects/acme-prod/services:batchGet"), func(o object) {
		of(o, "services", api)["state"] = "DISABLED"
	})
}

func all(changes ...func(world)) func(world) {
	return func(w world) {
		for _, c := range changes {
			c(w)
		}
	}
}

// run looks at a broken project and gives the findings of one check.
func (f brokenProject) run(t *testing.T, root, path string) []Finding {
	t.Helper()
	w := healthy()
	f.change(w)
	r, err := Run(t.Context(), Options{Root: root, API: w.serve(t), Getenv: environment(t, "PATH", path)})
	if err != nil {
		t.Fatal(err)
	}
	var found []Finding
	for _, x := range r.Findings {
		if x.Check == f.check {
			found = append(found, x)
		}
	}
	return found
}

func TestFaults(t *testing.T) {
	t.Parallel()
	root, path := checkout(t), tools(t, nil)
	for _, f := range slices.Concat(stuckPoints, otherFaults) {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			found := f.run(t, root, path)
			for _, x := range found {
				if x.Status == f.status && strings.Contains(x.Message, f.message) && slices.Equal(x.Fix, f.fix) {
					return
				}
			}
			t.Errorf("found %+v\nwant %s, %q,\n%q", found, f.status, f.message, f.fix)
		})
	}
}

// A server of Google's that is down is one failure of the checks that ask it, and no panic of others.
func TestEachAnswerMayFail(t *testing.T) {
	t.Parallel()
	root := checkout(t)
	path := tools(t, map[string]string{"make": "", "go": "", "terraform": "", "gcloud": ""})
	kinds := []struct {
		name   string
		answer any
	}{{"403", refusal{http.StatusForbidden, ""}}, {"401", refusal{http.StatusUnauthorized, ""}}, {"another form", things{1, "x"}}}
	for i, key := range slices.Sorted(maps.Keys(healthy())) {
		other := kinds[i%len(kinds)] // each kind for a third of the answers
		for name, e := range map[string]any{"503": refusal{http.StatusServiceUnavailable, ""}, other.name: other.answer} {
			t.Run(name+" "+key, func(t *testing.T) {
				t.Parallel()
				w := healthy()
				w[key] = e
				r, err := Run(t.Context(), Options{Root: root, Project: project, Region: region, API: w.serve(t), Getenv: environment(t, "PATH", path)})
				if err != nil {
					t.Fatal(err)
				}
				const missing = 4                                        // tools
				optional := key == get("eventarc", "v1/"+at+"/triggers") // only asked to tell the two kinds of delivery apart
				if r.count(Fail)+r.count(Warn)+r.count(Skip) == missing && !optional {
					t.Error("nobody noticed")
				}
				for _, f := range r.Findings {
					if f.Check == "" || f.Message == "" || f.Status == "" {
						t.Errorf("%+v", f)
					}
				}
			})
		}
	}
}
