package vertex

import (
	"bytes"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
)

// groupAttributes: a group of its own, to be signalled as one; and death together with the server.
func groupAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// bootID tells start times of this boot from those of an earlier one.
var bootID = sync.OnceValue(func() string {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "unknown boot"
	}
	return strings.TrimSpace(string(b))
})

// identity is the boot and the start time of a process, "" if it is gone or a zombie.
func identity(pid int) string {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return ""
	}
	// The name, in parentheses, may hold anything. After it: state is field 3 of proc(5), the start time field 22.
	fields := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
	if len(fields) < 20 || fields[0] == "Z" || fields[0] == "X" {
		return ""
	}
	return bootID() + " " + fields[19]
}

// strays are the living processes whose TMPDIR lies in dir: steps that were started but not yet recorded, and what they
// started in groups of their own.
func strays(dir string) []int {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	var pids []int
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		env, err := os.ReadFile("/proc/" + e.Name() + "/environ") // other users' cannot be read
		if err == nil && inTaskFolder(env, dir) && identity(pid) != "" {
			pids = append(pids, pid)
		}
	}
	return pids
}

// inTaskFolder says whether an environment is one that we made: its TMPDIR is dir/project/location/job/task/attempt/tmp.
func inTaskFolder(env []byte, dir string) bool {
	for v := range bytes.SplitSeq(env, []byte{0}) {
		rest, ok := strings.CutPrefix(string(v), "TMPDIR="+dir+"/")
		parts := strings.Split(rest, "/")
		if !ok || len(parts) != 6 || parts[5] != "tmp" {
			continue
		}
		_, taskErr := strconv.Atoi(parts[3])
		_, attemptErr := strconv.Atoi(parts[4])
		return taskErr == nil && attemptErr == nil
	}
	return false
}
