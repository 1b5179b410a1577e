package vertex

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"time"

	bolt "go.etcd.io/bbolt"
)

// exit is how a process ended.
type exit struct {
	process *process
	err     error // it could not be started, or ended with another status than 0
	stopped bool  // ctx ended it
	broken  error // the store failed; the process is ended too
}

// starter starts processes from one OS thread that lives as long as the server: on Linux a child is killed when the
// thread that made it ends, not only when the process does.
type starter struct {
	requests chan startRequest
	done     chan struct{}
}

type startRequest struct {
	cmd   *exec.Cmd
	reply chan error
}

func newStarter() *starter {
	s := &starter{requests: make(chan startRequest), done: make(chan struct{})}
	go func() {
		defer close(s.done)
		runtime.LockOSThread() // never unlocked: the thread ends with this goroutine
		for q := range s.requests {
			q.reply <- q.cmd.Start()
		}
	}()
	return s
}

func (s *starter) start(cmd *exec.Cmd) error {
	reply := make(chan error)
	s.requests <- startRequest{cmd, reply}
	return <-reply
}

// close must come after the last start.
func (s *starter) close() { close(s.requests); <-s.done }

// runProcess runs a command in a process group of its own until it ends, or until ctx ends: then the group gets SIGTERM,
// and SIGKILL after the grace. What the process leaves behind in its group is killed.
func (s *Server) runProcess(ctx context.Context, c command) exit {
	log, err := newAttemptLog(c.logFile, s.o.LogBytes)
	if err != nil {
		return exit{err: err}
	}
	cmd := exec.Command(c.argv[0], c.argv[1:]...) //nolint:noctx // its whole group is ended by await, with a grace
	cmd.Env, cmd.Dir = c.env, c.dir
	cmd.SysProcAttr = groupAttributes()
	streams, err := newStreams(cmd, log)
	if err == nil {
		err = s.starter.start(cmd)
	}
	if err != nil {
		streams.abandon()
		return exit{err: errors.Join(fmt.Errorf("start %s: %w", c.argv[0], err), log.close())}
	}
	streams.copy()

	p := &process{Pid: cmd.Process.Pid, Identity: identity(cmd.Process.Pid), Task: c.task}
	waited := make(chan error, 1)
	go func() { waited <- cmd.Wait() }()
	e := exit{process: p}
	s.o.Log.Debug("process started", "task", c.task, "pid", p.Pid)
	if e.broken = s.store.addProcess(p); e.broken != nil {
		signalGroup(p.Pid, killSignal)
		if err := <-waited; err != nil { // it was killed
			s.o.Log.Debug("process not recorded", "task", c.task, "end", err.Error())
		}
	} else {
		s.o.Log.Debug("process recorded", "task", c.task, "pid", p.Pid)
		e.stopped, err = s.await(ctx, p.Pid, waited)
	}
	signalGroup(p.Pid, killSignal)
	streams.wait()
	tail := log.tailLines()
	if e2 := log.close(); e2 != nil {
		s.o.Log.Warn("vertex: the log of a task could not be written", "file", c.logFile, "error", e2)
	}
	s.o.Log.Debug("process ended", "task", c.task, "pid", p.Pid)
	if err != nil && !e.stopped {
		e.err = err
		if tail != "" {
			e.err = fmt.Errorf("%w; stderr ends: %s", err, tail)
		}
	}
	return e
}

// await waits for the end of a process. stopped says that it was asked to end: what ends by itself after that counts too.
func (s *Server) await(ctx context.Context, pid int, waited <-chan error) (stopped bool, err error) {
	select {
	case err := <-waited:
		return ctx.Err() != nil, err
	case <-ctx.Done():
	}
	signalGroup(pid, termSignal)
	timer := time.NewTimer(s.o.Grace)
	defer timer.Stop()
	select {
	case err := <-waited:
		return true, err
	case <-timer.C:
	case <-s.kill:
	}
	signalGroup(pid, killSignal)
	return true, <-waited
}

// streams are the output pipes of a process. They are ours and not exec.Cmd's, whose Wait would wait for grandchildren
// that hold them.
type streams struct {
	read, write []*os.File
	to          []io.Writer
	wg          sync.WaitGroup
}

func newStreams(cmd *exec.Cmd, log *attemptLog) (*streams, error) {
	s := &streams{}
	for _, w := range []io.Writer{log.stdout(), log.stderr()} {
		r, wr, err := os.Pipe()
		if err != nil {
			return s, err
		}
		s.read, s.write, s.to = append(s.read, r), append(s.write, wr), append(s.to, w)
	}
	cmd.Stdout, cmd.Stderr = s.write[0], s.write[1]
	return s, nil
}

// copy moves output to the log from now on.
func (s *streams) copy() {
	for _, w := range s.write {
		_ = w.Close() // ours; the process has its own
	}
	for i, r := range s.read {
		s.wg.Go(func() { _, _ = io.Copy(s.to[i], r) }) // an error here is wait's closing
	}
}

// wait ends the copying. A process that left the group may hold the pipes open; it does not hold us.
func (s *streams) wait() {
	done := make(chan struct{})
	go func() { s.wg.Wait(); close(done) }()
	timer := time.NewTimer(time.Second)
	defer timer.Stop()
	select {
	case <-done:
	case <-timer.C:
	}
	for _, r := range s.read {
		_ = r.Close()
	}
	<-done
}

func (s *streams) abandon() {
	for _, f := range append(s.read, s.write...) {
		_ = f.Close()
	}
}

// orphanDeadline bounds the wait for killed processes to be gone.
const orphanDeadline = 10 * time.Second

// EndOrphans kills the process groups that an earlier server recorded and, on Linux, every process whose TMPDIR lies in
// dir, and waits until they are gone. Open calls it; where other servers listen before Open is called, call it before
// that, or a step that outlived a kill could still reach them. log may be nil.
func EndOrphans(db *bolt.DB, dir string, log *slog.Logger) error {
	if log == nil {
		log = slog.Default()
	}
	if err := makeBuckets(db); err != nil {
		return err
	}
	abs, err := folder(dir)
	if err != nil {
		return err
	}
	st := store{db}
	recorded, err := st.processes()
	if err != nil {
		return err
	}
	kill := func() (left []int) {
		for _, p := range recorded {
			// A group whose leader is gone may belong to somebody else by now: only what is surely ours is killed.
			if p.Identity != "" && identity(p.Pid) == p.Identity {
				signalGroup(p.Pid, killSignal)
				left = append(left, p.Pid)
			}
		}
		for _, pid := range strays(abs) {
			killProcess(pid)
			left = append(left, pid)
		}
		return left
	}
	left := kill()
	if len(left) > 0 {
		log.Info("ended processes of an earlier run", "pids", left)
	}
	deadline := time.NewTimer(orphanDeadline)
	defer deadline.Stop()
	poll := time.NewTicker(2 * time.Millisecond)
	defer poll.Stop()
	for len(left) > 0 {
		select {
		case <-poll.C:
			left = kill()
		case <-deadline.C:
			return fmt.Errorf("processes %v of an earlier run do not end", left)
		}
	}
	return st.forgetProcesses(recorded)
}
