package bundle

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/millrace-ml/millrace/shared/fault"
)

const (
	startLimit = 60 * time.Second // parity rows of a large model are proven before the port listens
	stopLimit  = 10 * time.Second // what Cloud Run gives
	askLimit   = 60 * time.Second
	parityRows = 100 // of one request
)

// settings let a function start that needs clients. Nobody listens at the addresses: what the gate asks needs no answer
// from behind the function.
func settings() []string {
	const nobody = "127.0.0.1:9"
	return []string{
		"GOOGLE_CLOUD_PROJECT=gate", "REGION=europe-west1", "INBOX_BUCKET=gate-inbox", "OUTBOX_BUCKET=gate-outbox",
		"STAGING_BUCKET=gate-staging", "ARTIFACTS_BUCKET=gate-artifacts", "PIPELINE_SERVICE_ACCOUNT=gate@gate.iam.gserviceaccount.com",
		"OPERATORS=gate@example.com", "STORAGE_EMULATOR_HOST=" + nobody, "FIRESTORE_EMULATOR_HOST=" + nobody,
		"VERTEX_ENDPOINT=" + nobody, "PUBSUB_ENDPOINT=" + nobody,
	}
}

// server is a started bundle.
type server struct {
	url  string
	cmd  *exec.Cmd
	log  bytes.Buffer // read only after done
	done chan struct{}
	err  error
}

// start runs the program as Cloud Run does, in the folder above its source, and waits until it listens.
func start(ctx context.Context, binary string, f Function) (*server, error) {
	port, err := freePort(ctx)
	if err != nil {
		return nil, err
	}
	s := &server{url: "http://127.0.0.1:" + port, done: make(chan struct{})}
	s.cmd = exec.CommandContext(ctx, binary)
	s.cmd.Dir = filepath.Dir(binary)
	s.cmd.Env = append([]string{"FUNCTION_TARGET=" + f.Target, "HOST=127.0.0.1", "PORT=" + port, "PATH=" + os.Getenv("PATH"), "HOME=" + s.cmd.Dir}, settings()...)
	s.cmd.Stdout, s.cmd.Stderr = &s.log, &s.log
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		s.err = s.cmd.Wait()
		close(s.done)
	}()
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	for tick := time.NewTicker(20 * time.Millisecond); ; {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", "127.0.0.1:"+port)
		if err == nil {
			tick.Stop()
			return s, conn.Close()
		}
		select {
		case <-tick.C:
		case <-s.done:
			return nil, fmt.Errorf("the bundle ended before it listened: %w\n%s", s.err, s.log.String())
		case <-ctx.Done():
			return nil, fmt.Errorf("the bundle does not listen after %s: %w", startLimit, errors.Join(ctx.Err(), s.stop()))
		}
	}
}

// stop ends the program as Cloud Run does. It has to leave by itself, with 0.
func (s *server) stop() error {
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-s.done:
	case <-time.After(stopLimit):
		err := s.cmd.Process.Kill()
		<-s.done
		return errors.Join(fmt.Errorf("the bundle still runs %s after SIGTERM", stopLimit), err)
	}
	if s.err != nil {
		return fmt.Errorf("the bundle, told to leave, ended with: %w\n%s", s.err, s.log.String())
	}
	return nil
}

func freePort(ctx context.Context) (string, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	_, port, err := net.SplitHostPort(l.Addr().String())
	return port, errors.Join(err, l.Close())
}

// send gives the status and the body of an answer.
func (s *server) send(ctx context.Context, method string, body []byte) (int, []byte, error) {
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, s.url+"/", bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	return resp.StatusCode, answer, err
}

// greet asks for what needs nothing behind the function, and wants our own answer, a refusal too.
func (s *server) greet(ctx context.Context) error {
	status, body, err := s.send(ctx, http.MethodGet, nil)
	if err != nil {
		return err
	}
	if status >= http.StatusInternalServerError || !json.Valid(body) {
		return fault.New(fault.Internal, nil, "the bundle answers GET / with %d %.200q, expected JSON and no failure", status, body)
	}
	return nil
}

// parity sends the parity rows and wants the answers of the same function in this process.
func (s *server) parity(ctx context.Context, model string) error {
	p, err := OpenParity(ctx, model)
	if err != nil {
		return err
	}
	for _, x := range p.Exchanges(parityRows) {
		status, got, err := s.send(ctx, http.MethodPost, x.Request)
		if err != nil {
			return err
		}
		if err := x.Check("the bundle", status, got); err != nil {
			return err
		}
	}
	return nil
}
