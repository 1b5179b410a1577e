package feature

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/millrace-ml/millrace/shared/fault"
	"github.com/millrace-ml/millrace/shared/manifest"
	"github.com/millrace-ml/millrace/shared/table"
)

// block is rows of text under a header.
func block(header []string, rows ...[]string) *table.Block {
	b := &table.Block{}
	b.Reset(header)
	for i, row := range rows {
		for j, text := range row {
			b.Columns[j].Append([]byte(text))
		}
		b.Rows++
		b.Numbers = append(b.Numbers, int64(i+1))
	}
	return b
}

func header() []string {
	names := []string{"instant"}
	for _, in := range weather() {
		names = append(names, in.Name)
	}
	return names
}

func mondayText() []string {
	return []string{"17", "2011-01-31T17:05:00+02:00", "spring", "3", "20.5", "-7", "5", "true", "5.1", "fall"}
}

func bind(t testing.TB, c *Contract, header []string) *Binding {
	t.Helper()
	b, err := c.Columns(header)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestFields changes one field of a good row of a file.
func TestFields(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		input int
		text  string
		want  float64
		code  string // "" = good
	}{
		"number":                  {inTemp, "20.25", 20.25, ""},
		"number with a plus":      {inTemp, "+5", 5, ""},
		"number with an exponent": {inTemp, "2e1", 20, ""},
		"number without a zero":   {inTemp, ".5", 0.5, ""},
		"spaces around":           {inTemp, " 20.25\t", 20.25, ""},
		"hexadecimal":             {inTemp, "0x10", 0, CodeType},
		"underscore":              {inTemp, "1_0", 0, CodeType},
		"NaN":                     {inWind, "NaN", 0, CodeType},
		"Inf":                     {inWind, "Inf", 0, CodeType},
		"too large for a float":   {inWind, "1e400", 0, CodeRange},
		"comma":                   {inTemp, "20,5", 0, CodeType},
		"words":                   {inTemp, "warm", 0, CodeType},
		"out of range":            {inTemp, "61", 0, CodeRange},
		"only a sign":             {inTemp, "-", 0, CodeType},
		"empty and required":      {inTemp, "", 0, CodeMissing},
		"blank and required":      {inTemp, "  ", 0, CodeMissing},
		"empty and nullable":      {inWind, "", null, ""},
		"blank and nullable":      {inWind, " ", null, ""},
		"null string":             {inWeather, "NA", null, ""},
		"null string of another":  {inWind, "NA", 0, CodeType},
		"empty with a default":    {inSeats, "", 4, ""},
		"whole":                   {inSeats, "12", 12, ""},
		"whole with a fraction":   {inSeats, "12.0", 12, ""},
		"half":                    {inSeats, "12.5", 0, CodeInteger},
		"just exact":              {inSeats, "9007199254740992", 1 << 53, ""},
		"no longer exact":         {inSeats, "9007199254740993", 0, CodeRange},
		"true":                    {inHoliday, "TRUE", 1, ""},
		"false":                   {inHoliday, "False", 0, ""},
		"one":                     {inHoliday, "1", 1, ""},
		"zero":                    {inHoliday, "0", 0, ""},
		"yes":                     {inHoliday, "yes", 0, CodeType},
		"category":                {inSeason, "winter", 0, ""},
		"category with a space":   {inSeason, " winter", 0, CodeCategory},
		"category empty":          {inSeason, "", 0, CodeMissing},
		"category unknown":        {inSeason, "monsoon", 0, CodeCategory},
		"category null":           {inOrigin, "", null, ""},
		"category of numbers":     {inWeather, "4.50", 3, ""},
		"category as a float":     {inWeather, "1.0", 0, ""},
		"category not a number":   {inWeather, "rain", 0, CodeCategory},
		"category of no number":   {inWeather, "4", 0, CodeCategory},
		"time":                    {inTime, "1/31/2011 5:06", 1296450360, ""},
		"time with spaces":        {inTime, " 2011-01-31T05:06:00Z ", 1296450360, ""},
		"time wrong":              {inTime, "31.1.2011", 0, CodeFormat},
		"time empty":              {inTime, "", 0, CodeMissing},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := contract(t)
			row := mondayText()
			row[tc.input+1] = tc.text
			r := c.NewRows()
			bind(t, c, header()).Fill(r, block(header(), row))
			if tc.code != "" {
				if r.ProblemCount() != 1 || r.Problems()[0].Code != tc.code || r.Problems()[0].Input != tc.input {
					t.Fatalf("%q: got %+v, want %s", tc.text, r.Problems(), tc.code)
				}
				if got := r.Problems()[0].Got; tc.code != CodeMissing && got != shorten([]byte(tc.text)) {
					t.Errorf("the problem repeats %q as %q", tc.text, got)
				}
				return
			}
			if r.ProblemCount() != 0 {
				t.Fatal(r.Problems())
			}
			if got := r.cols[tc.input][0]; got != tc.want && !(got != got && tc.want != tc.want) {
				t.Errorf("%q reads as %v, want %v", tc.text, got, tc.want)
			}
		})
	}
}

func TestNullStrings(t *testing.T) {
	t.Parallel()
	c, err := New(&manifest.Manifest{Inputs: []manifest.Input{
		{Name: "defaulted", Type: manifest.Number, Default: ptr(manifest.NumberValue(7)), NullStrings: []string{"NA", ""}},
		{Name: "no nulls", Type: manifest.Number, Nullable: true, NullStrings: []string{}},
		{Name: "empty category", Type: manifest.Categorical, Values: texts("", "x")},
		{Name: "text null", Type: manifest.Categorical, Values: texts("a", "b"), Nullable: true, NullStrings: []string{"?"}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	names := []string{"defaulted", "no nulls", "empty category", "text null"}
	r := c.NewRows()
	bind(t, c, names).Fill(r, block(names, []string{"NA", "1", "", "?"}, []string{"", "", "x", ""}))
	if got := r.cols[0][0]; got != 7 {
		t.Errorf("NA of an input with a default is %v", got)
	}
	if got := r.cols[2][0]; got != 0 {
		t.Errorf("the empty category is %v", got)
	}
	if got := r.cols[3][0]; !math.IsNaN(got) {
		t.Errorf("? is %v, want null", got)
	}
	var got []string
	for _, p := range r.Problems() {
		got = append(got, fmt.Sprintf("%d %s %s", p.Row, p.Name, p.Code))
	}
	if diff := cmp.Diff([]string{"1 no nulls type", "1 text null unknown_category"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestColumns(t *testing.T) {
	t.Parallel()
	c := contract(t)
	for name, tc := range map[string]struct {
		header []string
		want   []string
	}{
		"all":                 {header(), nil},
		"only required":       {[]string{"temp", "season", "time"}, nil},
		"missing":             {[]string{"season", "time"}, []string{`column "temp" is missing, expected a number from -50 to 60`}},
		"misspelt":            {[]string{"Temp", "seasno", "time"}, []string{`column "season" is missing, expected ` + takesSeason + `; is it the column "seasno"?`, `column "temp" is missing, expected a number from -50 to 60; is it the column "Temp"?`}},
		"twice":               {[]string{"temp", "season", "time", "temp"}, []string{`column "temp" is there twice, as number 1 and 4`}},
		"twice but no input":  {[]string{"x", "temp", "season", "time", "x"}, nil},
		"nothing":             {nil, []string{`column "time" is missing, expected ` + takesTime, `column "season" is missing, expected ` + takesSeason, `column "temp" is missing, expected a number from -50 to 60`}},
		"the wrong delimiter": {[]string{"temp;season;time"}, []string{`column "time" is missing, expected ` + takesTime, `column "season" is missing, expected ` + takesSeason, `column "temp" is missing, expected a number from -50 to 60`}},
	} {
		_, err := c.Columns(tc.header)
		if tc.want == nil {
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if err == nil || fault.KindOf(err) != fault.Invalid {
			t.Errorf("%s: got %v", name, err)
			continue
		}
		if diff := cmp.Diff(tc.want, strings.Split(err.Error(), "\n")); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// TestFileKeepsAProblemOfEveryBadRow: rejected rows are listed with their reason, however many there are.
func TestFileKeepsAProblemOfEveryBadRow(t *testing.T) {
	t.Parallel()
	c := contract(t)
	var rows [][]string
	for i := range 500 {
		row := mondayText()
		if i%2 == 0 {
			row[inTemp+1], row[inSeason+1] = "warm", "x"
		}
		rows = append(rows, row)
	}
	r := c.NewRows()
	bind(t, c, header()).Fill(r, block(header(), rows...))
	if r.BadRows() != 250 || r.ProblemCount() != 500 {
		t.Fatalf("%d bad rows, %d problems", r.BadRows(), r.ProblemCount())
	}
	first := map[int]bool{}
	for _, p := range r.Problems() {
		first[p.Row] = true
	}
	if len(first) != 250 || len(r.Problems()) > 250+MaxProblems {
		t.Errorf("%d of 250 bad rows have a reason, %d kept in all", len(first), len(r.Problems()))
	}
	r.Reset() // the same buffer for a request is capped again
	r.Grow(500)
	r.Finish()
	if len(r.Problems()) != MaxProblems {
		t.Errorf("a request keeps %d problems", len(r.Problems()))
	}
}

// TestRequestsAndFilesGiveTheSameBits sends the same values both ways.
func TestRequestsAndFilesGiveTheSameBits(t *testing.T) {
	t.Parallel()
	var features []manifest.Feature
	for _, name := range []string{"season", "weathersit", "temp", "windspeed", "seats", "holiday", "origin"} {
		features = append(features, manifest.Feature{Name: name})
	}
	features = append(features, manifest.Feature{Name: "h", Expr: "hour(time) + sin(dayofyear(time))"}, manifest.Feature{Name: "e", Expr: "exp(temp / 10) ** 0.3 - log1p(abs(windspeed))"})
	c := contract(t, features...)
	request, file := c.NewRows(), c.NewRows()
	var rows [][]string
	seasons := []string{"winter", "spring", "summer", "fall"}
	for i := range 400 {
		x := math.Sin(float64(i) * 12.9898)
		temp := fmt.Sprintf("%.*g", 1+i%17, x*50)
		wind := fmt.Sprint(x * 1e-3)
		at := fmt.Sprintf("20%02d-%02d-%02dT%02d:05:00.%dZ", i%100, 1+i%12, 1+i%28, i%24, i)
		row := request.Append()
		set := func(input int, token string) {
			v, ok := parseDecimal([]byte(token))
			if !ok {
				t.Fatalf("%q is no number", token)
			}
			request.SetNumber(row, input, v, []byte(token))
		}
		set(inTemp, temp)
		request.SetString(row, inTime, []byte(at))
		request.SetString(row, inSeason, []byte(seasons[i%4]))
		text := []string{"", at, seasons[i%4], "", temp, "", "", "", "", ""}
		if i%3 == 0 {
			request.SetNull(row, inWind)
		} else {
			set(inWind, wind)
			text[inWind+1] = wind
		}
		if i%5 > 0 {
			set(inWeather, "2.0")
			set(inSeats, fmt.Sprint(i))
			request.SetBool(row, inHoliday, i%2 == 0)
			text[inWeather+1], text[inSeats+1], text[inHoliday+1] = "2", fmt.Sprint(i), fmt.Sprint(i%2 == 0)
		}
		rows = append(rows, text)
	}
	request.Finish()
	bind(t, c, header()).Fill(file, block(header(), rows...))
	if request.ProblemCount()+file.ProblemCount() != 0 {
		t.Fatal(request.Problems(), file.Problems())
	}
	a, b := c.Matrix(request, nil), c.Matrix(file, nil)
	for i := range a {
		if math.Float64bits(a[i]) != math.Float64bits(b[i]) {
			t.Fatalf("row %d, feature %s: the request has %v, the file %v", i/c.Width(), c.FeatureNames()[i%c.Width()], a[i], b[i])
		}
	}
}
