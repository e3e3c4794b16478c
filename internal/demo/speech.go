package demo

import (
	"embed"
	"fmt"
	"io/fs"
	"strings"

	"tapedeck/internal/callgen"
)

//go:embed speech/*.ulaw
var speech embed.FS

// DefaultConversation is the one that is talked when none is named.
const DefaultConversation = "order"

// Conversations are the names of what there is to talk.
func Conversations() []string {
	files, err := fs.Glob(speech, "speech/*-caller.ulaw")
	if err != nil {
		return nil // only for a bad pattern
	}
	var names []string
	for _, f := range files {
		names = append(names, strings.TrimSuffix(strings.TrimPrefix(f, "speech/"), "-caller.ulaw"))
	}
	return names
}

// conversation is what both sides say, in G.711 µ-law. Both have the same
// length; who listens is silent.
type conversation struct {
	caller, callee []byte
}

func readConversation(name string) (c conversation, err error) {
	if c.caller, err = speech.ReadFile("speech/" + name + "-caller.ulaw"); err == nil {
		c.callee, err = speech.ReadFile("speech/" + name + "-callee.ulaw")
	}
	if err != nil {
		return c, fmt.Errorf("there is no conversation %q: choose one of %s", name, strings.Join(Conversations(), ", "))
	}
	return c, nil
}

func (c conversation) said() [2][]int16 {
	return [2][]int16{callgen.Decode(c.caller), callgen.Decode(c.callee)}
}
