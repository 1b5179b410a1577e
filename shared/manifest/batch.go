package manifest

// ModeEach starts one run per uploaded object generation.
const ModeEach = "each"

// SmokePrefix is where a deployment's smoke test pretends to upload: names in the inbox that begin with it are no model's.
const SmokePrefix = ".smoke/"

// Batch is how a model is scored over files.
type Batch struct {
	Uploads     *Uploads   `yaml:"uploads" json:"uploads,omitempty" doc:"Files that start a run when they are uploaded to the inbox."`
	Schedules   []Schedule `yaml:"schedules" json:"schedules,omitzero" doc:"Times at which a run starts."`
	MaxRejected Rejects    `yaml:"max_rejected" json:"max_rejected" default:"0" doc:"How many rows may be rejected before the run fails: a percentage of all rows in quotes or not (5%), or a number of rows."`
	ShardBytes  Bytes      `yaml:"shard_size" json:"shard_size" default:"64MiB" doc:"Size of the part of a dataset that one task scores."`
	Parallelism int        `yaml:"parallelism" json:"parallelism" default:"8" doc:"Most tasks of a run at once."`
	SmallBytes  Bytes      `yaml:"small_dataset" json:"small_dataset" default:"16MiB" doc:"Datasets up to this size are scored by the plan task itself."`
	Machine     Machine    `yaml:"machine" json:"machine" doc:"What one task gets."`
	Delimiter   string     `yaml:"delimiter" json:"delimiter" default:"," doc:"Separates the fields of a CSV file: one of , ; | or a tab."`
	TimeLimit   Duration   `yaml:"time_limit" json:"time_limit" default:"24h" doc:"A run that takes longer raises an alarm."`
}

// Uploads says which objects of the inbox belong to the model.
type Uploads struct {
	Prefix string `yaml:"prefix" json:"prefix" required:"true" doc:"Object names start with it; it ends with a slash and overlaps with no other model's."`
	Mode   string `yaml:"mode" json:"mode" default:"each" doc:"each: every uploaded object is a run of its own."`
}

// Schedule is one timetable and the dataset that its ticks score.
type Schedule struct {
	Name    string `yaml:"name" json:"name" required:"true" doc:"Names the schedule; part of the identity of its runs."`
	Cron    string `yaml:"cron" json:"cron" required:"true" doc:"Minute, hour, day of month, month, day of week."`
	Zone    string `yaml:"zone" json:"zone" default:"Etc/UTC" doc:"IANA time zone of cron and of the placeholders."`
	Dataset string `yaml:"dataset" json:"dataset" required:"true" doc:"Object of the inbox, or every object below a name that ends with a slash. {date} and {hour} are those of the tick in the zone."`
}

// Machine is what one task of a run gets.
type Machine struct {
	CPU    float64 `yaml:"cpu" json:"cpu" default:"2" doc:"CPUs of a task."`
	Memory Bytes   `yaml:"memory" json:"memory" default:"4GiB" doc:"Memory of a task."`
}
