// Command step is the container program of the tests. It performs its arguments one after the other.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// step is what the actions share.
type step struct {
	outputFile string
	outputs    map[string]json.RawMessage
	artifacts  map[string]any
}

func main() {
	s := &step{outputs: map[string]json.RawMessage{}, artifacts: map[string]any{}}
	args := os.Args[1:]
	for len(args) > 0 {
		if args[0] == "--executor_input" {
			var in struct{ Outputs struct{ OutputFile string } }
			check(json.Unmarshal([]byte(args[1]), &in))
			s.outputFile = in.Outputs.OutputFile
			args = args[2:]
			continue
		}
		name, rest, _ := strings.Cut(args[0], ":")
		s.do(name, rest)
		args = args[1:]
	}
	s.finish()
}

func (s *step) do(name, arg string) {
	path, text, _ := strings.Cut(arg, "=")
	switch name {
	case "out": // key=JSON, for executor_output.json
		s.outputs[path] = json.RawMessage(text)
	case "artifact": // key=JSON of a RuntimeArtifact
		s.artifacts[path] = map[string]any{"artifacts": []json.RawMessage{json.RawMessage(text)}}
	case "file": // path=text
		check(os.MkdirAll(filepath.Dir(path), 0o755))
		check(os.WriteFile(path, []byte(text), 0o644))
	case "journal": // path=line
		appendLine(path, text)
	case "pid":
		appendLine(path, strconv.Itoa(os.Getpid()))
	case "wait": // until the file is there
		for _, err := os.Stat(path); err != nil; _, err = os.Stat(path) {
			time.Sleep(2 * time.Millisecond)
		}
	case "fails": // path=n: the first n processes fail
		appendLine(path, "x")
		b, err := os.ReadFile(path)
		check(err)
		n, err := strconv.Atoi(text)
		check(err)
		if bytes.Count(b, []byte("\n")) <= n {
			fmt.Fprintln(os.Stderr, "not yet")
			os.Exit(7)
		}
	case "alone": // path=journal: says so in the journal if another process holds the path
		f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
		check(err)
		if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
			appendLine(text, "OVERLAP "+path)
		}
	case "spawn": // a process that stays, its pid in the file
		c := exec.Command(os.Args[0], "wait:/nowhere/at/all")
		c.Stdout, c.Stderr = os.Stdout, os.Stderr
		check(c.Start())
		appendLine(path, strconv.Itoa(c.Process.Pid))
	case "spawngroup": // the same in a group of its own
		c := exec.Command(os.Args[0], "wait:/nowhere/at/all")
		c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
		check(c.Start())
		appendLine(path, strconv.Itoa(c.Process.Pid))
	case "deaf":
		signal.Ignore(syscall.SIGTERM)
	case "polite": // path: writes it on SIGTERM and exits 0
		c := make(chan os.Signal, 1)
		signal.Notify(c, syscall.SIGTERM)
		go func() { <-c; appendLine(path, "term"); os.Exit(0) }()
	case "env":
		check(os.WriteFile(path, []byte(strings.Join(os.Environ(), "\n")), 0o644))
	case "args":
		b, err := json.Marshal(os.Args[1:])
		check(err)
		check(os.WriteFile(path, b, 0o644))
	case "copy": // from=to, to may be anywhere
		b, err := os.ReadFile(path)
		check(err)
		check(os.MkdirAll(filepath.Dir(text), 0o755))
		check(os.WriteFile(text, b, 0o644))
	case "links": // file=journal: how many names the file has, and which file it is
		info, err := os.Stat(path)
		check(err)
		stat := info.Sys().(*syscall.Stat_t)
		appendLine(text, fmt.Sprintf("%d-names-of-%d", stat.Nlink, stat.Ino))
	case "stdout":
		fmt.Println(arg)
	case "stderr":
		fmt.Fprintln(os.Stderr, arg)
	case "spam": // n lines of 100 bytes
		n, err := strconv.Atoi(arg)
		check(err)
		for i := range n {
			fmt.Printf("%099d\n", i)
		}
	case "exit":
		code, err := strconv.Atoi(arg)
		check(err)
		os.Exit(code)
	case "silent": // writes no executor_output.json
		s.outputFile = ""
	case "arg": // anything, only to be seen
	default:
		check(fmt.Errorf("unknown action %q", name))
	}
}

func (s *step) finish() {
	if s.outputFile == "" || len(s.outputs)+len(s.artifacts) == 0 {
		return
	}
	b, err := json.Marshal(map[string]any{"parameterValues": s.outputs, "artifacts": s.artifacts})
	check(err)
	check(os.MkdirAll(filepath.Dir(s.outputFile), 0o755))
	check(os.WriteFile(s.outputFile, b, 0o644))
}

func appendLine(path, line string) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	check(err)
	_, err = f.WriteString(line + "\n")
	check(err)
	check(f.Close())
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "step:", err)
		os.Exit(1)
	}
}
