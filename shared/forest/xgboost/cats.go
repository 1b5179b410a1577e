package xgboost

import (
	"fmt"
	"strconv"
	"unicode/utf8"

	"github.com/millrace-ml/millrace/shared/forest/document"
)

// encoding is the list of a feature's training categories: texts as one run of signed bytes cut by offsets, or integers.
type encoding struct {
	offsets []int32
	values  []int64
}

func (d *decoder) encodings() error {
	return d.Elements(func(int) error {
		d.enc = encoding{}
		err := d.Object(d.of.encoding)
		d.doc.encodings = append(d.doc.encodings, d.enc)
		return err
	})
}

// names are the categories as text, in the order of their codes; nil when there are none.
//
// XGBoost 3.1 to 3.3 cut the names wrongly as soon as one holds a character outside ASCII: the offsets count characters,
// the values are bytes. Such names are dropped, as if the file had none.
func (e *encoding) names(offsetsCountBytes bool) ([]string, error) {
	if len(e.offsets) == 0 {
		var names []string
		for _, v := range e.values {
			names = append(names, strconv.FormatInt(v, 10))
		}
		return names, nil
	}
	all := make([]byte, len(e.values))
	ascii := true
	for i, v := range e.values {
		if v < -128 || v > 127 {
			return nil, fmt.Errorf("value %d is %d, expected a signed byte", i, v)
		}
		all[i] = byte(v)
		ascii = ascii && v >= 0
	}
	if !ascii && !offsetsCountBytes {
		return nil, nil
	}
	names := make([]string, 0, len(e.offsets)-1)
	for i, end := range e.offsets[1:] {
		start := e.offsets[i]
		if start < 0 || end < start || int(end) > len(all) {
			return nil, fmt.Errorf("offsets %d and %d cut no text out of %d bytes", start, end, len(all))
		}
		name := all[start:end]
		if !utf8.Valid(name) {
			return nil, fmt.Errorf("category %d is not UTF-8: %s", i, document.Clip(name))
		}
		names = append(names, string(name))
	}
	return names, nil
}

// categories are the names of all features, nil when no feature has any.
func (doc *content) categories(features int) ([][]string, error) {
	if len(doc.encodings) == 0 {
		return nil, nil
	}
	if len(doc.encodings) != features {
		return nil, fmt.Errorf("cats.enc: %d encodings for %d features", len(doc.encodings), features)
	}
	all := make([][]string, features)
	some := false
	for f := range doc.encodings {
		var err error
		if all[f], err = doc.encodings[f].names(doc.atLeast(3, 4)); err != nil {
			return nil, fmt.Errorf("cats.enc[%d]: %w", f, err)
		}
		some = some || all[f] != nil
	}
	if !some {
		return nil, nil
	}
	return all, nil
}
