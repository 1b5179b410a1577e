package vertex

import (
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"slices"

	"google.golang.org/protobuf/proto"
)

// cacheKey is the same for tasks that would give the same: location, component, executor, input parameters and the URIs
// of the input artifacts.
func (r *run) cacheKey(t *task, in *values) string {
	h := sha256.New()
	part := func(b []byte) {
		sum := sha256.Sum256(b) // each part has one length, so that no two sequences of parts are alike
		h.Write(sum[:])
	}
	det := proto.MarshalOptions{Deterministic: true}
	part([]byte(r.name.parent))
	for _, m := range []proto.Message{t.component.spec, t.component.executor} {
		b, err := det.Marshal(m)
		if err != nil {
			return "" // not to be compared, so never taken from the cache
		}
		part(b)
	}
	for _, k := range slices.Sorted(maps.Keys(in.params)) {
		part([]byte(k))
		part([]byte(toJSON(in.params[k].AsInterface())))
	}
	part(nil)
	for _, k := range slices.Sorted(maps.Keys(in.arts)) {
		part([]byte(k))
		for _, a := range in.arts[k] {
			part([]byte(a.Uri))
		}
		part(nil)
	}
	return hex.EncodeToString(h.Sum(nil))
}
