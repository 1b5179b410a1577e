//go:build unix && !linux

package vertex

import (
	"os/exec"
	"strconv"
	"strings"
	"syscall"
)

// groupAttributes: a group of its own. Here nothing ends it with the server; EndOrphans does.
func groupAttributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// identity is the start time of a process, "" if it is gone or a zombie.
func identity(pid int) string {
	out, err := exec.Command("/bin/ps", "-o", "stat=,lstart=", "-p", strconv.Itoa(pid)).Output()
	if err != nil {
		return ""
	}
	state, start, ok := strings.Cut(strings.TrimSpace(string(out)), " ")
	if !ok || strings.HasPrefix(state, "Z") {
		return ""
	}
	return strings.TrimSpace(start)
}

// strays needs the environment of other processes, which is not to be had here: recorded groups must do.
func strays(string) []int { return nil }
