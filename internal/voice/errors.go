package voice

import (
	"errors"
	"slices"
	"strings"
	"time"
)

// Error is what a caller of Tapedeck is told. Code and Message are for the
// user; Op and Err are for the operator and never leave the server.
type Error struct {
	Code       Code
	Op         string              // what was tried, for the log
	Message    string              // what is wrong and what to do, for the user
	Details    map[string][]string // faults by member, for CodeValidationFailed
	RetryAfter time.Duration       // for CodeUnavailable, CodeNotReady and CodeTooManyRequests; 0 = not said
	Err        error
}

// Error returns the operation, the message and the cause.
func (e *Error) Error() string {
	s := e.Message
	if e.Op != "" {
		s = e.Op + ": " + s
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// CodeOf returns the code of err. An error that is not an *Error is
// CodeInternal, and its text must not be shown.
func CodeOf(err error) Code {
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return CodeInternal
}

// NotFound is the error for a resource that does not exist, or that the asker
// may not know of. What is one word: "call", "channel", "recording".
func NotFound(what string) *Error {
	return &Error{Code: CodeNotFound, Message: "The requested resource does not exist: " + what + " not found"}
}

// Invalid is the error for a body with faults. Details holds, by member, what
// is wrong with it.
func Invalid(details map[string][]string) *Error {
	return &Error{Code: CodeValidationFailed, Message: "The request did not pass validation", Details: details}
}

// NotServed is the error for a locale or a voice that no engine of the server has:
// it names those that there are.
func NotServed(member, value string, there []string) *Error {
	why := value + " is not served by this server: there is none"
	if len(there) > 0 {
		there = slices.Compact(slices.Sorted(slices.Values(there)))
		why = value + " is not served by this server: there are " + strings.Join(there, ", ")
	}
	return Invalid(map[string][]string{member: {why}})
}
