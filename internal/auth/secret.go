package auth

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"

	"tapedeck/internal/store"
	"tapedeck/internal/voice"
)

// secretBytes is 256 bits: nobody guesses it, so a plain SHA-256 of it is kept;
// a slow password hash would protect nothing more and cost a request its time.
const secretBytes = 32

// NewSecret returns a new secret: 256 random bits as base64url, 43 characters.
func NewSecret() string {
	b := make([]byte, secretBytes)
	rand.Read(b) // never fails: it ends the program where the system has no randomness
	return base64.RawURLEncoding.EncodeToString(b)
}

// HashSecret returns what is kept of a secret: its SHA-256.
func HashSecret(secret string) []byte {
	sum := sha256.Sum256([]byte(secret))
	return sum[:]
}

// AllRights allows everything in a workspace.
func AllRights(ws voice.WorkspaceID) []voice.Policy {
	own := "/workspaces/" + string(ws)
	return []voice.Policy{{
		Effect: voice.Allow, Actions: []voice.Action{voice.ActionAny}, Resources: []string{own, own + "/**"},
	}}
}

// CreateKey makes a key in a workspace and returns it with its secret, which is
// kept nowhere. Faulty policies are voice.CodeValidationFailed.
func CreateKey(t *store.Tx, ws voice.WorkspaceID, name string, policies []voice.Policy, now time.Time) (voice.AccessKey, string, error) {
	if faults := CheckPolicies(policies); len(faults) > 0 {
		return voice.AccessKey{}, "", voice.Invalid(faults)
	}
	if _, err := t.Workspace(ws); err != nil {
		return voice.AccessKey{}, "", err
	}
	secret := NewSecret()
	k := voice.AccessKey{
		ID: voice.KeyID(store.NewID()), Workspace: ws, Name: name,
		Hash: HashSecret(secret), Policies: policies, CreatedAt: now.UTC().Truncate(time.Microsecond),
	}
	if err := t.InsertKey(k); err != nil {
		return voice.AccessKey{}, "", err
	}
	return k, secret, nil
}

// CheckPolicies returns what is wrong with policies, by member. A policy that
// can never match is a fault, because a deny that does nothing is a hole.
func CheckPolicies(policies []voice.Policy) map[string][]string {
	faults := map[string][]string{}
	say := func(i int, member, format string, args ...any) {
		at := fmt.Sprintf("policies.%d.%s", i, member)
		faults[at] = append(faults[at], fmt.Sprintf(format, args...))
	}
	for i, p := range policies {
		if p.Effect != voice.Allow && p.Effect != voice.Deny {
			say(i, "effect", "must be %q or %q", voice.Allow, voice.Deny)
		}
		if len(p.Actions) == 0 {
			say(i, "actions", "must name an action")
		}
		for _, a := range p.Actions {
			switch a {
			case voice.ActionAny, voice.ActionCreate, voice.ActionView, voice.ActionUpdate, voice.ActionDelete:
			default:
				say(i, "actions", "%q must be one of any, create, view, update, delete", a)
			}
		}
		if len(p.Resources) == 0 {
			say(i, "resources", "must name a resource")
		}
		for _, r := range p.Resources {
			if err := checkPattern(r); err != nil {
				say(i, "resources", "%q %v", r, err)
			}
		}
	}
	return faults
}

func checkPattern(pattern string) error {
	segments := strings.Split(pattern, "/")
	if segments[0] != "" || len(segments) < 3 || segments[1] != "workspaces" {
		return errors.New("must begin with /workspaces/ and an id or *")
	}
	for i, s := range segments[2:] {
		switch {
		case s == "":
			return errors.New("has an empty segment")
		case s == "**" && i+2 != len(segments)-1:
			return errors.New("has ** before its end")
		case s != "*" && s != "**" && strings.Contains(s, "*"):
			return errors.New("has * within a segment: it stands for a whole one")
		}
	}
	return nil
}
