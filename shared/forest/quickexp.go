package forest

import "math"

// quickExp is e^x as CatBoost has it for softmax: by a table of 2048 powers and a polynomial of the third degree, after
// fmath by Mitsunari Shigeo (BSD-3-Clause, https://github.com/herumi/fmath). It is up to some units in the last place off.
func quickExp(x float64) float64 {
	if x <= -708.39641853226408 {
		return 0
	}
	if x >= 709.78271289338397 {
		return math.Inf(1)
	}
	const (
		bits   = 11
		adjust = 1<<(bits+10) - 1<<bits
		shift  = 3 << 51
	)
	d := float64(x*quickScale) + shift
	at := math.Float64bits(d)
	t := float64((d-shift)*quickUnscale) - x
	power := (at+adjust)>>bits<<52 | quickTable[at&(1<<bits-1)]
	y := float64(float64((3.0000000027955394-t)*float64(t*t))*0.16666666685227835064) - t + 1
	return y * math.Float64frombits(power)
}

// Variables, so that they are rounded as C rounds them, not as Go's constants.
var (
	ln2          = math.Ln2
	quickScale   = 2048 / ln2
	quickUnscale = ln2 / 2048
	quickTable   = func() (t [2048]uint64) {
		for i := range t {
			t[i] = math.Float64bits(power2048(i)) & (1<<52 - 1)
		}
		return t
	}()
)

// powers16 are 2^(i/2048) in two parts.
var powers16 = [16][2]float64{
	{0x1.0000000000000p+0, 0x0.0p+0}, {0x1.00162f3904052p+0, -0x1.7b5d0d58ea8f4p-58},
	{0x1.002c605e2e8cfp+0, -0x1.d7c96f201bb2fp-55}, {0x1.0042936faa3d8p+0, -0x1.0484245243777p-55},
	{0x1.0058c86da1c0ap+0, -0x1.5e00e62d6b30dp-56}, {0x1.006eff583fc3dp+0, -0x1.4acf197a00142p-54},
	{0x1.0085382faef83p+0, 0x1.da93f90835f75p-56}, {0x1.009b72f41a12bp+0, 0x1.86364f8fbe8f8p-54},
	{0x1.00b1afa5abcbfp+0, -0x1.4f6b2a7609f71p-55}, {0x1.00c7ee448ee02p+0, 0x1.4362ca5bc26f1p-56},
	{0x1.00de2ed0ee0f5p+0, -0x1.406ac4e81a645p-57}, {0x1.00f4714af41d3p+0, -0x1.91b2060859321p-54},
	{0x1.010ab5b2cbd11p+0, 0x1.c1d0660524e08p-54}, {0x1.0120fc089ff63p+0, 0x1.843aa8b9cbbc6p-55},
	{0x1.0137444c9b5b5p+0, -0x1.2b6aeb6176892p-56}, {0x1.014d8e7ee8d2fp+0, 0x1.2edc08e5da99ap-56},
}

// power2048 is 2^(i/2048), rounded once: a product in double precision of an entry of expTable and one of powers16.
func power2048(i int) float64 {
	entry := expTable[i/16]
	a, b := math.Float64frombits(entry[1]+uint64(i/16)<<45), powers16[i%16]
	p := float64(a * b[0])
	rest := math.FMA(a, b[0], -p)
	rest += float64(a * b[1])
	rest += float64(float64(a*math.Float64frombits(entry[0])) * b[0])
	return p + rest
}
