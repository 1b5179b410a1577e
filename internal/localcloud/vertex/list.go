package vertex

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"cloud.google.com/go/aiplatform/apiv1/aiplatformpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
)

// pageSize is both the default and the most that a page has.
const pageSize = 100

// ListPipelineJobs answers the jobs of a location, without the details of their tasks.
func (s *Server) ListPipelineJobs(_ context.Context, r *aiplatformpb.ListPipelineJobsRequest) (*aiplatformpb.ListPipelineJobsResponse, error) {
	if err := checkParent(r.Parent); err != nil {
		return nil, err
	}
	match, err := parseFilter(r.Filter)
	if err != nil {
		return nil, status.Errorf(codes.InvalidArgument, "filter %q: %v", r.Filter, err)
	}
	order, err := parseOrder(r.OrderBy)
	if err != nil {
		return nil, status.Errorf(codes.InvalidArgument, "order_by %q: %v", r.OrderBy, err)
	}
	if r.PageSize < 0 {
		return nil, status.Errorf(codes.InvalidArgument, "page_size %d is negative", r.PageSize)
	}
	if !validMask(r.ReadMask) {
		return nil, status.Errorf(codes.InvalidArgument, "read_mask %v names a field that PipelineJob does not have", r.ReadMask.GetPaths())
	}
	after, err := parsePage(r)
	if err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	var found []*aiplatformpb.PipelineJob
	err = s.store.jobs(r.Parent, func(j *aiplatformpb.PipelineJob) {
		if match(j) && (after == nil || order.compare(j, after) > 0) {
			found = append(found, j)
		}
	})
	if err != nil {
		return nil, s.internal(err)
	}
	slices.SortFunc(found, order.compare)
	size := pageSize
	if r.PageSize > 0 {
		size = min(int(r.PageSize), pageSize)
	}
	answer := &aiplatformpb.ListPipelineJobsResponse{}
	if len(found) > size {
		answer.NextPageToken = pageToken(r, found[size-1])
		found = found[:size]
	}
	for i, j := range found {
		found[i] = masked(j, r.ReadMask)
	}
	answer.PipelineJobs = found
	return answer, nil
}

// ordering is a list of times, each up or down.
type ordering []struct {
	field string
	desc  bool
}

func parseOrder(s string) (ordering, error) {
	if strings.TrimSpace(s) == "" {
		s = "create_time desc"
	}
	var o ordering
	for part := range strings.SplitSeq(s, ",") {
		words := strings.Fields(part)
		if len(words) == 0 || len(words) > 2 || times[words[0]] == nil || (len(words) == 2 && words[1] != "desc" && words[1] != "asc") {
			return nil, fmt.Errorf("%q is none of create_time, update_time, start_time, end_time, with or without desc", strings.TrimSpace(part))
		}
		o = append(o, struct {
			field string
			desc  bool
		}{words[0], len(words) == 2 && words[1] == "desc"})
	}
	return o, nil
}

// compare is a total order: names decide where the times are equal. A time that is not set comes before all others.
func (o ordering) compare(a, b *aiplatformpb.PipelineJob) int {
	for _, by := range o {
		get := times[by.field]
		var x, y time.Time
		if t := get(a); t != nil {
			x = t.AsTime()
		}
		if t := get(b); t != nil {
			y = t.AsTime()
		}
		c := x.Compare(y)
		if by.desc {
			c = -c
		}
		if c != 0 {
			return c
		}
	}
	return cmp.Compare(a.Name, b.Name)
}

// page is what a token holds: the request it belongs to, and the last job that was answered, as it was then. So jobs that
// come or go between pages shift nothing.
type page struct {
	Parent, Filter, OrderBy string
	Last                    []byte
}

func pageToken(r *aiplatformpb.ListPipelineJobsRequest, last *aiplatformpb.PipelineJob) string {
	key := &aiplatformpb.PipelineJob{Name: last.Name, CreateTime: last.CreateTime, UpdateTime: last.UpdateTime, StartTime: last.StartTime, EndTime: last.EndTime}
	b, err := proto.Marshal(key)
	if err != nil {
		return ""
	}
	token, err := json.Marshal(page{r.Parent, r.Filter, r.OrderBy, b})
	if err != nil {
		return ""
	}
	return base64.URLEncoding.EncodeToString(token)
}

func parsePage(r *aiplatformpb.ListPipelineJobsRequest) (*aiplatformpb.PipelineJob, error) {
	if r.PageToken == "" {
		return nil, nil
	}
	var p page
	b, err := base64.URLEncoding.DecodeString(r.PageToken)
	if err == nil {
		err = json.Unmarshal(b, &p)
	}
	last := &aiplatformpb.PipelineJob{}
	if err == nil {
		err = proto.Unmarshal(p.Last, last)
	}
	if err != nil {
		return nil, fmt.Errorf("page_token %q was not given by this server", shorten(r.PageToken, 40))
	}
	if p.Parent != r.Parent || p.Filter != r.Filter || p.OrderBy != r.OrderBy {
		return nil, fmt.Errorf("page_token belongs to another parent, filter or order_by")
	}
	return last, nil
}

func validMask(m *fieldmaskpb.FieldMask) bool {
	return m == nil || slices.Equal(m.Paths, []string{"*"}) || m.IsValid(&aiplatformpb.PipelineJob{})
}

// masked is the part of a job that a mask names, all of it without one.
func masked(j *aiplatformpb.PipelineJob, m *fieldmaskpb.FieldMask) *aiplatformpb.PipelineJob {
	if len(m.GetPaths()) == 0 || slices.Contains(m.Paths, "*") {
		return j
	}
	out := &aiplatformpb.PipelineJob{}
	for _, p := range m.Paths {
		copyPath(j.ProtoReflect(), out.ProtoReflect(), strings.Split(p, "."))
	}
	return out
}

func copyPath(from, to protoreflect.Message, path []string) {
	f := from.Descriptor().Fields().ByName(protoreflect.Name(path[0]))
	if f == nil || !from.Has(f) {
		return
	}
	if len(path) == 1 {
		to.Set(f, from.Get(f))
		return
	}
	copyPath(from.Get(f).Message(), to.Mutable(f).Message(), path[1:])
}
