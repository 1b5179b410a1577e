//go:build unix

package vertex

import "syscall"

const (
	termSignal = syscall.SIGTERM
	killSignal = syscall.SIGKILL
)

// signalGroup signals all processes of a group. It has no answer: a group that is gone is what is wanted.
func signalGroup(leader int, s syscall.Signal) { _ = syscall.Kill(-leader, s) }

func killProcess(pid int) { _ = syscall.Kill(pid, syscall.SIGKILL) }
