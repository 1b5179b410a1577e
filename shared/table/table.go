// Package table holds rows of text by column, a block at a time, and the interface of a stream of such blocks. It says
// nothing of types or meaning (that is shared/feature) and reads no format itself (the packages below it do).
package table

import "strings"

// Block is a few thousand rows, column by column. It is reused: Next overwrites it, so keep nothing that points into it.
type Block struct {
	Rows    int      // complete rows, equal in all columns
	First   int64    // number of the first data row that the block covers, bad ones too; the file's first is 1
	Numbers []int64  // the number of each row; they have gaps where a bad row stood
	Columns []Column // in the file's order
	Bad     []BadRow // rows among these that could not be split into fields
}

// Column is the text of one column: that of row i ends at Ends[i] and begins where the row before it ended. One buffer
// for all rows keeps a block free of pointers, so that the garbage collector has nothing to walk.
type Column struct {
	Name string
	Data []byte
	Ends []uint32
}

// Text is the field of row i. It points into the block and dies with the next use of it.
func (c *Column) Text(i int) []byte {
	begin := uint32(0)
	if i > 0 {
		begin = c.Ends[i-1]
	}
	return c.Data[begin:c.Ends[i]]
}

// Append adds the field of the next row.
func (c *Column) Append(text []byte) {
	c.Data = append(c.Data, text...)
	c.Ends = append(c.Ends, uint32(len(c.Data)))
}

// Truncate drops all fields but the first n.
func (c *Column) Truncate(n int) {
	n = min(n, len(c.Ends))
	c.Ends = c.Ends[:n]
	if n == 0 {
		c.Data = c.Data[:0]
		return
	}
	c.Data = c.Data[:c.Ends[n-1]]
}

// BadRow is a row that could not be split into fields, with its text shortened and the reason in words for its owner.
type BadRow struct {
	Row    int64
	Value  string
	Reason string
}

// Reader is a stream of blocks. Next fills the block with at least one row, good or bad, or answers io.EOF; after any
// error the reader is spent. It is for one goroutine.
type Reader interface {
	Header() []string
	Next(*Block) error
}

// Reset empties the block for the given columns and keeps its memory.
func (b *Block) Reset(header []string) {
	b.Rows, b.First = 0, 0
	b.Numbers, b.Bad = b.Numbers[:0], b.Bad[:0]
	if cap(b.Columns) < len(header) {
		b.Columns = append(b.Columns[:cap(b.Columns)], make([]Column, len(header)-cap(b.Columns))...)
	}
	b.Columns = b.Columns[:len(header)]
	for i := range b.Columns {
		c := &b.Columns[i]
		c.Name, c.Data, c.Ends = header[i], c.Data[:0], c.Ends[:0]
	}
}

// ShortRunes is the longest value that a report of a bad row quotes.
const ShortRunes = 80

// Short is text as a report may quote it: valid UTF-8 of at most ShortRunes characters, cut with an ellipsis.
func Short(text []byte) string {
	cut := text[:min(len(text), 4*ShortRunes)] // no character has more than four bytes
	runes := []rune(strings.ToValidUTF8(string(cut), "\uFFFD"))
	if len(cut) == len(text) && len(runes) <= ShortRunes {
		return string(runes)
	}
	return string(runes[:min(len(runes), ShortRunes-1)]) + "…"
}
