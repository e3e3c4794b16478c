package voice

import (
	"strings"
	"time"
)

// Action is what a request wants to do with a resource.
type Action string

// The actions, with the HTTP methods that ask for them. ActionAny stands in
// policies only.
const (
	ActionAny    Action = "any"
	ActionCreate Action = "create" // POST
	ActionView   Action = "view"   // GET, HEAD, OPTIONS
	ActionUpdate Action = "update" // PUT, PATCH
	ActionDelete Action = "delete" // DELETE
)

// Effect is what a policy does to the requests it covers.
type Effect string

// The effects. A deny wins over every allow.
const (
	Allow Effect = "allow"
	Deny  Effect = "deny"
)

// Policy allows or denies actions on the resources its patterns cover. In a
// pattern, "*" is one path segment and "**" is all that follows, as in
// "/workspaces/*/channels/**".
type Policy struct {
	Effect    Effect   `json:"effect"`
	Actions   []Action `json:"actions"`
	Resources []string `json:"resources"`
}

// AccessKey is a key to a workspace. Its secret is not kept, only the hash.
type AccessKey struct {
	ID        KeyID
	Workspace WorkspaceID
	Name      string
	Hash      []byte // SHA-256 of the secret
	Policies  []Policy
	CreatedAt time.Time
	RevokedAt time.Time // zero = in force
}

// Principal is who asks: a key that was found good.
type Principal struct {
	Key       KeyID
	Workspace WorkspaceID
	Policies  []Policy
}

// May reports whether the principal may do the action on the path. What no
// policy allows is denied, and so is everything outside its workspace.
func (p *Principal) May(action Action, path string) bool {
	prefix := "/workspaces/" + string(p.Workspace)
	if path != prefix && !strings.HasPrefix(path, prefix+"/") {
		return false
	}
	allowed := false
	for _, policy := range p.Policies {
		if !policy.covers(action, path) {
			continue
		}
		if policy.Effect == Deny {
			return false
		}
		allowed = allowed || policy.Effect == Allow
	}
	return allowed
}

func (p *Policy) covers(action Action, path string) bool {
	hit := false
	for _, a := range p.Actions {
		hit = hit || a == ActionAny || a == action
	}
	if !hit {
		return false
	}
	for _, pattern := range p.Resources {
		if matchPath(strings.Split(pattern, "/"), strings.Split(path, "/")) {
			return true
		}
	}
	return false
}

func matchPath(pattern, path []string) bool {
	for i, p := range pattern {
		switch {
		case p == "**":
			return i == len(pattern)-1 && len(path) > i
		case i >= len(path):
			return false
		case p != "*" && p != path[i]:
			return false
		}
	}
	return len(pattern) == len(path)
}
