package firestore

import (
	"encoding/binary"
	"sync"
	"time"

	bolt "go.etcd.io/bbolt"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// clock gives commits strictly increasing times in whole microseconds, whatever the machine's clock does, so that an
// update time is a version. A read's time is exact: the read shows every commit up to it and none after it.
type clock struct {
	now func() time.Time

	mu       sync.Mutex
	last     int64 // newest time given to a commit or a read
	inFlight int64 // first time given to a commit that may not be durable yet; 0 = none
}

// load resumes after the newest durable commit.
func (c *clock) load(tx *bolt.Tx) { c.last = max(c.last, durable(tx)) }

func durable(tx *bolt.Tx) int64 {
	if v := bucket(tx, metaBucket).Get(clockKey); len(v) == 8 {
		return int64(binary.BigEndian.Uint64(v))
	}
	return 0
}

// tick gives the next commit its time and persists it with the commit.
func (c *clock) tick(tx *bolt.Tx) (int64, error) {
	c.mu.Lock()
	c.last = max(c.now().UnixMicro(), c.last+1)
	t := c.last
	if c.inFlight == 0 {
		c.inFlight = t
	}
	c.mu.Unlock()
	return t, bucket(tx, metaBucket).Put(clockKey, binary.BigEndian.AppendUint64(nil, uint64(t)))
}

// settled says that every commit that got a time so far is durable or has failed.
func (c *clock) settled() {
	c.mu.Lock()
	c.inFlight = 0
	c.mu.Unlock()
}

// beforeRead is called before the snapshot of a read is taken: all commits from now on get later times.
func (c *clock) beforeRead() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := max(c.now().UnixMicro(), c.last)
	if c.inFlight != 0 {
		t = min(t, c.inFlight-1)
	}
	c.last = max(c.last, t)
	return t
}

// readTime is the time of the snapshot tx for which beforeRead gave before.
func readTime(tx *bolt.Tx, before int64) *timestamppb.Timestamp {
	return micros(max(before, durable(tx)))
}

func micros(t int64) *timestamppb.Timestamp { return timestamppb.New(time.UnixMicro(t)) }
