package demo

import (
	"fmt"
	"io"
	"os"
	"strings"
)

// The size of the picture, in pixels.
const (
	pictureWidth = 960
	laneHeight   = 110
	pictureLeft  = 70
	pictureAxis  = 24
)

// draw writes the picture of the recording to a file.
func (r *Result) draw(path string) error {
	var b strings.Builder
	picture(&b, r.lanes, r.rate)
	return os.WriteFile(path, []byte(b.String()), 0o644)
}

// picture draws both lanes as SVG: for each pixel the lowest and the highest
// sample. Its colours are readable on white and on black.
func picture(w io.Writer, lanes [2][]int16, rate int) {
	height := 2*laneHeight + pictureAxis
	fmt.Fprintf(w, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="13">`+"\n", pictureWidth, height)
	fmt.Fprintln(w, `<title>Waveform of a recording: the caller above, the callee below</title>`)
	width := pictureWidth - pictureLeft
	for i, name := range []string{"caller", "callee"} {
		middle := i*laneHeight + laneHeight/2
		colour := [2]string{"#2f7fd6", "#d9822b"}[i]
		fmt.Fprintf(w, `<text x="0" y="%d" fill="%s">%s</text>`+"\n", middle+4, colour, name)
		fmt.Fprintf(w, `<path fill="%s" stroke="%s" stroke-width="0.6" d="%s"/>`+"\n", colour, colour, outline(lanes[i], width, middle))
	}
	base := 2 * laneHeight
	fmt.Fprintf(w, `<path stroke="#888" stroke-width="1" d="M%d %dH%d"/>`+"\n", pictureLeft, base, pictureWidth)
	seconds := len(lanes[0]) / rate
	for s := 0; s <= seconds; s += 2 {
		x := pictureLeft + s*rate*width/max(len(lanes[0]), 1)
		fmt.Fprintf(w, `<path stroke="#888" d="M%d %dv5"/><text x="%d" y="%d" fill="#888">%d s</text>`+"\n", x, base, x+3, base+17, s)
	}
	fmt.Fprintln(w, `</svg>`)
}

// outline is the path around the samples of one lane: along the highest of each
// pixel, and back along the lowest. A sample at full scale reaches the lane's
// edge.
func outline(pcm []int16, width, middle int) string {
	var there, back []string
	for x := range width {
		low, high := 0, 0
		for _, v := range pcm[x*len(pcm)/width : (x+1)*len(pcm)/width] {
			low, high = min(low, int(v)), max(high, int(v))
		}
		y := func(v int) float64 { return float64(middle) - float64(v)*float64(laneHeight)/2/32768 }
		there = append(there, fmt.Sprintf("%d %.1f", pictureLeft+x, y(high)))
		back = append(back, fmt.Sprintf("%d %.1f", pictureLeft+x, y(low)))
	}
	for i, k := 0, len(back)-1; i < k; i, k = i+1, k-1 {
		back[i], back[k] = back[k], back[i]
	}
	return "M" + strings.Join(there, "L") + "L" + strings.Join(back, "L") + "Z"
}
