package session

import (
	"fmt"

	"tapedeck/internal/voice"
)

func notInState(format string, args ...any) *voice.Error {
	return &voice.Error{Code: voice.CodeCallNotInState, Message: fmt.Sprintf(format, args...)}
}

func fault(member, what string) *voice.Error {
	return voice.Invalid(map[string][]string{member: {what}})
}
