package entry

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/caarlos0/env/v11"

	"github.com/millrace-ml/millrace/shared/fault"
)

// Settings are what every function reads beside its own.
type Settings struct {
	Project string `env:"GOOGLE_CLOUD_PROJECT"`      // for the trace key of the logs
	Timeout int    `env:"CLOUD_RUN_TIMEOUT_SECONDS"` // the platform's own limit of a request; 0 = not said
	Target  string `env:"FUNCTION_TARGET"`           // the function that this process serves
}

// Valid reports what the types cannot.
func (s *Settings) Valid() []string {
	if s.Timeout < 0 {
		return []string{fmt.Sprintf("CLOUD_RUN_TIMEOUT_SECONDS: %d is below 0", s.Timeout)}
	}
	return nil
}

const (
	startLimit   = 4 * time.Minute // Cloud Run ends an instance that does not listen within four minutes
	answerMargin = time.Second     // our own deadline passes this long before the platform's, so that the caller gets a 504 with a reason
)

func (s *Settings) deadline() time.Duration {
	d := time.Duration(s.Timeout) * time.Second
	if d > 2*answerMargin {
		return d - answerMargin
	}
	return d * 3 / 4
}

// Validator is implemented by settings with rules beyond their types. Valid returns one text per problem, each opening
// with the variable's name; the problems of all embedded structs are the implementer's to join.
type Validator interface{ Valid() []string }

// Config fills cfg, a pointer to a struct with `env` tags, from getenv. Its error lists every problem at once.
func Config(getenv func(string) string, cfg any) error {
	params, err := env.GetFieldParams(cfg)
	if err != nil {
		return fmt.Errorf("settings: %w", err)
	}
	set := map[string]string{}
	for _, p := range params {
		if v := getenv(p.Key); v != "" { // getenv cannot tell empty from absent: empty counts as absent
			set[p.Key] = v
		}
	}
	var problems []string
	if err := env.ParseWithOptions(cfg, env.Options{Environment: set}); err != nil {
		problems = explain(err, keys(reflect.TypeOf(cfg)), set)
	}
	if v, ok := cfg.(Validator); ok && len(problems) == 0 {
		problems = v.Valid()
	}
	if len(problems) > 0 {
		return fault.New(fault.Invalid, nil, "%s", strings.Join(problems, "; "))
	}
	return nil
}

// explain puts the library's errors into our words: variable, value, what would be right.
func explain(err error, keys map[string]string, set map[string]string) []string {
	var all env.AggregateError
	if !errors.As(err, &all) {
		return []string{err.Error()}
	}
	var out []string
	for _, e := range all.Errors {
		var unset env.VarIsNotSetError
		var empty env.EmptyVarError
		var parse env.ParseError
		switch {
		case errors.As(e, &unset):
			out = append(out, unset.Key+" is not set")
		case errors.As(e, &empty):
			out = append(out, empty.Key+" is empty")
		case errors.As(e, &parse):
			key := keys[parse.Name]
			out = append(out, fmt.Sprintf("%s: %q is not %s", key, set[key], typeName(parse)))
		default:
			out = append(out, e.Error())
		}
	}
	return out
}

// keys maps a struct's field names to their variables, embedded structs included: the library names the field only.
func keys(t reflect.Type) map[string]string {
	out := map[string]string{}
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	for i := range t.NumField() {
		f := t.Field(i)
		if key, _, _ := strings.Cut(f.Tag.Get("env"), ","); key != "" {
			out[f.Name] = key
		} else if f.Type.Kind() == reflect.Struct {
			for n, k := range keys(f.Type) {
				out[n] = k
			}
		}
	}
	return out
}

func typeName(p env.ParseError) string {
	switch {
	case p.Type == reflect.TypeFor[time.Duration]():
		return "a duration such as 30s"
	case p.Type == reflect.TypeFor[time.Time]():
		return "a time such as 2026-01-31T00:00:00Z"
	case p.Type.Kind() >= reflect.Int && p.Type.Kind() <= reflect.Uint64:
		return "a whole number"
	case p.Type.Kind() == reflect.Float64 || p.Type.Kind() == reflect.Float32:
		return "a number"
	case p.Type.Kind() == reflect.Bool:
		return "true or false"
	}
	return fmt.Sprintf("a %v: %v", p.Type, p.Err)
}
