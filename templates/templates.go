// Package templates holds what a new model folder begins with. example is a small trained model that works at once,
// realtime and batch are what each way of serving adds, artifact is for a model file that somebody brings. internal/scaffold
// renders them.
package templates

import "embed"

// FS has the files; those that hold {{ }} are text/template.
//
//go:embed example realtime batch artifact
var FS embed.FS
