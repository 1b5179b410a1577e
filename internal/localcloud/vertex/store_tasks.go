package vertex

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"slices"

	"cloud.google.com/go/aiplatform/apiv1/aiplatformpb"
	"github.com/kubeflow/pipelines/api/v2alpha1/go/pipelinespec"
	bolt "go.etcd.io/bbolt"
	"google.golang.org/protobuf/proto"
)

// eachTask calls fn with each task record of a job.
func eachTask(tx *bolt.Tx, job string, fn func(*record)) error {
	prefix := taskKey(job, "")
	c := tx.Bucket(bucketTasks).Cursor()
	for k, v := c.Seek(prefix); bytes.HasPrefix(k, prefix); k, v = c.Next() {
		r, err := decodeRecord(v)
		if err != nil {
			return fmt.Errorf("read task %q: %w", k, err)
		}
		fn(r)
	}
	return nil
}

func taskDetails(tx *bolt.Tx, job string) (*aiplatformpb.PipelineJobDetail, error) {
	d := &aiplatformpb.PipelineJobDetail{}
	err := eachTask(tx, job, func(r *record) { d.TaskDetails = append(d.TaskDetails, r.detail) })
	slices.SortFunc(d.TaskDetails, func(a, b *aiplatformpb.PipelineTaskDetail) int { return cmp.Compare(a.TaskId, b.TaskId) })
	return d, err
}

// tasks reads all task records of a job, by unique name.
func (s store) tasks(job string) (map[string]*record, error) {
	all := map[string]*record{}
	err := s.db.View(func(tx *bolt.Tx) error {
		return eachTask(tx, job, func(r *record) { all[r.detail.TaskUniqueName] = r })
	})
	return all, err
}

// addTasks gives ids to new task records and stores them, all in one transaction. The ids are set when it returns nil.
func (s store) addTasks(job string, recs []*record) error {
	return s.db.Batch(func(tx *bolt.Tx) error {
		b := tx.Bucket(bucketTasks)
		for _, r := range recs {
			id, err := b.NextSequence()
			if err != nil {
				return err
			}
			r.detail.TaskId = int64(id)
			if err := putTask(tx, job, r); err != nil {
				return err
			}
		}
		return nil
	})
}

func putTask(tx *bolt.Tx, job string, r *record) error {
	value, err := r.encode()
	if err != nil {
		return fmt.Errorf("encode task %s: %w", r.detail.TaskUniqueName, err)
	}
	return tx.Bucket(bucketTasks).Put(taskKey(job, r.detail.TaskUniqueName), value)
}

// change is what one transition of a task writes together.
type change struct {
	rec      *record
	ended    *process // no longer runs
	cacheKey string   // keep rec's outputs under this key
}

func (s store) changeTask(job string, c change) error {
	return s.db.Batch(func(tx *bolt.Tx) error {
		if c.ended != nil {
			if err := tx.Bucket(bucketProcesses).Delete(c.ended.key()); err != nil {
				return err
			}
		}
		if c.cacheKey != "" {
			value, err := proto.Marshal(c.rec.outputs)
			if err != nil {
				return err
			}
			if err := tx.Bucket(bucketCache).Put([]byte(c.cacheKey), value); err != nil {
				return err
			}
		}
		return putTask(tx, job, c.rec)
	})
}

// cached is what an earlier task with the same key gave, or nil.
func (s store) cached(key string) (out *pipelinespec.ExecutorOutput, err error) {
	err = s.db.View(func(tx *bolt.Tx) error {
		value := tx.Bucket(bucketCache).Get([]byte(key))
		if value == nil {
			return nil
		}
		out = &pipelinespec.ExecutorOutput{}
		return proto.Unmarshal(value, out)
	})
	return out, err
}

// process is a process group that a server started. Identity tells it from a later process with the same id.
type process struct {
	Pid      int    `json:"pid"`
	Identity string `json:"identity"`
	Task     string `json:"task"`
}

func (p *process) key() []byte { return binary.BigEndian.AppendUint64(nil, uint64(p.Pid)) }

func (s store) addProcess(p *process) error {
	value, err := json.Marshal(p)
	if err != nil {
		return err
	}
	return s.db.Batch(func(tx *bolt.Tx) error { return tx.Bucket(bucketProcesses).Put(p.key(), value) })
}

// processes reads all recorded processes.
func (s store) processes() (all []*process, err error) {
	err = s.db.View(func(tx *bolt.Tx) error {
		return tx.Bucket(bucketProcesses).ForEach(func(k, v []byte) error {
			p := &process{}
			if err := json.Unmarshal(v, p); err != nil {
				return fmt.Errorf("read process %x: %w", k, err)
			}
			all = append(all, p)
			return nil
		})
	})
	return all, err
}

func (s store) forgetProcesses(all []*process) error {
	if len(all) == 0 {
		return nil
	}
	return s.db.Update(func(tx *bolt.Tx) error {
		for _, p := range all {
			if err := tx.Bucket(bucketProcesses).Delete(p.key()); err != nil {
				return err
			}
		}
		return nil
	})
}
