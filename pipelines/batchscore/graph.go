package batchscore

import (
	"encoding/json"
	"fmt"

	"github.com/millrace-ml/millrace/shared/pipeline"
)

// Root parameters. Each is a STRING except ParamDataset (STRUCT). Tasks take the ones they need under the same names.
const (
	ParamRunID       = "run_id"       // run id = Vertex job id
	ParamModel       = "model"        // name of the model
	ParamKey         = "key"          // the trigger's key in hex: the ledger document (finish only)
	ParamProject     = "project"      // Google Cloud project
	ParamRegion      = "region"       // region of the pipeline (finish only)
	ParamDatabase    = "database"     // Firestore database of the ledger (finish only)
	ParamStaging     = "staging"      // bucket for what steps hand to each other, by name, no gs://
	ParamOutbox      = "outbox"       // bucket for predictions, by name, no gs://
	ParamModelURI    = "model_uri"    // gs:// URI of the model folder's tar
	ParamModelDigest = "model_digest" // its digest, sha256:<hex>
	ParamDataset     = "dataset"      // what to score, a batch.Dataset (plan only)

	// Lineage for summary.json. The first two have the default "" and are filled by Publish of package pipeline, so whoever
	// starts a run passes them along with the release's other parameters; the image is the default that Build sets.
	ParamSpecDigest = pipeline.ParamSpecDigest
	ParamCommit     = pipeline.ParamCommit
	ParamImage      = "image" // image of the steps, by digest in production
)

// Parameters of single tasks.
const (
	ParamShard  = "shard"  // score: one Shard (STRUCT)
	ParamCount  = "count"  // publish: number of shards (NUMBER_INTEGER)
	ParamHeader = "header" // score: plan's OutHeader (LIST)
	ParamStatus = "status" // finish: PipelineTaskFinalStatus of work (TASK_FINAL_STATUS)
)

// Output parameters of the plan task. All four must be written, also with ModeDone: an output that is missing fails
// the task.
const (
	OutMode   = "mode"   // STRING: ModeSharded or ModeDone
	OutShards = "shards" // LIST of Shard, empty with ModeDone
	OutCount  = "count"  // NUMBER_INTEGER: number of shards, 0 with ModeDone
	OutHeader = "header" // LIST of STRING: columns of the dataset's files in file order, empty with ModeDone
)

// Values of OutMode.
const (
	ModeSharded = "sharded" // the shards are to be scored and published by the tasks that follow
	ModeDone    = "done"    // a verdict was written, or a small dataset is published: nothing follows
)

// Subcommands of the step binary, the first argument of each container. The second and third are
// FlagExecutorInput and the executor input as JSON.
const (
	StepPlan    = "plan"
	StepScore   = "score"
	StepPublish = "publish"
	StepFinish  = "finish"

	FlagExecutorInput = "--executor_input"
)

// Task names as task details of a job show them.
const (
	TaskWork        = "work"
	TaskPlan        = "plan"
	TaskSharded     = "sharded"
	TaskScoreShards = "score-shards"
	TaskScore       = "score"
	TaskPublish     = "publish"
	TaskFinish      = "finish"
)

// Shard is a range of one object's bytes that holds whole data rows, the unit that one score task works on.
// Its integers are JSON strings, like int64 in proto3's JSON: parameters travel as doubles, and how a platform prints a
// double (67108864, 6.7108864e+07) is its own affair.
type Shard struct {
	Index      int      `json:"index,string"`      // 0-based over the whole dataset, names the output
	Bucket     string   `json:"bucket"`            // bucket of the object
	Object     string   `json:"object"`            // name of the object
	Generation int64    `json:"generation,string"` // the generation that plan saw; reads pin it
	Offset     int64    `json:"offset,string"`     // first byte of the first row; never inside the header
	Length     int64    `json:"length,string"`     // bytes
	FirstRow   int64    `json:"first_row,string"`  // number of the first data row in its object, from 1
	Rows       int64    `json:"rows,string"`       // rows that plan counted in it; score must account for as many
	Header     []string `json:"header,omitempty"`  // columns, only if they differ from plan's OutHeader
}

// Value is the shard as the plan step puts it into its LIST output.
func (s Shard) Value() (map[string]any, error) {
	b, err := json.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("encode shard %d: %w", s.Index, err)
	}
	var v map[string]any
	if err := json.Unmarshal(b, &v); err != nil {
		return nil, fmt.Errorf("encode shard %d: %w", s.Index, err)
	}
	return v, nil
}
