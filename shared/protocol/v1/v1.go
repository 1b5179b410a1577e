// Package v1 answers KServe's V1 protocol, TensorFlow Serving's REST API, Vertex AI's container contract and the
// predecessor's payload: all of them are the one JSON body of package protocol on different routes.
package v1

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"

	"github.com/millrace-ml/millrace/shared/fault"
	"github.com/millrace-ml/millrace/shared/manifest"
	"github.com/millrace-ml/millrace/shared/protocol"
)

// Server answers for one model.
type Server struct {
	target        *protocol.Target
	name, version string
	health        string // AIP_HEALTH_ROUTE
	predict       string // AIP_PREDICT_ROUTE
}

// New serves target. health and predict are the routes that Vertex AI asks for, empty elsewhere.
func New(target *protocol.Target, health, predict string) *Server {
	m := target.Model.Manifest()
	return &Server{target: target, name: m.Name, version: m.Version, health: health, predict: predict}
}

const modelsRoute = "/v1/models"

// Answer serves one request and says how many rows it predicted.
//
//	client: POST /v1/models/M[/versions/V]:predict and POST /      predictions
//	client: GET  /v1/models, /v1/models/M[/versions/V][/metadata]  what is served
//	client: GET  /                                                 liveness
//	Vertex: GET  AIP_HEALTH_ROUTE, POST AIP_PREDICT_ROUTE
func (s *Server) Answer(ctx context.Context, r *protocol.Request) (*protocol.Answer, int, error) {
	switch path := r.Path; {
	case s.predict != "" && path == s.predict, path == "/" && r.Method == http.MethodPost:
		return s.predicted(ctx, r)
	case s.health != "" && path == s.health, path == "/":
		return get(r, map[string]string{"status": "alive"})
	case path == modelsRoute:
		return get(r, map[string][]string{"models": {s.name}})
	case strings.HasPrefix(path, modelsRoute+"/"):
		return s.model(ctx, r, path[len(modelsRoute)+1:])
	}
	return nil, 0, fault.New(fault.NotFound, nil, "no such route; predictions are at POST %s/%s:predict", modelsRoute, s.name)
}

// model serves what follows /v1/models/: NAME[/versions/V][/metadata][:VERB].
func (s *Server) model(ctx context.Context, r *protocol.Request, rest string) (*protocol.Answer, int, error) {
	verb := ""
	if i := strings.LastIndexByte(rest, ':'); i >= 0 {
		rest, verb = rest[:i], rest[i+1:]
	}
	rest, metadata := strings.CutSuffix(rest, "/metadata")
	name, version, versioned := strings.Cut(rest, "/versions/")
	if name != s.name || versioned && version != s.version {
		return nil, 0, fault.New(fault.NotFound, nil, "Request for unknown model: '%s' is not found; this function serves %s, version %s", clip(rest), s.name, s.version)
	}
	switch {
	case verb == "predict" && !metadata:
		return s.predicted(ctx, r)
	case verb == "explain" || verb == "classify" || verb == "regress":
		return nil, 0, fault.New(fault.Unimplemented, nil, ":%s is not offered; :predict is", verb)
	case verb != "":
		return nil, 0, fault.New(fault.NotFound, nil, "no such verb %q; :predict is offered", clip(verb))
	case metadata:
		return get(r, s.metadata())
	}
	return get(r, s.status())
}

func (s *Server) predicted(ctx context.Context, r *protocol.Request) (*protocol.Answer, int, error) {
	if r.Method != http.MethodPost {
		return nil, 0, method(r, "POST")
	}
	if err := protocol.CheckJSON(r.Header); err != nil {
		return nil, 0, err
	}
	return s.target.Predict(ctx, r.Body)
}

// status merges KServe's and TensorFlow Serving's answers: clients of either find their keys.
func (s *Server) status() any {
	type state struct {
		Version string            `json:"version"`
		State   string            `json:"state"`
		Status  map[string]string `json:"status"`
	}
	return struct {
		Name   string  `json:"name"`
		Ready  bool    `json:"ready"`
		Digest string  `json:"model_digest"`
		States []state `json:"model_version_status"`
	}{s.name, true, s.target.Model.Digest(), []state{{s.version, "AVAILABLE", map[string]string{"error_code": "OK", "error_message": ""}}}}
}

// metadata is TensorFlow Serving's description of the signature, made from the contract.
func (s *Server) metadata() any {
	type dim struct {
		Size string `json:"size"`
		Name string `json:"name"`
	}
	type shape struct {
		Dim         []dim `json:"dim"`
		UnknownRank bool  `json:"unknown_rank"`
	}
	type tensor struct {
		Type  string `json:"dtype"`
		Shape shape  `json:"tensor_shape"`
		Name  string `json:"name"`
	}
	column := func(name, kind string) tensor { return tensor{kind, shape{[]dim{{"-1", ""}}, false}, name} }
	inputs, outputs := map[string]tensor{}, map[string]tensor{}
	for _, in := range s.target.Model.Contract().Inputs() {
		inputs[in.Name] = column(in.Name, dtype(in))
	}
	for _, out := range s.target.Model.Manifest().Outputs {
		kind := "DT_DOUBLE"
		if len(out.Labels) > 0 {
			kind = "DT_STRING"
		}
		outputs[out.Name] = column(out.Name, kind)
	}
	return map[string]any{
		"model_spec": map[string]string{"name": s.name, "signature_name": "", "version": s.version},
		"metadata": map[string]any{"signature_def": map[string]any{"signature_def": map[string]any{"serving_default": map[string]any{
			"inputs": inputs, "outputs": outputs, "method_name": "tensorflow/serving/predict",
		}}}},
	}
}

func dtype(in manifest.Input) string {
	switch in.Type {
	case manifest.Integer:
		return "DT_INT64"
	case manifest.Boolean:
		return "DT_BOOL"
	case manifest.Number:
		return "DT_DOUBLE"
	}
	return "DT_STRING"
}

func get(r *protocol.Request, v any) (*protocol.Answer, int, error) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return nil, 0, method(r, "GET")
	}
	b, err := json.Marshal(v)
	if err != nil {
		return nil, 0, err
	}
	return &protocol.Answer{Status: http.StatusOK, Body: append(b, '\n')}, 0, nil
}

func method(r *protocol.Request, want string) error {
	return fault.New(fault.Method, nil, "%s is not allowed here, %s is", clip(r.Method), want)
}

// clip bounds a caller's text in an answer.
func clip(s string) string {
	if len(s) > 64 {
		return strings.ToValidUTF8(s[:64], "") + "…"
	}
	return s
}
