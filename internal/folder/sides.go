package folder

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/millrace-ml/millrace/shared/score"
)

const (
	chunk    = 500 // rows of a request
	askLimit = time.Minute
)

// local scores with a model folder.
type local struct {
	model  *score.Model
	source string
}

func openSide(dir, source string) (*local, error) {
	model, err := score.Open(os.DirFS(dir))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", source, err)
	}
	return &local{model, source}, nil
}

func (l *local) version() Version {
	return Version{l.source, l.model.Manifest().Version, l.model.Digest()}
}

func (l *local) predict(ctx context.Context, rows []Row) ([]map[string]any, error) {
	scorer := l.model.NewScorer()
	out := make([]map[string]any, 0, len(rows))
	for len(rows) > 0 {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		part := rows[:min(chunk, len(rows))]
		rows = rows[len(part):]
		buffer := scorer.Rows()
		buffer.Reset()
		buffer.Grow(len(part))
		for i, r := range part {
			Fill(buffer, l.model.Contract(), i, r.Instance)
		}
		buffer.Finish()
		p, err := scorer.Score()
		if err != nil {
			return nil, err
		}
		for i := range part {
			if buffer.Bad(i) {
				out = append(out, nil)
				continue
			}
			answer := map[string]any{}
			for _, o := range p.Outputs {
				if o.Labels != nil {
					answer[o.Name] = o.Labels[i]
				} else if v := o.Values[i]; !math.IsNaN(v) && !math.IsInf(v, 0) { // as an answer over HTTP: null
					answer[o.Name] = v
				} else {
					answer[o.Name] = nil
				}
			}
			out = append(out, answer)
		}
	}
	return out, nil
}

// server asks a running function.
type server struct {
	url, token, model string
	seen              Version
}

func (s *server) version() Version { return s.seen }

func (s *server) predict(ctx context.Context, rows []Row) ([]map[string]any, error) {
	var out []map[string]any
	for len(rows) > 0 {
		part := rows[:min(chunk, len(rows))]
		rows = rows[len(part):]
		answers, refusal, err := s.ask(ctx, part)
		if err != nil {
			return nil, err
		}
		if refusal != "" && len(part) > 1 { // find out which rows it does not take
			for _, r := range part {
				one, _, err := s.ask(ctx, []Row{r})
				if err != nil {
					return nil, err
				}
				answers = append(answers, one...)
			}
		}
		out = append(out, answers...)
	}
	return out, nil
}

// ask sends one request. A refusal of the rows gives its text, and nil for a single row.
func (s *server) ask(ctx context.Context, rows []Row) (answers []map[string]any, refusal string, err error) {
	list := make([]map[string]any, len(rows))
	for i, r := range rows {
		list[i] = r.Instance
	}
	body, err := json.Marshal(map[string]any{"instances": list})
	if err != nil {
		return nil, "", err
	}
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	url := strings.TrimSuffix(s.url, "/") + "/v1/models/" + s.model + ":predict"
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return nil, "", err
	}
	req.Header.Set("Content-Type", "application/json")
	if s.token != "" {
		req.Header.Set("Authorization", "Bearer "+s.token)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, "", err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxArtifact))
	switch {
	case err != nil:
		return nil, "", fmt.Errorf("%s: %w", url, err)
	case resp.StatusCode == http.StatusBadRequest && len(rows) == 1:
		return []map[string]any{nil}, string(answer), nil
	case resp.StatusCode == http.StatusBadRequest:
		return nil, string(answer), nil
	case resp.StatusCode != http.StatusOK:
		return nil, "", fmt.Errorf("%s: status %d: %.200s", url, resp.StatusCode, bytes.TrimSpace(answer))
	}
	answers, err = s.parse(answer, len(rows))
	if err != nil {
		return nil, "", fmt.Errorf("%s: %w: %.200s", url, err, answer)
	}
	return answers, "", nil
}

// parse reads an answer: a list of objects, or of values where the model has a single output, which then has the name "".
func (s *server) parse(body []byte, rows int) ([]map[string]any, error) {
	var a struct {
		Predictions []any  `json:"predictions"`
		Version     string `json:"model_version"`
		Digest      string `json:"model_digest"`
	}
	if err := json.Unmarshal(body, &a); err != nil {
		return nil, err
	}
	if len(a.Predictions) != rows {
		return nil, fmt.Errorf("%d predictions for %d rows", len(a.Predictions), rows)
	}
	s.seen = Version{s.url, a.Version, a.Digest}
	out := make([]map[string]any, rows)
	for i, p := range a.Predictions {
		object, ok := p.(map[string]any)
		if !ok {
			object = map[string]any{"": p}
		}
		out[i] = object
	}
	return out, nil
}
