// Package change says which units of the project have to be deployed, and why. A unit is what deploys on its own: a
// function, the step image, the release of a batch model, the infrastructure. Each has a hash over everything that its
// deployment is made of; it is compared with the hash that was recorded when the unit was last deployed, so that neither a
// failed nor a skipped build loses a change, and nothing is deployed twice. The package deploys and builds nothing.
//
// Content decides: a comment edited in a linked package changes the hash, although the program may come out the same. Tests
// and their testdata are linked by nobody and never count; in a model folder every file counts, since all are released.
package change

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Names of the units. Those of models are PredictPrefix and BatchPrefix with the model's name.
const (
	OnUpload      = "onupload"
	BatchTrigger  = "batchtrigger"
	Step          = "step"
	Terraform     = "terraform"
	PredictPrefix = "predict@"
	BatchPrefix   = "batch@"
)

// Unit is what deploys on its own.
type Unit struct {
	Name string
	Hash string // of Parts
	// Parts are what the hash covers, each with what says its content: a package or a file with its digest, a module with
	// its version, so that a difference can be named.
	Parts map[string]string
}

// Record is what was deployed last of a unit. It lies in deployed/<unit>.json.
type Record struct {
	Unit   string            `json:"unit"`
	Hash   string            `json:"hash"`
	Parts  map[string]string `json:"parts"`
	Commit string            `json:"commit,omitempty"`
	// Committed is when the commit was made: a build of an older one must not undo what a newer one deployed.
	Committed time.Time `json:"committed,omitzero"`
	Deployed  time.Time `json:"deployed,omitzero"`
	// Image is the step image by digest; of that unit alone. Releases that are made while it does not change name it too.
	Image string `json:"image,omitempty"`
	// Revision serves a function since this deployment, and Previous did before it: where a rollback goes.
	Revision string `json:"revision,omitempty"`
	Previous string `json:"previous,omitempty"`
}

// Record is what to store once u is deployed.
func (u *Unit) Record(commit string, now time.Time) Record {
	return Record{Unit: u.Name, Hash: u.Hash, Parts: u.Parts, Commit: commit, Deployed: now.UTC().Truncate(time.Second)}
}

// Action is what has to be done with a unit.
type Action string

// The actions.
const (
	Deploy Action = "deploy"
	Remove Action = "remove"
	Keep   Action = "keep"
)

// Change is the answer for one unit.
type Change struct {
	Unit    string   `json:"unit"`
	Action  Action   `json:"action"`
	Hash    string   `json:"hash,omitempty"` // none of a unit to remove
	Was     string   `json:"was,omitempty"`  // the recorded hash
	Reasons []string `json:"reasons,omitempty"`
	// Parts are the unit's, of one to deploy: its record needs them.
	Parts map[string]string `json:"parts,omitempty"`
}

// newUnit closes a unit over its parts.
func newUnit(name string, parts map[string]string) Unit {
	sum := sha256.New()
	fmt.Fprintf(sum, "millrace unit 1\n%s\n", name)
	for _, part := range slices.Sorted(maps.Keys(parts)) {
		fmt.Fprintf(sum, "%q %q\n", part, parts[part])
	}
	return Unit{Name: name, Hash: "sha256:" + hex.EncodeToString(sum.Sum(nil)), Parts: parts}
}

// Compare gives a change for each unit there is and each that was recorded, sorted by name.
func Compare(now []Unit, was []Record) []Change {
	recorded := map[string]Record{}
	for _, r := range was {
		recorded[r.Unit] = r
	}
	var out []Change
	for _, u := range now {
		r, known := recorded[u.Name]
		delete(recorded, u.Name)
		c := Change{Unit: u.Name, Action: Keep, Hash: u.Hash, Was: r.Hash}
		switch {
		case !known:
			c.Action, c.Reasons, c.Parts = Deploy, []string{"new: there is no record of it"}, u.Parts
		case u.Hash != r.Hash:
			c.Action, c.Reasons, c.Parts = Deploy, difference(r.Parts, u.Parts), u.Parts
		}
		out = append(out, c)
	}
	for name, r := range recorded {
		out = append(out, Change{Unit: name, Action: Remove, Was: r.Hash, Reasons: []string{gone(name)}})
	}
	slices.SortFunc(out, func(a, b Change) int { return strings.Compare(a.Unit, b.Unit) })
	return out
}

// gone says why a recorded unit is no longer there.
func gone(name string) string {
	kind, model, ok := strings.Cut(name, "@")
	if !ok {
		return "its source is gone"
	}
	serve := "realtime"
	if kind+"@" == BatchPrefix {
		serve = "batch"
	}
	return fmt.Sprintf("models/%s is gone, or does not serve %s any more", model, serve)
}

// difference names what changed between two lists of parts.
func difference(was, now map[string]string) []string {
	names := maps.Clone(was)
	if names == nil {
		names = map[string]string{}
	}
	maps.Copy(names, now)
	var out []string
	for _, name := range slices.Sorted(maps.Keys(names)) {
		before, had := was[name]
		after, has := now[name]
		if before == after && had == has {
			continue
		}
		out = append(out, describe(name, before, after, had, has))
	}
	if len(out) == 0 {
		return []string{"the recorded hash was made in another way"}
	}
	return out
}

func describe(name, before, after string, had, has bool) string {
	versioned := strings.HasPrefix(name, modulePart) || name == goPart
	switch {
	case !had && versioned:
		return fmt.Sprintf("%s %s added", name, version(after))
	case !had:
		return name + " added"
	case !has:
		return name + " removed"
	case versioned && version(before) != version(after):
		return fmt.Sprintf("%s %s → %s", name, version(before), version(after))
	default:
		return name + " changed"
	}
}

// version is what people call a module's content: its sum cut off.
func version(value string) string {
	v, _, _ := strings.Cut(value, " h1:")
	return v
}
