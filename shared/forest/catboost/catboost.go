// Package catboost reads models that CatBoost saved as .cbm or JSON, with oblivious or other trees, numeric features and
// categories that are asked for one by one (one-hot), into a forest.Model that gives CatBoost's raw values bit for bit.
//
// It is not for models with statistics of categories (CTR), texts or embeddings: these are refused by name.
package catboost

import (
	"bytes"

	"github.com/millrace-ml/millrace/shared/fault"
	"github.com/millrace-ml/millrace/shared/forest"
	"github.com/millrace-ml/millrace/shared/forest/document"
)

// maxBytes bounds a file: a function holds it in memory beside the model.
const maxBytes = 256 << 20

// releases are those that wrote the files which are read.
const releases = "CatBoost 1.2"

// firstKeys may open a JSON model: CatBoost writes keys in alphabetical order.
var firstKeys = [...]string{"ctr_data", "features_info", "model_info", "oblivious_trees", "scale_and_bias", "trees"}

// Sniff says whether data is a model of CatBoost, by its content.
func Sniff(data []byte) bool {
	if isBinary(data) {
		return true
	}
	if len(data) < 2 || data[0] != '{' {
		return false
	}
	key := bytes.TrimLeft(data[1:min(len(data), 256)], " \t\r\n")
	for _, k := range firstKeys {
		if bytes.HasPrefix(key, []byte(`"`+k+`"`)) {
			return true
		}
	}
	return false
}

// Read makes a model of a file's content, which it does not keep. categories are the texts of a categorical feature's codes,
// by feature: the file knows categories by their hashes alone. nil takes them from the file, if it was saved with its pool.
// Info.Categories has those of the categorical features. An error is fault.Invalid and names the tree, the node or split, and the field.
func Read(data []byte, categories [][]string) (*forest.Model, error) {
	if len(data) > maxBytes {
		return nil, fault.New(fault.Invalid, nil, "catboost model: %d bytes, at most %d MiB are read", len(data), maxBytes>>20)
	}
	if !Sniff(data) {
		return nil, fault.New(fault.Invalid, nil, "catboost model: neither .cbm nor CatBoost's JSON; if it is a pickle, a joblib file or of another "+
			"format, load it in Python and write model.save_model(\"model.cbm\")")
	}
	var c content
	var err error
	if isBinary(data) {
		err = c.readBinary(data)
	} else {
		d := newDecoder(document.NewJSON(data, releases), &c)
		err = d.Whole(d.model)
	}
	var m *forest.Model
	if err == nil {
		m, err = c.model(categories)
	}
	if err != nil {
		return nil, fault.New(fault.Invalid, nil, "catboost model: %v", err)
	}
	return m, nil
}
