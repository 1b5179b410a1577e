package bundle

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/millrace-ml/millrace/functions/predict"
	"github.com/millrace-ml/millrace/shared/entry"
	"github.com/millrace-ml/millrace/shared/fault"
	"github.com/millrace-ml/millrace/shared/manifest"
	"github.com/millrace-ml/millrace/shared/score"
)

// Parity asks a served model for its parity rows. What has to come back is what the same function answers in this process,
// output rules applied, which has compared its predictions with the recorded ones when it opened: so a server is held to
// the recorded predictions without a second implementation of the rules.
type Parity struct {
	Manifest  *manifest.Manifest
	instances []json.RawMessage
	answers   func(body []byte) (status int, answer []byte)
}

// Exchange is a request and its answer.
type Exchange struct {
	First   int // number of the first row, from 1
	Rows    int
	Request []byte
	want    []byte
	status  int
}

// OpenParity opens a model folder.
func OpenParity(ctx context.Context, folder string) (*Parity, error) {
	m, err := loadFolder(folder)
	if err != nil {
		return nil, err
	}
	instances, err := parityInstances(filepath.Join(folder, score.ParityFile))
	if err != nil {
		return nil, err
	}
	here, err := predict.Open(ctx, func(key string) string { return map[string]string{"MODEL_DIR": folder}[key] })
	if err != nil {
		return nil, err
	}
	handler := entry.Serve(Predict.Target, here, entry.ServeOptions{Log: entry.NewLogger(io.Discard)})
	return &Parity{m, instances, func(body []byte) (int, []byte) {
		w := recorder{header: http.Header{}}
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, "/", bytes.NewReader(body))
		if err != nil {
			return 0, nil
		}
		r.Header.Set("Content-Type", "application/json")
		handler.ServeHTTP(&w, r)
		return w.status, w.body.Bytes()
	}}, nil
}

// Rows is how many there are.
func (p *Parity) Rows() int { return len(p.instances) }

// Exchanges are all rows, at most so many in a request, and no more than the model takes in one.
func (p *Parity) Exchanges(most int) []Exchange {
	if p.Manifest.Realtime != nil {
		most = min(most, p.Manifest.Realtime.Limits.Rows)
	}
	var out []Exchange
	for first := 0; first < len(p.instances); first += most {
		out = append(out, p.exchange(first, min(first+most, len(p.instances))))
	}
	return out
}

// Row is the exchange of one row alone, numbered from 1.
func (p *Parity) Row(number int) Exchange { return p.exchange(number-1, number) }

func (p *Parity) exchange(from, to int) Exchange {
	body, err := json.Marshal(map[string]any{"instances": p.instances[from:to]})
	if err != nil { // they were read as JSON
		return Exchange{First: from + 1, Rows: to - from}
	}
	status, want := p.answers(body)
	return Exchange{from + 1, to - from, body, want, status}
}

// Check compares the answer of a server that people call so.
func (x *Exchange) Check(server string, status int, answer []byte) error {
	if status != http.StatusOK || status != x.status || !bytes.Equal(answer, x.want) {
		return fault.New(fault.Internal, nil, "%s answers the parity rows from %d on with %d %.200q, expected %d %.200q",
			server, x.First, status, answer, x.status, x.want)
	}
	return nil
}

// loadFolder reads the manifest of a folder that need not have the model's name, as a bundle's has not.
func loadFolder(folder string) (*manifest.Manifest, error) {
	return manifest.Load(os.DirFS(folder), manifest.File)
}

// recorder keeps an answer given in this process.
type recorder struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (r *recorder) Header() http.Header { return r.header }

func (r *recorder) WriteHeader(status int) { r.status = status }

func (r *recorder) Write(p []byte) (int, error) { return r.body.Write(p) }

func parityInstances(name string) ([]json.RawMessage, error) {
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	var out []json.RawMessage
	lines := bufio.NewScanner(bytes.NewReader(data))
	for lines.Buffer(nil, len(data)+1); lines.Scan(); {
		if strings.TrimSpace(lines.Text()) == "" {
			continue
		}
		var row struct{ Instance json.RawMessage }
		if err := json.Unmarshal(lines.Bytes(), &row); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		out = append(out, row.Instance)
	}
	if len(out) == 0 {
		return nil, fault.New(fault.Invalid, nil, "%s has no rows: nothing proves what is answered", name)
	}
	return out, nil
}

// Example is the first row's instance; an empty one of no parity rows at all.
func (p *Parity) Example() json.RawMessage {
	if p == nil || len(p.instances) == 0 {
		return json.RawMessage("{}")
	}
	return p.instances[0]
}
