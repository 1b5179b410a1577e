// Package config holds what Terraform says of the code to what the code says: the environment of each function, the defaults
// of a manifest, and the reference page of variables and outputs.
package config

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/caarlos0/env/v11"

	"github.com/millrace-ml/millrace/functions/batchtrigger"
	"github.com/millrace-ml/millrace/functions/onupload"
	"github.com/millrace-ml/millrace/functions/predict"
	"github.com/millrace-ml/millrace/shared/entry"
)

// notOurs are settings that Terraform leaves alone, with the reason.
var notOurs = map[string]string{
	"AIP_HEALTH_ROUTE":          "set by Vertex AI in its own container",
	"AIP_PREDICT_ROUTE":         "set by Vertex AI in its own container",
	"CLOUD_RUN_TIMEOUT_SECONDS": "set by the platform",
	"FIRESTORE_EMULATOR_HOST":   "a laptop's",
	"FUNCTION_TARGET":           "set by the build of the function",
	"MODEL_DIR":                 "the default is where a bundle has it",
	"STORAGE_EMULATOR_HOST":     "a laptop's",
	"VERTEX_ENDPOINT":           "a laptop's",
}

var functions = []struct {
	local string
	cfg   any
}{
	{"predict_env", &predict.Config{}},
	{"onupload_env", &onupload.Config{}},
	{"batchtrigger_env", &batchtrigger.Config{}},
}

// keys are the variables that structs read.
func keys(t *testing.T, configs ...any) map[string]env.FieldParams {
	t.Helper()
	all := map[string]env.FieldParams{}
	for _, cfg := range configs {
		params, err := env.GetFieldParams(cfg)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range params {
			all[p.Key] = p
		}
	}
	return all
}

// The environment that Terraform gives each function is what its Config reads: nothing missing, nothing more.
func TestEachFunctionGetsItsConfig(t *testing.T) {
	t.Parallel()
	body := file(t, "functions.tf")
	for _, f := range functions {
		t.Run(f.local, func(t *testing.T) {
			t.Parallel()
			given := settings(t, body, local(t, body, f.local))
			read := keys(t, f.cfg, &entry.Settings{})
			for key := range read {
				if _, ok := given[key]; !ok && notOurs[key] == "" {
					t.Errorf("%s is read, and functions.tf does not set it", key)
				}
			}
			for key := range given {
				if _, ok := read[key]; !ok {
					t.Errorf("functions.tf sets %s, which nobody reads", key)
				}
				if notOurs[key] != "" {
					t.Errorf("functions.tf sets %s, which is %s", key, notOurs[key])
				}
			}
		})
	}
}

// examples stand for what is known only in a project.
var examples = map[string]string{"OPERATORS": "deployer@p.iam.gserviceaccount.com,ops@example.com", "SWEEP_SINCE": "2026-01-31T12:00:00.000Z"}

// The functions take that environment, and start.
func TestEachFunctionTakesItsEnvironment(t *testing.T) {
	t.Parallel()
	body := file(t, "functions.tf")
	for _, f := range functions {
		t.Run(f.local, func(t *testing.T) {
			t.Parallel()
			given := settings(t, body, local(t, body, f.local))
			err := entry.Config(func(key string) string {
				s, ok := given[key]
				switch {
				case !ok:
					return ""
				case s.literal:
					return s.text
				case examples[key] != "":
					return examples[key]
				}
				return strings.ToLower(key)
			}, reflect.New(reflect.TypeOf(f.cfg).Elem()).Interface())
			if err != nil {
				t.Error(err)
			}
		})
	}
}

// A setting that Terraform writes out is the code's default, so that a function behaves the same wherever it runs.
func TestWrittenSettingsAreTheDefaults(t *testing.T) {
	t.Parallel()
	body := file(t, "functions.tf")
	said := map[string]string{"LEASE": "10s"} // START_DEADLINE + 2s, which no tag can say
	for _, f := range functions {
		for key, p := range keys(t, f.cfg) {
			s := settings(t, body, local(t, body, f.local))[key]
			if want := p.DefaultValue + said[key]; s.literal && s.text != want {
				t.Errorf("%s: %s is %q, the code has %q", f.local, key, s.text, want)
			}
		}
	}
}

// Every module that makes a function gets one of the environments that are checked here.
func TestAllFunctionsAreChecked(t *testing.T) {
	t.Parallel()
	var made []string
	for _, b := range file(t, "functions.tf").Blocks {
		if b.Type != "module" {
			continue
		}
		env := traversals(b.Body.Attributes["env"].Expr, "local")
		if want := b.Labels[0] + "_env"; !slices.Equal(env, []string{want}) {
			t.Errorf("module %s has env %q, expected local.%s", b.Labels[0], env, want)
		}
		made = append(made, b.Labels[0]+"_env")
	}
	if len(made) != len(functions) {
		t.Errorf("functions.tf makes %q, %d are checked", made, len(functions))
	}
}
