package candidate

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/millrace-ml/millrace/shared/fault"
	"github.com/millrace-ml/millrace/shared/feature"
	"github.com/millrace-ml/millrace/shared/manifest"
	"github.com/millrace-ml/millrace/shared/score"
	"github.com/millrace-ml/millrace/shared/table"
	"github.com/millrace-ml/millrace/shared/table/csv"
)

// rows are a model's parity rows with what a run has to make of them. The predictions are those of the scoring path in this
// process, which has proven itself against the recorded ones, at the model's own exactness, when it opened the folder. They
// do not depend on how rows come together, on the machine or on the number of threads: so a run has to give the same bits,
// output rules applied, as the gate of a function's bundle demands of the function.
type rows struct {
	n       int
	lines   []int // of the file, by row
	text    []byte
	digest  string   // of the artifact
	version string   // of the model
	ids     []string // id columns
	idText  [][]string
	want    *score.Predictions
}

// readRows opens a model folder, which proves its parity rows, and makes a file of the rows as people upload them.
func readRows(folder fs.FS) (*rows, error) {
	model, err := score.Open(folder)
	if err != nil {
		return nil, err
	}
	data, err := fs.ReadFile(folder, score.ParityFile)
	if err != nil {
		return nil, err
	}
	m := model.Manifest()
	r := &rows{digest: model.Digest(), version: m.Version, ids: m.IDColumns}
	var instances []map[string]any
	for line, text := range bytes.Split(data, []byte("\n")) {
		if len(bytes.TrimSpace(text)) == 0 {
			continue
		}
		var row struct{ Instance map[string]any }
		d := json.NewDecoder(bytes.NewReader(text))
		d.UseNumber()
		if err := d.Decode(&row); err != nil {
			return nil, fmt.Errorf("%s:%d: %w", score.ParityFile, line+1, err)
		}
		instances = append(instances, row.Instance)
		r.lines = append(r.lines, line+1)
	}
	r.n = len(instances)
	scorer := model.NewScorer()
	fill(scorer.Rows(), model.Contract(), instances)
	if r.want, err = scorer.Score(); err != nil {
		return nil, err
	}
	if err := r.write(m, instances); err != nil {
		return nil, err
	}
	return r, r.readBack(model.Contract(), delimiter(m), scorer.Rows())
}

// place names a row, from 1, as its owner knows it.
func (r *rows) place(row int) string { return fmt.Sprintf("%s:%d", score.ParityFile, r.lines[row-1]) }

func fill(buffer *feature.Rows, c *feature.Contract, instances []map[string]any) {
	buffer.Reset()
	buffer.Grow(len(instances))
	for i, instance := range instances {
		for name, v := range instance {
			if input, ok := c.Lookup([]byte(name)); ok {
				buffer.Set(i, input, v)
			}
		}
	}
	buffer.Finish()
}

func delimiter(m *manifest.Manifest) byte {
	if m.Batch == nil || m.Batch.Delimiter == "" {
		return ','
	}
	return m.Batch.Delimiter[0] // one byte: the manifest is checked
}

// write makes the file: id columns that are no inputs, then the inputs.
func (r *rows) write(m *manifest.Manifest, instances []map[string]any) error {
	var b bytes.Buffer
	w, err := csv.NewWriter(&b, delimiter(m))
	if err != nil {
		return err
	}
	input := func(name string) int {
		return slices.IndexFunc(m.Inputs, func(in manifest.Input) bool { return in.Name == name })
	}
	for _, id := range m.IDColumns {
		if input(id) < 0 {
			w.String(id)
		}
	}
	for i := range m.Inputs {
		w.String(m.Inputs[i].Name)
	}
	w.EndRow()
	for i, instance := range instances {
		fields := make([]string, len(m.Inputs))
		for k := range m.Inputs {
			if fields[k], err = field(&m.Inputs[k], instance); err != nil {
				return fault.New(fault.Invalid, nil, "%s: %v", r.place(i+1), err)
			}
		}
		ids := make([]string, len(m.IDColumns))
		for k, id := range m.IDColumns {
			if at := input(id); at >= 0 {
				ids[k] = fields[at]
				continue
			}
			ids[k] = r.place(i + 1)
			w.String(ids[k])
		}
		for _, f := range fields {
			w.String(f)
		}
		w.EndRow()
		r.idText = append(r.idText, ids)
	}
	err = w.Flush()
	r.text = b.Bytes()
	return err
}

// field is an instance's value as a file carries it. What the instance leaves out stands as the input's default: an empty
// field would be null where the input is nullable.
func field(in *manifest.Input, instance map[string]any) (string, error) {
	v, given := instance[in.Name]
	if !given && in.Default != nil {
		switch in.Default.Kind {
		case manifest.Text:
			return in.Default.Text, nil
		default:
			return in.Default.String(), nil
		}
	}
	switch v := v.(type) {
	case nil:
		return nullText(in)
	case bool:
		return strconv.FormatBool(v), nil
	case json.Number:
		return v.String(), nil
	case string:
		return v, nil
	}
	return "", fmt.Errorf("instance.%s is %v, which no file can carry", in.Name, v)
}

func nullText(in *manifest.Input) (string, error) {
	if in.NullStrings == nil {
		return "", nil
	}
	for _, word := range in.NullStrings {
		if in.Type == manifest.Categorical || word == strings.TrimSpace(word) {
			return word, nil
		}
	}
	return "", fmt.Errorf("instance.%s is null, and null_strings names no text that means it in a file", in.Name)
}

// readBack reads the file as a run does and compares what the model sees with what it sees of the instances. A row that
// means something else in a file would be told as the candidate's fault.
func (r *rows) readBack(c *feature.Contract, delimiter byte, asked *feature.Rows) error {
	want := c.Matrix(asked, nil)
	reader, err := csv.NewReader(bytes.NewReader(r.text), csv.Options{Delimiter: delimiter})
	if err != nil {
		return err
	}
	binding, err := c.Columns(reader.Header())
	if err != nil {
		return err
	}
	buffer, width, row := c.NewRows(), c.Width(), 0
	var block table.Block
	for {
		if err := reader.Next(&block); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return err
		}
		binding.Fill(buffer, &block)
		got := c.Matrix(buffer, nil)
		for i := range block.Rows {
			if row++; row > r.n {
				break
			}
			if len(block.Bad) > 0 || buffer.Bad(i) || !sameBits(got[i*width:(i+1)*width], want[(row-1)*width:row*width]) {
				return fault.New(fault.Invalid, nil, "%s: written as a row of a CSV file it means something else than in a request (text that means null, spaces at the ends?): "+
					"no batch run can give its prediction; record a row that both can carry", r.place(row))
			}
		}
	}
	if row != r.n {
		return fault.New(fault.Internal, nil, "%s: %d rows became %d rows of a CSV file", score.ParityFile, r.n, row)
	}
	return nil
}

func sameBits(a, b []float64) bool {
	return slices.EqualFunc(a, b, func(x, y float64) bool {
		return math.Float64bits(x) == math.Float64bits(y) || math.IsNaN(x) && math.IsNaN(y)
	})
}
