// Package pipeline is everything about batch pipelines that is not the work itself: a builder from Go to a Kubeflow
// PipelineSpec, its YAML, the lint of such a spec (ours or compiled by the KFP SDK), the check of its parameters, the
// release of a model (spec, model folder and pointer in the artifacts bucket) and the submission to Vertex AI.
// It does not know runs or their states (package batch), nor what the steps of a pipeline do.
package pipeline
