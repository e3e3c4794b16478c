package config

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/knadh/koanf/parsers/yaml"
	"github.com/knadh/koanf/providers/env/v2"
	"github.com/knadh/koanf/providers/file"
	"github.com/knadh/koanf/v2"
)

// Source says where configuration comes from. Later ones win over earlier ones:
// defaults, File, Env, Flags.
type Source struct {
	File  string            // YAML; empty = the one that TAPEDECK_CONFIG names, or none
	Env   []string          // as os.Environ gives it; nil = none
	Flags map[string]string // flag name without dashes → value; only flags that were given
}

const (
	envPrefix = "TAPEDECK_"
	// envFile names the configuration file, and is therefore no field of it.
	envFile = envPrefix + "CONFIG"
)

// Load reads, merges and checks the configuration. The error lists every fault,
// with the name of the field and where the value comes from. An empty value in
// the environment counts as none.
func Load(s Source) (*Config, error) {
	c := Default()
	fields := map[string]*Field{} // by key
	flags, envs := map[string]string{}, map[string]string{}
	for _, f := range Fields() {
		fields[f.Key] = &f
		flags[f.Flag()], envs[f.Env()] = f.Key, f.Key
	}

	var faults []error
	take := func(key, name, from string, value any) {
		f, known := fields[key]
		if !known {
			faults = append(faults, fmt.Errorf("%s: there is no such setting%s (from %s)", name, guess(name, from, fields), from))
			return
		}
		text, err := scalar(value)
		next := *c
		if err == nil {
			err = f.set(&next, text)
		}
		if err != nil {
			faults = append(faults, fmt.Errorf("%s: %w (from %s)", name, err, from))
			return
		}
		*c = next
		c.sources[key] = from
	}

	environ := environment(s.Env)
	if s.File == "" {
		s.File = environ[envFile]
	}
	delete(environ, envFile)
	fromFile, err := readFile(s.File)
	if err != nil {
		return nil, err
	}
	for _, key := range slices.Sorted(maps.Keys(fromFile)) {
		take(strings.ReplaceAll(key, "-", "_"), key, s.File, fromFile[key])
	}
	for _, name := range slices.Sorted(maps.Keys(environ)) {
		if environ[name] != "" {
			take(envs[name], name, "the environment", environ[name])
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.Flags)) {
		take(flags[name], "--"+name, "the command line", s.Flags[name])
	}
	if err := errors.Join(append(faults, c.Validate())...); err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	return c, nil
}

// readFile reads a YAML file as dotted keys.
func readFile(path string) (map[string]any, error) {
	if path == "" {
		return nil, nil
	}
	k := koanf.New(".")
	if err := k.Load(file.Provider(path), yaml.Parser()); err != nil {
		return nil, fmt.Errorf("configuration file %s: %w", path, err)
	}
	all := k.All()
	for key, value := range all {
		// A section that was left empty ("recording:") says nothing.
		if m, isMap := value.(map[string]any); value == nil || isMap && len(m) == 0 {
			delete(all, key)
		}
	}
	return all, nil
}

// environment returns the variables that are for us.
func environment(environ []string) map[string]string {
	out := map[string]string{}
	k := koanf.New("\x00") // no nesting: names are keys of their own
	// The provider reads no more than what it is given, and cannot fail on it.
	_ = k.Load(env.Provider("\x00", env.Opt{
		Prefix:        envPrefix,
		EnvironFunc:   func() []string { return environ },
		TransformFunc: func(name, value string) (string, any) { return name, value },
	}), nil)
	for name, value := range k.All() {
		out[name] = fmt.Sprint(value)
	}
	return out
}

// scalar is a value as text.
func scalar(v any) (string, error) {
	switch v := v.(type) {
	case string:
		return strings.TrimSpace(v), nil
	case bool, int, int64, uint64, float64:
		return fmt.Sprint(v), nil
	}
	return "", errors.New("give one value, not a list or a section")
}

// guess names the setting that was perhaps meant.
func guess(name, from string, fields map[string]*Field) string {
	plain := func(s string) string {
		return strings.Trim(strings.NewReplacer("-", "", "_", "", ".", "", "tapedeck", "").Replace(strings.ToLower(s)), " ")
	}
	best, least := "", 1+(len(plain(name))+2)/4 // further off is something else
	for _, key := range slices.Sorted(maps.Keys(fields)) {
		if d := distance(plain(name), plain(key)); d < least {
			best, least = key, d
		}
	}
	if best == "" {
		return ""
	}
	switch f := fields[best]; from {
	case "the environment":
		best = f.Env()
	case "the command line":
		best = "--" + f.Flag()
	}
	return "; is " + best + " meant?"
}

// distance is the number of letters to add, drop or change between a and b.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

// Validate checks what no single value shows, and every value again, for a
// configuration that was made by hand.
func (c *Config) Validate() error {
	var faults []error
	again := *c
	for _, f := range Fields() {
		if err := f.set(&again, f.get(c)); err != nil {
			faults = append(faults, fmt.Errorf("%s: %w", f.Key, err))
		}
	}
	if c.Recording.Sync < c.Recording.Flush {
		faults = append(faults, fmt.Errorf("recording.sync: %s is shorter than recording.flush (%s): there would be nothing new to sync; raise it",
			durationText(c.Recording.Sync), durationText(c.Recording.Flush)))
	}
	if c.Session.Expires < c.Session.MinSE {
		faults = append(faults, fmt.Errorf("session.expires: %s is shorter than session.min_se (%s): raise it or lower the other",
			durationText(c.Session.Expires), durationText(c.Session.MinSE)))
	}
	if at, err := netip.ParseAddrPort(c.SIP); err == nil && at.Addr().IsUnspecified() && !c.MediaIP.IsValid() {
		faults = append(faults, fmt.Errorf("media_ip: it is needed where sip is %s: parties must be told one address to send to", c.SIP))
	}
	return errors.Join(faults...)
}

// Explain writes every setting as a YAML file would have it, with what it means
// and where its value comes from. Keys, and passwords in URLs, are left out.
func (c *Config) Explain(w io.Writer) error {
	section := ""
	for _, f := range Fields() {
		name, indent := f.Key, ""
		if head, rest, nested := strings.Cut(f.Key, "."); nested {
			if head != section {
				section = head
				if _, err := fmt.Fprintf(w, "%s:\n", head); err != nil {
					return err
				}
			}
			name, indent = rest, "  "
		}
		from := c.sources[f.Key]
		if from == "" {
			from = "default"
		}
		value := f.get(c)
		switch {
		case f.Key == "database" || f.Key == "storage" || strings.HasSuffix(f.Key, "_url"):
			value = redact(value)
		case strings.HasSuffix(f.Key, "_key") && value != "":
			value = "xxxxx"
		}
		if _, err := fmt.Fprintf(w, "%s%s: %q # %s (%s)\n", indent, name, value, f.Help, from); err != nil {
			return err
		}
	}
	return nil
}

// redact takes the password out of a URL, and what could be a credential out of
// its query.
func redact(s string) string {
	u, err := url.Parse(s)
	if err != nil || u.Scheme == "" || u.User == nil && u.RawQuery == "" {
		return s
	}
	query := u.Query()
	for key := range query {
		if lower := strings.ToLower(key); strings.Contains(lower, "pass") || strings.Contains(lower, "secret") ||
			strings.Contains(lower, "key") || strings.Contains(lower, "token") {
			query.Set(key, "xxxxx")
		}
	}
	u.RawQuery = query.Encode()
	return u.Redacted()
}
