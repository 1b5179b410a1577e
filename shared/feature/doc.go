// Package feature is the contract between what callers send and what a model sees: it takes instances of a request or
// column blocks of a file, reports every problem by its place, and makes the model's matrix. Requests and files go
// through the same code, so the same values give the same bits in both.
//
// It knows no wire format and no file format: protocol and table/* hand it values and text.
//
// # Values
//
// A null is NaN in every column. A timestamp is the wall clock as written, in seconds: 17:00+02:00 is hour 17. A
// categorical is its place in the manifest's values, from 0. A boolean is 0 or 1.
//
// # Expressions
//
// The syntax is that of github.com/expr-lang/expr. Numbers are float64, and a null operand makes the result null. This
// list is written by the package's tests from the tables in functions.go, like docs/reference/expressions.md.
//
//	x + y, x - y, x * y, x / y       arithmetic of float64; x / 0 is an infinity, 0 / 0 null
//	x % y                            remainder with the sign of x, as np.fmod (Python's % takes the sign of y)
//	x ** y, x ^ y                    power, binds before the minus sign: -2 ** 2 is -4
//	-x, +x                           sign
//	x == y, x != y                   of numbers, booleans or timestamps; of a categorical with one of its values: season == "winter"
//	x < y, x <= y, x > y, x >= y     of numbers or timestamps; 6 <= hour(time) < 9 works
//	x in [a, b], x not in [a, b]     membership in a list of constants
//	x in a..b                        a whole number from a to b, both included
//	a and b, a or b, not a (&&, ||, !) of booleans; unlike in SQL, false and null is null
//	c ? x : y                        x where c is true, y where it is false; null where c is null
//	$env["any name"]                 an input whose name is no identifier
//	log(x)                           natural logarithm; below 0 null, of 0 -Infinity
//	log1p(x)                         log(1 + x), exact also where x is small
//	exp(x)                           e to the power x
//	sqrt(x)                          square root; below 0 null
//	sin(x)                           sine of x radians
//	cos(x)                           cosine of x radians
//	abs(x)                           x without its sign
//	floor(x)                         largest whole number not above x
//	round(x)                         nearest whole number, halves away from zero (numpy rounds halves to the even one)
//	min(x, y, …)                     smallest; null if any is null
//	max(x, y, …)                     largest; null if any is null
//	hour(t)                          hour of the wall clock as written, 0 to 23
//	weekday(t)                       day of the week, Monday = 0 to Sunday = 6, as pandas counts
//	month(t)                         month, 1 to 12
//	dayofyear(t)                     day of the year, 1 to 366
package feature
