package g722

// block is how many values of each band the filters work on at once.
const block = 80

// reach is how many values of the past a filter output takes, besides its own.
const reach = 11

// synthesis joins the bands (RECA, RECB, ACCUMC, ACCUMD, SELECT).
type synthesis struct {
	sum, diff [reach + block]int32 // of the bands; the past first
}

// put sets the i-th value of both bands of a block.
func (f *synthesis) put(i int, low, high int32) {
	f.sum[reach+i], f.diff[reach+i] = low+high, low-high
}

// run makes the samples of the block that put has filled.
func (f *synthesis) run(dst []int16) {
	n := len(dst) / 2
	for i := range n {
		sum, diff := (*[reach + 1]int32)(f.sum[i:]), (*[reach + 1]int32)(f.diff[i:])
		var first, second int32
		for k := range quadrature {
			second += quadrature[k] * sum[k]
			first += quadrature[reach-k] * diff[k]
		}
		dst[2*i] = int16(saturate(first >> 11))
		dst[2*i+1] = int16(saturate(second >> 11))
	}
	copy(f.sum[:reach], f.sum[n:n+reach])
	copy(f.diff[:reach], f.diff[n:n+reach])
}

// analysis splits PCM into the bands (ACCUMA, ACCUMB, LOWT, HIGHT).
type analysis struct {
	pcm [2*reach + 2*block]int32 // the past first
}

// put takes the samples of a block.
func (f *analysis) put(pcm []int16) {
	for i, v := range pcm {
		f.pcm[2*reach+i] = int32(v)
	}
}

// at is the i-th value of both bands of the block.
func (f *analysis) at(i int) (low, high int32) {
	x := (*[2*reach + 2]int32)(f.pcm[2*i:])
	var even, odd int32
	for k := range quadrature {
		odd += quadrature[k] * x[2*k]
		even += quadrature[reach-k] * x[2*k+1]
	}
	return (even + odd) >> 14, (even - odd) >> 14
}

// done leaves the block, of so many values, behind.
func (f *analysis) done(n int) {
	copy(f.pcm[:2*reach], f.pcm[2*n:2*n+2*reach])
}
