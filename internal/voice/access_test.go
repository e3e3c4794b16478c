package voice_test

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"tapedeck/internal/voice"
)

func allow(resources ...string) voice.Policy {
	return voice.Policy{Effect: voice.Allow, Actions: []voice.Action{voice.ActionAny}, Resources: resources}
}

func deny(resources ...string) voice.Policy {
	p := allow(resources...)
	p.Effect = voice.Deny
	return p
}

func TestMay(t *testing.T) {
	const own = "/workspaces/w"
	view := allow(own + "/**")
	view.Actions = []voice.Action{voice.ActionView, voice.ActionCreate}
	for name, c := range map[string]struct {
		policies []voice.Policy
		action   voice.Action
		path     string
		want     bool
	}{
		"nothing allows":               {nil, voice.ActionView, own, false},
		"allowed":                      {[]voice.Policy{allow(own)}, voice.ActionView, own, true},
		"another path":                 {[]voice.Policy{allow(own)}, voice.ActionView, own + "/channels", false},
		"action":                       {[]voice.Policy{view}, voice.ActionCreate, own + "/x", true},
		"another action":               {[]voice.Policy{view}, voice.ActionDelete, own + "/x", false},
		"one segment":                  {[]voice.Policy{allow(own + "/*")}, voice.ActionView, own + "/channels", true},
		"one segment is one":           {[]voice.Policy{allow(own + "/*")}, voice.ActionView, own + "/channels/c", false},
		"one segment is not none":      {[]voice.Policy{allow(own + "/*")}, voice.ActionView, own, false},
		"in the middle":                {[]voice.Policy{allow("/workspaces/*/channels/*/calls")}, voice.ActionView, own + "/channels/c/calls", true},
		"in the middle, longer":        {[]voice.Policy{allow("/workspaces/*/channels/*/calls")}, voice.ActionView, own + "/channels/c/calls/x", false},
		"all that follows":             {[]voice.Policy{allow(own + "/**")}, voice.ActionView, own + "/channels/c/calls/x/recordings", true},
		"all that follows is not none": {[]voice.Policy{allow(own + "/**")}, voice.ActionView, own, false},
		"every workspace":              {[]voice.Policy{allow("/workspaces/**")}, voice.ActionView, own, true},
		"** before the end":            {[]voice.Policy{allow("/**/recordings")}, voice.ActionView, own + "/recordings", false},
		"* is not part of a segment":   {[]voice.Policy{allow(own + "/chan*")}, voice.ActionView, own + "/channels", false},
		"deny wins, after":             {[]voice.Policy{allow(own + "/**"), deny(own + "/recordings/**")}, voice.ActionView, own + "/recordings/r", false},
		"deny wins, before":            {[]voice.Policy{deny(own + "/recordings/**"), allow(own + "/**")}, voice.ActionView, own + "/recordings/r", false},
		"deny elsewhere":               {[]voice.Policy{allow(own + "/**"), deny(own + "/recordings/**")}, voice.ActionView, own + "/channels", true},
		"foreign":                      {[]voice.Policy{allow("/workspaces/**"), allow("/**")}, voice.ActionView, "/workspaces/v/channels", false},
		"foreign, same beginning":      {[]voice.Policy{allow("/workspaces/**")}, voice.ActionView, "/workspaces/ww/channels", false},
		"no workspace":                 {[]voice.Policy{allow("/**")}, voice.ActionView, "/workspaces", false},
		"unknown effect":               {[]voice.Policy{{Effect: "maybe", Actions: []voice.Action{voice.ActionAny}, Resources: []string{own}}}, voice.ActionView, own, false},
		"no action":                    {[]voice.Policy{{Effect: voice.Allow, Resources: []string{own}}}, voice.ActionView, own, false},
		"no resource":                  {[]voice.Policy{{Effect: voice.Allow, Actions: []voice.Action{voice.ActionAny}}}, voice.ActionView, own, false},
		"one of more resources":        {[]voice.Policy{allow("/workspaces/w/a", "/workspaces/w/b")}, voice.ActionUpdate, own + "/b", true},
		"a slash at the end":           {[]voice.Policy{allow(own)}, voice.ActionView, own + "/", false},
		"case":                         {[]voice.Policy{allow(own + "/channels")}, voice.ActionView, own + "/Channels", false},
	} {
		p := voice.Principal{Workspace: "w", Policies: c.policies}
		if got := p.May(c.action, c.path); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// TestMayProperties: whatever the policies, nothing is allowed outside of the
// workspace; a deny of everything leaves nothing; and one more deny never allows
// more.
func TestMayProperties(t *testing.T) {
	segment := rapid.SampledFrom([]string{"workspaces", "w", "v", "channels", "c", "*", "**", ""})
	path := rapid.Custom(func(t *rapid.T) string {
		return "/" + strings.Join(rapid.SliceOfN(segment, 1, 6).Draw(t, "segments"), "/")
	})
	actions := []voice.Action{voice.ActionAny, voice.ActionCreate, voice.ActionView, voice.ActionUpdate, voice.ActionDelete}
	policy := rapid.Custom(func(t *rapid.T) voice.Policy {
		return voice.Policy{
			Effect:    rapid.SampledFrom([]voice.Effect{voice.Allow, voice.Deny}).Draw(t, "effect"),
			Actions:   rapid.SliceOfN(rapid.SampledFrom(actions), 0, 2).Draw(t, "actions"),
			Resources: rapid.SliceOfN(path, 0, 3).Draw(t, "resources"),
		}
	})
	rapid.Check(t, func(t *rapid.T) {
		policies := rapid.SliceOfN(policy, 0, 4).Draw(t, "policies")
		at := rapid.OneOf(path, rapid.Just("/workspaces/w/channels/c")).Draw(t, "path")
		action := rapid.SampledFrom(actions[1:]).Draw(t, "action")
		may := func(policies ...voice.Policy) bool {
			p := voice.Principal{Workspace: "w", Policies: policies}
			return p.May(action, at)
		}
		got := may(policies...)
		if got && at != "/workspaces/w" && !strings.HasPrefix(at, "/workspaces/w/") {
			t.Fatalf("allowed outside of the workspace: %s", at)
		}
		if may(append(policies[:len(policies):len(policies)], deny("/**"))...) {
			t.Fatal("allowed although all is denied")
		}
		more := rapid.Custom(func(t *rapid.T) voice.Policy { p := policy.Draw(t, "p"); p.Effect = voice.Deny; return p }).Draw(t, "more")
		if !got && may(append(policies[:len(policies):len(policies)], more)...) {
			t.Fatal("a deny allowed something")
		}
	})
}
