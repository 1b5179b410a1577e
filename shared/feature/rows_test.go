package feature

import (
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/millrace-ml/millrace/shared/manifest"
)

const (
	takesTemp    = "a number from -50 to 60"
	takesSeason  = `one of "winter", "spring", "summer", "fall"`
	takesWeather = "one of 1, 2, 3, 4.5, or null"
	takesTime    = `a timestamp such as "2011-01-31T17:05:00Z" or "1/31/2011 17:05"`
)

// TestProblems sets one value in a good row.
func TestProblems(t *testing.T) {
	t.Parallel()
	num := func(input int, v float64, token string) func(*Rows) {
		return func(r *Rows) { r.SetNumber(0, input, v, []byte(token)) }
	}
	str := func(input int, s string) func(*Rows) { return func(r *Rows) { r.SetString(0, input, []byte(s)) } }
	for name, tc := range map[string]struct {
		set  func(*Rows)
		want Problem
	}{
		"text for a number":      {str(inTemp, "warm"), Problem{Input: inTemp, Code: CodeType, Expected: takesTemp, Got: `"warm"`}},
		"number in text":         {str(inTemp, "20.5"), Problem{Input: inTemp, Code: CodeType, Expected: takesTemp, Got: `"20.5"`}},
		"truth for a number":     {func(r *Rows) { r.SetBool(0, inTemp, true) }, Problem{Input: inTemp, Code: CodeType, Expected: takesTemp, Got: "true"}},
		"null for a number":      {func(r *Rows) { r.SetNull(0, inTemp) }, Problem{Input: inTemp, Code: CodeNull, Expected: takesTemp, Got: "null"}},
		"NaN for a number":       {num(inTemp, math.NaN(), "NaN"), Problem{Input: inTemp, Code: CodeNull, Expected: takesTemp, Got: "NaN"}},
		"binary NaN":             {num(inTemp, math.NaN(), ""), Problem{Input: inTemp, Code: CodeNull, Expected: takesTemp, Got: "NaN"}},
		"below min":              {num(inTemp, -51, "-51"), Problem{Input: inTemp, Code: CodeRange, Expected: takesTemp, Got: "-51"}},
		"above max":              {num(inTemp, 60.000001, "60.000001"), Problem{Input: inTemp, Code: CodeRange, Expected: takesTemp, Got: "60.000001"}},
		"binary above max":       {num(inTemp, 61.5, ""), Problem{Input: inTemp, Code: CodeRange, Expected: takesTemp, Got: "61.5"}},
		"infinity":               {num(inWind, math.Inf(1), "1e400"), Problem{Input: inWind, Code: CodeRange, Expected: "a number, or null", Got: "1e400"}},
		"minus infinity":         {num(inWind, math.Inf(-1), "-Infinity"), Problem{Input: inWind, Code: CodeRange, Expected: "a number, or null", Got: "-Infinity"}},
		"half a seat":            {num(inSeats, 4.5, "4.5"), Problem{Input: inSeats, Code: CodeInteger, Expected: "a whole number", Got: "4.5"}},
		"more seats than exact":  {num(inSeats, 1<<54, "18014398509481984"), Problem{Input: inSeats, Code: CodeRange, Expected: "a whole number", Got: "18014398509481984"}},
		"seats rounded to exact": {num(inSeats, 1<<53, "9007199254740993"), Problem{Input: inSeats, Code: CodeRange, Expected: "a whole number", Got: "9007199254740993"}},
		"infinite seats":         {num(inSeats, math.Inf(1), "1e999"), Problem{Input: inSeats, Code: CodeRange, Expected: "a whole number", Got: "1e999"}},
		"number for a truth":     {num(inHoliday, 1, "1"), Problem{Input: inHoliday, Code: CodeType, Expected: "true or false", Got: "1"}},
		"text for a truth":       {str(inHoliday, "true"), Problem{Input: inHoliday, Code: CodeType, Expected: "true or false", Got: `"true"`}},
		"null for a truth":       {func(r *Rows) { r.SetNull(0, inHoliday) }, Problem{Input: inHoliday, Code: CodeNull, Expected: "true or false", Got: "null"}},
		"unknown category":       {str(inSeason, "monsoon"), Problem{Input: inSeason, Code: CodeCategory, Expected: takesSeason, Got: `"monsoon"`}},
		"misspelt category":      {str(inSeason, "sprnig"), Problem{Input: inSeason, Code: CodeCategory, Expected: takesSeason + `; did you mean "spring"?`, Got: `"sprnig"`}},
		"category in capitals":   {str(inSeason, "Spring"), Problem{Input: inSeason, Code: CodeCategory, Expected: takesSeason + `; did you mean "spring"?`, Got: `"Spring"`}},
		"number for a category":  {num(inSeason, 1, "1"), Problem{Input: inSeason, Code: CodeType, Expected: takesSeason, Got: "1"}},
		"unknown number":         {num(inWeather, 4, "4"), Problem{Input: inWeather, Code: CodeCategory, Expected: takesWeather, Got: "4"}},
		"text for a number of":   {str(inWeather, "1"), Problem{Input: inWeather, Code: CodeType, Expected: takesWeather, Got: `"1"`}},
		"time in no layout":      {str(inTime, "2011-01-31"), Problem{Input: inTime, Code: CodeFormat, Expected: takesTime, Got: `"2011-01-31"`}},
		"number for a time":      {num(inTime, 1296493500, "1296493500"), Problem{Input: inTime, Code: CodeType, Expected: takesTime, Got: "1296493500"}},
		"an object":              {func(r *Rows) { r.SetOther(0, inTemp, "an object") }, Problem{Input: inTemp, Code: CodeType, Expected: takesTemp, Got: "an object"}},
		"long text":              {str(inSeason, strings.Repeat("x", 41)), Problem{Input: inSeason, Code: CodeCategory, Expected: takesSeason, Got: `"` + strings.Repeat("x", 40) + `…"`}},
		"control characters":     {str(inSeason, "a\n\x1b[31m\x00é\xff"), Problem{Input: inSeason, Code: CodeCategory, Expected: takesSeason, Got: `"a\n\x1b[31m\x00é\xff"`}},
		"reported by the caller": {func(r *Rows) { r.Report(0, -1, "tmep", "unknown", "temp", "tm\tep") }, Problem{Input: -1, Name: "tmep", Code: "unknown", Expected: "temp", Got: `tm\tep`}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := contract(t)
			r := c.NewRows()
			monday(r)
			tc.set(r)
			r.Finish()
			if tc.want.Name == "" {
				tc.want.Name = c.Inputs()[tc.want.Input].Name
			}
			if diff := cmp.Diff([]Problem{tc.want}, r.Problems()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if !r.Bad(0) || r.ProblemCount() != 1 || r.BadRows() != 1 {
				t.Errorf("bad %v, %d problems, %d bad rows", r.Bad(0), r.ProblemCount(), r.BadRows())
			}
		})
	}
}

func TestGoodValues(t *testing.T) {
	t.Parallel()
	c := contract(t, manifest.Feature{Name: "temp"}, manifest.Feature{Name: "seats"}, manifest.Feature{Name: "weathersit"}, manifest.Feature{Name: "windspeed"})
	r := c.NewRows()
	for _, tc := range []struct{ temp, seats, weather, wind float64 }{
		{-50, 1 << 53, 4.5, math.MaxFloat64}, {60, -1 << 53, 1, 5e-324}, {0, 0, 2, math.Copysign(0, -1)},
	} {
		row := monday(r)
		r.SetNumber(row, inTemp, tc.temp, []byte("x"))
		r.SetNumber(row, inSeats, tc.seats, nil)
		r.SetNumber(row, inWeather, tc.weather, nil)
		r.SetNumber(row, inWind, tc.wind, nil)
	}
	r.SetNumber(0, inSeats, 1<<53, []byte("9007199254740992"))
	r.SetNumber(2, inWind, math.NaN(), []byte("NaN"))
	r.Finish()
	if r.ProblemCount() != 0 {
		t.Fatal(r.Problems())
	}
	got := c.Matrix(r, nil)
	want := []float64{-50, 1 << 53, 3, math.MaxFloat64, 60, -1 << 53, 0, 5e-324, 0, 0, 1}
	if diff := cmp.Diff(want, got[:11]); diff != "" || !math.IsNaN(got[11]) {
		t.Errorf("last is %v (-want +got):\n%s", got[11], diff)
	}
}

func TestAbsentInputs(t *testing.T) {
	t.Parallel()
	c := contract(t, manifest.Feature{Name: "seats"}, manifest.Feature{Name: "holiday"}, manifest.Feature{Name: "windspeed"})
	r := c.NewRows()
	r.Append()
	r.SetNumber(0, inTemp, 1, nil)
	r.SetString(0, inSeason, []byte("fall"))
	row := monday(r)
	if !r.Has(0, inTemp) || r.Has(0, inSeats) || !r.Has(row, inSeats) {
		t.Error("Has does not tell what was set")
	}
	r.Finish()
	want := []Problem{{Input: inTime, Name: "time", Code: CodeMissing, Expected: takesTime, Got: "nothing"}}
	if diff := cmp.Diff(want, r.Problems()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	got := c.Matrix(r, nil)
	if got[0] != 4 || got[1] != 0 || !math.IsNaN(got[2]) {
		t.Errorf("defaults and null are %v", got[:3])
	}
	if diff := cmp.Diff([]float64{5, 1, -7}, got[3:]); diff != "" {
		t.Errorf("what was given (-want +got):\n%s", diff)
	}
	if r.Bad(1) || r.BadRows() != 1 {
		t.Error("the good row counts as bad")
	}
}

func TestProblemsAreSortedAndCapped(t *testing.T) {
	t.Parallel()
	c := contract(t)
	r := c.NewRows()
	r.Grow(90)
	for row := range 90 { // by column, as columnar requests come
		r.SetNumber(row, inTemp, 99, nil)
	}
	for row := range 90 {
		r.SetString(row, inSeason, []byte("x"))
	}
	r.Finish() // time is missing in each
	if len(r.Problems()) != MaxProblems || r.ProblemCount() != 270 || r.BadRows() != 90 {
		t.Fatalf("%d kept, %d counted, %d bad rows", len(r.Problems()), r.ProblemCount(), r.BadRows())
	}
	for i, p := range r.Problems()[:20] {
		if p.Row != i/2 || p.Input != []int{inTemp, inSeason}[i%2] {
			t.Fatalf("problem %d is %+v", i, p)
		}
	}
}

func TestRowsAreReused(t *testing.T) {
	t.Parallel()
	c := contract(t, manifest.Feature{Name: "windspeed"})
	r := c.NewRows()
	row := monday(r)
	r.SetNumber(row, inTemp, 99, nil)
	r.Finish()
	r.Reset()
	if r.Len() != 0 || r.ProblemCount() != 0 || r.BadRows() != 0 || len(r.Problems()) != 0 {
		t.Fatalf("after Reset: %d rows, %v", r.Len(), r.Problems())
	}
	row = monday(r)
	r.Finish()
	if r.Bad(row) || r.ProblemCount() != 0 {
		t.Errorf("the row is bad because of the one before: %v", r.Problems())
	}
	r.Reset()
	r.Append()
	if r.Has(0, inWind) {
		t.Error("an input counts as set because of the row before")
	}
	r.Grow(0)
	if r.Len() != 1 {
		t.Errorf("growing to fewer rows leaves %d", r.Len())
	}
	for range 100 {
		monday(r)
	}
	if v := c.Matrix(r, nil)[50]; v != -7 {
		t.Errorf("after growing, row 50 is %v", v)
	}
}

func TestMatrixBlocksAndDestination(t *testing.T) {
	t.Parallel()
	c := contract(t, manifest.Feature{Name: "temp"}, expression("temp * 2 + seats"))
	r := c.NewRows()
	n := 2*blockRows + 7
	for i := range n {
		row := monday(r)
		r.SetNumber(row, inTemp, float64(i)/10, nil)
	}
	r.Finish()
	dst := make([]float64, 0, n*2)
	got := c.Matrix(r, dst)
	if &got[0] != &dst[:1][0] {
		t.Error("the destination was large enough, but is not used")
	}
	for i := range n {
		x := float64(i) / 10
		if got[2*i] != x || got[2*i+1] != float64(x*2)+5 {
			t.Fatalf("row %d is %v", i, got[2*i:2*i+2])
		}
	}
	r.Reset()
	if got := c.Matrix(r, got); len(got) != 0 {
		t.Errorf("no rows give %d numbers", len(got))
	}
}

func TestNothingIsAllocatedPerRow(t *testing.T) { // not parallel: AllocsPerRun counts the whole process
	c := contract(t, manifest.Feature{Name: "season"}, expression("log1p(temp) + hour(time)"), manifest.Feature{Name: "g", Expr: `season in ["fall"] ? 1 : 0`})
	r := c.NewRows()
	var dst []float64
	token := []byte("20.5")
	layouts := [][]byte{[]byte("2011-01-31T17:05:00+02:00"), []byte("1/31/2011 17:05")}
	season := []byte("fall")
	fill := func() {
		r.Reset()
		for i := range 300 {
			row := r.Append()
			r.SetString(row, inTime, layouts[i%2])
			r.SetString(row, inSeason, season)
			r.SetNumber(row, inTemp, 20.5, token)
			r.SetNumber(row, inWeather, 1, token)
			r.SetNull(row, inOrigin)
			r.SetBool(row, inHoliday, true)
		}
		r.Finish()
		dst = c.Matrix(r, dst)
	}
	fill()
	if r.ProblemCount() != 0 {
		t.Fatal(r.Problems())
	}
	if n := testing.AllocsPerRun(20, fill); n > 2 {
		t.Errorf("300 rows allocate %v times", n)
	}
}

func TestLookupAndNames(t *testing.T) {
	t.Parallel()
	c := contract(t, manifest.Feature{Name: "temp"}, expression("temp + 1"))
	if i, ok := c.Lookup([]byte("windspeed")); i != inWind || !ok {
		t.Errorf("windspeed is input %d, %v", i, ok)
	}
	if _, ok := c.Lookup([]byte("Windspeed")); ok {
		t.Error("a name in another case is found")
	}
	if got := c.Suggest("wind_speed"); got != "windspeed" {
		t.Errorf("wind_speed is like %q", got)
	}
	if got := c.Suggest("pressure"); got != "" {
		t.Errorf("pressure is like %q", got)
	}
	if diff := cmp.Diff([]string{"temp", "f"}, c.FeatureNames()); diff != "" || c.Width() != 2 || len(c.Inputs()) != 9 {
		t.Errorf("width %d, %d inputs, names (-want +got):\n%s", c.Width(), len(c.Inputs()), diff)
	}
}
