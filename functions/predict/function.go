// Package predict is the function that answers real-time predictions with the model that its deployment carries.
// client: shops, services and people call it for every prediction they need.
package predict

import (
	"context"
	"os"

	"github.com/GoogleCloudPlatform/functions-framework-go/functions"

	"github.com/millrace-ml/millrace/shared/entry"
	"github.com/millrace-ml/millrace/shared/score"
)

func init() { functions.HTTP("Predict", entry.HTTP("Predict", Open)) } // registers only

// Open loads the model of MODEL_DIR and proves its parity rows: a model that does not give what it was recorded with is
// refused, and the process does not start.
func Open(_ context.Context, getenv func(string) string) (*entry.Function, error) {
	var cfg Config
	if err := entry.Config(getenv, &cfg); err != nil {
		return nil, err
	}
	model, err := score.Open(os.DirFS(cfg.ModelDir))
	if err != nil {
		return nil, err
	}
	return newFunction(model, cfg)
}
