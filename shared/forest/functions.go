package forest

// Exp64 is e^x as glibc gives it on CPUs that fuse, the same on every CPU; for engines that need what the links need.
func Exp64(x float64) float64 { return exp(x) }

// Expf is Exp64 in float32.
func Expf(x float32) float32 { return expf(x) }
