package entry

import (
	"context"
	"log/slog"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
	"time"
)

// After SIGTERM Cloud Run routes nothing new to the instance and kills it after 10 s. functions-framework neither takes
// the signal nor gives its server out, so requests are counted here: answers say Connection: close, and the process leaves
// when none was there for drainIdle, or at drainLimit.
const (
	drainIdle  = 200 * time.Millisecond
	drainLimit = 8 * time.Second
	closeLimit = time.Second
	drainPoll  = 5 * time.Millisecond
)

// drain counts the requests that are not yet answered.
type drain struct {
	open    atomic.Int64
	last    atomic.Int64 // when open last changed, in ns since start
	started time.Time
	leaving atomic.Bool
}

func (d *drain) enter() { d.open.Add(1); d.touch() }

func (d *drain) leave() { d.touch(); d.open.Add(-1) }

func (d *drain) touch() {
	if d.leaving.Load() {
		d.last.Store(int64(time.Since(d.started)))
	}
}

// idle blocks until no request was open for drainIdle, or until ctx ends.
func (d *drain) idle(ctx context.Context) {
	tick := time.NewTicker(drainPoll)
	defer tick.Stop()
	for {
		if d.open.Load() == 0 && time.Since(d.started)-time.Duration(d.last.Load()) >= drainIdle {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// onSIGTERM drains and then leaves when the signal comes. The goroutine lives as long as the process.
func (d *drain) onSIGTERM(leave func()) {
	term := make(chan os.Signal, 1)
	signal.Notify(term, syscall.SIGTERM)
	go func() {
		<-term
		ctx, cancel := context.WithTimeout(context.Background(), drainLimit-closeLimit)
		defer cancel()
		d.started = time.Now()
		d.leaving.Store(true)
		d.idle(ctx)
		leave()
	}()
}

// leave closes the function and ends the process.
func leave(f *Function, log *slog.Logger) {
	if f.Close != nil {
		ctx, cancel := context.WithTimeout(context.Background(), closeLimit)
		defer cancel()
		if err := f.Close(ctx); err != nil {
			log.Error("close: " + err.Error())
		}
	}
	os.Exit(0)
}
