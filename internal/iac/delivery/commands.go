package delivery

import (
	"regexp"
	"strings"
)

// gcloudStart is where a command of gcloud begins: at the start of a line, of a substitution, or behind another command,
// with settings of the environment before it.
var gcloudStart = regexp.MustCompile("(?m)(^|\\$\\(|[;|&(`] ?|: )[ \t]*@?((?:[A-Z_]+=\\S* )*)gcloud ")

// GcloudCommands are the commands of gcloud in a piece of shell, each on one line.
func GcloudCommands(shell string) (out []string) {
	shell = strings.ReplaceAll(shell, "\\\n", " ")
	for _, at := range gcloudStart.FindAllStringIndex(shell, -1) {
		start := at[1] - len("gcloud ")
		if c := strings.Join(strings.Fields(shell[start:start+commandEnd(shell[start:])]), " "); c != "gcloud" {
			out = append(out, c)
		}
	}
	return out
}

// commandEnd is where the first command of a piece of shell ends: at the end of its line, or of what it stands in.
func commandEnd(shell string) int {
	quote, depth := byte(0), 0
	for i := 0; i < len(shell); i++ {
		switch c := shell[i]; {
		case quote == '\'' && c != '\'', quote == '"' && c != '"' && c != '\\':
		case c == '\\':
			i++
		case c == quote:
			quote = 0
		case quote == 0 && (c == '\'' || c == '"'):
			quote = c
		case c == '(':
			depth++
		case c == ')' && depth > 0:
			depth--
		case c == '\n', c == ')', depth == 0 && strings.IndexByte("|;&<>`#", c) >= 0:
			return i
		}
	}
	return len(shell)
}

// CodeOf is the code of a page in Markdown: its fenced blocks, but for those of plain text, and the spans in its sentences,
// a line each.
func CodeOf(page string) string {
	var b strings.Builder
	for i, part := range strings.Split(page, "```") {
		if i%2 == 1 {
			if kind, code, _ := strings.Cut(part, "\n"); kind != "text" {
				b.WriteString(code + "\n")
			}
			continue
		}
		for j, span := range strings.Split(part, "`") {
			if j%2 == 1 {
				b.WriteString(strings.ReplaceAll(span, "\n", " ") + "\n")
			}
		}
	}
	return b.String()
}

// comment is one in a Makefile or in YAML.
var comment = regexp.MustCompile(`(?m)(^|[ \t]+)#.*$`)

// Uncommented is a Makefile or YAML file without its comments.
func Uncommented(text string) string { return comment.ReplaceAllString(text, "") }

// target is a rule of a Makefile; its first mark of ## is for everybody, #### for those who look for more.
var target = regexp.MustCompile(`(?m)^([a-z][a-z0-9/-]*):(?:[^=\n]*?)(?: (##+) .*)?$`)

// Targets are the targets of a Makefile, with the marks of their help.
func Targets(makefile string) map[string]string {
	out := map[string]string{}
	for _, m := range target.FindAllStringSubmatch(makefile, -1) {
		if m[2] != "" || out[m[1]] == "" {
			out[m[1]] = m[2]
		}
	}
	return out
}

// makeCall is make with its first target, as a command: make x, make VAR=1 x.
var makeCall = regexp.MustCompile(`(?m)(?:^[ \t]*@?|[;|&(] ?)make((?: (?:-\S+|[A-Z_]+=\S+))*(?: [a-z][a-z-]*)+)`)

// MakeCalls are the targets that a piece of shell makes.
func MakeCalls(shell string) (out []string) {
	for _, m := range makeCall.FindAllStringSubmatch(shell, -1) {
		for word := range strings.FieldsSeq(m[1]) {
			if !strings.HasPrefix(word, "-") && !strings.Contains(word, "=") {
				out = append(out, word)
			}
		}
	}
	return out
}
