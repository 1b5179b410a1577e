package step

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// executorInput is what the container contract hands over as JSON: parameters in, and the files to write parameters to.
type executorInput struct {
	Inputs struct {
		ParameterValues map[string]json.RawMessage `json:"parameterValues"`
	} `json:"inputs"`
	Outputs struct {
		Parameters map[string]struct {
			OutputFile string `json:"outputFile"`
		} `json:"parameters"`
		OutputFile string `json:"outputFile"`
	} `json:"outputs"`
}

// outputs are a step's output parameters by name.
type outputs map[string]any

func readExecutorInput(text string) (*executorInput, error) {
	in := &executorInput{}
	if err := json.Unmarshal([]byte(text), in); err != nil {
		return nil, &usageError{fmt.Sprintf("the executor input is not the JSON of an ExecutorInput: %v", err)}
	}
	return in, nil
}

// text is a STRING parameter, "" if it is not there.
func (in *executorInput) text(name string) string {
	var s string
	if raw, ok := in.Inputs.ParameterValues[name]; !ok || json.Unmarshal(raw, &s) != nil {
		return ""
	}
	return s
}

// need says which of the STRING parameters are missing, all at once.
func (in *executorInput) need(names ...string) error {
	var missing []string
	for _, name := range names {
		if in.text(name) == "" {
			missing = append(missing, name)
		}
	}
	if missing != nil {
		return &usageError{"the executor input lacks the parameters " + strings.Join(missing, ", ")}
	}
	return nil
}

// value decodes a parameter of any type.
func (in *executorInput) value(name string, v any) error {
	raw, ok := in.Inputs.ParameterValues[name]
	if !ok {
		return &usageError{"the executor input lacks the parameter " + name}
	}
	if err := json.Unmarshal(raw, v); err != nil {
		return &usageError{fmt.Sprintf("parameter %s is %.200s: %v", name, raw, err)}
	}
	return nil
}

// answer writes the output parameters, each into its own file and all into executor_output.json, which comes last: where
// it is there, platforms read nothing else. Parent folders are ours to make; Vertex makes none.
func (in *executorInput) answer(out outputs) error {
	for name, v := range out {
		p, ok := in.Outputs.Parameters[name]
		if !ok || p.OutputFile == "" {
			continue
		}
		var data []byte
		if s, ok := v.(string); ok {
			data = []byte(s) // taken verbatim, the others are parsed as JSON
		} else if j, err := json.Marshal(v); err == nil {
			data = j
		} else {
			return fmt.Errorf("encode output %s: %w", name, err)
		}
		if err := writeFile(p.OutputFile, data); err != nil {
			return err
		}
	}
	if in.Outputs.OutputFile == "" {
		return nil
	}
	if out == nil {
		out = outputs{}
	}
	data, err := json.Marshal(map[string]any{"parameterValues": out})
	if err != nil {
		return fmt.Errorf("encode the outputs: %w", err)
	}
	return writeFile(in.Outputs.OutputFile, data)
}

func writeFile(name string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return fmt.Errorf("write outputs: %w", err)
	}
	if err := os.WriteFile(name, data, 0o644); err != nil {
		return fmt.Errorf("write outputs: %w", err)
	}
	return nil
}
