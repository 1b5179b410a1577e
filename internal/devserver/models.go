package devserver

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/millrace-ml/millrace/functions/predict"
	"github.com/millrace-ml/millrace/pipelines/batchscore"
	"github.com/millrace-ml/millrace/shared/entry"
	"github.com/millrace-ml/millrace/shared/manifest"
	"github.com/millrace-ml/millrace/shared/pipeline"
	"github.com/millrace-ml/millrace/shared/score"
)

const (
	reloadEvery  = 500 * time.Millisecond
	releaseLimit = time.Minute
	// The container image of our steps in the local cloud: its repository stands in Vertex's image table.
	imageRepository = "local/millrace-step"
	imageEntrypoint = "/ko-app/step"
)

// model is what the server knows of one folder.
type model struct {
	seen, loaded uint64 // the folder's state when last looked at, and when last loaded
	manifest     *manifest.Manifest
	problem      string
}

// watchModels loads the folders and loads those again that change, until ctx ends. A folder counts as whole when two looks
// found it equal.
func (d *Server) watchModels(ctx context.Context) {
	keepLooking(ctx, reloadEvery, func() { d.lookAtModels(ctx, false) })
}

// lookAtModels loads what changed; at once or, if not, what two looks found equal.
func (d *Server) lookAtModels(ctx context.Context, atOnce bool) {
	names, err := modelNames(d.opts.Models)
	if err != nil {
		d.log.Error("models: " + err.Error())
		return
	}
	changed := false
	for _, name := range names {
		now, err := state(filepath.Join(d.opts.Models, name))
		if err != nil {
			continue // a file went away while we looked; the next look sees it whole
		}
		m := d.models[name]
		if m == nil {
			m = &model{}
			d.models[name] = m
		}
		if now != m.loaded && (atOnce || now == m.seen) {
			m.loaded = now
			d.load(ctx, name, m)
			changed = true
		}
		m.seen = now
	}
	for name, m := range d.models {
		if !slices.Contains(names, name) {
			d.remove(ctx, name, m)
			changed = true
		}
	}
	if changed || atOnce {
		d.updateView()
		d.schedule()
	}
}

// load brings one folder into use. What fails leaves the version before in place.
func (d *Server) load(ctx context.Context, name string, m *model) {
	next, err := d.tryLoad(ctx, name)
	if err != nil {
		m.problem = err.Error()
		d.log.Error("model "+name+" is refused", "error", m.problem)
		if s := d.slot(name); s != nil && s.current.Load() == nil {
			s.reason.Store(&m.problem)
		}
		return
	}
	m.manifest, m.problem = next, ""
	d.log.Info("model loaded", "model", name, "version", next.Version)
}

func (d *Server) tryLoad(ctx context.Context, name string) (*manifest.Manifest, error) {
	dir := filepath.Join(d.opts.Models, name)
	man, err := manifest.LoadDir(os.DirFS(d.opts.Models), name)
	if err != nil {
		return nil, err
	}
	if _, err := score.Open(os.DirFS(dir)); err != nil {
		return nil, err
	}
	if man.Serves(manifest.ServeRealtime) {
		s, err := d.slotOf(name)
		if err != nil {
			return nil, err
		}
		f, err := predict.Open(ctx, lookup(map[string]string{"MODEL_DIR": dir}))
		if err != nil {
			return nil, err
		}
		options := entry.ServeOptions{Log: d.log, Project: project, Timeout: time.Duration(man.Realtime.Timeout)}
		if err := s.swap(ctx, f, options, ""); err != nil {
			d.log.Error("close the version before: "+err.Error(), "model", name)
		}
	}
	if man.Serves(manifest.ServeBatch) {
		if err := d.release(ctx, man, dir); err != nil {
			return nil, err
		}
		if up := man.Batch.Uploads; up != nil { // so that a file can be copied there at once
			if err := os.MkdirAll(filepath.Join(d.opts.Data, inboxFolder, filepath.FromSlash(up.Prefix)), 0o755); err != nil {
				return nil, err
			}
		}
	}
	return man, nil
}

// release does what a deployment does to a batch model: the folder and its pipeline go into the artifacts bucket, then the
// pointer moves.
func (d *Server) release(ctx context.Context, man *manifest.Manifest, dir string) error {
	ctx, cancel := context.WithTimeout(ctx, releaseLimit)
	defer cancel()
	image := imageRepository + "@" + d.imageDigest
	spec, err := batchscore.Build(man, image)
	if err != nil {
		return err
	}
	text, err := pipeline.Encode(spec)
	if err != nil {
		return err
	}
	_, err = pipeline.Publish(ctx, d.storage, artifactsBucket, pipeline.PublishInput{
		Folder: os.DirFS(dir), Manifest: man, Spec: text, Image: image, Now: time.Now(),
	})
	if err != nil {
		return fmt.Errorf("release %s: %w", man.Name, err)
	}
	return nil
}

// remove takes a model whose folder is gone out of service. Its release stays: runs that go on need it.
func (d *Server) remove(ctx context.Context, name string, m *model) {
	delete(d.models, name)
	if s := d.slot(name); s != nil {
		if err := s.swap(ctx, nil, entry.ServeOptions{}, "its folder is gone"); err != nil {
			d.log.Error("close: "+err.Error(), "model", name)
		}
	}
	if m.manifest != nil {
		d.log.Info("model removed: its folder is gone", "model", name)
	}
}

// slot finds a model's slot, nil if it has none.
func (d *Server) slot(name string) *slot {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.slots[name]
}

// modelNames lists the folders that have a manifest.
func modelNames(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if _, err := os.Stat(filepath.Join(dir, e.Name(), manifest.File)); e.IsDir() && err == nil {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

// state is a folder's content as far as names, sizes and times tell.
func state(dir string) (uint64, error) {
	h := fnv.New64a()
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(h, "%s\x00%d\x00%d\x00", path, info.Size(), info.ModTime().UnixNano())
		return err
	})
	if errors.Is(err, fs.ErrNotExist) {
		return 0, err
	}
	return h.Sum64(), err
}

// lookup is a getenv over fixed settings.
func lookup(env map[string]string) func(string) string {
	return func(key string) string { return env[key] }
}
