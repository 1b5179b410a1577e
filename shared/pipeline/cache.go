package pipeline

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"cloud.google.com/go/storage"
)

// How long a list of releases counts as fresh, and how long to leave storage alone after it failed.
const (
	defaultMaxAge = 30 * time.Second
	afterFailure  = 5 * time.Second
)

// CacheOptions are the settings of a Cache that have defaults.
type CacheOptions struct {
	MaxAge time.Duration    // 30 s
	Now    func() time.Time // time.Now
	Log    *slog.Logger     // told of pointers that cannot be read and of failed reads; nil = slog.Default()
}

// Cache keeps the list of releases. While storage does not answer it goes on with the last list that it had, and a pointer
// that has become unreadable keeps its last good form. It is safe for concurrent use.
type Cache struct {
	client *storage.Client
	bucket string
	maxAge time.Duration
	now    func() time.Time
	log    *slog.Logger

	busy   chan struct{} // held by who reads or looks; a channel, so that waiting obeys ctx
	list   []Release     // replaced, never changed
	loaded bool
	asOf   time.Time // when the read that gave list began
	failed time.Time // when the last read that gave nothing began
}

// NewCache makes a cache of the releases in the artifacts bucket. It reads nothing yet.
func NewCache(client *storage.Client, bucket string, o CacheOptions) (*Cache, error) {
	if client == nil || bucket == "" {
		return nil, errors.New("pipeline: a cache of releases needs a storage client and a bucket")
	}
	c := &Cache{client: client, bucket: bucket, maxAge: o.MaxAge, now: o.Now, log: o.Log, busy: make(chan struct{}, 1)}
	if c.maxAge == 0 {
		c.maxAge = defaultMaxAge
	}
	if c.now == nil {
		c.now = time.Now
	}
	if c.log == nil {
		c.log = slog.Default()
	}
	return c, nil
}

// All gives the releases, at most MaxAge old if storage answers. The slice must not be changed.
func (c *Cache) All(ctx context.Context) ([]Release, error) {
	return c.get(ctx, func(now time.Time) bool {
		return c.loaded && (now.Sub(c.asOf) <= c.maxAge || now.Sub(c.failed) <= afterFailure)
	}, true)
}

// Refresh gives the releases as they are now: the read began after the call. Calls that wait together share one read. When
// storage does not answer it is an error, since "there is no such model" must not be said from an old list.
func (c *Cache) Refresh(ctx context.Context) ([]Release, error) {
	asked := c.now()
	return c.get(ctx, func(time.Time) bool { return c.loaded && !c.asOf.Before(asked) }, false)
}

// Find gives the first release, by name, that match accepts. It reads the list again before it says that there is none.
func (c *Cache) Find(ctx context.Context, match func(*Release) bool) (*Release, bool, error) {
	for _, list := range []func(context.Context) ([]Release, error){c.All, c.Refresh} {
		releases, err := list(ctx)
		if err != nil {
			return nil, false, err
		}
		if i := slices.IndexFunc(releases, func(r Release) bool { return match(&r) }); i >= 0 {
			r := releases[i]
			return &r, true, nil
		}
	}
	return nil, false, nil
}

// get gives the list if it is good enough, else reads it. stale says that an old list is better than none.
func (c *Cache) get(ctx context.Context, good func(now time.Time) bool, stale bool) ([]Release, error) {
	select {
	case c.busy <- struct{}{}:
		defer func() { <-c.busy }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	began := c.now()
	if good(began) {
		return c.list, nil
	}
	list, broken, err := readReleases(ctx, c.client, c.bucket)
	if err != nil {
		c.failed = began
		if stale && c.loaded {
			c.log.LogAttrs(ctx, slog.LevelWarn, "releases cannot be read, the last ones are kept",
				slog.Any("error", err), slog.Int64("ms", began.Sub(c.asOf).Milliseconds()))
			return c.list, nil
		}
		return nil, err
	}
	for _, object := range sortedKeys(broken) {
		c.log.LogAttrs(ctx, slog.LevelError, "a release cannot be read, its last good form is kept if there is one",
			slog.String("object", object), slog.Any("error", broken[object]))
		for _, old := range c.list {
			if PointerObject(old.Model) == object {
				list = append(list, old)
			}
		}
	}
	slices.SortFunc(list, byModel)
	c.list, c.loaded, c.asOf = list, true, began
	return c.list, nil
}
