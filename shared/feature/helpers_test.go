package feature

import (
	"testing"

	"github.com/millrace-ml/millrace/shared/manifest"
)

func ptr[T any](v T) *T { return &v }

func texts(words ...string) []manifest.Value {
	values := make([]manifest.Value, len(words))
	for i, w := range words {
		values[i] = manifest.TextValue(w)
	}
	return values
}

func numbers(all ...float64) []manifest.Value {
	values := make([]manifest.Value, len(all))
	for i, n := range all {
		values[i] = manifest.NumberValue(n)
	}
	return values
}

// weather is a contract with an input of every kind. The order of its inputs is part of the tests.
func weather() []manifest.Input {
	return []manifest.Input{
		{Name: "time", Type: manifest.Timestamp, Layouts: []string{"rfc3339", "1/2/2006 15:04"}},
		{Name: "season", Type: manifest.Categorical, Values: texts("winter", "spring", "summer", "fall")},
		{Name: "weathersit", Type: manifest.Categorical, Values: numbers(1, 2, 3, 4.5), Nullable: true, NullStrings: []string{"", "NA"}},
		{Name: "temp", Type: manifest.Number, Min: ptr(-50.0), Max: ptr(60.0)},
		{Name: "windspeed", Type: manifest.Number, Nullable: true},
		{Name: "seats", Type: manifest.Integer, Default: ptr(manifest.NumberValue(4))},
		{Name: "holiday", Type: manifest.Boolean, Default: ptr(manifest.BoolValue(false))},
		{Name: "sepal length (cm)", Type: manifest.Number, Nullable: true},
		{Name: "origin", Type: manifest.Categorical, Values: texts("winter", "spring", "summer", "fall"), Nullable: true},
	}
}

const (
	inTime = iota
	inSeason
	inWeather
	inTemp
	inWind
	inSeats
	inHoliday
	inSepal
	inOrigin
)

func contract(t testing.TB, features ...manifest.Feature) *Contract {
	t.Helper()
	c, err := New(&manifest.Manifest{Inputs: weather(), Features: features})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func expression(source string) manifest.Feature { return manifest.Feature{Name: "f", Expr: source} }

// monday is a row without nulls: Monday 31 January 2011, 17:05, two hours east.
func monday(r *Rows) int {
	row := r.Append()
	r.SetString(row, inTime, []byte("2011-01-31T17:05:00+02:00"))
	r.SetString(row, inSeason, []byte("spring"))
	r.SetNumber(row, inWeather, 3, nil)
	r.SetNumber(row, inTemp, 20.5, nil)
	r.SetNumber(row, inWind, -7, nil)
	r.SetNumber(row, inSeats, 5, nil)
	r.SetBool(row, inHoliday, true)
	r.SetNumber(row, inSepal, 5.1, nil)
	r.SetString(row, inOrigin, []byte("fall"))
	return row
}

// allNull is a row of nulls and, where an input takes none, of the values of monday.
func allNull(r *Rows) int {
	row := monday(r)
	for _, input := range []int{inWeather, inWind, inSepal, inOrigin} {
		r.SetNull(row, input)
	}
	return row
}
