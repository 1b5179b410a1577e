//go:build !unix

package vertex

import (
	"os"
	"syscall"
)

const (
	termSignal = syscall.SIGTERM
	killSignal = syscall.SIGKILL
)

// groupAttributes: there are no process groups to signal here.
func groupAttributes() *syscall.SysProcAttr { return nil }

// signalGroup can only end the process itself.
func signalGroup(leader int, _ syscall.Signal) { killProcess(leader) }

func killProcess(pid int) {
	if p, err := os.FindProcess(pid); err == nil {
		_ = p.Kill()
	}
}

// identity is unknown, so that EndOrphans kills nothing it cannot be sure of.
func identity(int) string { return "" }

func strays(string) []int { return nil }
