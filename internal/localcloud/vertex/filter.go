package vertex

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"cloud.google.com/go/aiplatform/apiv1/aiplatformpb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// A filter is the subset of AIP-160 that ListPipelineJobs documents: comparisons of a few fields, AND, OR, parentheses.
// As AIP-160 has it, OR binds tighter than AND. Everything else is an error, never ignored.

// predicate says whether a job matches.
type predicate func(*aiplatformpb.PipelineJob) bool

// filterParser reads tokens from left to right.
type filterParser struct {
	tokens []token
	depth  int
}

type token struct {
	text   string
	quoted bool
}

const (
	comparators = "=!<>:"
	maxDepth    = 100 // of parentheses: a filter comes from outside
)

func parseFilter(filter string) (predicate, error) {
	tokens, err := tokenise(filter)
	if err != nil {
		return nil, err
	}
	if len(tokens) == 0 {
		return func(*aiplatformpb.PipelineJob) bool { return true }, nil
	}
	p := &filterParser{tokens: tokens}
	match, err := p.and()
	if err != nil {
		return nil, err
	}
	if len(p.tokens) > 0 {
		return nil, fmt.Errorf("%q is not expected here, want AND or OR", p.tokens[0].text)
	}
	return match, nil
}

func tokenise(s string) (tokens []token, err error) {
	for s = strings.TrimLeft(s, " \t\n"); s != ""; s = strings.TrimLeft(s, " \t\n") {
		switch c := s[0]; {
		case c == '(' || c == ')':
			tokens, s = append(tokens, token{text: s[:1]}), s[1:]
		case strings.IndexByte(comparators, c) >= 0:
			n := 1
			if len(s) > 1 && s[1] == '=' && c != '=' && c != ':' {
				n = 2
			}
			tokens, s = append(tokens, token{text: s[:n]}), s[n:]
		case c == '"' || c == '\'':
			text, rest, err := quoted(s)
			if err != nil {
				return nil, err
			}
			tokens, s = append(tokens, token{text, true}), rest
		default:
			n := strings.IndexAny(s, " \t\n()\"'"+comparators)
			if n < 0 {
				n = len(s)
			}
			tokens, s = append(tokens, token{text: s[:n]}), s[n:]
		}
	}
	return tokens, nil
}

// quoted reads a string with backslash escapes.
func quoted(s string) (text, rest string, err error) {
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == '\\' && i+1 < len(s):
			i++
			b.WriteByte(s[i])
		case s[i] == s[0]:
			return b.String(), s[i+1:], nil
		default:
			b.WriteByte(s[i])
		}
	}
	return "", "", fmt.Errorf("the string %s has no end", shorten(s, 40))
}

func (p *filterParser) next(word string) bool {
	if len(p.tokens) > 0 && !p.tokens[0].quoted && p.tokens[0].text == word {
		p.tokens = p.tokens[1:]
		return true
	}
	return false
}

func (p *filterParser) and() (predicate, error) {
	return p.chain("AND", p.or, func(a, b predicate) predicate {
		return func(j *aiplatformpb.PipelineJob) bool { return a(j) && b(j) }
	})
}

func (p *filterParser) or() (predicate, error) {
	return p.chain("OR", p.term, func(a, b predicate) predicate {
		return func(j *aiplatformpb.PipelineJob) bool { return a(j) || b(j) }
	})
}

func (p *filterParser) chain(word string, part func() (predicate, error), both func(a, b predicate) predicate) (predicate, error) {
	left, err := part()
	for err == nil && p.next(word) {
		var right predicate
		if right, err = part(); err == nil {
			left = both(left, right)
		}
	}
	return left, err
}

func (p *filterParser) term() (predicate, error) {
	if p.next("(") {
		if p.depth++; p.depth > maxDepth {
			return nil, fmt.Errorf("more than %d parentheses inside each other", maxDepth)
		}
		match, err := p.and()
		if err == nil && !p.next(")") {
			err = fmt.Errorf("a parenthesis is not closed")
		}
		p.depth--
		return match, err
	}
	if len(p.tokens) < 3 {
		return nil, fmt.Errorf("the filter ends where FIELD OPERATOR VALUE should stand")
	}
	field, op, value := p.tokens[0], p.tokens[1], p.tokens[2]
	p.tokens = p.tokens[3:]
	if op.quoted || strings.IndexAny(op.text, comparators) != 0 {
		return nil, fmt.Errorf("%q is not an operator", op.text)
	}
	if !value.quoted && strings.IndexAny(value.text, comparators+"()") == 0 {
		return nil, fmt.Errorf("%q is not a value", value.text)
	}
	return comparison(field.text, op.text, value.text)
}

func comparison(field, op, value string) (predicate, error) {
	allow := func(ops ...string) error {
		if !slices.Contains(ops, op) {
			return fmt.Errorf("%s takes %s, not %s", field, strings.Join(ops, ", "), op)
		}
		return nil
	}
	if key, ok := strings.CutPrefix(field, "labels."); ok {
		return labelComparison(key, op, value)
	}
	switch field {
	case "pipeline_name":
		return textComparison(op, value, pipelineName), allow("=", "!=")
	case "display_name":
		return textComparison(op, value, (*aiplatformpb.PipelineJob).GetDisplayName), allow("=", "!=", ":")
	case "pipeline_job_user_id":
		return textComparison(op, value, func(j *aiplatformpb.PipelineJob) string { return shortID(j.Name) }), allow("=", "!=", ":")
	case "template_uri":
		return textComparison(op, value, (*aiplatformpb.PipelineJob).GetTemplateUri), allow("=", "!=", ":")
	case "state":
		if _, ok := aiplatformpb.PipelineState_value[value]; !ok {
			return nil, fmt.Errorf("state %q is none of PIPELINE_STATE_PENDING, PIPELINE_STATE_RUNNING, …", value)
		}
		return textComparison(op, value, func(j *aiplatformpb.PipelineJob) string { return j.State.String() }), allow("=", "!=")
	case "create_time", "update_time", "end_time":
		at, err := time.Parse(time.RFC3339, value)
		if err != nil {
			return nil, fmt.Errorf("%s: %q is not a time of RFC 3339", field, value)
		}
		return timeComparison(op, at, times[field]), allow("=", "!=", "<", "<=", ">", ">=")
	}
	return nil, fmt.Errorf("%q is no field to filter by", field)
}

// times are the fields of a job that lists are filtered and ordered by.
var times = map[string]func(*aiplatformpb.PipelineJob) *timestamppb.Timestamp{
	"create_time": (*aiplatformpb.PipelineJob).GetCreateTime, "update_time": (*aiplatformpb.PipelineJob).GetUpdateTime,
	"start_time": (*aiplatformpb.PipelineJob).GetStartTime, "end_time": (*aiplatformpb.PipelineJob).GetEndTime,
}

func pipelineName(j *aiplatformpb.PipelineJob) string {
	return j.GetPipelineSpec().GetFields()["pipelineInfo"].GetStructValue().GetFields()["name"].GetStringValue()
}

func textComparison(op, value string, get func(*aiplatformpb.PipelineJob) string) predicate {
	return func(j *aiplatformpb.PipelineJob) bool {
		switch op {
		case "=":
			return get(j) == value
		case "!=":
			return get(j) != value
		}
		return wildcard(value, get(j))
	}
}

// wildcard matches a text that may hold * for any characters.
func wildcard(pattern, s string) bool {
	parts := strings.Split(pattern, "*")
	if len(parts) == 1 {
		return pattern == s
	}
	rest, ok := strings.CutPrefix(s, parts[0])
	if !ok {
		return false
	}
	last := parts[len(parts)-1]
	for _, part := range parts[1 : len(parts)-1] {
		_, after, ok := strings.Cut(rest, part)
		if !ok {
			return false
		}
		rest = after
	}
	return strings.HasSuffix(rest, last)
}

func labelComparison(key, op, value string) (predicate, error) {
	switch {
	case key == "":
		return nil, fmt.Errorf("labels. wants a key")
	case op == "=":
		return func(j *aiplatformpb.PipelineJob) bool { v, ok := j.Labels[key]; return ok && v == value }, nil
	case op == ":" && value == "*":
		return func(j *aiplatformpb.PipelineJob) bool { _, ok := j.Labels[key]; return ok }, nil
	}
	return nil, fmt.Errorf("labels.%s takes =\"value\" or :*", key)
}

// timeComparison matches nothing where the time is not set yet, except by !=.
func timeComparison(op string, at time.Time, get func(*aiplatformpb.PipelineJob) *timestamppb.Timestamp) predicate {
	return func(j *aiplatformpb.PipelineJob) bool {
		t := get(j)
		if t == nil {
			return op == "!="
		}
		c := t.AsTime().Compare(at)
		switch op {
		case "=":
			return c == 0
		case "!=":
			return c != 0
		case "<":
			return c < 0
		case "<=":
			return c <= 0
		case ">":
			return c > 0
		}
		return c >= 0
	}
}
