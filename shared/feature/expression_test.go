package feature

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/millrace-ml/millrace/shared/manifest"
)

var evening = 17.0 // a variable: constants are computed exactly

// TestExpressions evaluates each on the row of monday.
func TestExpressions(t *testing.T) {
	t.Parallel()
	for source, want := range map[string]float64{
		"temp":                        20.5,
		"season":                      1,
		"weathersit":                  2,
		"holiday":                     1,
		`$env["sepal length (cm)"]`:   5.1,
		`$env["temp"] + 1`:            21.5,
		"1 + 2 * 3":                   7,
		"temp + 1 - 2":                19.5,
		"temp * 2 / 4":                10.25,
		"7 / 2":                       3.5,
		"seats % 3":                   2,
		"windspeed % 4":               -3,
		"temp % 0.75":                 0.25,
		"2 ** 3 ** 2":                 512,
		"2 ^ 10":                      1024,
		"-2 ** 2":                     -4,
		"-temp":                       -20.5,
		"+temp":                       20.5,
		"--temp":                      20.5,
		"1e3 + 0x10 + 1_000":          2016,
		"temp / 0":                    math.Inf(1),
		"seats == 5":                  1,
		"seats != 5":                  0,
		"temp < 20.5":                 0,
		"temp <= 20.5":                1,
		"temp > 20":                   1,
		"temp >= 21":                  0,
		"6 <= hour(time) < 18":        1,
		"18 <= hour(time) < 20":       0,
		`season == "spring"`:          1,
		`"fall" == season`:            0,
		`season != "winter"`:          1,
		"season == origin":            0,
		"weathersit == 3":             1,
		"weathersit != 4.5":           1,
		"weathersit in [1, 3]":        1,
		`season in ["winter"]`:        0,
		`season not in ["winter"]`:    1,
		"hour(time) in [7, 8, 17]":    1,
		"windspeed in [-7]":           1,
		"temp in []":                  0,
		"seats in 1..5":               1,
		"seats in 6..9":               0,
		"temp in 1..60":               0,
		"holiday == true":             1,
		"not holiday":                 0,
		"!holiday or temp > 0":        1,
		"holiday and temp > 100":      0,
		"holiday && temp > 0":         1,
		"false || holiday":            1,
		"temp > 20 ? 1 : 2":           1,
		"temp > 21 ? 1 : 2":           2,
		"holiday ? season : origin":   1,
		"if holiday {1} else {2}":     1,
		"log(exp(1))":                 1,
		"log1p(0)":                    0,
		"sqrt(seats + 4)":             3,
		"sin(0) + cos(0)":             1,
		"abs(windspeed)":              7,
		"floor(-0.5)":                 -1,
		"round(2.5)":                  3,
		"round(-2.5)":                 -3,
		"min(3, temp, -1)":            -1,
		"max(3, temp, -1)":            20.5,
		"temp | max(30)":              30,
		"hour(time)":                  17,
		"weekday(time)":               0,
		"month(time)":                 1,
		"dayofyear(time)":             31,
		"time == time":                1,
		"time < time":                 0,
		"seats + (holiday ? 1 : 0)":   6,
		"sin(hour(time) / 24 * 6.25)": sin(float64(evening/24) * 6.25),
	} {
		t.Run(source, func(t *testing.T) {
			t.Parallel()
			c := contract(t, expression(source))
			r := c.NewRows()
			monday(r)
			r.Finish()
			if r.ProblemCount() != 0 {
				t.Fatal(r.Problems())
			}
			if got := c.Matrix(r, nil)[0]; got != want {
				t.Errorf("%s = %v, want %v", source, got, want)
			}
		})
	}
}

// TestNullMakesNull evaluates on a row where weathersit, windspeed, the sepal and origin are null.
func TestNullMakesNull(t *testing.T) {
	t.Parallel()
	sources := []string{
		"weathersit", "origin", "windspeed + 1", "1 - windspeed", "windspeed * 0", "0 / windspeed", "windspeed % 2", "windspeed ** 0",
		"1 ** windspeed", "-windspeed", "windspeed == windspeed", "windspeed != 1", "windspeed < 1", "1 > windspeed", "windspeed <= 1",
		"windspeed >= 1", "weathersit == 3", "weathersit != 3", `origin == "fall"`, "origin == season", "weathersit in [1, 2]",
		`origin not in ["fall"]`, "windspeed in 1..3", "windspeed in []", "not (windspeed > 1)", "false and windspeed > 1",
		"true or windspeed > 1", "windspeed > 1 and false", "windspeed > 1 ? 1 : 2", "holiday ? windspeed : 1", "log(windspeed)",
		"log1p(windspeed)", "exp(windspeed)", "sqrt(windspeed)", "sin(windspeed)", "cos(windspeed)", "abs(windspeed)", "floor(windspeed)",
		"round(windspeed)", "min(1, windspeed)", "max(windspeed, 1)", "min(1, 2, windspeed)", "log(-1)", "sqrt(-1)", "0 / 0", "(-8) ** 0.5",
	}
	features := make([]manifest.Feature, len(sources))
	for i, s := range sources {
		features[i] = manifest.Feature{Name: fmt.Sprint(i), Expr: s}
	}
	c := contract(t, features...)
	r := c.NewRows()
	allNull(r)
	r.Finish()
	if r.ProblemCount() != 0 {
		t.Fatal(r.Problems())
	}
	for i, v := range c.Matrix(r, nil) {
		if !math.IsNaN(v) {
			t.Errorf("%s = %v, want null", sources[i], v)
		}
	}
	// What does not touch the null stays a value.
	c = contract(t, expression("holiday ? 1 : windspeed"))
	r = c.NewRows()
	allNull(r)
	r.Finish()
	if got := c.Matrix(r, nil)[0]; got != 1 {
		t.Errorf("the branch that is not taken makes the result %v", got)
	}
}

func TestExpressionErrors(t *testing.T) {
	t.Parallel()
	for source, want := range map[string]string{
		"tmep + 1":                       `"tmep" is no input; did you mean "temp"? at character 1 of "tmep + 1"`,
		"1 + pressure":                   `"pressure" is no input at character 5`,
		"hours(time)":                    `unknown function "hours"; did you mean "hour"? at character 1`,
		"len(season)":                    `unknown function "len"`,
		"filter([1], # > 0)":             `unknown function "filter"`,
		"now()":                          `unknown function "now"`,
		"hour":                           `hour is a function: write hour(t)`,
		"hour(temp)":                     `hour takes a timestamp, not a number at character 6`,
		"log(season)":                    `log takes a number, not a categorical at character 5`,
		"log(holiday)":                   `log takes a number, not a boolean`,
		`log("x")`:                       `log takes a number, not the text "x"`,
		"log()":                          `log is given 0 arguments, expected log(x)`,
		"log(1, 2)":                      `log is given 2 arguments, expected log(x)`,
		"min(1)":                         `min is given 1 arguments, expected min(x, y, …)`,
		"temp + season":                  `+ takes a number, not a categorical at character 6`,
		"temp + holiday":                 `+ takes a number, not a boolean`,
		"time - time":                    `- takes a number, not a timestamp`,
		`season + "x"`:                   `+ takes a number, not a categorical`,
		"season > 1":                     `a categorical has no order: compare it with ==, != or in`,
		`season < "spring"`:              `a categorical has no order`,
		"holiday < true":                 `< compares a boolean with a boolean, expected two numbers or two timestamps`,
		"time > 5":                       `> compares a timestamp with the number 5`,
		`season == "sprnig"`:             `"sprnig" is no value of the categorical; did you mean "spring"? at character 11`,
		`season == "monsoon"`:            `"monsoon" is no value of the categorical, expected one of "winter", "spring", "summer", "fall"`,
		"season == 1":                    `1 is no value of the categorical, expected one of "winter"`,
		"weathersit == 4":                `4 is no value of the categorical, expected one of 1, 2, 3, 4.5`,
		`weathersit == "1"`:              `"1" is no value of the categorical; write 1, without quotes`,
		"digits == 1":                    `1 is no value of the categorical; write "1", in quotes`,
		"season == weathersit":           `== compares categoricals with different values, whose codes do not mean the same`,
		"season == temp":                 `== compares a categorical with a number`,
		`temp == "x"`:                    `== compares a number with the text "x"`,
		`"a" == "a"`:                     `== compares the text "a" with the text "a"`,
		"temp == nil":                    `nil cannot be compared with: whatever is null makes the result null`,
		"not temp":                       `not takes a boolean, not a number`,
		"-holiday":                       `- takes a number, not a boolean`,
		"temp and holiday":               `and takes a boolean, not a number`,
		"temp ? 1 : 2":                   `?: takes a condition, not a number`,
		"holiday ? 1 : season":           `?: gives the number 1 or a categorical, expected the same kind twice`,
		`holiday ? "a" : "b"`:            `?: gives a text, expected a number: the model sees only numbers`,
		"holiday ? season : weathersit":  `?: gives categoricals with different values`,
		"temp in temp":                   `in takes a list such as [1, 2] or a range such as 1..3`,
		"temp in [1, temp]":              `a list holds constants, not a number`,
		`temp in ["x"]`:                  `a number is never the text "x"`,
		`season in ["x"]`:                `"x" is no value of the categorical`,
		"holiday in [true]":              `in takes a number or a categorical, not a boolean`,
		"temp in 1..temp":                `a range goes from one whole number to another, such as 1..3`,
		"temp in 1..2.5":                 `a range goes from one whole number to another`,
		"season in 1..2":                 `a range holds numbers, not a categorical`,
		"time":                           `"time" gives a timestamp, expected a number, a boolean or a categorical`,
		`"x"`:                            `"\"x\"" gives text, expected a number`,
		"temp ?? 1":                      `the operator ?? is not offered in features`,
		`season contains "x"`:            `the operator contains is not offered in features`,
		"1..2":                           `the operator .. is not offered in features`,
		"[1, 2]":                         `a list outside of in is not offered in features`,
		"{a: 1}":                         `a map is not offered in features`,
		"let x = 1; x":                   `let is not offered in features`,
		"1; 2":                           `a sequence is not offered in features`,
		"temp.x":                         `a member is not offered in features`,
		"temp?.x":                        `a member is not offered in features`,
		"temp[0]":                        `a member is not offered in features`,
		"season[0:1]":                    `a slice is not offered in features`,
		"$env":                           `"$env" is no input`,
		"temp +":                         `unexpected token EOF at character 6 of "temp +"`,
		"(temp":                          `unexpected token EOF at character 5`,
		"temp temp":                      `unexpected token Identifier("temp") at character 6`,
		"":                               `unexpected token EOF`,
		"1e999":                          `invalid float literal`,
		strings.Repeat("1+", 2100) + "1": `the expression has 4201 bytes, expected at most 4096`,
	} {
		name := source
		if len(name) > 40 {
			name = name[:40]
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := expression(source)
			inputs := append(weather(), manifest.Input{Name: "digits", Type: manifest.Categorical, Values: texts("1", "2")})
			c, err := New(&manifest.Manifest{Inputs: inputs})
			if err != nil {
				t.Fatal(err)
			}
			b := newBuilder(c)
			err = func() error {
				if f.Expr == "" {
					_, err := b.compile("")
					return err
				}
				return b.feature(f)
			}()
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("got %v\nwant %s", err, want)
			}
		})
	}
}
