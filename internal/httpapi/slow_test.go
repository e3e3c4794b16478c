package httpapi

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

// wire is a listener of one connection.
type wire struct {
	net.Listener

	conns chan net.Conn // closed by the test
}

func (w wire) Accept() (net.Conn, error) {
	if c, ok := <-w.conns; ok {
		return c, nil
	}
	return nil, net.ErrClosed
}

func (wire) Close() error   { return nil }
func (wire) Addr() net.Addr { return &net.TCPAddr{} }

// TestLongAnswers: neither the time that a client has to send its request, nor
// the time that it has to take the answer, ends while the answer is made, as that
// of a long live recording; also when it is an error in the end.
func TestLongAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var cause error
		s := Server(open(t, nil, func(_ http.ResponseWriter, r *http.Request) {
			select {
			case <-r.Context().Done():
				cause = context.Cause(r.Context())
			case <-time.After(max(readTime, writeTime) + 10*time.Second):
				panic("too hard")
			}
		}))
		ours, theirs := net.Pipe()
		listener := wire{conns: make(chan net.Conn, 1)}
		listener.conns <- theirs
		served := make(chan error, 1) // sent to once
		go func() { served <- s.Serve(listener) }()
		in := bufio.NewReader(ours)
		for range 2 { // the second on a kept connection
			if _, err := io.WriteString(ours, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
				t.Fatal(err)
			}
			answer, err := http.ReadResponse(in, nil)
			if err != nil {
				t.Fatal(err)
			}
			_, err = io.Copy(io.Discard, answer.Body)
			if err := errors.Join(err, answer.Body.Close()); err != nil || cause != nil || answer.StatusCode != http.StatusInternalServerError {
				t.Fatalf("status %d; the work was broken off: %v, %v", answer.StatusCode, cause, err)
			}
		}
		// One that goes away is noticed as ever.
		if _, err := io.WriteString(ours, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if err := ours.Close(); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if cause == nil {
			t.Error("the work goes on for nobody")
		}
		close(listener.conns)
		if err := <-served; !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
}
