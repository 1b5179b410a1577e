// Package manifest is model.yaml: what a model is called, what it needs, where it is served. It holds the Go types, the
// strict loader and every check that needs nothing but the text. It is pure: it opens no artifact, compiles no expression
// and talks to no service.
//
// The same file has two more readers, Terraform (yamldecode) and the scaffolder, so the loader takes plain YAML only: no
// anchors, no tags, no text without quotes that another reader could take for a number.
package manifest

import "slices"

// File is the manifest's name inside a model folder.
const File = "model.yaml"

// The values of Manifest.Serve.
const (
	ServeRealtime = "realtime"
	ServeBatch    = "batch"
)

// Manifest is one model.yaml. A manifest from Parse, Load or LoadDir has passed every check and carries the defaults of
// the keys that were left out. As JSON it stands whole in released/<model>.json.
type Manifest struct {
	Name        string    `yaml:"name" json:"name" required:"true" doc:"The model's name, equal to the name of its folder. Service and service account are called predict-<name>, which leaves 22 characters. \"stats\" is taken by a route of Triton."`
	Version     string    `yaml:"version" json:"version" required:"true" doc:"The model's version, in quotes. Every response and every output row names it; it is a label too, hence 63 characters."`
	Description string    `yaml:"description" json:"description,omitempty" doc:"One sentence: what the model predicts."`
	Owner       string    `yaml:"owner" json:"owner,omitempty" doc:"Who answers for the model: a label, and the channel of its alerts."`
	Serve       []string  `yaml:"serve" json:"serve" required:"true" doc:"Where the model is served. Each needs its block below."`
	Artifact    Artifact  `yaml:"artifact" json:"artifact" required:"true" doc:"The trained file."`
	Inputs      []Input   `yaml:"inputs" json:"inputs" required:"true" doc:"What callers send and files carry, in any order."`
	Features    []Feature `yaml:"features" json:"features" required:"true" doc:"What the model sees, in training order: the name of an input, or a name and an expression over inputs."`
	Outputs     []Output  `yaml:"outputs" json:"outputs" required:"true" doc:"What the model answers. Outputs without labels take the engine's columns in order."`
	IDColumns   []string  `yaml:"id_columns" json:"id_columns,omitzero" doc:"Columns of the input file that are carried through to the predictions."`
	Parity      *Parity   `yaml:"parity" json:"parity,omitempty" doc:"How exactly the parity rows must be met; leave out for the engine's own exactness."`
	Realtime    *Realtime `yaml:"realtime" json:"realtime,omitempty" doc:"The HTTPS function."`
	Batch       *Batch    `yaml:"batch" json:"batch,omitempty" doc:"Batch scoring."`
	Release     *Release  `yaml:"release" json:"release,omitempty" doc:"What a new version must keep to, to be deployed."`
}

// DefaultMaxChange holds for a model without a release block.
const DefaultMaxChange Percent = 10

// MaxChange is how far a new version's predictions may move.
func (m *Manifest) MaxChange() Percent {
	if m.Release == nil {
		return DefaultMaxChange
	}
	return m.Release.MaxChange
}

// Release bounds what a deployment may change.
type Release struct {
	MaxChange Percent `yaml:"max_change" json:"max_change" default:"10%" doc:"How far the predictions of a new version may be from those of the version that serves, over the parity rows: the mean absolute change of an output relative to its mean absolute value before, and of an output with labels the share of rows whose label changed. Beyond it the deployment stops."`
}

// Serves says whether the model is served that way: ServeRealtime or ServeBatch.
func (m *Manifest) Serves(kind string) bool { return slices.Contains(m.Serve, kind) }

// Artifact names the trained file: Path inside the model folder, or URI with a generation. Exactly one of them is set.
type Artifact struct {
	Path   string `yaml:"path" json:"path,omitempty" doc:"Path inside the model folder."`
	URI    string `yaml:"uri" json:"uri,omitempty" doc:"gs://bucket/object#generation, for files too large for the repository; fetched when the unit is bundled."`
	Format string `yaml:"format" json:"format" required:"true" doc:"Which reader opens it."`
	SHA256 string `yaml:"sha256" json:"sha256" required:"true" doc:"The file's sha256, 64 hex digits."`
}

// Type is the kind of value that an input takes.
type Type string

// The input types.
const (
	Number      Type = "number"
	Integer     Type = "integer"
	Boolean     Type = "boolean"
	Categorical Type = "categorical"
	Timestamp   Type = "timestamp"
)

// Input is one field that callers send or files carry.
type Input struct {
	Name        string   `yaml:"name" json:"name" required:"true" doc:"The key in requests and the header in files."`
	Type        Type     `yaml:"type" json:"type" required:"true" doc:"What the values are."`
	Values      []Value  `yaml:"values" json:"values,omitzero" doc:"categorical: every value in training order; text or numbers, not both."`
	Layouts     []string `yaml:"layouts" json:"layouts,omitzero" doc:"timestamp: accepted notations, the first that fits wins: rfc3339, unix (seconds), or a Go layout such as 2006-01-02 15:04."`
	Nullable    bool     `yaml:"nullable" json:"nullable,omitempty" doc:"The value may be missing; the model then sees it as missing."`
	Default     *Value   `yaml:"default" json:"default,omitempty" doc:"Stands in for a key that a request leaves out, and for an empty field of a file unless the input is nullable."`
	NullStrings []string `yaml:"null_strings" json:"null_strings,omitzero" doc:"Texts that mean null in files. Left out: the empty field."`
	Min         *float64 `yaml:"min" json:"min,omitempty" doc:"number, integer: smallest accepted value."`
	Max         *float64 `yaml:"max" json:"max,omitempty" doc:"number, integer: largest accepted value."`
	Unit        string   `yaml:"unit" json:"unit,omitempty" doc:"The unit, for people."`
	Description string   `yaml:"description" json:"description,omitempty" doc:"What it is, for people."`
}

// Required says whether a request must carry the key and a file the column.
func (in *Input) Required() bool { return !in.Nullable && in.Default == nil }

// Feature is one column that the model sees. Expr is empty for an input taken as it is, whose name Name then is.
type Feature struct {
	Name string `yaml:"name" json:"name" required:"true" doc:"The feature's name in training."`
	Expr string `yaml:"expr" json:"expr,omitempty" doc:"An expression over inputs (docs/reference/expressions.md). Left out: the input of that name."`
}

// Output is one value that the model answers with.
type Output struct {
	Name        string   `yaml:"name" json:"name" required:"true" doc:"The key in answers and the header in files."`
	Min         *float64 `yaml:"min" json:"min,omitempty" doc:"Smaller predictions are raised to it."`
	Max         *float64 `yaml:"max" json:"max,omitempty" doc:"Larger predictions are lowered to it."`
	Labels      []string `yaml:"labels" json:"labels,omitzero" doc:"Class names in training order. An output with labels takes no engine column: it names the class."`
	Threshold   *float64 `yaml:"threshold" json:"threshold,omitempty" doc:"Two labels: from this probability on it is the second. Left out: 0.5."`
	Unit        string   `yaml:"unit" json:"unit,omitempty" doc:"The unit, for people."`
	Description string   `yaml:"description" json:"description,omitempty" doc:"What it is, for people."`
}

// Parity loosens the parity check for features that agree with the trainer's only approximately.
type Parity struct {
	Tolerance float64 `yaml:"tolerance" json:"tolerance" required:"true" doc:"Largest relative difference."`
}

// Realtime is the HTTPS function of a model.
type Realtime struct {
	Invokers    []string `yaml:"invokers" json:"invokers,omitzero" doc:"Who may call: serviceAccount:…, user:…, group:… or principal:…. Never allUsers."`
	Memory      string   `yaml:"memory" json:"memory" default:"256Mi" doc:"Memory of an instance."`
	CPU         string   `yaml:"cpu" json:"cpu" default:"1" doc:"CPUs of an instance, in quotes."`
	Concurrency int      `yaml:"concurrency" json:"concurrency" default:"80" doc:"Requests at once in an instance. More than one needs a whole CPU."`
	Timeout     Duration `yaml:"timeout" json:"timeout" default:"60s" doc:"Longest request."`
	Scale       Scale    `yaml:"scale" json:"scale" doc:"Number of instances."`
	Limits      Limits   `yaml:"limits" json:"limits" doc:"What one request may carry."`
}

// Scale bounds the number of instances.
type Scale struct {
	Min int `yaml:"min" json:"min" default:"0" doc:"Instances kept warm; 0 costs nothing at rest."`
	Max int `yaml:"max" json:"max" default:"10" doc:"Most instances."`
}

// Limits bounds one request. The caps are those of the platform: 10,000 rows, 32 MiB.
type Limits struct {
	Rows  int   `yaml:"rows" json:"rows" default:"10000" doc:"Most rows of a request."`
	Bytes Bytes `yaml:"bytes" json:"bytes" default:"1MiB" doc:"Largest request body."`
}
