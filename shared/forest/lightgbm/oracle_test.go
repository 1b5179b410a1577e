package lightgbm

import (
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
)

// slow is the oracle: it walks the text of a model, knows nothing of the reader or the kernel, and says LightGBM's rules
// as plainly as possible. It gives raw scores.
func slow(text string, row []float64, margins int) []float64 {
	x := make([]float64, len(row))
	for i, v := range row {
		if !(math.Abs(v) <= 1.0000000180025095e-35) {
			x[i] = v
		}
	}
	sums := make([]float64, margins)
	head, _, _ := strings.Cut(text, "end of trees")
	for i, block := range strings.Split(head, "\nTree=")[1:] {
		t := slowTree{}
		for line := range strings.Lines(block) {
			key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
			t[key] = strings.Fields(value)
		}
		sums[i%margins] += t.value(x)
	}
	return sums
}

// slowTree is the lists of a tree by their keys.
type slowTree map[string][]string

func (t slowTree) number(key string, i int) float64 {
	v, err := strconv.ParseFloat(t[key][i], 64)
	if err != nil {
		panic(err)
	}
	return v
}

func (t slowTree) whole(key string, i int) int { return int(t.number(key, i)) }

func (t slowTree) value(x []float64) float64 {
	leaf := 0
	if t.whole("num_leaves", 0) > 1 {
		node := 0
		for node >= 0 {
			if t.left(node, x[t.whole("split_feature", node)]) {
				node = t.whole("left_child", node)
			} else {
				node = t.whole("right_child", node)
			}
		}
		leaf = -node - 1
	}
	if len(t["is_linear"]) == 0 || t.whole("is_linear", 0) == 0 {
		return t.number("leaf_value", leaf)
	}
	first := 0
	for i := range leaf {
		first += t.whole("num_features", i)
	}
	sum := t.number("leaf_const", leaf)
	for i := range t.whole("num_features", leaf) {
		v := x[t.whole("leaf_features", first+i)]
		if math.IsNaN(v) {
			return t.number("leaf_value", leaf)
		}
		sum += float64(t.number("leaf_coeff", first+i) * v)
	}
	return sum
}

func (t slowTree) left(node int, v float64) bool {
	decision := t.whole("decision_type", node)
	if decision&1 != 0 {
		if !(v > -1 && v < 1<<31) {
			return false
		}
		set := t.whole("threshold", node)
		word := int(v)/32 + t.whole("cat_boundaries", set)
		return word < t.whole("cat_boundaries", set+1) && t.whole("cat_threshold", word)>>(int(v)%32)&1 != 0
	}
	missing := decision >> 2
	if math.IsNaN(v) && missing != 2 {
		v = 0
	}
	if missing == 1 && v == 0 || missing == 2 && math.IsNaN(v) {
		return decision&2 != 0
	}
	return v <= t.number("threshold", node)
}

// TestKernelEqualsOracle scores rows that meet in the thresholds of each golden model and in all that is special.
func TestKernelEqualsOracle(t *testing.T) {
	t.Parallel()
	goldens(t, func(t *testing.T, folder string, c goldenCase) {
		text := string(file(t, folder, c.Model+".txt"))
		equalsOracle(t, text, rand.New(rand.NewPCG(1, uint64(len(text)))), floats(t, folder, c.Model+".x.f64"))
	})
}

func equalsOracle(t *testing.T, text string, r *rand.Rand, pool []float64) {
	t.Helper()
	m, err := Read([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	info := m.Info()
	const rows = 100
	x := make([]float64, rows*info.Features)
	for i := range x { // a column's values, or now and then another column's
		at := r.IntN(len(pool)/info.Features)*info.Features + i%info.Features
		if r.IntN(5) == 0 {
			at = r.IntN(len(pool))
		}
		x[i] = pool[at]
	}
	got := make([]float64, rows*info.Margins)
	m.Margin(x, rows, got, m.NewScratch())
	for row := range rows {
		in := x[row*info.Features : (row+1)*info.Features]
		for k, want := range slow(text, in, info.Margins) {
			if v := got[row*info.Margins+k]; distance(v, want) != 0 {
				t.Fatalf("row %d output %d: kernel %v, oracle %v; row %v", row, k, v, want, in)
			}
		}
	}
}

// TestAllDecisionTypes rewrites the splits of a model to every kind of missing values and side.
func TestAllDecisionTypes(t *testing.T) {
	t.Parallel()
	const folder, model = "testdata/lgb-4.7.0", "poisson"
	text, pool := string(file(t, folder, model+".txt")), floats(t, folder, model+".x.f64")
	r := rand.New(rand.NewPCG(2, 3))
	for range 40 {
		var out []string
		for line := range strings.Lines(text) {
			if strings.HasPrefix(line, "decision_type=") {
				n := len(strings.Fields(line))
				line = "decision_type="
				for range n {
					line += strconv.Itoa(r.IntN(3)<<2|r.IntN(2)<<1) + " "
				}
				line += "\n"
			}
			if strings.HasPrefix(line, "threshold=") && r.IntN(2) == 0 {
				fields := strings.Fields(strings.TrimPrefix(line, "threshold="))
				for i := range fields {
					if r.IntN(2) == 0 {
						fields[i] = []string{"0", "-0", "1.0000000180025095e-35", "-1.0000000180025095e-35", "1e300", "inf", "-inf"}[r.IntN(7)]
					}
				}
				line = "threshold=" + strings.Join(fields, " ") + "\n"
			}
			out = append(out, line)
		}
		equalsOracle(t, strings.Join(out, ""), r, pool)
	}
}
