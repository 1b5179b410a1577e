package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/millrace-ml/millrace/functions/predict"
	"github.com/millrace-ml/millrace/shared/entry"
)

const (
	predictLimit  = time.Minute
	maxPrediction = 64 << 20
)

type predictCmd struct {
	Model    string `arg:"" help:"The model."`
	File     string `arg:"" help:"A JSON file: a request, a list of instances, or one instance. - reads standard input."`
	URL      string `help:"Ask this server instead of the model folder: http://127.0.0.1:8080, or a service of Cloud Run, which gets your identity token."`
	Audience string `help:"What the token names, the service's own run.app URL; needed only when --url is another name of it." placeholder:"URL"`
	Models   string `help:"Folder with one folder per model." default:"models" type:"path"`
}

// Run prints the answer, and fails if it is an error.
func (p predictCmd) Run(ctx context.Context, c console) error {
	if p.Audience != "" && p.URL == "" {
		return fmt.Errorf("--audience is for --url: a model folder asks for no token")
	}
	body, err := p.read(c)
	if err != nil {
		return err
	}
	body, err = request(body)
	if err != nil {
		return err
	}
	if p.URL != "" {
		return p.ask(ctx, c, body)
	}
	ctx, cancel := context.WithTimeout(ctx, predictLimit)
	defer cancel()
	server, at, err := p.serve(ctx)
	if err != nil {
		return err
	}
	defer server.Close()
	status, answer, err := call(ctx, http.MethodPost, at+"/v1/models/"+p.Model+":predict", body, nil)
	if err != nil {
		return err
	}
	return p.print(c, status, answer)
}

// print gives the answer to whoever reads standard output, and an error to the person.
func (p predictCmd) print(c console, status int, answer []byte) error {
	if status != http.StatusOK {
		fmt.Fprintf(c.err, "%s\n", bytes.TrimSpace(answer))
		return exit(1)
	}
	_, err := c.out.Write(answer)
	return err
}

func (p predictCmd) read(c console) ([]byte, error) {
	if p.File == "-" {
		return io.ReadAll(c.in)
	}
	return os.ReadFile(p.File)
}

// request puts a list of instances or a single one into the form that the function takes.
func request(body []byte) ([]byte, error) {
	trimmed := bytes.TrimSpace(body)
	switch {
	case len(trimmed) == 0:
		return nil, fmt.Errorf("the file is empty, expected JSON")
	case trimmed[0] == '[':
		return []byte(`{"instances":` + string(trimmed) + `}`), nil
	case trimmed[0] != '{':
		return nil, fmt.Errorf("the file is not JSON, expected an object or a list, found %.20q", trimmed)
	}
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(trimmed, &keys); err == nil {
		for _, k := range []string{"instances", "inputs", "payload"} {
			if _, ok := keys[k]; ok {
				return trimmed, nil
			}
		}
		return []byte(`{"instances":[` + string(trimmed) + `]}`), nil
	}
	return trimmed, nil // the function's own decoder says what is wrong, and takes NaN
}

// serve is the deployed function over the model folder, on a free port of loopback.
func (p predictCmd) serve(ctx context.Context) (*http.Server, string, error) {
	dir := filepath.Join(p.Models, p.Model)
	f, err := predict.Open(ctx, func(key string) string {
		if key == "MODEL_DIR" {
			return dir
		}
		return ""
	})
	if err != nil {
		return nil, "", err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, "", err
	}
	server := &http.Server{Handler: entry.Serve("Predict", f, entry.ServeOptions{Log: entry.NewLogger(io.Discard)}), ReadHeaderTimeout: predictLimit}
	go func() { _ = server.Serve(l) }() // ends with ErrServerClosed when the command is done
	return server, "http://" + l.Addr().String(), nil
}

// call makes one HTTP request and reads its whole answer.
func call(ctx context.Context, method, url string, body []byte, header http.Header) (int, []byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	for k, v := range header {
		req.Header[k] = v
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxPrediction))
	return resp.StatusCode, answer, err
}
