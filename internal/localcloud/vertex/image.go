package vertex

import (
	"debug/buildinfo"
	"fmt"
	"maps"
	"math"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Image is the program that stands for a container image.
type Image struct {
	// Binary is the start of the argument list: an absolute path, and what follows it, such as "step".
	Binary []string
	// Entrypoint is the image's own entrypoint; a command that begins with it begins with Binary instead.
	Entrypoint string
}

// checkImages refuses tables that cannot work. A test binary would run the tests again, in every step.
func checkImages(images map[string]Image) error {
	for _, repo := range slices.Sorted(maps.Keys(images)) {
		im := images[repo]
		if len(im.Binary) == 0 || !filepath.IsAbs(im.Binary[0]) {
			return fmt.Errorf("image %s: Binary %q does not begin with an absolute path", repo, im.Binary)
		}
		if repository(repo) != repo {
			return fmt.Errorf("image %s: the table goes by repository: leave the tag and the digest out", repo)
		}
		if isTestBinary(im.Binary[0]) {
			return fmt.Errorf("image %s: %s is a test binary, it would run the tests again: build the program once in TestMain", repo, im.Binary[0])
		}
	}
	return nil
}

func isTestBinary(path string) bool {
	base := strings.TrimSuffix(filepath.Base(path), ".exe")
	if strings.HasSuffix(base, ".test") {
		return true
	}
	info, err := buildinfo.ReadFile(path)
	return err == nil && strings.HasSuffix(info.Path, ".test")
}

// repository is an image reference without tag and digest.
func repository(ref string) string {
	ref, _, _ = strings.Cut(ref, "@")
	slash := strings.LastIndexByte(ref, '/')
	if colon := strings.LastIndexByte(ref, ':'); colon > slash {
		ref = ref[:colon]
	}
	return ref
}

// command is what stands for a container.
type command struct {
	argv    []string
	env     []string
	dir     string
	logFile string
	task    string // for the record of the process
}

// command builds the process of an attempt. Its errors lie in the spec or in the image table.
func (r *run) command(t *task, rec *record, in *values, c *containerSpec, io *attemptIO) (command, error) {
	lookup := r.lookup(t, rec, in, io)
	ref, err := expand(c.GetImage(), lookup)
	if err != nil {
		return command{}, fmt.Errorf("image: %w", err)
	}
	argv, err := arguments(c.GetCommand(), in, lookup)
	if err != nil {
		return command{}, fmt.Errorf("command: %w", err)
	}
	args, err := arguments(c.GetArgs(), in, lookup)
	if err != nil {
		return command{}, fmt.Errorf("args: %w", err)
	}
	im, ok := r.s.o.Images[repository(ref)]
	if !ok {
		return command{}, fmt.Errorf("no program is known for the image %q; known are %s; add one with %s",
			repository(ref), list(slices.Sorted(maps.Keys(r.s.o.Images))), r.s.o.ImageSetting)
	}
	if len(argv) > 0 && argv[0] != im.Entrypoint {
		return command{}, fmt.Errorf("command %q is not the entrypoint %q of the image %s, and nothing else of an image can run here", argv[0], im.Entrypoint, repository(ref))
	}
	if len(argv) > 0 {
		argv = argv[1:]
	}
	full := slices.Concat(im.Binary, argv, args)
	for i := len(im.Binary); i < len(full); i++ {
		full[i] = io.argument(full[i])
	}
	for _, a := range full {
		if strings.ContainsRune(a, 0) {
			return command{}, fmt.Errorf("argument %q has a zero byte", shorten(a, 60))
		}
	}
	env, err := r.environment(c, io, lookup)
	if err != nil {
		return command{}, err
	}
	return command{argv: full, env: env, dir: io.root, logFile: io.log, task: rec.detail.TaskUniqueName}, nil
}

var variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// environment is all that a process finds set: the limits, which the spec may set otherwise, the spec's variables, and
// last what keeps its traffic and its files here.
func (r *run) environment(c *containerSpec, io *attemptIO, lookup func(string) (string, error)) ([]string, error) {
	vars := map[string]string{}
	res := c.GetResources()
	if res.GetCpuLimit() > 0 {
		vars["GOMAXPROCS"] = strconv.FormatFloat(math.Ceil(res.GetCpuLimit()), 'f', -1, 64)
	}
	if res.GetMemoryLimit() > 0 {
		vars["GOMEMLIMIT"] = strconv.FormatInt(int64(math.Min(0.9*1e9*res.GetMemoryLimit(), math.MaxInt64/2)), 10) // memoryLimit is in GB
	}
	for _, e := range c.GetEnv() {
		if !variableName.MatchString(e.GetName()) {
			return nil, fmt.Errorf("env: %q is no name of a variable", e.GetName())
		}
		v, err := expand(e.GetValue(), lookup)
		if err != nil {
			return nil, fmt.Errorf("env %s: %w", e.GetName(), err)
		}
		if strings.ContainsRune(v, 0) {
			return nil, fmt.Errorf("env %s: the value has a zero byte", e.GetName())
		}
		vars[e.GetName()] = io.argument(references(v, vars))
	}
	maps.Copy(vars, r.s.o.Env)
	vars["GOOGLE_CLOUD_PROJECT"] = r.name.project
	vars["TMPDIR"] = io.tmp
	var env []string
	for _, k := range slices.Sorted(maps.Keys(vars)) {
		env = append(env, k+"="+vars[k])
	}
	return env, nil
}

var reference = regexp.MustCompile(`\$?\$\([A-Za-z_][A-Za-z0-9_]*\)`)

// references expands $(NAME) by the variables set so far; $$(NAME) is an escape, unknown names stay as they are.
func references(v string, vars map[string]string) string {
	return reference.ReplaceAllStringFunc(v, func(m string) string {
		if escaped, ok := strings.CutPrefix(m, "$$"); ok {
			return "$" + escaped
		}
		if value, ok := vars[m[2:len(m)-1]]; ok {
			return value
		}
		return m
	})
}
