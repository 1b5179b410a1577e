package lightgbm

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/millrace-ml/millrace/shared/forest"
)

var headerKeys = []string{"version", "num_class", "num_tree_per_iteration", "label_index", "max_feature_idx", "objective",
	"average_output", "feature_names", "monotone_constraints", "feature_infos", "tree_sizes"}

// header is what stands before the trees, and the category names from behind them.
type header struct {
	config forest.Config
	sizes  int   // entries of tree_sizes, -1 when the file has none
	codes  []int // per feature the greatest category code in training, -1 for the others
}

func readHeader(s *scanner, data []byte) (*header, error) {
	s.next()
	f := newFields(headerKeys)
	if err := f.read(s); err != nil {
		return nil, err
	}
	version := string(f.get("version"))
	if version != "v2" && version != "v3" && version != "v4" {
		return nil, fmt.Errorf("version is %s; this reader knows v2, v3 and v4: load the model with LightGBM 2 to 4 and save it again", clip(f.get("version")))
	}
	h := &header{sizes: -1}
	c := &h.config
	c.Format, c.Version, c.Float64, c.Flush, c.BestIteration = "lightgbm", version, true, true, -1
	if err := h.counts(&f); err != nil {
		return nil, err
	}
	if err := setObjective(f.get("objective"), c); err != nil {
		return nil, err
	}
	if text := f.get("average_output"); text != nil {
		if version == "v2" {
			return nil, fmt.Errorf("average_output (boosting rf) in version v2: LightGBM up to 2.2.2 gave the mean without the objective's transform, " +
				"later ones with it, and the file does not tell which; load the model with LightGBM 3 or 4 and save it again, if its outputs are what is wanted")
		}
		c.Average = true
	}
	if err := h.features(&f); err != nil {
		return nil, err
	}
	if text := f.get("tree_sizes"); text != nil {
		h.sizes = countFields(text)
	}
	var err error
	c.Categories, err = h.categories(data)
	return h, err
}

// counts reads the numbers of features and of raw scores.
func (h *header) counts(f *fields) error {
	last, err := f.whole("max_feature_idx", forest.MaxFeatures-1)
	if err != nil {
		return err
	}
	classes, err := f.whole("num_class", forest.MaxMargins)
	if err != nil {
		return err
	}
	trees, err := f.whole("num_tree_per_iteration", forest.MaxMargins)
	if err != nil {
		return err
	}
	if trees < 1 || classes != trees {
		return fmt.Errorf("num_tree_per_iteration is %d, expected num_class, which is %d, and at least 1", trees, classes)
	}
	h.config.Features, h.config.Base = last+1, make([]float64, trees)
	return nil
}

// features reads their names and which of them are categorical.
func (h *header) features(f *fields) error {
	c := &h.config
	for _, key := range []string{"feature_names", "feature_infos"} {
		if n := countFields(f.get(key)); n != c.Features {
			return fmt.Errorf("%s has %d entries, max_feature_idx says %d features", key, n, c.Features)
		}
	}
	given := false // LightGBM invents names where it was given none
	for name := range bytes.FieldsSeq(f.get("feature_names")) {
		given = given || string(name) != "Column_"+strconv.Itoa(len(c.FeatureNames))
		c.FeatureNames = append(c.FeatureNames, string(name))
	}
	if !given {
		c.FeatureNames = nil
	}
	for info := range bytes.FieldsSeq(f.get("feature_infos")) {
		codes := greatestCode(info)
		h.codes = append(h.codes, codes)
		c.Categorical = append(c.Categorical, codes >= 0)
	}
	return nil
}

// greatestCode reads what feature_infos has of a feature: codes with colons between, where -1 stands for missing. The
// range [a:b] of a number, or none of a feature that was of no use, has no code.
func greatestCode(info []byte) int {
	greatest := -1
	for code := range bytes.SplitSeq(info, []byte(":")) {
		v, err := strconv.ParseInt(string(code), 10, 32)
		if err != nil {
			return -1
		}
		greatest = max(greatest, int(v))
	}
	return greatest
}

// checkTrees compares what the header says of the trees with their number.
func (h *header) checkTrees(trees int) error {
	if h.sizes >= 0 && h.sizes != trees {
		return fmt.Errorf("%d trees, but tree_sizes has %d entries", trees, h.sizes)
	}
	if per := len(h.config.Base); trees%per != 0 {
		return fmt.Errorf("%d trees, but num_tree_per_iteration is %d", trees, per)
	}
	return nil
}

func countFields(text []byte) int {
	n := 0
	for range bytes.FieldsSeq(text) {
		n++
	}
	return n
}

// categories reads the last line, the categories of the pandas columns, one list per categorical column in the order of
// the frame. The file does not say which columns these are: they are told by their number, and by codes that fit.
func (h *header) categories(data []byte) ([][]string, error) {
	mark := []byte("\npandas_categorical:")
	at := bytes.LastIndex(data, mark)
	if at < 0 {
		return nil, nil
	}
	text := bytes.TrimSpace(data[at+len(mark):])
	var lists [][]any
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if err := d.Decode(&lists); err != nil || d.More() {
		return nil, fmt.Errorf("pandas_categorical is %s, expected lists of categories in JSON", clip(text))
	}
	var columns []int
	for i, code := range h.codes {
		if code >= 0 {
			columns = append(columns, i)
		}
	}
	if len(lists) == 0 || len(columns) != len(lists) {
		return nil, nil
	}
	out := make([][]string, len(h.codes))
	for i, list := range lists {
		if out[columns[i]] = texts(list); out[columns[i]] == nil || h.codes[columns[i]] >= len(list) {
			return nil, nil
		}
	}
	return out, nil
}

// texts writes categories as a manifest does, nil when one is neither a text nor a number.
func texts(list []any) []string {
	out := make([]string, len(list))
	for i, v := range list {
		switch v := v.(type) {
		case string:
			out[i] = v
		case json.Number:
			f, err := v.Float64()
			if err != nil {
				return nil
			}
			out[i] = strconv.FormatFloat(f, 'f', -1, 64)
		default:
			return nil
		}
	}
	return out
}
