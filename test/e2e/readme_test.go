package e2e

import (
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// shellBlocks are the sh blocks of a Markdown file.
var shellBlocks = regexp.MustCompile("(?ms)^```sh\n(.*?)^```$")

// Every command of README.md runs as it stands, in its order, but for the ports and the data folder.
func TestREADME(t *testing.T) {
	t.Parallel()
	for _, tool := range []string{"make", "bash", "curl"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("skipped: %s is not installed", tool)
		}
	}
	root := checkout(t) // the commands make and delete models
	text, err := os.ReadFile(filepath.Join(root, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(text), "\n"); n >= 200 {
		t.Errorf("README.md has %d lines, 200 is the limit", n)
	}
	checkCode(t, root, string(text))
	port := freeRange(t)
	data := filepath.Join(t.TempDir(), "data")
	env := append(os.Environ(), fmt.Sprintf("PORT=%d", port), "DATA="+data)
	here := strings.NewReplacer("127.0.0.1:8080", "127.0.0.1:"+strconv.Itoa(port), "127.0.0.1:8081", "127.0.0.1:"+strconv.Itoa(port+1), ".millrace/", data+"/")
	uploads := 0
	for _, block := range shellBlocks.FindAllStringSubmatch(string(text), -1) {
		for command := range strings.Lines(block[1]) {
			command = strings.TrimSpace(command)
			switch {
			case command == "" || command == "make test": // this is it
				continue
			case command == "make run":
				makeRun(t, root, env, data)
				continue
			case strings.Contains(command, "gcloud") && !installed("gcloud"):
				t.Logf("skipped: gcloud is not installed: %s", command)
				continue
			}
			if strings.Contains(command, "bike-demand/") && (strings.Contains(command, "cp ") || strings.Contains(command, "uploadType")) && !strings.Contains(command, "scheduled/") {
				uploads++
			}
			cmd := exec.CommandContext(t.Context(), "bash", "-euo", "pipefail", "-c", here.Replace(command))
			cmd.Dir, cmd.Env = root, env
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Errorf("%s\n%v\n%s", command, err, out)
			}
			if strings.Contains(command, ":predict") && !strings.Contains(string(out), `{"predictions":[`) && !strings.Contains(string(out), "did you mean") {
				t.Errorf("%s\nanswers %s", command, out)
			}
		}
	}
	s := connected(t, data)
	for name, r := range s.settled(t, uploads+1) { // and the schedule's
		s.published(t, r, 240, 0)
		t.Logf("%s: %s", name, r.ID)
	}
}

// checkout copies the repository, without what git and make add to it.
func checkout(t *testing.T) string {
	t.Helper()
	from, to := filepath.Clean("../.."), filepath.Join(t.TempDir(), "millrace")
	err := filepath.WalkDir(from, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		if e.IsDir() && (rel == ".git" || rel == "bin" || rel == ".millrace") {
			return fs.SkipDir
		}
		if e.IsDir() {
			return os.MkdirAll(filepath.Join(to, rel), 0o755)
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(to, rel), content, 0o755)
	})
	if err != nil {
		t.Fatal(err)
	}
	return to
}

// checkCode compares the function that the README shows with the one that is there.
func checkCode(t *testing.T, root, readme string) {
	t.Helper()
	const file = "functions/predict/function.go"
	code, err := os.ReadFile(filepath.Join(root, file))
	if err != nil {
		t.Fatal(err)
	}
	_, shown, ok := strings.Cut(readme, "```go\n// "+file+"\n")
	shown, _, _ = strings.Cut(shown, "```")
	for part := range strings.SplitSeq(strings.TrimSpace(shown), "\n\n") {
		if !ok || !strings.Contains(string(code), part) {
			t.Errorf("README.md shows code that is not in %s:\n%s", file, part)
		}
	}
}

func installed(tool string) bool {
	_, err := exec.LookPath(tool)
	return err == nil
}

// makeRun starts the system as a newcomer does and ends it with the test, by Ctrl-C's signal to the whole group; no process
// may be left.
func makeRun(t *testing.T, root string, env []string, data string) {
	t.Helper()
	p := &process{cmd: exec.Command("make", "run"), done: make(chan struct{})}
	p.cmd.Dir, p.cmd.Env, p.cmd.SysProcAttr = root, env, &syscall.SysProcAttr{Setpgid: true}
	p.cmd.Stdout, p.cmd.Stderr = &p.out, &p.out
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { p.err = p.cmd.Wait(); close(p.done) }()
	t.Cleanup(func() {
		group := -p.cmd.Process.Pid
		if err := syscall.Kill(group, syscall.SIGINT); err != nil {
			t.Errorf("interrupt make run: %v", err)
		}
		p.ended(t, 30*time.Second)
		if err := syscall.Kill(group, 0); err == nil {
			t.Error("make run left a process behind")
			_ = syscall.Kill(group, syscall.SIGKILL) // so that the test itself leaves none
		}
		if t.Failed() {
			t.Logf("make run:\n%s", p.out.String())
		}
	})
	p.ready(t, data)
}

// freeRange finds a port with the ports of make run free behind it.
func freeRange(t *testing.T) int {
	t.Helper()
	for range 50 {
		base, err := strconv.Atoi(freePort(t))
		if err != nil {
			t.Fatal(err)
		}
		free := base < 65000
		for i := 0; free && i <= 12; i++ {
			l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(base+i)))
			if err != nil {
				free = false
				break
			}
			l.Close()
		}
		if free {
			return base
		}
	}
	t.Fatal("no range of free ports found")
	return 0
}
