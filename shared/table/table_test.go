package table

import (
	"strings"
	"testing"
)

func TestColumn(t *testing.T) {
	t.Parallel()
	var b Block
	b.Reset([]string{"a", "b"})
	for _, row := range [][2]string{{"1", ""}, {"", "x"}, {"long text", "y"}} {
		b.Columns[0].Append([]byte(row[0]))
		b.Columns[1].Append([]byte(row[1]))
		b.Rows++
	}
	got := ""
	for i := range b.Rows {
		got += string(b.Columns[0].Text(i)) + "|" + string(b.Columns[1].Text(i)) + ";"
	}
	if want := "1|;|x;long text|y;"; got != want {
		t.Errorf("fields are %q, want %q", got, want)
	}
}

func TestResetKeepsMemory(t *testing.T) { // not parallel: AllocsPerRun counts the whole process
	var b Block
	header := []string{"a", "b", "c"}
	b.Reset(header)
	fill := func() {
		b.Reset(header)
		for i := range b.Columns {
			b.Columns[i].Append([]byte("some text"))
		}
		b.Numbers = append(b.Numbers, 1)
	}
	fill()
	if n := testing.AllocsPerRun(10, fill); n != 0 {
		t.Errorf("a reused block allocates %v times, want 0", n)
	}
	b.Reset([]string{"x"})
	if len(b.Columns) != 1 || b.Columns[0].Name != "x" || len(b.Columns[0].Ends) != 0 {
		t.Errorf("after Reset to one column the block is %+v", b.Columns)
	}
	b.Reset(header)
	if len(b.Columns) != 3 || b.Columns[2].Name != "c" {
		t.Errorf("after Reset to three columns the block is %+v", b.Columns)
	}
}

func TestShort(t *testing.T) {
	t.Parallel()
	euros := strings.Repeat("€", 200)
	for name, tc := range map[string]struct{ in, want string }{
		"short text as it is":          {"abc", "abc"},
		"empty":                        {"", ""},
		"exactly the limit":            {strings.Repeat("x", 80), strings.Repeat("x", 80)},
		"one over the limit":           {strings.Repeat("x", 81), strings.Repeat("x", 79) + "…"},
		"cut between characters":       {euros, strings.Repeat("€", 79) + "…"},
		"invalid UTF-8 is replaced":    {"caf\xe9", "caf\uFFFD"},
		"multi-byte text at the limit": {strings.Repeat("€", 80), strings.Repeat("€", 80)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := Short([]byte(tc.in)); got != tc.want {
				t.Errorf("Short = %q, want %q", got, tc.want)
			}
		})
	}
}
