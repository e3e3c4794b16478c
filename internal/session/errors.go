package session

import (
	"fmt"

	"tapedeck/internal/voice"
)

func notInState(format string, args ...any) *voice.Error {
	return &voice.Error{Code: voice.CodeCallNotInState, Message: fmt.Sprintf(format, args...)}
}

// badTo is what is wrong with the address of a party to be called.
func badTo(what string) *voice.Error {
	return voice.Invalid(map[string][]string{"to": {what}})
}
