package storage

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// preconditions are what a caller requires of an object before its call applies. They are checked in the transaction that
// applies it.
type preconditions struct {
	Generation   *int64   `json:"generation,omitempty"`    // the generation= parameter: this one or not found
	GenMatch     *int64   `json:"gen_match,omitempty"`     // 0 = no live object
	GenNotMatch  *int64   `json:"gen_not_match,omitempty"` // 0 = some live object
	MetaMatch    *int64   `json:"meta_match,omitempty"`
	MetaNotMatch *int64   `json:"meta_not_match,omitempty"`
	IfMatch      []string `json:"if_match,omitempty"` // HTTP's own headers, by entity tag
	IfNoneOf     []string `json:"if_none_of,omitempty"`
}

// conditionsOf reads the preconditions of a call's object from its query, and for reads by path from headers too.
func conditionsOf(r *http.Request) (preconditions, error) {
	p, err := namedConditions(r.URL.Query(), "generation", "if")
	if err != nil {
		return p, err
	}
	p.IfMatch, p.IfNoneOf = tags(r.Header["If-Match"]), tags(r.Header["If-None-Match"])
	for name, dst := range map[string]**int64{
		"x-goog-if-generation-match": &p.GenMatch, "x-goog-if-metageneration-match": &p.MetaMatch,
	} {
		if v := r.Header.Get(name); v != "" {
			if *dst, err = parseGeneration(name, v); err != nil {
				return p, err
			}
		}
	}
	return p, nil
}

// sourceConditions reads those of the source of a copy or move.
func sourceConditions(q url.Values) (preconditions, error) {
	return namedConditions(q, "sourceGeneration", "ifSource")
}

func namedConditions(q url.Values, generation, prefix string) (p preconditions, err error) {
	for name, dst := range map[string]**int64{
		generation:                        &p.Generation,
		prefix + "GenerationMatch":        &p.GenMatch,
		prefix + "GenerationNotMatch":     &p.GenNotMatch,
		prefix + "MetagenerationMatch":    &p.MetaMatch,
		prefix + "MetagenerationNotMatch": &p.MetaNotMatch,
	} {
		if !q.Has(name) {
			continue
		}
		if *dst, err = parseGeneration(name, q.Get(name)); err != nil {
			return p, err
		}
	}
	return p, nil
}

func parseGeneration(name, text string) (*int64, error) {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 {
		return nil, invalid("Invalid value for %s: %q is not a whole number", name, text)
	}
	return &n, nil
}

func tags(headers []string) (out []string) {
	for _, h := range headers {
		for t := range strings.SplitSeq(h, ",") {
			out = append(out, strings.Trim(strings.TrimPrefix(strings.TrimSpace(t), "W/"), `"`))
		}
	}
	return out
}

// check holds the preconditions against the live object (nil = none). A NotMatch that fails is "not modified" to a read
// and a failed precondition to a write.
func (p preconditions) check(o *object, read bool) error {
	var gen, meta int64
	var etags []string
	if o != nil {
		gen, meta = o.Generation, o.Metageneration
		etags = []string{o.etag(), strings.Trim(o.httpTag(), `"`), "*"}
	}
	hits := func(wanted []string) bool {
		return slices.ContainsFunc(wanted, func(t string) bool { return slices.Contains(etags, t) })
	}
	switch {
	case p.GenMatch != nil && *p.GenMatch != gen:
		return conditionNotMet("ifGenerationMatch", *p.GenMatch, gen)
	case p.MetaMatch != nil && *p.MetaMatch != meta:
		return conditionNotMet("ifMetagenerationMatch", *p.MetaMatch, meta)
	case p.IfMatch != nil && !hits(p.IfMatch):
		return refuse(http.StatusPreconditionFailed, reasonCondition, "At least one of the pre-conditions you specified did not hold: If-Match")
	}
	failed := p.GenNotMatch != nil && *p.GenNotMatch == gen || p.MetaNotMatch != nil && *p.MetaNotMatch == meta || hits(p.IfNoneOf)
	switch {
	case !failed:
		return nil
	case read:
		return refuse(http.StatusNotModified, reasonNotModified, "Not modified")
	}
	return refuse(http.StatusPreconditionFailed, reasonCondition,
		"At least one of the pre-conditions you specified did not hold: the object is at generation %d, metageneration %d", gen, meta)
}

func conditionNotMet(name string, want, got int64) error {
	return refuse(http.StatusPreconditionFailed, reasonCondition,
		"At least one of the pre-conditions you specified did not hold: %s=%d, but it is %d", name, want, got)
}
