package feature

import "math"

// function is one entry of the table of what expressions may call. The reference page and the package's doc are made
// from it.
type function struct {
	name   string
	usage  string
	doc    string
	takes  kind
	most   int // arguments, at least 1; min and max take 2 to maxArguments
	unary  func(float64) float64
	binary func(float64, float64) float64
}

// maxArguments is how many arguments min and max take.
const maxArguments = 32

var functions = []function{
	{name: "log", usage: "log(x)", doc: "natural logarithm; below 0 null, of 0 -Infinity", takes: number, most: 1, unary: log},
	{name: "log1p", usage: "log1p(x)", doc: "log(1 + x), exact also where x is small", takes: number, most: 1, unary: log1p},
	{name: "exp", usage: "exp(x)", doc: "e to the power x", takes: number, most: 1, unary: exp},
	{name: "sqrt", usage: "sqrt(x)", doc: "square root; below 0 null", takes: number, most: 1, unary: math.Sqrt},
	{name: "sin", usage: "sin(x)", doc: "sine of x radians", takes: number, most: 1, unary: sin},
	{name: "cos", usage: "cos(x)", doc: "cosine of x radians", takes: number, most: 1, unary: cos},
	{name: "abs", usage: "abs(x)", doc: "x without its sign", takes: number, most: 1, unary: math.Abs},
	{name: "floor", usage: "floor(x)", doc: "largest whole number not above x", takes: number, most: 1, unary: math.Floor},
	{name: "round", usage: "round(x)", doc: "nearest whole number, halves away from zero (numpy rounds halves to the even one)", takes: number, most: 1, unary: math.Round},
	{name: "min", usage: "min(x, y, …)", doc: "smallest; null if any is null", takes: number, most: maxArguments, binary: smaller},
	{name: "max", usage: "max(x, y, …)", doc: "largest; null if any is null", takes: number, most: maxArguments, binary: larger},
	{name: "hour", usage: "hour(t)", doc: "hour of the wall clock as written, 0 to 23", takes: moment, most: 1, unary: hourOf},
	{name: "weekday", usage: "weekday(t)", doc: "day of the week, Monday = 0 to Sunday = 6, as pandas counts", takes: moment, most: 1, unary: weekdayOf},
	{name: "month", usage: "month(t)", doc: "month, 1 to 12", takes: moment, most: 1, unary: monthOf},
	{name: "dayofyear", usage: "dayofyear(t)", doc: "day of the year, 1 to 366", takes: moment, most: 1, unary: dayOfYear},
}

// operators is the part of the reference page about them; the compiler knows them one by one.
var operators = []struct{ usage, doc string }{
	{"x + y, x - y, x * y, x / y", "arithmetic of float64; x / 0 is an infinity, 0 / 0 null"},
	{"x % y", "remainder with the sign of x, as np.fmod (Python's % takes the sign of y)"},
	{"x ** y, x ^ y", "power, binds before the minus sign: -2 ** 2 is -4"},
	{"-x, +x", "sign"},
	{"x == y, x != y", "of numbers, booleans or timestamps; of a categorical with one of its values: season == \"winter\""},
	{"x < y, x <= y, x > y, x >= y", "of numbers or timestamps; 6 <= hour(time) < 9 works"},
	{"x in [a, b], x not in [a, b]", "membership in a list of constants"},
	{"x in a..b", "a whole number from a to b, both included"},
	{"a and b, a or b, not a (&&, ||, !)", "of booleans; unlike in SQL, false and null is null"},
	{"c ? x : y", "x where c is true, y where it is false; null where c is null"},
	{"$env[\"any name\"]", "an input whose name is no identifier"},
}

func lookupFunction(name string) *function {
	for i := range functions {
		if functions[i].name == name {
			return &functions[i]
		}
	}
	return nil
}

func functionNames() []string {
	names := make([]string, len(functions))
	for i := range functions {
		names[i] = functions[i].name
	}
	return names
}

func smaller(x, y float64) float64 {
	switch {
	case x != x || y != y:
		return null
	case y < x:
		return y
	}
	return x
}

func larger(x, y float64) float64 {
	switch {
	case x != x || y != y:
		return null
	case y > x:
		return y
	}
	return x
}

func negate(x float64) float64 { return -x }

func remainder(x, y float64) float64 { return math.Mod(x, y) }

func power(x, y float64) float64 {
	if x != x || y != y { // IEEE 754 says 1 for null ** 0 and 1 ** null
		return null
	}
	return pow(x, y)
}

// compare makes a comparison that answers null where an operand is null.
func compare(holds func(x, y float64) bool) func(x, y float64) float64 {
	return func(x, y float64) float64 {
		if x != x || y != y {
			return null
		}
		return truth(holds(x, y))
	}
}

var (
	equal    = compare(func(x, y float64) bool { return x == y })
	unequal  = compare(func(x, y float64) bool { return x != y })
	less     = compare(func(x, y float64) bool { return x < y })
	atMost   = compare(func(x, y float64) bool { return x <= y })
	both     = compare(func(x, y float64) bool { return x != 0 && y != 0 })
	either   = compare(func(x, y float64) bool { return x != 0 || y != 0 })
	contains = func(lo, hi float64) func(float64) float64 {
		return func(x float64) float64 {
			if x != x {
				return null
			}
			return truth(x >= lo && x <= hi && x == math.Floor(x))
		}
	}
)

func not(x float64) float64 { return 1 - x }
