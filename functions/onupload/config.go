package onupload

import (
	"github.com/millrace-ml/millrace/shared/batch"
	"github.com/millrace-ml/millrace/shared/cloud"
)

// Config is what the function reads from the environment.
type Config struct {
	cloud.Config
	batch.Timing
}

// Valid reports what the types cannot.
func (c *Config) Valid() []string { return append(c.Config.Valid(), c.Timing.Valid()...) }

func (c *Config) places() batch.Config {
	return batch.Config{
		Project: c.Project, Region: c.Region, Database: c.Database, ServiceAccount: c.PipelineAccount,
		Inbox: c.Inbox, Outbox: c.Outbox, Staging: c.Staging, Artifacts: c.Artifacts,
	}
}
