package scaffold

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/millrace-ml/millrace/shared/feature"
	"github.com/millrace-ml/millrace/shared/forest"
	"github.com/millrace-ml/millrace/shared/manifest"
	"github.com/millrace-ml/millrace/shared/score"
)

// maxArtifact is what score opens.
const maxArtifact = 256 << 20

var extension = regexp.MustCompile(`^\.[a-z0-9]{1,8}$`)

// artifactView is what templates/artifact sees.
type artifactView struct {
	view
	Info              forest.Info
	CSV               bool
	Codes             string // features whose categories have no names in the file
	Parity            string // whose predictions: "trainer" (the CSV's own), "engine", or "made up"
	PredictionColumns string
	Rows              int
	BaselineRows      int
}

// fromArtifact makes the folder of a model file.
func fromArtifact(ctx context.Context, o Options, r *Result) (tree, error) {
	data, model, err := readModel(o.Artifact)
	if err != nil {
		return nil, err
	}
	info := model.Info()
	if err := unknownTexts(info); err != nil {
		return nil, fmt.Errorf("%s: %w", o.Artifact, err)
	}
	inputs, codes := inputsOf(info)
	outputs, err := outputsOf(info, o.Labels)
	if err != nil {
		return nil, err
	}
	if o.CSV != "" {
		if err := findNulls(ctx, o.CSV, inputs); err != nil {
			return nil, fmt.Errorf("%s: %w", o.CSV, err)
		}
	}
	ext := strings.ToLower(filepath.Ext(o.Artifact))
	if !extension.MatchString(ext) {
		ext = ".bin"
	}
	sum := sha256.Sum256(data)
	m := &manifest.Manifest{
		Name: o.Name, Version: "1", Serve: r.Serve, Inputs: inputs, Outputs: outputs,
		Artifact: manifest.Artifact{Path: "artifact/model" + ext, Format: info.Format, SHA256: hex.EncodeToString(sum[:])},
	}
	files := tree{m.Artifact.Path: data, manifest.File: manifestText(m)}
	if err := add(files, manifest.File, r.Serve, view{Name: o.Name}); err != nil {
		return nil, err
	}
	parsed, err := manifest.Parse(manifest.File, files[manifest.File])
	if err != nil {
		return nil, fmt.Errorf("%s does not fit a manifest: %w", o.Artifact, err)
	}
	contract, err := feature.New(parsed)
	if err != nil {
		return nil, err
	}
	if model, err = model.bind(parsed); err != nil {
		return nil, fmt.Errorf("%s: %w", o.Artifact, err)
	}
	v := artifactView{Info: info, CSV: o.CSV != "", Codes: strings.Join(codes, ", "), PredictionColumns: strings.Join(predictionColumns(info.Outputs), ", ")}
	if err := recordRows(ctx, o, recorder{model, contract, parsed}, files, &v, r); err != nil {
		return nil, err
	}
	instance, err := firstInstance(files[score.ParityFile])
	if err != nil {
		return nil, err
	}
	v.view = newView(o, r.Serve, instance)
	if files[readme], err = render("artifact/"+readme, v); err != nil {
		return nil, err
	}
	return files, add(files, readme, r.Serve, v.view)
}

// inputsOf makes an input of each feature, with the type that the training library wrote down, and names those whose
// categories it did not. Without names they are called f0, f1, … as the library itself calls them.
func inputsOf(info forest.Info) (inputs []manifest.Input, codes []string) {
	for i := range info.Features {
		in := manifest.Input{Name: "f" + strconv.Itoa(i), Type: manifest.Number}
		if info.FeatureNames != nil {
			in.Name = info.FeatureNames[i]
		}
		kind := ""
		if info.FeatureTypes != nil { // XGBoost's words, or ONNX's
			kind = info.FeatureTypes[i]
		}
		switch {
		case kind == "int" || kind == "int64" || kind == "int32":
			in.Type = manifest.Integer
		case kind == "i" || kind == "bool":
			in.Type = manifest.Boolean
		case info.Categorical[i] && info.Categories != nil && info.Categories[i] != nil:
			in.Type, in.Values = manifest.Categorical, values(info.Categories[i])
		case info.Categorical[i]:
			least := 0.0
			in.Type, in.Min, in.Description = manifest.Integer, &least, "code of the category: its place in training, from 0"
			codes = append(codes, in.Name)
		}
		inputs = append(inputs, in)
	}
	return inputs, codes
}

// values are the categories: numbers if all are whole numbers as Go writes them, else texts. The file does not tell "1"
// from 1.
func values(names []string) []manifest.Value {
	numbers, texts := make([]manifest.Value, len(names)), make([]manifest.Value, len(names))
	whole := true
	for i, n := range names {
		v, err := strconv.Atoi(n)
		whole = whole && err == nil && strconv.Itoa(v) == n
		numbers[i], texts[i] = manifest.NumberValue(float64(v)), manifest.TextValue(n)
	}
	if whole {
		return numbers
	}
	return texts
}

// The objectives that give the probability of the second class, and one probability for each class.
var (
	twoClasses  = []string{"binary:logistic", "binary", "Logloss", "CrossEntropy", "Focal"}
	manyClasses = []string{"multi:softprob", "multiclass", "multiclassova", "MultiClass", "MultiClassOneVsAll"}
)

// manyProbabilities is whether each output is the probability of a class. A graph's objective is its operator: there, names
// of classes say it.
func manyProbabilities(info forest.Info) bool {
	return slices.Contains(manyClasses, info.Objective) || info.Format == "onnx" && len(info.Classes) == info.Outputs
}

// outputsOf names what the model gives, by its objective, as python/millrace_export.py does.
func outputsOf(info forest.Info, labels []string) ([]manifest.Output, error) {
	index := info.Outputs == 1 && info.Margins > 1
	classes := 0
	switch {
	case index:
		classes = info.Margins
	case manyProbabilities(info):
		classes = info.Outputs
	case info.Outputs == 1 && (slices.Contains(twoClasses, info.Objective) || info.Objective == "binary:hinge"):
		classes = 2
	}
	if labels == nil && classes > 0 && len(info.Classes) == classes {
		labels = info.Classes
	}
	if labels != nil && len(labels) != classes {
		if classes == 0 {
			return nil, fmt.Errorf("--labels: the objective %s has no classes", info.Objective)
		}
		return nil, fmt.Errorf("--labels: %d are given, the model tells %d classes apart", len(labels), classes)
	}
	var out []manifest.Output
	switch {
	case index && labels != nil: // the number of the class is worth nothing beside its name
	case slices.Contains(twoClasses, info.Objective):
		out = append(out, manifest.Output{Name: "probability"})
	case manyProbabilities(info):
		for i := range info.Outputs {
			name := strconv.Itoa(i)
			if labels != nil {
				name = labels[i]
			}
			out = append(out, manifest.Output{Name: "probability_" + name})
		}
	case info.Outputs > 1:
		for i := range info.Outputs {
			out = append(out, manifest.Output{Name: "output_" + strconv.Itoa(i)})
		}
	default:
		out = append(out, manifest.Output{Name: "prediction"})
	}
	if labels != nil {
		out = append(out, manifest.Output{Name: "class", Labels: labels})
	}
	return out, nil
}

// firstInstance is the instance of the first parity row, as it is written.
func firstInstance(parity []byte) ([]byte, error) {
	line, _, _ := bytes.Cut(parity, []byte("\n"))
	_, rest, ok := bytes.Cut(line, []byte(`{"instance": `))
	if end := bytes.LastIndex(rest, []byte(`, "prediction": `)); ok && end >= 0 {
		if cut := bytes.LastIndex(rest[:end], []byte(`, "features": `)); cut >= 0 {
			end = cut
		}
		return rest[:end], nil
	}
	return nil, errors.New("the first parity row has no instance")
}
