package pipeline

import (
	"time"

	"github.com/kubeflow/pipelines/api/v2alpha1/go/pipelinespec"
)

// Types of parameters.
const (
	Double  = pipelinespec.ParameterType_NUMBER_DOUBLE
	Integer = pipelinespec.ParameterType_NUMBER_INTEGER
	String  = pipelinespec.ParameterType_STRING
	Boolean = pipelinespec.ParameterType_BOOLEAN
	List    = pipelinespec.ParameterType_LIST
	Struct  = pipelinespec.ParameterType_STRUCT
)

// Type is the type of a parameter.
type Type = pipelinespec.ParameterType_ParameterTypeEnum

// Builder makes a PipelineSpec from Go calls. Mistakes (a name used twice, a value used where it cannot be seen) are
// collected and reported together by Spec, so that calls can be chained.
type Builder struct {
	name, description string
	root              *Dag
	errs              []error
}

// Dag is a scope: the tasks in it see its own inputs, each other's outputs, and every value of the scopes around it (which
// is handed down through the dags between by itself). Values made inside are not seen outside.
type Dag struct {
	b        *Builder
	name     string
	task     *Task // the task that this dag is the body of, nil for the root
	tasks    []*Task
	inputs   []*Value          // declared inputs, in order of appearance
	imported map[*Value]*Value // value of an outer scope → the input that carries it
	names    map[string]*Value
	exports  []export
}

// Value is a parameter or an artifact somewhere in the graph. It says what flows, not what it will be.
type Value struct {
	scope    *Dag  // where it can be named, nil for a constant
	producer *Task // nil: an input of scope
	key      string
	typ      Type
	schema   string // schema title of an artifact, "" for a parameter
	list     bool   // several artifacts
	constant any
	def      any // default of a root parameter, if hasDef
	hasDef   bool
}

// Inputs are what a task is given, by the names that the task knows them by.
type Inputs map[string]*Value

// Container is the work of a task.
type Container struct {
	Image         string
	Command, Args []string
	Env           map[string]string
	CPU           float64 // cores, 0 = the platform's default
	Memory        float64 // GB (10^9 bytes), 0 = the platform's default
	Accelerator   string  // such as NVIDIA_TESLA_T4
	Accelerators  int     // how many
}

// Retry says how often a failed task is tried again, and how long to wait: Backoff, then Factor times as long each time.
type Retry struct {
	Count            int
	Backoff, Longest time.Duration
	Factor           float64
}

// Task is a node of the graph: a container, or a dag that stands for what is inside it.
type Task struct {
	parent    *Dag
	name      string
	inputs    Inputs
	container *Container
	outputs   []*Value
	retry     *Retry
	cache     bool
	after     []*Task
	exit      *Task // runs when this one is over, whatever became of it

	dag       *Dag
	condition string
	items     string // input that holds the list to loop over
	item      *Value
	parallel  int
}

type export struct{ outer, inner *Value }
