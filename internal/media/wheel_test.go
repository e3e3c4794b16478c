package media

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestWheelFiresEveryTimerOnceAndInTime(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		now := time.Duration(rapid.IntRange(0, 10000).Draw(t, "start")) * time.Millisecond
		w := newWheel(now)
		timers := make([]timer, 20)
		due := map[*timer]time.Duration{}
		fire := func(tm *timer) {
			at, armed := due[tm]
			if !armed {
				t.Fatal("a timer fires that is not armed")
			}
			if now < at {
				t.Fatalf("a timer fires %s early", at-now)
			}
			delete(due, tm)
			if rapid.IntRange(0, 3).Draw(t, "again") == 0 { // from within another
				due[tm] = now + 20*time.Millisecond
				w.arm(tm, due[tm])
			}
		}
		for range rapid.IntRange(1, 200).Draw(t, "steps") {
			tm := &timers[rapid.IntRange(0, len(timers)-1).Draw(t, "timer")]
			switch rapid.IntRange(0, 2).Draw(t, "what") {
			case 0:
				in := time.Duration(rapid.IntRange(-10, 6000).Draw(t, "in")) * time.Millisecond
				due[tm] = now + max(0, in)
				w.arm(tm, now+in)
			case 1:
				delete(due, tm)
				w.cancel(tm)
			case 2:
				now += time.Duration(rapid.IntRange(0, 2000).Draw(t, "passes")) * time.Millisecond
				w.advance(now, fire)
				for _, at := range due {
					if at+tick < now {
						t.Fatalf("a timer is %s late", now-at)
					}
				}
			}
			next, ok := w.next()
			if ok != (len(due) > 0) {
				t.Fatalf("next is %s, %t with %d timers", next, ok, len(due))
			}
			for _, at := range due {
				if ok && next > max(at+tick, now+tick) {
					t.Fatalf("next at %s, but a timer is due at %s", next, at)
				}
			}
		}
	})
}

func TestATimerMayCancelAnotherThatIsDue(t *testing.T) {
	w := newWheel(0)
	var a, b timer
	w.arm(&a, 10*time.Millisecond)
	w.arm(&b, 10*time.Millisecond)
	fired := 0
	w.advance(time.Second, func(tm *timer) {
		fired++
		w.cancel(&a)
		w.cancel(&b)
	})
	if fired != 1 {
		t.Errorf("%d timers fired", fired)
	}
}

func BenchmarkWheel(b *testing.B) {
	w := newWheel(0)
	timers := make([]timer, 1000)
	for i := range timers {
		w.arm(&timers[i], time.Duration(i)*20*time.Microsecond)
	}
	now := time.Duration(0)
	b.ReportAllocs()
	for b.Loop() {
		now += tick
		w.advance(now, func(t *timer) { w.arm(t, now+20*time.Millisecond) })
	}
}
