package session

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestMailboxKeepsOrderAndDropsAfterClose(t *testing.T) {
	m := newMailbox()
	var got []int
	for i := range 3 {
		if !m.put(func() { got = append(got, i) }) {
			t.Fatal("put into an open mailbox was refused")
		}
	}
	if m.close() {
		t.Fatal("a mailbox with messages was closed")
	}
	<-m.bell
	for _, message := range m.take() {
		message()
	}
	if len(got) != 3 || got[0] != 0 || got[1] != 1 || got[2] != 2 {
		t.Fatalf("messages ran as %v", got)
	}
	if !m.close() {
		t.Fatal("an empty mailbox was not closed")
	}
	if m.put(func() {}) {
		t.Fatal("put into a closed mailbox was accepted")
	}
}

func TestAlarmsRingInTimeOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAlarms()
		start := time.Now()
		var rang []time.Duration
		note := func() { rang = append(rang, time.Since(start)) }
		a.after(3*time.Second, note)
		a.after(time.Second, func() {
			note()
			a.after(500*time.Millisecond, note) // an alarm may set another
		})
		dropped := a.after(2*time.Second, note)
		a.drop(dropped)
		a.drop(dropped) // again is no harm
		a.drop(nil)
		for len(rang) < 3 {
			<-a.timer.C
			a.ring()
		}
		want := []time.Duration{time.Second, 1500 * time.Millisecond, 3 * time.Second}
		for i := range want {
			if rang[i] != want[i] {
				t.Fatalf("alarms rang at %v, want %v", rang, want)
			}
		}
		if len(a.list) != 0 {
			t.Fatalf("%d alarms are left", len(a.list))
		}
	})
}
