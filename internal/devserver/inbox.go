package devserver

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"cloud.google.com/go/storage"
	"google.golang.org/api/googleapi"
)

const (
	inboxFolder = "inbox"
	lookEvery   = 250 * time.Millisecond
	uploadLimit = 10 * time.Minute
)

// look is what a file was like when the folder was last looked through.
type look struct {
	size int64
	time time.Time
	done bool // uploaded in this state
}

// folder uploads what is copied into <data>/inbox/<object name>. A file counts as whole when two looks found it equal.
// It is uploaded once, also over restarts: an object that has its content already is left alone.
type folder struct {
	root   string
	bucket *storage.BucketHandle
	log    *slog.Logger
	seen   map[string]look
}

// run looks until ctx ends.
func (f *folder) run(ctx context.Context) {
	keepLooking(ctx, lookEvery, func() {
		if err := f.sweep(ctx); err != nil && ctx.Err() == nil {
			f.log.Error("inbox folder: " + err.Error())
		}
	})
}

// keepLooking calls look at once and then again and again until ctx ends. Looking at a large folder must not keep a core
// busy, so the pause grows with how long a look takes.
func keepLooking(ctx context.Context, least time.Duration, look func()) {
	for wait := time.Duration(0); ; {
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
		start := time.Now()
		look()
		wait = max(least, 10*time.Since(start))
	}
}

// sweep looks through the folder once.
func (f *folder) sweep(ctx context.Context) error {
	present := map[string]bool{}
	err := filepath.WalkDir(f.root, func(path string, e fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist): // went away while we looked
			return nil
		case err != nil:
			return err
		case e.IsDir() || !e.Type().IsRegular() || strings.HasPrefix(e.Name(), "."):
			return nil
		}
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		} else if err != nil {
			return err
		}
		present[path] = true
		now := look{size: info.Size(), time: info.ModTime()}
		last, known := f.seen[path]
		switch {
		case !known || last.size != now.size || !last.time.Equal(now.time):
			f.seen[path] = now
		case !last.done:
			if err := f.upload(ctx, path); err != nil {
				return err // it is tried again at the next look
			}
			now.done = true
			f.seen[path] = now
		}
		return nil
	})
	for path := range f.seen {
		if !present[path] {
			delete(f.seen, path)
		}
	}
	return err
}

// upload makes the file the object of its relative path. Every write is conditional on what was there, so that an answer
// that is lost cannot make a second generation.
func (f *folder) upload(ctx context.Context, path string) error {
	ctx, cancel := context.WithTimeout(ctx, uploadLimit)
	defer cancel()
	rel, err := filepath.Rel(f.root, path)
	if err != nil {
		return err
	}
	name := filepath.ToSlash(rel)
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	sum := crc32.New(crc32.MakeTable(crc32.Castagnoli))
	size, err := io.Copy(sum, file)
	if err != nil {
		return fmt.Errorf("read %s: %w", rel, err)
	}
	object := f.bucket.Object(name)
	condition := storage.Conditions{DoesNotExist: true}
	attrs, err := object.Attrs(ctx)
	switch {
	case err == nil && attrs.Size == size && attrs.CRC32C == sum.Sum32():
		return nil
	case err == nil:
		condition = storage.Conditions{GenerationMatch: attrs.Generation}
	case !errors.Is(err, storage.ErrObjectNotExist):
		return fmt.Errorf("look up object %s: %w", name, err)
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	w := object.If(condition).NewWriter(ctx)
	w.CRC32C, w.SendCRC32C = sum.Sum32(), true
	if _, err := io.Copy(w, file); err != nil {
		_ = w.Close() // the copy's error is the one to report
		return fmt.Errorf("upload %s: %w", name, err)
	}
	if err := w.Close(); err != nil {
		return fmt.Errorf("upload %s: %w", name, hint(err))
	}
	f.log.Info("uploaded", "object", name, "size", size)
	return nil
}

// hint says what a refusal means for a file in a folder.
func hint(err error) error {
	var api *googleapi.Error
	if errors.As(err, &api) && api.Code == http.StatusPreconditionFailed {
		return fmt.Errorf("the object changed meanwhile: %w", err)
	}
	return err
}
