package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tapedeck/internal/auth"
	"tapedeck/internal/store"
	"tapedeck/internal/testkit"
	"tapedeck/internal/voice"
)

// administer runs a command on a data directory and returns what it prints.
func administer(t testing.TB, dir string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	var out, errs bytes.Buffer
	code = run(append(args, "--data", dir), &out, &errs)
	return out.String(), errs.String(), code
}

// must runs a command that has to succeed, and reads the JSON it prints.
func must[T any](t testing.TB, dir string, args ...string) (v T) {
	t.Helper()
	out, errs, code := administer(t, dir, append(args, "--json")...)
	if code != 0 {
		t.Fatalf("%v: exit %d: %s", args, code, errs)
	}
	if err := json.Unmarshal([]byte(out), &v); err != nil {
		t.Fatalf("%v: %v in %s", args, err, out)
	}
	return v
}

// newDatabase makes an empty database in a data directory. It stays open, as a
// running server has it.
func newDatabase(t testing.TB) (dir string, db *store.DB) {
	t.Helper()
	dir = t.TempDir()
	db, err := store.Open(t.Context(), store.Options{URL: store.PathIn(dir)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return dir, db
}

func TestKeys(t *testing.T) {
	dir, db := newDatabase(t)
	access, err := auth.New(auth.Options{DB: db})
	if err != nil {
		t.Fatal(err)
	}
	w := must[shownWorkspace](t, dir, "workspace", "create", "acme")
	if all := must[[]shownWorkspace](t, dir, "workspace", "list"); len(all) != 1 || all[0] != w || w.Name != "acme" {
		t.Errorf("workspaces %+v, made %+v", all, w)
	}
	k := must[shownKey](t, dir, "key", "create", "--name", "console")
	who, err := access.Authenticate(t.Context(), "AccessKey "+k.AccessKey)
	if err != nil || who.Key != k.ID || !who.May(voice.ActionDelete, "/workspaces/"+string(w.ID)+"/recordings/x") {
		t.Errorf("%+v, %v", who, err)
	}
	policies := testkit.WriteFile(t, t.TempDir(), "p.json", `[{"effect":"allow","actions":["view"],"resources":["/workspaces/*/recordings/**"]}]`)
	narrow := must[shownKey](t, dir, "key", "create", "-w", "acme", "--policies", policies)
	who, err = access.Authenticate(t.Context(), "AccessKey "+narrow.AccessKey)
	if err != nil || who.May(voice.ActionDelete, "/workspaces/"+string(w.ID)+"/recordings/x") || !who.May(voice.ActionView, "/workspaces/"+string(w.ID)+"/recordings/x") {
		t.Errorf("%+v, %v", who, err)
	}
	if _, errs, code := administer(t, dir, "key", "revoke", string(narrow.ID)); code != 0 {
		t.Errorf("revoke: %s", errs)
	}
	all := must[[]shownKey](t, dir, "key", "list")
	if len(all) != 2 || all[0].ID != narrow.ID || all[0].RevokedAt == nil || all[1].RevokedAt != nil || all[1].AccessKey != "" {
		t.Errorf("keys %+v", all)
	}
	out, _, _ := administer(t, dir, "key", "list")
	if strings.Contains(out, k.AccessKey) || !strings.Contains(out, string(k.ID)) || !strings.Contains(out, "REVOKED") {
		t.Errorf("list:\n%s", out)
	}
	out, _, _ = administer(t, dir, "key", "create")
	if lines := strings.Fields(out); len(lines) != 4 || lines[0] != "id" || lines[2] != "key" || len(lines[3]) != 43 {
		t.Errorf("create:\n%s", out)
	}
	bad := testkit.WriteFile(t, t.TempDir(), "p.json", `[{"effect":"let","actions":[],"resources":["x"]}]`)
	if _, errs, code := administer(t, dir, "key", "create", "--policies", bad); code != 1 ||
		!strings.Contains(errs, "policies.0.effect must be") || !strings.Contains(errs, "policies.0.actions") {
		t.Errorf("bad policies: exit %d: %s", code, errs)
	}
}

func TestChannels(t *testing.T) {
	dir, db := newDatabase(t)
	must[shownWorkspace](t, dir, "workspace", "create", "acme")
	files := t.TempDir()
	password := testkit.WriteFile(t, files, "password", "s3cret\n")
	flow := testkit.WriteFile(t, files, "flow.json", `[{"command":"bridge","options":{"to":"{to}","record":true,"recordStereo":true}}]`)
	made := must[shownChannel](t, dir, "channel", "create", "--number", "*", "--name", "inline",
		"--trunk", "sip:192.0.2.1;transport=tcp", "--trunk-username", "u", "--trunk-password", password,
		"--source", "192.0.2.0/24", "--source", "2001:db8::1", "--ring-timeout", "20", "--flow", flow, "--codec", "PCMA,PCMU")
	var kept voice.Channel
	read := func() {
		t.Helper()
		var err error
		if kept, err = db.ChannelForNumber(t.Context(), "2000"); err != nil {
			t.Fatal(err)
		}
	}
	read()
	if kept.ID != made.ID || kept.Trunk.Password != "s3cret" || len(kept.Inbound.Sources) != 2 || kept.Inbound.RingTimeout != 20 ||
		len(kept.Inbound.Flow) != 1 || strings.Join(kept.Codecs, " ") != "PCMA PCMU" {
		t.Errorf("kept %+v", kept)
	}
	out, _, _ := administer(t, dir, "channel", "show", strings.ToUpper(string(made.ID)))
	if strings.Contains(out, "s3cret") || !strings.Contains(out, "sip:192.0.2.1;transport=tcp") || !strings.Contains(out, `"recordStereo":true`) {
		t.Errorf("show:\n%s", out)
	}
	changed := must[shownChannel](t, dir, "channel", "update", string(made.ID), "--number", "1000", "--source", "none", "--codec", "none")
	if changed.Number != "1000" || changed.Name != "inline" || changed.Inbound.Sources != nil || len(changed.Codecs) != 0 || len(changed.Inbound.Flow) != 1 {
		t.Errorf("changed %+v", changed)
	}
	must[shownChannel](t, dir, "channel", "create", "--number", "*")
	if all := must[[]shownChannel](t, dir, "channel", "list"); len(all) != 2 {
		t.Errorf("channels %+v", all)
	}
	out, _, _ = administer(t, dir, "channel", "list")
	if !strings.Contains(out, "1000") || !strings.Contains(out, "NUMBER") {
		t.Errorf("list:\n%s", out)
	}
	must[shownChannel](t, dir, "channel", "update", string(made.ID), "--trunk-username", "")
	for name, c := range map[string]struct {
		args []string
		says string
	}{
		"number taken":     {[]string{"channel", "create", "--number", "+1000"}, "has this number already"},
		"every fault":      {[]string{"channel", "create", "--trunk", "pbx"}, "number is required\ntrunk.uri must be sip:host"},
		"network":          {[]string{"channel", "create", "--number", "5", "--source", "here"}, "--source here must be a network"},
		"flow":             {[]string{"channel", "create", "--number", "5", "--flow", password}, "--flow is a JSON list"},
		"unknown":          {[]string{"channel", "show", "nobody"}, "channel not found"},
		"update unknown":   {[]string{"channel", "update", "nobody", "--name", "x"}, "channel not found"},
		"delete unknown":   {[]string{"channel", "delete", "nobody"}, "channel not found"},
		"workspace":        {[]string{"channel", "list", "-w", "nobody"}, "workspace not found"},
		"revoke unknown":   {[]string{"key", "revoke", "nobody"}, "key not found"},
		"no workspace key": {[]string{"key", "list", "-w", "nobody"}, "workspace not found"},
	} {
		if _, errs, code := administer(t, dir, c.args...); code != 1 || !strings.Contains(errs, c.says) {
			t.Errorf("%s: exit %d: %s", name, code, errs)
		}
	}
	if _, errs, code := administer(t, dir, "channel", "delete", string(made.ID)); code != 0 {
		t.Errorf("delete: %s", errs)
	}
	read()
	if kept.ID == made.ID {
		t.Error("it is still there")
	}
}

// TestNoDatabase: a mistyped directory is an error, and stays as it is.
func TestNoDatabase(t *testing.T) {
	dir := t.TempDir()
	for _, args := range [][]string{{"key", "list"}, {"workspace", "create", "x"}, {"channel", "list"}} {
		if _, errs, code := administer(t, dir, args...); code != 1 || !strings.Contains(errs, "start the server once") {
			t.Errorf("%v: exit %d: %s", args, code, errs)
		}
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
		t.Errorf("%v, %v", entries, err)
	}
	// --database names the database wherever it is.
	other, _ := newDatabase(t)
	var out, errs bytes.Buffer
	if code := run([]string{"workspace", "list", "--database", "sqlite://" + filepath.Join(other, store.FileName)}, &out, &errs); code != 0 {
		t.Errorf("exit %d: %s", code, errs.String())
	}
}
