package vertex

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"cloud.google.com/go/aiplatform/apiv1/aiplatformpb"
	"github.com/kubeflow/pipelines/api/v2alpha1/go/pipelinespec"
	bolt "go.etcd.io/bbolt"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"
)

// The buckets. Other servers keep theirs in the same file.
var (
	bucketJobs       = []byte("vertex.jobs")       // resource name → sha256 of the spec, then the job without spec and details
	bucketSpecs      = []byte("vertex.specs")      // sha256 → google.protobuf.Struct: many jobs share one released spec
	bucketTasks      = []byte("vertex.tasks")      // resource name, 0x00, unique task name → record; its sequence gives task ids
	bucketProcesses  = []byte("vertex.processes")  // process id → process
	bucketCache      = []byte("vertex.cache")      // cache key → pipelinespec.ExecutorOutput
	bucketOperations = []byte("vertex.operations") // operation name → google.longrunning.Operation
)

var (
	errExists  = errors.New("exists")
	errMissing = errors.New("no such job")
)

// store is what survives a kill. Every method is one transaction.
type store struct{ db *bolt.DB }

func makeBuckets(db *bolt.DB) error {
	return db.Update(func(tx *bolt.Tx) error {
		for _, b := range [][]byte{bucketJobs, bucketSpecs, bucketTasks, bucketProcesses, bucketCache, bucketOperations} {
			if _, err := tx.CreateBucketIfNotExists(b); err != nil {
				return fmt.Errorf("create bucket %s: %w", b, err)
			}
		}
		return nil
	})
}

// createJob stores a new job, or says errExists.
func (s store) createJob(job *aiplatformpb.PipelineJob) error {
	spec, err := proto.MarshalOptions{Deterministic: true}.Marshal(job.PipelineSpec)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(spec)
	value, err := encodeJob(sum[:], job)
	if err != nil {
		return err
	}
	return s.db.Update(func(tx *bolt.Tx) error {
		jobs := tx.Bucket(bucketJobs)
		if jobs.Get([]byte(job.Name)) != nil {
			return errExists
		}
		if err := tx.Bucket(bucketSpecs).Put(sum[:], spec); err != nil {
			return err
		}
		return jobs.Put([]byte(job.Name), value)
	})
}

func encodeJob(sum []byte, job *aiplatformpb.PipelineJob) ([]byte, error) {
	lean := proto.CloneOf(job)
	lean.PipelineSpec, lean.JobDetail = nil, nil
	return proto.MarshalOptions{}.MarshalAppend(bytes.Clone(sum), lean)
}

func decodeJob(value []byte) (*aiplatformpb.PipelineJob, []byte, error) {
	if len(value) < sha256.Size {
		return nil, nil, errors.New("a job record is cut short")
	}
	job := &aiplatformpb.PipelineJob{}
	err := proto.Unmarshal(value[sha256.Size:], job)
	return job, bytes.Clone(value[:sha256.Size]), err
}

// exists says whether a job has this name.
func (s store) exists(name string) (found bool, err error) {
	err = s.db.View(func(tx *bolt.Tx) error {
		found = tx.Bucket(bucketJobs).Get([]byte(name)) != nil
		return nil
	})
	return found, err
}

// job reads one job with its spec, and with the details of its tasks if asked.
func (s store) job(name string, detail bool) (job *aiplatformpb.PipelineJob, err error) {
	err = s.db.View(func(tx *bolt.Tx) error {
		value := tx.Bucket(bucketJobs).Get([]byte(name))
		if value == nil {
			return errMissing
		}
		var sum []byte
		if job, sum, err = decodeJob(value); err != nil {
			return fmt.Errorf("read job %s: %w", name, err)
		}
		job.PipelineSpec = &structpb.Struct{}
		if err := proto.Unmarshal(tx.Bucket(bucketSpecs).Get(sum), job.PipelineSpec); err != nil {
			return fmt.Errorf("read the spec of job %s: %w", name, err)
		}
		if detail {
			job.JobDetail, err = taskDetails(tx, name)
		}
		return err
	})
	return job, err
}

// jobs calls fn with each job of a location, without details. Specs are decoded once each and shared: fn must not
// change them.
func (s store) jobs(parent string, fn func(*aiplatformpb.PipelineJob)) error {
	specs := map[string]*structpb.Struct{}
	prefix := []byte(parent + "/pipelineJobs/")
	return s.db.View(func(tx *bolt.Tx) error {
		c := tx.Bucket(bucketJobs).Cursor()
		for k, v := c.Seek(prefix); bytes.HasPrefix(k, prefix); k, v = c.Next() {
			job, sum, err := decodeJob(v)
			if err != nil {
				return fmt.Errorf("read job %s: %w", k, err)
			}
			spec := specs[string(sum)]
			if spec == nil {
				spec = &structpb.Struct{}
				if err := proto.Unmarshal(tx.Bucket(bucketSpecs).Get(sum), spec); err != nil {
					return fmt.Errorf("read the spec of job %s: %w", k, err)
				}
				specs[string(sum)] = spec
			}
			job.PipelineSpec = spec
			fn(job)
		}
		return nil
	})
}

// changeJob reads, changes and writes a job in one transaction; an error of fn leaves it as it was.
func (s store) changeJob(name string, fn func(*aiplatformpb.PipelineJob) error) error {
	return s.db.Update(func(tx *bolt.Tx) error { return changeJob(tx, name, fn) })
}

func changeJob(tx *bolt.Tx, name string, fn func(*aiplatformpb.PipelineJob) error) error {
	jobs := tx.Bucket(bucketJobs)
	value := jobs.Get([]byte(name))
	if value == nil {
		return errMissing
	}
	job, sum, err := decodeJob(value)
	if err != nil {
		return fmt.Errorf("read job %s: %w", name, err)
	}
	if err := fn(job); err != nil {
		return err
	}
	if value, err = encodeJob(sum, job); err != nil {
		return err
	}
	return jobs.Put([]byte(name), value)
}

// deleteJob removes a job and its tasks.
func deleteJob(tx *bolt.Tx, name string) error {
	tasks := tx.Bucket(bucketTasks)
	var keys [][]byte // collected first: deleting while a cursor moves skips keys
	prefix := taskKey(name, "")
	c := tasks.Cursor()
	for k, _ := c.Seek(prefix); bytes.HasPrefix(k, prefix); k, _ = c.Next() {
		keys = append(keys, bytes.Clone(k))
	}
	for _, k := range keys {
		if err := tasks.Delete(k); err != nil {
			return err
		}
	}
	return tx.Bucket(bucketJobs).Delete([]byte(name))
}

// unfinished names the jobs that are to be executed on.
func (s store) unfinished() (names []string, err error) {
	err = s.db.View(func(tx *bolt.Tx) error {
		return tx.Bucket(bucketJobs).ForEach(func(k, v []byte) error {
			job, _, err := decodeJob(v)
			if err != nil {
				return fmt.Errorf("read job %s: %w", k, err)
			}
			if !finished(job.State) {
				names = append(names, string(k))
			}
			return nil
		})
	})
	return names, err
}

func finished(s aiplatformpb.PipelineState) bool {
	switch s {
	case aiplatformpb.PipelineState_PIPELINE_STATE_SUCCEEDED, aiplatformpb.PipelineState_PIPELINE_STATE_FAILED,
		aiplatformpb.PipelineState_PIPELINE_STATE_CANCELLED:
		return true
	}
	return false
}

// record is the state of one task, or of one iteration of one.
type record struct {
	detail    *aiplatformpb.PipelineTaskDetail
	outputs   *pipelinespec.ExecutorOutput
	attempt   int       // 1-based: the one that runs, or runs next
	notBefore time.Time // when the next attempt may start
	halted    bool      // NOT_TRIGGERED by FAIL_FAST, not by a condition or an upstream task
}

// storedRecord is a record in the file: JSON around protobuf messages.
type storedRecord struct {
	Detail    []byte    `json:"detail"`
	Outputs   []byte    `json:"outputs,omitempty"`
	Attempt   int       `json:"attempt"`
	NotBefore time.Time `json:"not_before,omitzero"`
	Halted    bool      `json:"halted,omitempty"`
}

func taskKey(job, unique string) []byte { return []byte(job + "\x00" + unique) }

func (r *record) encode() ([]byte, error) {
	st := storedRecord{Attempt: r.attempt, NotBefore: r.notBefore, Halted: r.halted}
	var err error
	if st.Detail, err = proto.Marshal(r.detail); err != nil {
		return nil, err
	}
	if st.Outputs, err = proto.Marshal(r.outputs); err != nil {
		return nil, err
	}
	return json.Marshal(st)
}

func decodeRecord(value []byte) (*record, error) {
	var st storedRecord
	if err := json.Unmarshal(value, &st); err != nil {
		return nil, err
	}
	r := &record{
		detail: &aiplatformpb.PipelineTaskDetail{}, outputs: &pipelinespec.ExecutorOutput{},
		attempt: st.Attempt, notBefore: st.NotBefore, halted: st.Halted,
	}
	return r, errors.Join(proto.Unmarshal(st.Detail, r.detail), proto.Unmarshal(st.Outputs, r.outputs))
}
