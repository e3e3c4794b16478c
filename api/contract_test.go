package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
)

// TestGeneratedFilesAreFresh: what is in the repository is what the contract
// gives now.
func TestGeneratedFilesAreFresh(t *testing.T) {
	files, err := generate(os.DirFS(".."))
	if err != nil {
		t.Fatal(err)
	}
	if len(files) != 4 {
		t.Fatalf("%d files are generated, want 4", len(files))
	}
	for name, want := range files {
		got, err := os.ReadFile(filepath.Join("..", filepath.FromSlash(name)))
		if err != nil || string(got) != string(want) {
			t.Errorf("%s is not what the contract gives: run go generate ./... (%v)", name, err)
		}
	}
}

// TestSeed compares the operation that the product was born from, its schemas
// and its responses with the document that they came from, member by member.
func TestSeed(t *testing.T) {
	seed := tree(t, "testdata/record-call-session.openapi.json")
	ours := tree(t, "openapi.yaml")

	const path = "/workspaces/{workspaceId}/channels/{channelId}/calls/{callId}/recordings"
	same(t, at(t, seed, "paths", path, "post"), at(t, ours, "paths", path, "post"), path)
	for _, group := range []string{"schemas", "responses"} {
		all := at(t, seed, "components", group).(map[string]any)
		if len(all) == 0 {
			t.Fatalf("the seed has no %s", group)
		}
		for name, want := range all {
			same(t, want, at(t, ours, "components", group, name), group+"/"+name)
		}
	}
	for _, member := range []string{"type", "scheme"} {
		same(t, at(t, seed, "components", "securitySchemes", "accessKey", member),
			at(t, ours, "components", "securitySchemes", "accessKey", member), "accessKey/"+member)
	}
	same(t, at(t, seed, "security"), at(t, ours, "security"), "security")
	same(t, at(t, seed, "openapi"), at(t, ours, "openapi"), "openapi")
}

func same(t *testing.T, want, got any, what string) {
	t.Helper()
	if !reflect.DeepEqual(want, got) {
		w, _ := json.MarshalIndent(want, "", " ")
		g, _ := json.MarshalIndent(got, "", " ")
		t.Errorf("%s differs from the seed\nwant %s\ngot  %s", what, w, g)
	}
}

// tree reads a document, which may be JSON: JSON is YAML.
func tree(t *testing.T, name string) any {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	var value any
	if err := yaml.Unmarshal(text, &value); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return value
}

func at(t *testing.T, value any, names ...string) any {
	t.Helper()
	for i, name := range names {
		object, ok := value.(map[string]any)
		if !ok || object[name] == nil {
			t.Fatalf("there is no %s", strings.Join(names[:i+1], "/"))
		}
		value = object[name]
	}
	return value
}

func TestFaultyLists(t *testing.T) {
	good := code{Code: "a_b", Status: 404, Name: "AB", Means: "m", Do: "d"}
	change := func(f func(*code)) []code { c := good; f(&c); return []code{c} }
	for name, list := range map[string][]code{
		"form":      change(func(c *code) { c.Code = "A B" }),
		"no name":   change(func(c *code) { c.Name = "" }),
		"no advice": change(func(c *code) { c.Do = "" }),
		"status":    change(func(c *code) { c.Status = 299 }),
		"twice":     {good, good},
	} {
		if check(list) == nil {
			t.Errorf("%s: the list was taken", name)
		}
	}
	if err := check([]code{good}); err != nil {
		t.Error(err)
	}
}

func TestToJSON(t *testing.T) {
	got, err := toJSON([]byte("b: [1, 2.5, true, 'x', <&>]\na: {c: \"1\"}\n'202': 202\n"))
	want := "{\n  \"b\": [\n    1,\n    2.5,\n    true,\n    \"x\",\n    \"<&>\"\n  ],\n  \"a\": {\n    \"c\": \"1\"\n  },\n  \"202\": 202\n}\n"
	if err != nil || string(got) != want {
		t.Errorf("got %s, %v", got, err)
	}
	for name, text := range map[string]string{
		"comma in a flow mapping": "a: {b: one, two}",
		"alias":                   "a: &x 1\nb: *x",
		"not YAML":                "a: [",
	} {
		if _, err := toJSON([]byte(text)); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
}
