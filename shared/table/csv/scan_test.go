package csv

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestScan(t *testing.T) {
	t.Parallel()
	header := []string{"a", "b"}
	for name, tc := range map[string]struct {
		in   string
		o    Options
		size int64
		want Index
	}{
		"a shard a row": {in: "a,b\n1,2\n3,4\n", size: 1, want: Index{Bytes: 12, Rows: 2,
			Shards: []Shard{{4, 4, 1, 1}, {8, 4, 2, 1}}}},
		"one shard": {in: "a,b\n1,2\n3,4", size: 100, want: Index{Bytes: 11, Rows: 2,
			Shards: []Shard{{4, 7, 1, 2}}}},
		"header only":               {in: "a,b\n", size: 1, want: Index{Bytes: 4}},
		"header without a line end": {in: "a,b", size: 1, want: Index{Bytes: 3}},
		"empty lines": {in: "a,b\n\n1,2\n\n3,4\n\n", size: 1, want: Index{Bytes: 15, Rows: 2,
			Shards: []Shard{{4, 5, 1, 1}, {9, 5, 2, 1}}}},
		"never inside quotes": {in: "a,b\n1,\"x\ny\nz\"\n3,4\n", size: 2, want: Index{Bytes: 18, Rows: 2,
			Shards: []Shard{{4, 10, 1, 1}, {14, 4, 2, 1}}}},
		"CRLF stays whole": {in: "a,b\r\n1,2\r\n3,4\r\n", size: 1, want: Index{Bytes: 15, Rows: 2,
			Shards: []Shard{{5, 5, 1, 1}, {10, 5, 2, 1}}}},
		"a later file of a dataset": {in: "a,b\n1,2\n3,4\n", o: Options{FirstRow: 101}, size: 1, want: Index{Bytes: 12, Rows: 2,
			Shards: []Shard{{4, 4, 101, 1}, {8, 4, 102, 1}}}},
		"open quote": {in: "a,b\n1,2\n3,\"x\n5,6\n7,8\n", size: 1, want: Index{Bytes: 21, Rows: 2,
			Shards: []Shard{{4, 4, 1, 1}, {8, 13, 2, 1}}, Open: &OpenQuote{Row: 2, Offset: 10, Lines: 2}}},
		"open quote in the last line": {in: "a,b\n1,2\n3,\"x\n", size: 100, want: Index{Bytes: 13, Rows: 2,
			Shards: []Shard{{4, 9, 1, 2}}, Open: &OpenQuote{Row: 2, Offset: 10}}},
		"open quote, lone CR": {in: "a,b\r3,\"x\r5,6\r7,8", size: 100, want: Index{Bytes: 16, Rows: 1,
			Shards: []Shard{{4, 12, 1, 1}}, Open: &OpenQuote{Row: 1, Offset: 6, Lines: 2}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tc.want.Header = header
			for _, chunk := range []int{1, 2, 5, 0} {
				tc.o.chunk = chunk
				got, err := Scan(strings.NewReader(tc.in), tc.o, tc.size)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(&tc.want, got); diff != "" {
					t.Fatalf("chunks of %d (-want +got):\n%s", chunk, diff)
				}
			}
		})
	}
}
