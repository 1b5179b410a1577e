package main

import (
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

// Whoever types a command of a runbook is in a hurry: each is a command line that this program understands.
func TestCommandsOfRunbooks(t *testing.T) {
	t.Parallel()
	pages, err := filepath.Glob("../../docs/runbooks/*.md")
	if err != nil {
		t.Fatal(err)
	}
	command := regexp.MustCompile("bin/millrace ([^`\n|]+)")
	values := strings.NewReplacer(`"`, "", "$RUN", "bike-demand-20260131-0123456789abcdef0123")
	seen := 0
	for _, page := range pages {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range command.FindAllStringSubmatch(string(text), -1) {
			seen++
			if err := parses(strings.Fields(values.Replace(m[1]))); err != nil {
				t.Errorf("%s: bin/millrace %s: %v", filepath.Base(page), m[1], err)
			}
		}
	}
	if seen == 0 {
		t.Errorf("the pages %q have no command", pages)
	}
	if parses([]string{"runs", "restart", "x"}) == nil {
		t.Error("an unknown command passes")
	}
}

func parses(args []string) error {
	var line cli
	parser, err := kong.New(&line, kong.Name("millrace"), kong.Writers(io.Discard, io.Discard), kong.Exit(func(int) {}))
	if err != nil {
		return err
	}
	_, err = parser.Parse(args)
	return err
}
