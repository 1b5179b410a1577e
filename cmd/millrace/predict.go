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
	"strings"
	"time"

	"github.com/millrace-ml/millrace/functions/predict"
	"github.com/millrace-ml/millrace/shared/entry"
)

const predictLimit = time.Minute

type predictCmd struct {
	Model  string `arg:"" help:"The model."`
	File   string `arg:"" help:"A JSON file: a request, a list of instances, or one instance. - reads standard input."`
	URL    string `help:"Ask this server, such as http://127.0.0.1:8080, instead of the model folder."`
	Models string `help:"Folder with one folder per model." default:"models" type:"path"`
}

// Run prints the answer, and fails if it is an error.
func (p predictCmd) Run(ctx context.Context, c console) error {
	body, err := p.read(c)
	if err != nil {
		return err
	}
	body, err = request(body)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, predictLimit)
	defer cancel()
	url := strings.TrimSuffix(p.URL, "/")
	if url == "" {
		server, at, err := p.serve(ctx)
		if err != nil {
			return err
		}
		defer server.Close()
		url = at
	}
	status, answer, err := call(ctx, http.MethodPost, url+"/v1/models/"+p.Model+":predict", body, nil)
	if err != nil {
		return err
	}
	if status != http.StatusOK {
		fmt.Fprintf(c.err, "%s\n", bytes.TrimSpace(answer))
		return exit(1)
	}
	_, err = c.out.Write(answer)
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
	const most = 64 << 20
	answer, err := io.ReadAll(io.LimitReader(resp.Body, most))
	return resp.StatusCode, answer, err
}
