package doctor

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// Text writes the report for a person: a line for each finding, then the commands that mend what is wrong, each once.
func (r *Report) Text(w io.Writer) error {
	var b strings.Builder
	if r.Project != "" {
		fmt.Fprintf(&b, "project %s, region %s\n", r.Project, or(r.Region, "not named"))
	}
	width := 0
	for _, f := range r.Findings {
		width = max(width, len(f.Check))
	}
	waiting, roots := map[string][]string{}, []string{}
	for _, f := range r.Findings {
		if f.root == "" {
			fmt.Fprintf(&b, "%-4s  %-*s  %s\n", f.Status, width, f.Check, f.Message)
			continue
		}
		if waiting[f.root] == nil {
			roots = append(roots, f.root)
		}
		waiting[f.root] = append(waiting[f.root], f.Check)
	}
	for _, root := range roots {
		fmt.Fprintf(&b, "%-4s  because of %s: %s\n", Skip, root, strings.Join(waiting[root], ", "))
	}
	if r.LeftOut > 0 {
		fmt.Fprintf(&b, "%d checks of the project are left out: they need credentials, a project and a region\n", r.LeftOut)
	}
	r.fixes(&b)
	switch fails, warns, skips := r.count(Fail), r.count(Warn), r.count(Skip); {
	case fails > 0:
		fmt.Fprintf(&b, "\n%d to mend, %d to look at, %d not looked at\n", fails, warns, skips)
	case warns+skips > 0:
		fmt.Fprintf(&b, "\nnothing is broken; %d to look at, %d not looked at\n", warns, skips)
	default:
		b.WriteString("\nall is well\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// group is one list of commands, and the checks that it mends.
type group struct {
	checks []string
	lines  []string
}

// groups are the fixes in the order of the findings, equal ones together. A finding that only could not be read comes
// last: what is broken is mended first.
func (r *Report) groups() []group {
	var all []group
	for _, pass := range []func(Status) bool{func(s Status) bool { return s == Fail }, func(s Status) bool { return s != Fail }} {
		for _, f := range r.Findings {
			if len(f.Fix) == 0 || !pass(f.Status) {
				continue
			}
			at := slices.IndexFunc(all, func(g group) bool { return slices.Equal(g.lines, f.Fix) })
			if at < 0 {
				at, all = len(all), append(all, group{lines: f.Fix})
			}
			if !slices.Contains(all[at].checks, f.Check) {
				all[at].checks = append(all[at].checks, f.Check)
			}
		}
	}
	return all
}

// fixes writes the commands, each once: at its first place, over which all checks stand that it mends.
func (r *Report) fixes(b *strings.Builder) {
	groups := r.groups()
	mends := map[string][]string{}
	for _, g := range groups {
		for _, l := range g.lines {
			mends[l] = append(mends[l], g.checks...)
		}
	}
	told := map[string]bool{}
	for i, g := range groups {
		if i == 0 {
			b.WriteString("\nfix\n")
		}
		var lines, checks []string
		command := false
		for _, l := range g.lines {
			if told[l] {
				continue
			}
			told[l] = true
			lines = append(lines, l)
			if comment := strings.HasPrefix(l, "#"); !comment {
				command, checks = true, append(checks, mends[l]...)
			}
		}
		if len(lines) == 0 || !command && len(lines) < len(g.lines) {
			continue // what is left are remarks about commands told above
		}
		if !command {
			checks = g.checks
		}
		fmt.Fprintf(b, "# %s\n", strings.Join(unique(checks), ", "))
		for _, l := range lines {
			fmt.Fprintf(b, "  %s\n", l)
		}
	}
}

// unique keeps the first of equal names.
func unique(names []string) []string {
	var some []string
	for _, n := range names {
		if !slices.Contains(some, n) {
			some = append(some, n)
		}
	}
	return some
}
