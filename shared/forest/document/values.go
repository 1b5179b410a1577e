package document

import (
	"fmt"
	"math"
	"slices"
)

// Text reads a text into dst.
func (d *Decoder) Text(dst *string) func() error {
	return func() error {
		if err := d.expect(text); err != nil {
			return err
		}
		*dst = string(d.tok.text)
		return nil
	}
}

// Word is Text for one of few words, which costs no memory when it is known.
func (d *Decoder) Word(dst *string, known ...string) func() error {
	return func() error {
		if err := d.expect(text); err != nil {
			return err
		}
		for _, k := range known {
			if string(d.tok.text) == k {
				*dst = k
				return nil
			}
		}
		*dst = string(d.tok.text)
		return nil
	}
}

// Texts reads a list of texts into dst.
func (d *Decoder) Texts(dst *[]string) func() error {
	return func() error {
		return d.Elements(func(int) error {
			if err := d.expect(text); err != nil {
				return err
			}
			*dst = append(*dst, string(d.tok.text))
			return nil
		})
	}
}

// grow makes room for a list of scalars, as long as the document has it.
func grow[E any](dst *[]E, d *Decoder) {
	if d.tok.kind == beginArray {
		*dst = slices.Grow(*dst, d.lex.ahead())
	}
}

// Ints appends a list of whole numbers to dst.
func (d *Decoder) Ints(dst *[]int32) error {
	grow(dst, d)
	return d.Elements(func(int) error {
		v, err := d.tok.int64()
		if err != nil {
			return err
		}
		if v < math.MinInt32 || v > math.MaxInt32 {
			return fmt.Errorf("%d is out of range", v)
		}
		*dst = append(*dst, int32(v))
		return nil
	})
}

// Wides is Ints for numbers of any size.
func (d *Decoder) Wides(dst *[]int64) error {
	grow(dst, d)
	return d.Elements(func(int) error {
		v, err := d.tok.int64()
		*dst = append(*dst, v)
		return err
	})
}

// Floats appends a list of numbers to dst.
func (d *Decoder) Floats(dst *[]float32) error {
	grow(dst, d)
	return d.Elements(func(int) error {
		v, err := d.tok.float32()
		*dst = append(*dst, v)
		return err
	})
}

// Doubles is Floats for numbers in double precision.
func (d *Decoder) Doubles(dst *[]float64) error {
	grow(dst, d)
	return d.Elements(func(int) error {
		v, err := d.tok.float64()
		*dst = append(*dst, v)
		return err
	})
}

// Double reads a number into dst.
func (d *Decoder) Double(dst *float64) (err error) {
	*dst, err = d.tok.float64()
	return err
}

// Float is Double in single precision.
func (d *Decoder) Float(dst *float32) (err error) {
	*dst, err = d.tok.float32()
	return err
}

// Int reads a whole number into dst.
func (d *Decoder) Int(dst *int64) (err error) {
	*dst, err = d.tok.int64()
	return err
}

// Bool reads true or false into dst.
func (d *Decoder) Bool(dst *bool) error {
	err := d.expect(boolean)
	*dst = d.tok.whole == 1
	return err
}

// IsList is whether the value is a list.
func (d *Decoder) IsList() bool { return d.tok.kind == beginArray }

// IsText is whether the value is a text.
func (d *Decoder) IsText() bool { return d.tok.kind == text }

// IsNull is whether the value is null.
func (d *Decoder) IsNull() bool { return d.tok.kind == null }
