package batchtrigger

import (
	"time"

	"github.com/millrace-ml/millrace/shared/batch"
	"github.com/millrace-ml/millrace/shared/cloud"
)

// Config is what the function reads from the environment.
type Config struct {
	cloud.Config
	batch.Timing
	batch.Sweep
	Operators batch.Operators `env:"OPERATORS,required"`         // emails that may start runs, by comma; * is everyone, for a laptop
	Deadline  time.Duration   `env:"DEADLINE" envDefault:"175s"` // of one request; the attempt deadline of Cloud Scheduler less 5 s
}

// Valid reports what the types cannot.
func (c *Config) Valid() []string {
	problems := append(c.Config.Valid(), append(c.Timing.Valid(), c.Sweep.Valid()...)...)
	if c.Deadline < c.StartDeadline {
		problems = append(problems, "DEADLINE: "+c.Deadline.String()+" is below START_DEADLINE, "+c.StartDeadline.String())
	}
	return problems
}

func (c *Config) places() batch.Config {
	return batch.Config{
		Project: c.Project, Region: c.Region, Database: c.Database, ServiceAccount: c.PipelineAccount,
		Inbox: c.Inbox, Outbox: c.Outbox, Staging: c.Staging, Artifacts: c.Artifacts,
	}
}
