package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"github.com/millrace-ml/millrace/internal/devserver"
	"github.com/millrace-ml/millrace/shared/batch"
	"github.com/millrace-ml/millrace/shared/ledger"
)

const (
	runsLimit = 30 * time.Second
	watchStep = 500 * time.Millisecond
)

type runsCmd struct {
	URL  string `help:"batchtrigger's address; the running make run's when left out." env:"MILLRACE_URL"`
	Data string `help:"Data folder of make run, where its addresses are read." default:".millrace" env:"DATA" type:"path"`
	JSON bool   `name:"json" help:"Print JSON."`

	List  listCmd  `cmd:"" help:"List runs, the newest first."`
	Show  showCmd  `cmd:"" help:"Show one run: its history, task states and row counts."`
	Watch watchCmd `cmd:"" help:"Follow one run until it is over; exit code 0 if it succeeded."`
	Start startCmd `cmd:"" help:"Start a schedule's dataset now."`
}

// address finds batchtrigger.
func (r *runsCmd) address() (string, error) {
	if r.URL != "" {
		return strings.TrimSuffix(r.URL, "/"), nil
	}
	env, err := devserver.ReadEnv(r.Data)
	if err != nil {
		return "", err
	}
	if env["MILLRACE_URL"] == "" {
		return "", fmt.Errorf("no server is known: start one with make run, or name one with --url (looked into %s)", r.Data)
	}
	return env["MILLRACE_URL"], nil
}

// ask calls batchtrigger and decodes its answer into v.
func (r *runsCmd) ask(ctx context.Context, c console, method, path string, body any, header http.Header, v any) error {
	base, err := r.address()
	if err != nil {
		return err
	}
	var data []byte
	if body != nil {
		if data, err = json.Marshal(body); err != nil {
			return err
		}
	}
	header, token, err := c.signed(ctx, base, header)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, runsLimit)
	defer cancel()
	status, answer, err := call(ctx, method, base+path, data, header)
	if err != nil {
		return fmt.Errorf("%w (is make run running?)", err)
	}
	if token != "" && (status == http.StatusUnauthorized || status == http.StatusForbidden) {
		return fmt.Errorf("%s answers %d: %s", base, status, letIn(base, "batchtrigger", token))
	}
	if status < 200 || status > 299 {
		var said struct{ Error string }
		if json.Unmarshal(answer, &said) == nil && said.Error != "" {
			return errors.New(said.Error)
		}
		return fmt.Errorf("%s %s: status %d: %.200s", method, path, status, answer)
	}
	if err := json.Unmarshal(answer, v); err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	return nil
}

type listCmd struct {
	Model string `help:"Only this model's runs."`
	State string `help:"Only runs in this state, such as succeeded or failed."`
	Limit int    `help:"How many at most." default:"20"`
}

type listAnswer struct {
	Runs []*ledger.Run `json:"runs"`
	Next string        `json:"next_page_token,omitempty"`
}

// Run lists.
func (l listCmd) Run(ctx context.Context, c console, r *runsCmd) error {
	q := url.Values{"limit": {strconv.Itoa(l.Limit)}}
	for k, v := range map[string]string{"model": l.Model, "state": l.State} {
		if v != "" {
			q.Set(k, v)
		}
	}
	var answer listAnswer
	if err := r.ask(ctx, c, http.MethodGet, "/runs?"+q.Encode(), nil, nil, &answer); err != nil {
		return err
	}
	if r.JSON {
		return printJSON(c, answer)
	}
	w := tabwriter.NewWriter(c.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "RUN\tSTATE\tROWS\tREJECTED\tSTARTED\tTOOK\tTRIGGER")
	for _, run := range answer.Runs {
		rows, rejected := "", ""
		if run.Counts.Rows > 0 {
			rows, rejected = strconv.FormatInt(run.Counts.Rows, 10), strconv.FormatInt(run.Counts.Rejected, 10)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", run.ID, run.State, rows, rejected, stamp(run.CreatedAt), took(run.CreatedAt, run.FinishedAt), trigger(run))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if answer.Next != "" {
		fmt.Fprintf(c.err, "there are more; --limit shows them\n")
	}
	return nil
}

type showCmd struct {
	Run_ string `arg:"" name:"run" help:"The run's id."`
}

// Run shows.
func (s showCmd) Run(ctx context.Context, c console, r *runsCmd) error {
	var d batch.Detail
	if err := r.ask(ctx, c, http.MethodGet, "/runs/"+url.PathEscape(s.Run_), nil, nil, &d); err != nil {
		return err
	}
	if r.JSON {
		return printJSON(c, d)
	}
	return printDetail(c, &d)
}

func printDetail(c console, d *batch.Detail) error {
	fmt.Fprintf(c.out, "%s  %s", d.ID, d.State)
	if d.Reason != "" {
		fmt.Fprintf(c.out, ": %s", d.Reason)
	}
	fmt.Fprintf(c.out, "\ntrigger   %s\n", trigger(d.Run))
	fmt.Fprintf(c.out, "model     %s, version %s\n", d.Model, d.Release.Version)
	if d.Counts.Rows > 0 {
		fmt.Fprintf(c.out, "rows      %d = %d scored + %d rejected\n", d.Counts.Rows, d.Counts.Scored, d.Counts.Rejected)
	}
	if d.State == ledger.Succeeded {
		where := map[bool]string{true: "staging", false: "the outbox"}[d.Trial()]
		fmt.Fprintf(c.out, "output    %s in %s\n", batch.OutputPrefix(d.Model, d.ID), where)
	}
	w := tabwriter.NewWriter(c.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "\nWHEN\tFROM\tTO\tWAITED\tCAUSE")
	before := time.Time{}
	for _, h := range d.History {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", stamp(h.At), h.From, h.To, took(before, h.At), h.Cause)
		before = h.At
	}
	if len(d.Tasks) > 0 {
		fmt.Fprintln(w, "\nTASK\tSTATE\tSTARTED\tTOOK\tERROR")
		for _, t := range d.Tasks {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", t.Name, t.State, stamp(t.Start), took(t.Start, t.End), t.Error)
		}
	}
	for _, p := range d.Problems {
		fmt.Fprintf(w, "\nnot known now: %s\n", p)
	}
	return w.Flush()
}

type watchCmd struct {
	Run_    string        `arg:"" name:"run" help:"The run's id."`
	Timeout time.Duration `help:"Give up after this time." default:"1h"`
}

// Run watches.
func (s watchCmd) Run(ctx context.Context, c console, r *runsCmd) error {
	ctx, cancel := context.WithTimeout(ctx, s.Timeout)
	defer cancel()
	said := ""
	for {
		var d batch.Detail
		if err := r.ask(ctx, c, http.MethodGet, "/runs/"+url.PathEscape(s.Run_), nil, nil, &d); err != nil {
			return err
		}
		if now := progress(&d); now != said && !r.JSON {
			said = now
			fmt.Fprintln(c.out, now)
		}
		if d.State.Final() {
			if r.JSON {
				if err := printJSON(c, d); err != nil {
					return err
				}
			}
			if d.State != ledger.Succeeded {
				return exit(1)
			}
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("run %s is still %s: %w", d.ID, d.State, ctx.Err())
		case <-time.After(watchStep):
		}
	}
}

// progress is a run in one line.
func progress(d *batch.Detail) string {
	count := map[string]int{}
	for _, t := range d.Tasks {
		count[t.State]++
	}
	line := string(d.State)
	if d.Reason != "" {
		line += ": " + d.Reason
	}
	if len(d.Tasks) > 0 && !d.State.Final() {
		line += fmt.Sprintf(", tasks: %d succeeded, %d running, %d in all", count["SUCCEEDED"], count["RUNNING"], len(d.Tasks))
	}
	if d.Counts.Rows > 0 {
		line += fmt.Sprintf(", %d rows = %d scored + %d rejected", d.Counts.Rows, d.Counts.Scored, d.Counts.Rejected)
	}
	return line
}

type startCmd struct {
	Model    string `arg:"" help:"The model."`
	Schedule string `help:"The schedule whose dataset is scored." required:""`
	At       string `help:"The instant that {date} and {hour} mean, such as 2026-01-31T02:15:00Z; now when left out."`
	Key      string `help:"Idempotency-Key: the same key starts the same run once; a new one when left out."`
}

// Run starts.
func (s startCmd) Run(ctx context.Context, c console, r *runsCmd) error {
	body := map[string]string{"model": s.Model, "schedule": s.Schedule}
	if s.At != "" {
		if _, err := time.Parse(time.RFC3339, s.At); err != nil {
			return fmt.Errorf("--at %q: expected a time such as 2026-01-31T02:15:00Z", s.At)
		}
		body["at"] = s.At
	}
	if s.Key == "" {
		s.Key = rand.Text() // one press, one run; whoever repeats a press names its key
	}
	var run ledger.Run
	if err := r.ask(ctx, c, http.MethodPost, "/runs", body, http.Header{"Idempotency-Key": {s.Key}}, &run); err != nil {
		return err
	}
	if r.JSON {
		return printJSON(c, run)
	}
	fmt.Fprintf(c.out, "%s  %s  %s\n", run.ID, run.State, run.Reason)
	return nil
}

// trigger says what started a run.
func trigger(r *ledger.Run) string {
	data := "gs://" + r.Dataset.Bucket + "/" + r.Dataset.Object + r.Dataset.Prefix
	if strings.ContainsFunc(data, func(c rune) bool { return !unicode.IsPrint(c) }) {
		data = strconv.Quote(data) // a name may hold what would move the cursor
	}
	switch {
	case r.Kind == ledger.Upload:
		return data
	case r.Trial():
		return fmt.Sprintf("%s of the candidate %s: %s", r.Kind, r.Trigger.Candidate, data)
	}
	return fmt.Sprintf("%s %s at %s: %s", r.Kind, r.Trigger.Schedule, stamp(r.Trigger.At), data)
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Local().Format("2006-01-02 15:04:05")
}

func took(from, to time.Time) string {
	if from.IsZero() || to.IsZero() {
		return ""
	}
	return to.Sub(from).Round(10 * time.Millisecond).String()
}

func printJSON(c console, v any) error {
	out := json.NewEncoder(c.out)
	out.SetIndent("", "  ")
	return out.Encode(v)
}
