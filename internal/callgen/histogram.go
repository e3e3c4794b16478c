package callgen

import "time"

// Latencies counts durations in steps of 10 µs up to a second; longer ones
// share the last step.
type Latencies struct {
	steps [histogramSteps + 1]uint64
	count uint64
	max   time.Duration
}

const (
	histogramStep  = 10 * time.Microsecond
	histogramSteps = int(time.Second / histogramStep)
)

// Add counts one duration. One below zero counts as zero.
func (l *Latencies) Add(d time.Duration) {
	l.steps[min(max(int(d/histogramStep), 0), histogramSteps)]++
	l.count++
	l.max = max(l.max, d)
}

// Merge adds what another one counted.
func (l *Latencies) Merge(o *Latencies) {
	for i, n := range o.steps {
		l.steps[i] += n
	}
	l.count += o.count
	l.max = max(l.max, o.max)
}

// Count is how many durations were counted.
func (l *Latencies) Count() uint64 { return l.count }

// Max is the longest one.
func (l *Latencies) Max() time.Duration { return l.max }

// Quantile is the duration that a part of all, from 0 to 1, does not exceed, to
// the step above.
func (l *Latencies) Quantile(part float64) time.Duration {
	need, sum := uint64(part*float64(l.count)), uint64(0)
	for i, n := range l.steps {
		if sum += n; i < histogramSteps && sum > 0 && sum >= need {
			return min(time.Duration(i+1)*histogramStep, l.max)
		}
	}
	return l.max
}
