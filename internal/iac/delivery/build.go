// Package delivery checks the files that bring a change to Google Cloud: the builds of Cloud Build, the workflows of GitHub,
// the Makefile that both run, and the gcloud commands of all of them and of the documentation. It finds before a push what
// Cloud Build, GitHub or gcloud would only say after it. It runs no build; what a deployment does is tested by package
// deploy, and the infrastructure by package policy.
package delivery

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"cloud.google.com/go/cloudbuild/apiv1/v2/cloudbuildpb"
	"github.com/goccy/go-yaml"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// ReadBuild reads a build file as strictly as the service does: an unknown key, a wrong value of a known one, and a duration
// without its unit are errors.
func ReadBuild(text []byte) (*cloudbuildpb.Build, error) {
	data, err := yaml.YAMLToJSON(text)
	if err != nil {
		return nil, err
	}
	b := &cloudbuildpb.Build{}
	if err := (protojson.UnmarshalOptions{}).Unmarshal(data, b); err != nil {
		return nil, err
	}
	return b, nil
}

// builtIn are the substitutions that Cloud Build sets itself; those below the line break only for pull requests.
var builtIn = strings.Fields(`PROJECT_ID BUILD_ID PROJECT_NUMBER LOCATION SERVICE_ACCOUNT_EMAIL SERVICE_ACCOUNT TRIGGER_NAME COMMIT_SHA REVISION_ID SHORT_SHA
	REPO_NAME REPO_FULL_NAME BRANCH_NAME TAG_NAME REF_NAME TRIGGER_BUILD_CONFIG_PATH
	_HEAD_BRANCH _BASE_BRANCH _HEAD_REPO_URL _PR_NUMBER`)

// pinnedImage is an image with the version that people read and the digest that counts.
var pinnedImage = regexp.MustCompile(`^[a-z0-9./-]+:[\w.-]+@sha256:[0-9a-f]{64}$`)

// Problems are the rules that a build breaks: the service's own, which it checks only when it gets the build, and ours.
func Problems(b *cloudbuildpb.Build) []string {
	c := &checker{build: b}
	for i, s := range b.Steps {
		c.step(i, s)
	}
	if len(b.Steps) == 0 {
		c.add("it has no steps")
	}
	c.substitutions()
	c.account()
	c.times()
	c.volumes()
	return c.found
}

type checker struct {
	build *cloudbuildpb.Build
	found []string
}

func (c *checker) add(format string, args ...any) {
	c.found = append(c.found, fmt.Sprintf(format, args...))
}

// step checks what can be said of one step and of those before it.
func (c *checker) step(i int, s *cloudbuildpb.BuildStep) {
	name := fmt.Sprintf("step %d (%s)", i+1, s.Id)
	var before []string
	for _, e := range c.build.Steps[:i] {
		before = append(before, e.Id)
	}
	switch {
	case s.Name == "":
		c.add("%s has no image", name)
	case !pinnedImage.MatchString(s.Name):
		c.add("%s: image %s: expected name:version@sha256:…, since a tag moves", name, s.Name)
	}
	switch {
	case s.Id == "":
		c.add("%s has no id", name)
	case slices.Contains(before, s.Id):
		c.add("%s: the id is taken by an earlier step", name)
	}
	for _, w := range s.WaitFor {
		if w != "-" && !slices.Contains(before, w) {
			c.add("%s waits for %q, which is no earlier step", name, w)
		}
	}
	if s.Timeout.AsDuration() <= 0 {
		c.add("%s has no timeout", name)
	}
	if s.Script != "" && (s.Entrypoint != "" || len(s.Args) > 0) {
		c.add("%s has a script, which excludes entrypoint and args", name)
	}
}

// reference finds $NAME and ${NAME…}; $$ is a dollar.
var reference = regexp.MustCompile(`\$\$|\$\{([A-Z_][A-Z0-9_]*)[^}]*\}|\$([A-Z_][A-Z0-9_]*)`)

// substitutions: what is used is declared or built in, and what is declared is used.
func (c *checker) substitutions() {
	b := c.build
	used := map[string]string{} // name to where
	strs(b.ProtoReflect(), "", func(path, value string) {
		script := strings.HasSuffix(path, "script")
		if script && !b.GetOptions().GetAutomapSubstitutions() {
			return // there $NAME is the shell's
		}
		for _, m := range reference.FindAllStringSubmatch(value, -1) {
			if name := m[1] + m[2]; name != "" && used[name] == "" {
				used[name] = path
			}
		}
	})
	for name := range b.Substitutions {
		if !strings.HasPrefix(name, "_") {
			c.add("substitution %s: names of own ones begin with _", name)
		}
		if used[name] == "" {
			c.add("substitution %s is declared and used nowhere", name)
		}
	}
	for name, path := range used {
		_, declared := b.Substitutions[name]
		if !declared && !slices.Contains(builtIn, name) {
			c.add("%s uses $%s, which is neither declared nor built in; a dollar is $$", path, name)
		}
	}
	for i, s := range b.Steps {
		if s.Script != "" && scriptUses(s.Script) && !b.GetOptions().GetAutomapSubstitutions() && !s.GetAutomapSubstitutions() {
			c.add("step %d (%s): a script gets no substitutions without automapSubstitutions", i+1, s.Id)
		}
	}
	o := b.Options
	if o.GetSubstitutionOption() == cloudbuildpb.BuildOptions_MUST_MATCH || !o.GetDynamicSubstitutions() {
		c.add("options: a triggered build has substitutionOption ALLOW_LOOSE and dynamicSubstitutions, gcloud builds submit has not: set both")
	}
	slices.Sort(c.found)
}

// scriptUses says whether a script names a substitution of Cloud Build.
func scriptUses(script string) bool {
	for _, m := range reference.FindAllStringSubmatch(script, -1) {
		if name := m[1] + m[2]; strings.HasPrefix(name, "_") || slices.Contains(builtIn, name) {
			return true
		}
	}
	return false
}

// account: a build with an account of its own must say where its log goes.
func (c *checker) account() {
	o := c.build.GetOptions()
	says := o.GetLogging() == cloudbuildpb.BuildOptions_CLOUD_LOGGING_ONLY || o.GetLogging() == cloudbuildpb.BuildOptions_NONE ||
		c.build.LogsBucket != "" || o.GetDefaultLogsBucketBehavior() != cloudbuildpb.BuildOptions_DEFAULT_LOGS_BUCKET_BEHAVIOR_UNSPECIFIED
	switch {
	case c.build.ServiceAccount == "":
		c.add("there is no serviceAccount: the build would run as the project's default one")
	case !says:
		c.add("a serviceAccount needs options.logging CLOUD_LOGGING_ONLY or NONE, a logsBucket or a defaultLogsBucketBehavior")
	}
}

// times: the longest way through the steps fits into the whole.
func (c *checker) times() {
	all, longest := c.build.Timeout.AsDuration(), time.Duration(0)
	ends := map[string]time.Duration{}
	for _, s := range c.build.Steps {
		start := longest // waitFor left out: all steps before
		if len(s.WaitFor) > 0 {
			start = 0
			for _, w := range s.WaitFor {
				start = max(start, ends[w])
			}
		}
		ends[s.Id] = start + s.Timeout.AsDuration()
		longest = max(longest, ends[s.Id])
	}
	switch {
	case all == 0:
		c.add("there is no timeout: Cloud Build ends a build after 60 minutes")
	case all < longest:
		c.add("timeout %s: the steps may take %s", all, longest)
	}
}

// volumes: one that a single step has keeps nothing for anybody, and Cloud Build refuses it.
func (c *checker) volumes() {
	uses := map[string]int{}
	for _, s := range c.build.Steps {
		for _, v := range s.Volumes {
			uses[v.Name]++
		}
	}
	for _, v := range c.build.GetOptions().GetVolumes() {
		uses[v.Name] += len(c.build.Steps)
	}
	for name, n := range uses {
		if n < 2 {
			c.add("volume %s is used by one step alone", name)
		}
	}
}

// strs calls do for every string in a message, with its path.
func strs(m protoreflect.Message, path string, do func(path, value string)) {
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		at := strings.TrimPrefix(path+"."+f.JSONName(), ".")
		one := func(at string, v protoreflect.Value) {
			switch f.Kind() {
			case protoreflect.StringKind:
				do(at, v.String())
			case protoreflect.MessageKind:
				strs(v.Message(), at, do)
			}
		}
		switch {
		case f.IsMap():
			v.Map().Range(func(k protoreflect.MapKey, v protoreflect.Value) bool {
				if f.MapValue().Kind() == protoreflect.StringKind {
					do(at+"."+k.String(), v.String())
				}
				return true
			})
		case f.IsList():
			for i := range v.List().Len() {
				one(fmt.Sprintf("%s[%d]", at, i), v.List().Get(i))
			}
		default:
			one(at, v)
		}
		return true
	})
}
