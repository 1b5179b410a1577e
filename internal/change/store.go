package change

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"cloud.google.com/go/storage"
	"google.golang.org/api/iterator"

	"github.com/millrace-ml/millrace/shared/fault"
)

const (
	recordPrefix = "deployed/" // of the objects in the artifacts bucket
	recordExt    = ".json"
	maxRecord    = 4 << 20
	callTimeout  = 30 * time.Second
)

// Store keeps what was deployed last. Write puts a record in the place of the unit's one before, whole or not at all;
// Delete of a unit without a record is no error, and Read of one gives nil. Nothing is cached: List and Read give what is
// there now.
type Store interface {
	List(ctx context.Context) ([]Record, error)
	Read(ctx context.Context, unit string) (*Record, error)
	Write(ctx context.Context, r Record) error
	Delete(ctx context.Context, unit string) error
}

var (
	_ Store = Folder("")
	_ Store = (*Bucket)(nil)
)

// Folder is a store in a local folder, for those who deploy by hand and for trying things out.
type Folder string

// List reads all records. A folder that is not there holds none.
func (f Folder) List(context.Context) ([]Record, error) {
	entries, err := os.ReadDir(string(f))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var out []Record
	for _, e := range entries {
		if e.IsDir() || !strings.HasSuffix(e.Name(), recordExt) || strings.HasPrefix(e.Name(), ".") {
			continue
		}
		name := filepath.Join(string(f), e.Name())
		data, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		r, err := decode(name, strings.TrimSuffix(e.Name(), recordExt), data)
		if err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	return out, nil
}

// Read reads one record.
func (f Folder) Read(_ context.Context, unit string) (*Record, error) {
	if err := checkName(unit); err != nil {
		return nil, err
	}
	name := filepath.Join(string(f), unit+recordExt)
	data, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	r, err := decode(name, unit, data)
	return &r, err
}

// Write stores one record.
func (f Folder) Write(_ context.Context, r Record) error {
	data, err := encode(r)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(string(f), 0o755); err != nil {
		return err
	}
	temp := filepath.Join(string(f), "."+r.Unit+recordExt)
	if err := os.WriteFile(temp, data, 0o644); err != nil {
		return err
	}
	return os.Rename(temp, filepath.Join(string(f), r.Unit+recordExt))
}

// Delete forgets a unit.
func (f Folder) Delete(_ context.Context, unit string) error {
	if err := checkName(unit); err != nil {
		return err
	}
	err := os.Remove(filepath.Join(string(f), unit+recordExt))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// Bucket is the store in the artifacts bucket: the one that deployments use.
type Bucket struct {
	client *storage.Client
	name   string
}

// NewBucket makes a store of a bucket. The caller keeps the client and closes it.
func NewBucket(client *storage.Client, name string) (*Bucket, error) {
	if client == nil || name == "" {
		return nil, fault.New(fault.Internal, nil, "the records need a client and a bucket")
	}
	return &Bucket{client, name}, nil
}

// List reads all records.
func (b *Bucket) List(ctx context.Context) ([]Record, error) {
	var out []Record
	for it := b.client.Bucket(b.name).Objects(ctx, &storage.Query{Prefix: recordPrefix}); ; {
		attrs, err := it.Next()
		if errors.Is(err, iterator.Done) {
			return out, nil
		}
		if err != nil {
			return nil, fmt.Errorf("list gs://%s/%s: %w", b.name, recordPrefix, err)
		}
		unit, ok := strings.CutSuffix(strings.TrimPrefix(attrs.Name, recordPrefix), recordExt)
		if !ok {
			continue
		}
		r, err := b.read(ctx, unit)
		if errors.Is(err, storage.ErrObjectNotExist) {
			continue // deleted since it was listed
		}
		if err != nil {
			return nil, err
		}
		out = append(out, r)
	}
}

func (b *Bucket) read(ctx context.Context, unit string) (Record, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	name := fmt.Sprintf("gs://%s/%s%s%s", b.name, recordPrefix, unit, recordExt)
	r, err := b.object(unit).NewReader(ctx)
	if err != nil {
		return Record{}, fmt.Errorf("read %s: %w", name, err)
	}
	defer r.Close()
	data, err := io.ReadAll(io.LimitReader(r, maxRecord))
	if err != nil {
		return Record{}, fmt.Errorf("read %s: %w", name, err)
	}
	return decode(name, unit, data)
}

// Read reads one record.
func (b *Bucket) Read(ctx context.Context, unit string) (*Record, error) {
	if err := checkName(unit); err != nil {
		return nil, err
	}
	r, err := b.read(ctx, unit)
	if errors.Is(err, storage.ErrObjectNotExist) {
		return nil, nil
	}
	return &r, err
}

func (b *Bucket) object(unit string) *storage.ObjectHandle {
	return b.client.Bucket(b.name).Object(recordPrefix + unit + recordExt)
}

// Write stores one record. Two deployments of a unit at once must be kept apart by who starts them: the later record wins.
func (b *Bucket) Write(ctx context.Context, r Record) error {
	data, err := encode(r)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	w := b.object(r.Unit).Retryer(storage.WithPolicy(storage.RetryAlways)).NewWriter(ctx) // writing the same twice is harmless
	w.ContentType, w.ChunkSize = "application/json", 0
	_, err = w.Write(data)
	if err = errors.Join(err, w.Close()); err != nil {
		return fmt.Errorf("record %s in gs://%s: %w", r.Unit, b.name, err)
	}
	return nil
}

// Delete forgets a unit.
func (b *Bucket) Delete(ctx context.Context, unit string) error {
	if err := checkName(unit); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	err := b.object(unit).Retryer(storage.WithPolicy(storage.RetryAlways)).Delete(ctx)
	if err != nil && !errors.Is(err, storage.ErrObjectNotExist) {
		return fmt.Errorf("forget %s in gs://%s: %w", unit, b.name, err)
	}
	return nil
}

func encode(r Record) ([]byte, error) {
	if err := checkName(r.Unit); err != nil {
		return nil, err
	}
	data, err := json.MarshalIndent(r, "", "  ")
	return append(data, '\n'), err
}

// decode reads a record. One that says nothing of use is an error: to deploy everything because of it would hide that
// something is wrong with the store.
func decode(name, unit string, data []byte) (Record, error) {
	var r Record
	if err := json.Unmarshal(data, &r); err != nil {
		return r, fault.New(fault.Invalid, err, "%s is no record of a deployment; delete it to deploy the unit again", name)
	}
	if r.Unit != unit || r.Hash == "" {
		return r, fault.New(fault.Invalid, nil, "%s is a record of %q with the hash %q, expected one of %q; delete it to deploy the unit again", name, r.Unit, r.Hash, unit)
	}
	return r, nil
}

func checkName(unit string) error {
	if unit == "" || strings.ContainsAny(unit, `/\`) || strings.HasPrefix(unit, ".") {
		return fault.New(fault.Invalid, nil, "%q is no name of a unit", unit)
	}
	return nil
}
