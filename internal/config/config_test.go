package config_test

import (
	"bytes"
	"math"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tapedeck/internal/config"
	"tapedeck/internal/testkit"
)

func TestDefaults(t *testing.T) {
	c, err := config.Load(config.Source{})
	if err != nil {
		t.Fatal(err)
	}
	if want := config.Default(); !reflect.DeepEqual(c, want) {
		t.Errorf("got\n%+v\nwant\n%+v", c, want)
	}
	if c.Data != "./data" || c.HTTP != "127.0.0.1:8080" || c.SIP != "127.0.0.1:5060" || c.RTP.String() != "20000-29999" ||
		c.Recording.MaxLength != 4*time.Hour || c.Recording.KeepJournal != 24*time.Hour || c.AllowPrivateURLs || c.MediaIP.IsValid() {
		t.Errorf("not the documented defaults: %+v", c)
	}
}

// TestPrecedence: flags win over the environment, that over the file, that over
// the defaults.
func TestPrecedence(t *testing.T) {
	path := testkit.WriteFile(t, t.TempDir(), "c.yaml", `
data: /file
http: 127.0.0.1:1
rtp-ports: 30000-30099
allow-private-urls: true
recording:
  max_length: 1h
  buffer: 1048576
  keep-journal: 2h
recording.min_free: 1GiB
session:
media: {}
`)
	c, err := config.Load(config.Source{
		File:  path,
		Env:   []string{"TAPEDECK_HTTP=127.0.0.1:2", "TAPEDECK_SIP=127.0.0.1:2", "TAPEDECK_RECORDING_MAX_LENGTH=2h", "TAPEDECK_NODE=", "OTHER_HTTP=x", "TAPEDECK"},
		Flags: map[string]string{"sip": "[::1]:3", "recording-keep-journal": "3h", "media-ip": "192.0.2.7"},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := config.Default()
	want.Data, want.HTTP, want.SIP = "/file", "127.0.0.1:2", "[::1]:3"
	want.RTP, want.AllowPrivateURLs, want.MediaIP = config.PortRange{From: 30000, To: 30099}, true, netip.MustParseAddr("192.0.2.7")
	want.Recording.MaxLength, want.Recording.Buffer, want.Recording.KeepJournal = 2*time.Hour, 1<<20, 3*time.Hour
	if got, want := explain(t, c, false), explain(t, want, false); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	text := explain(t, c, true)
	for _, line := range []string{
		`data: "/file" # data directory (` + path + `)`,
		`http: "127.0.0.1:2" # address of the HTTP API (the environment)`,
		`sip: "[::1]:3" # address of SIP, UDP and TCP (the command line)`,
		`  max_length: "2h" # longest recording (the environment)`,
		`node: "local" # name of this node, the same after a restart (default)`,
	} {
		if !strings.Contains(text, line+"\n") {
			t.Errorf("not explained: %s\n%s", line, text)
		}
	}
}

// TestFileFromEnvironment: TAPEDECK_CONFIG names the file; --config wins.
func TestFileFromEnvironment(t *testing.T) {
	dir := t.TempDir()
	one, two := testkit.WriteFile(t, dir, "1.yaml", "node: one"), testkit.WriteFile(t, dir, "2.yaml", "node: two")
	env := []string{"TAPEDECK_CONFIG=" + one}
	for file, want := range map[string]string{"": "one", two: "two"} {
		c, err := config.Load(config.Source{File: file, Env: env})
		if err != nil || c.Node != want {
			t.Errorf("%q: %v, %v", file, c, err)
		}
	}
}

func explain(t testing.TB, c *config.Config, comments bool) string {
	t.Helper()
	var b bytes.Buffer
	if err := c.Explain(&b); err != nil {
		t.Fatal(err)
	}
	if comments {
		return b.String()
	}
	var out strings.Builder
	for line := range strings.Lines(b.String()) {
		value, _, _ := strings.Cut(line, " # ")
		out.WriteString(strings.TrimRight(value, "\n") + "\n")
	}
	return out.String()
}

// TestExplainLoads: what Explain writes is a configuration file that means the
// same.
func TestExplainLoads(t *testing.T) {
	c := config.Default()
	c.SIP, c.MediaIP, c.RTP = "0.0.0.0:5060", netip.MustParseAddr("192.0.2.1"), config.PortRange{From: 1024, To: 65535}
	c.Recording.Buffer, c.Recording.Flush, c.Media.Timeout = 3<<20+1, 150*time.Millisecond, 0
	c.Database = "sqlite:///a b/#x.db"
	text := explain(t, c, true)
	got, err := config.Load(config.Source{File: testkit.WriteFile(t, t.TempDir(), "c.yaml", text)})
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	if got, want := explain(t, got, false), explain(t, c, false); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// TestFaults: every fault is told at once, with the name of the setting, where
// it comes from, and what to do.
func TestFaults(t *testing.T) {
	for name, c := range map[string]struct {
		yaml  string
		env   []string
		flags map[string]string
		says  []string
	}{
		"unknown in file":     {yaml: "recording: {max_lengths: 1h}\nfoo: 1", says: []string{"recording.max_lengths: there is no such setting; is recording.max_length meant? (from ", "foo: there is no such setting (from "}},
		"unknown in env":      {env: []string{"TAPEDECK_RECORDING_MAXLENGTH=1h"}, says: []string{"TAPEDECK_RECORDING_MAXLENGTH: there is no such setting; is TAPEDECK_RECORDING_MAX_LENGTH meant? (from the environment)"}},
		"unknown flag":        {flags: map[string]string{"rtp-port": "1"}, says: []string{"--rtp-port: there is no such setting; is --rtp-ports meant? (from the command line)"}},
		"no unit":             {yaml: "drain_timeout: 30", says: []string{`drain_timeout: "30" is not a duration: write it with its unit`}},
		"negative":            {yaml: "drain_timeout: -1s", says: []string{"drain_timeout: -1s is out of range: give 0s to 24h"}},
		"sizes":               {yaml: "recording: {buffer: 5 bananas, min_free: 99999999TiB}", says: []string{`recording.buffer: "5 bananas" is not a size`, `recording.min_free: "99999999TiB" is not a size`}},
		"small":               {yaml: "recording: {buffer: 1KiB}", says: []string{"recording.buffer: 1KiB is out of range: give 1MiB to 1TiB"}},
		"list":                {yaml: "http: [a, b]", says: []string{"http: give one value"}},
		"address":             {flags: map[string]string{"http": "localhost", "sip": "localhost:5060"}, says: []string{`--http: "localhost" is not an address with a port`, `--sip: "localhost:5060" is not an IP address with a port`}},
		"port":                {flags: map[string]string{"http": "localhost:http"}, says: []string{`port "http" is not a number`}},
		"ports":               {flags: map[string]string{"rtp-ports": "20000"}, says: []string{"is not a range of ports"}},
		"ports backwards":     {flags: map[string]string{"rtp-ports": "30000-20000"}, says: []string{"holds no even port"}},
		"one pair is too odd": {flags: map[string]string{"rtp-ports": "20001-20002"}, says: []string{"holds no even port"}},
		"ports outside":       {flags: map[string]string{"rtp-ports": "80-70000"}, says: []string{"give ports from 1024 to 65535"}},
		"media ip":            {flags: map[string]string{"media-ip": "0.0.0.0"}, says: []string{"0.0.0.0 is not an address that a party can send to"}},
		"media ip name":       {flags: map[string]string{"media-ip": "host"}, says: []string{`"host" is not an IP address`}},
		"media ip needed":     {flags: map[string]string{"sip": "0.0.0.0:5060"}, says: []string{"media_ip: it is needed where sip is 0.0.0.0:5060"}},
		"bool":                {env: []string{"TAPEDECK_ALLOW_PRIVATE_URLS=maybe"}, says: []string{`"maybe" is neither true nor false`}},
		"level":               {flags: map[string]string{"log-level": "loud"}, says: []string{`--log-level: "loud" is not one of debug, info, warn, error`}},
		"node":                {yaml: "node: 'a b'", says: []string{`"a b" is not a name`}},
		"data":                {yaml: "data: ' '", says: []string{"data: it is empty"}},
		"number":              {yaml: "session: {max_calls: many}", says: []string{`"many" is not a whole number`}},
		"sync":                {yaml: "recording: {sync: 100ms}", says: []string{"recording.sync: 100ms is shorter than recording.flush (400ms)"}},
		"expires":             {yaml: "session: {min_se: 2h}", says: []string{"session.expires: 30m is shorter than session.min_se (2h)"}},
		"RFC 4028":            {yaml: "session: {min_se: 60s}", says: []string{"give 1m30s to 24h"}},
		"password":            {yaml: "database: 'postgres://u:s3cret@h:port/x'", says: []string{"database: it is not a URL"}},
		"not YAML":            {yaml: "a: [", says: []string{"configuration file"}},
		"not a mapping":       {yaml: "- a", says: []string{"configuration file"}},
		"twice":               {yaml: "node: a\nnode: b", says: []string{"already defined"}},
	} {
		_, err := config.Load(config.Source{File: testkit.WriteFile(t, t.TempDir(), "c.yaml", c.yaml), Env: c.env, Flags: c.flags})
		if err == nil {
			t.Errorf("%s: accepted", name)
			continue
		}
		for _, says := range c.says {
			if strings.Count(err.Error(), says) != 1 {
				t.Errorf("%s: does not say once %q:\n%v", name, says, err)
			}
		}
		if strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: tells a password: %v", name, err)
		}
	}
	if _, err := config.Load(config.Source{File: "/no/such/file.yaml"}); err == nil || !strings.Contains(err.Error(), "/no/such/file.yaml") {
		t.Errorf("no file: %v", err)
	}
}

// TestValidate: a configuration made by hand is checked as one that is read.
func TestValidate(t *testing.T) {
	c := config.Default()
	c.HTTP, c.Session.MaxCalls = "nowhere", -1
	err := c.Validate()
	if err == nil || !strings.Contains(err.Error(), "http: ") || !strings.Contains(err.Error(), "session.max_calls: ") {
		t.Errorf("got %v", err)
	}
}

func TestRedacts(t *testing.T) {
	c := config.Default()
	c.Database, c.Storage = "postgres://u:s3cret@h/x", "s3://b?secret_access_key=s3cret&region=eu"
	c.Speech.SayKey, c.Speech.UnderstandURL = "s3cret", "https://u:s3cret@h"
	text := explain(t, c, true)
	if strings.Contains(text, "s3cret") || !strings.Contains(text, "u:xxxxx@h") || !strings.Contains(text, "region=eu") {
		t.Error(text)
	}
}

// TestNames: names are what the documentation says, and no two fields share one.
func TestNames(t *testing.T) {
	seen := map[string]bool{}
	for _, f := range config.Fields() {
		for _, name := range []string{f.Key, "--" + f.Flag(), f.Env()} {
			if seen[name] && name != f.Key {
				t.Errorf("%s is used twice", name)
			}
			seen[name] = true
		}
		if f.Help == "" {
			t.Errorf("%s has no help", f.Key)
		}
	}
	for _, name := range []string{
		"--data", "--http", "--sip", "--rtp-ports", "--media-ip", "--database", "--storage", "--allow-private-urls",
		"--drain-timeout", "TAPEDECK_RTP_PORTS", "recording.max_length", "recording.keep_journal", "recording.buffer",
	} {
		if !seen[name] {
			t.Errorf("%s is missing", name)
		}
	}
}

// TestUnits: what is written is read again as the same value.
func TestUnits(t *testing.T) {
	load := func(t *rapid.T, c *config.Config) *config.Config {
		var b bytes.Buffer
		if err := c.Explain(&b); err != nil {
			t.Fatal(err)
		}
		flags := map[string]string{}
		for _, f := range []struct{ name, key string }{{"recording-min-free", "min_free"}, {"recording-keep-journal", "keep_journal"}} {
			_, rest, _ := strings.Cut(b.String(), "  "+f.key+`: "`)
			flags[f.name], _, _ = strings.Cut(rest, `"`)
		}
		got, err := config.Load(config.Source{Flags: flags})
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	rapid.Check(t, func(t *rapid.T) {
		c := config.Default()
		unit := rapid.SampledFrom([]int64{1, 1 << 10, 1 << 20, 1 << 30}).Draw(t, "unit")
		c.Recording.MinFree = unit * rapid.Int64Range(0, (1<<50)/unit).Draw(t, "size")
		step := rapid.SampledFrom([]time.Duration{1, time.Millisecond, time.Second, time.Minute, time.Hour}).Draw(t, "step")
		c.Recording.KeepJournal = step * time.Duration(rapid.Int64Range(0, min(math.MaxInt64, int64(10*365*24*time.Hour))/int64(step)).Draw(t, "time"))
		got := load(t, c)
		if got.Recording.MinFree != c.Recording.MinFree || got.Recording.KeepJournal != c.Recording.KeepJournal {
			t.Fatalf("got %+v, want %+v", got.Recording, c.Recording)
		}
	})
}

// FuzzLoad: no file makes Load panic, and what it accepts is valid.
func FuzzLoad(f *testing.F) {
	f.Add("http: 127.0.0.1:1\nrecording:\n  buffer: 1MiB\n")
	f.Add("recording.max_length: 1h\nrecording: {flush: 1s}")
	f.Add("? {a: b}\n: c")
	f.Add("1: 2\ntrue: null\nrecording: [1]")
	f.Add("&a x: *a")
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, yaml string) {
		c, err := config.Load(config.Source{File: testkit.WriteFile(t, dir, "c.yaml", yaml)})
		if err == nil {
			if err := c.Validate(); err != nil {
				t.Errorf("accepted, but %v", err)
			}
		}
	})
}
