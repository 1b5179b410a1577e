package csv

import "io"

// Shard is a part of a file that begins and ends between rows.
type Shard struct {
	Offset, Length int64 // bytes
	FirstRow, Rows int64 // rows that cannot be split into fields count too
}

// Index is what one pass over a file finds.
type Index struct {
	Header []string
	Bytes  int64 // of the whole file
	Rows   int64
	Shards []Shard
	Open   *OpenQuote // nil if all quotes are closed
}

// OpenQuote is a quoted field that the end of the file ends: what looks like rows after it are its text.
type OpenQuote struct {
	Row    int64
	Offset int64 // of the quote in the file
	Lines  int64 // line ends after it that are not the file's last byte
}

// Scan cuts a file into shards of about shardBytes, never inside a row, at constant memory. A shard is read by a Reader
// with Options of its Offset and FirstRow and the Header. Errors are as those of NewReader.
func Scan(src io.Reader, o Options, shardBytes int64) (*Index, error) {
	r, err := NewReader(src, o)
	if err != nil {
		return nil, err
	}
	return r.Scan(shardBytes)
}

// Scan is the function Scan for a file whose header the caller wanted to see first. It takes the place of Next.
func (r *Reader) Scan(shardBytes int64) (*Index, error) {
	var err error
	out := &Index{Header: r.header}
	row := r.number
	shard := Shard{Offset: r.base + int64(r.pos), FirstRow: row}
	f := finder{delimiter: r.delimiter}
	for last := false; !last; {
		begin := r.base + int64(r.pos)
		if last, err = r.pass(&f); err != nil {
			return nil, err
		}
		end := r.base + int64(r.pos)
		if f.unterminated() {
			out.Open = f.openQuote(row, begin)
		}
		if f.length > 0 {
			row++
			shard.Rows++
		}
		f.reset()
		shard.Length = end - shard.Offset
		if shard.Rows > 0 && (last || shard.Length >= max(shardBytes, 1)) {
			out.Shards = append(out.Shards, shard)
			shard = Shard{Offset: end, FirstRow: row}
		}
	}
	out.Rows, out.Bytes = row-r.number, r.base+int64(r.end)-1 // without our own line feed
	return out, nil
}

// pass goes past one row and says whether the stream has ended with it.
func (r *Reader) pass(f *finder) (last bool, err error) {
	for {
		n, done := f.step(r.data())
		r.pos += n
		if done || r.eof {
			return !done, nil
		}
		if err := r.fill(); err != nil {
			return false, err
		}
	}
}

func (f *finder) openQuote(row, begin int64) *OpenQuote {
	lines := f.lines
	if lines == 0 {
		lines = f.returns
	}
	if lines > 0 && (f.previous == '\n' || f.previous == '\r') {
		lines--
	}
	return &OpenQuote{Row: row, Offset: begin + f.open, Lines: lines}
}
