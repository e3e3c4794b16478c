package config

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Field is one thing that can be configured.
type Field struct {
	Key  string // in the file, as recording.max_length; '-' may stand for '_'
	Help string // one line

	get func(*Config) string
	set func(*Config, string) error
}

// Flag is the field's name on the command line, without dashes.
func (f *Field) Flag() string { return strings.NewReplacer(".", "-", "_", "-").Replace(f.Key) }

// Env is the field's name in the environment.
func (f *Field) Env() string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(f.Key, ".", "_"))
}

// Fields lists all that can be configured, in the order in which it is shown.
func Fields() []Field {
	return slices.Concat(serverFields(), recordingFields(), callFields(), speechFields())
}

func serverFields() []Field {
	return []Field{
		textField("data", "data directory", func(c *Config) *string { return &c.Data }, notEmpty),
		textField("http", "address of the HTTP API", func(c *Config) *string { return &c.HTTP }, hostPort),
		textField("sip", "address of SIP, UDP and TCP", func(c *Config) *string { return &c.SIP }, addrPort),
		{
			Key: "rtp_ports", Help: "range of UDP ports for media, FROM-TO",
			get: func(c *Config) string { return c.RTP.String() },
			set: func(c *Config, s string) (err error) { c.RTP, err = portRange(s); return err },
		},
		{
			Key: "media_ip", Help: "address written into SDP; default: the one that sip binds",
			get: func(c *Config) string {
				if !c.MediaIP.IsValid() {
					return ""
				}
				return c.MediaIP.String()
			},
			set: func(c *Config, s string) (err error) { c.MediaIP, err = mediaIP(s); return err },
		},
		textField("database", "URL or path; default: SQLite in the data directory", func(c *Config) *string { return &c.Database }, anyURL),
		textField("storage", "URL or path; default: a folder in the data directory", func(c *Config) *string { return &c.Storage }, anyURL),
		{
			Key: "allow_private_urls", Help: "let playback and webhooks reach private and loopback addresses",
			get: func(c *Config) string { return strconv.FormatBool(c.AllowPrivateURLs) },
			set: func(c *Config, s string) (err error) { c.AllowPrivateURLs, err = yesNo(s); return err },
		},
		durationField("drain_timeout", "how long a shutdown may take", func(c *Config) *time.Duration { return &c.DrainTimeout }, 0, 24*time.Hour),
		textField("node", "name of this node, the same after a restart", func(c *Config) *string { return &c.Node }, nodeName),
		textField("log.level", "debug, info, warn or error", func(c *Config) *string { return &c.Log.Level }, oneOf("debug", "info", "warn", "error")),
		textField("log.format", "auto, text or json; auto is text on a terminal", func(c *Config) *string { return &c.Log.Format }, oneOf("auto", "text", "json")),
	}
}

func recordingFields() []Field {
	return []Field{
		durationField("recording.max_length", "longest recording", func(c *Config) *time.Duration { return &c.Recording.MaxLength }, time.Second, 7*24*time.Hour),
		bytesField("recording.buffer", "memory for recordings while the disk stalls", func(c *Config) *int64 { return &c.Recording.Buffer }, 1<<20, 1<<40),
		bytesField("recording.min_free", "free disk space below which no new recording starts", func(c *Config) *int64 { return &c.Recording.MinFree }, 0, 1<<50),
		durationField("recording.keep_journal", "how long the journal is kept after the file is safe", func(c *Config) *time.Duration { return &c.Recording.KeepJournal }, 0, 10*365*24*time.Hour),
		{
			Key: "recording.mask_dtmf", Help: "keep no digits that parties press, only that and when they press",
			get: func(c *Config) string { return strconv.FormatBool(c.Recording.MaskDTMF) },
			set: func(c *Config, s string) (err error) { c.Recording.MaskDTMF, err = yesNo(s); return err },
		},
		durationField("recording.flush", "how often what is recorded is written", func(c *Config) *time.Duration { return &c.Recording.Flush }, 10*time.Millisecond, 10*time.Second),
		durationField("recording.sync", "how often what is written is synced to disk", func(c *Config) *time.Duration { return &c.Recording.Sync }, 10*time.Millisecond, time.Minute),
		intField("recording.renderers", "files made from recordings at once, beside one more for masters; 0 = one less than there are CPUs, at least 1", func(c *Config) *int { return &c.Recording.Renderers }, 1024),
		{
			Key: "recording.render_process", Help: "make files in processes of their own, which calls do not feel, else in the server",
			get: func(c *Config) string { return strconv.FormatBool(c.Recording.Process) },
			set: func(c *Config, s string) (err error) { c.Recording.Process, err = yesNo(s); return err },
		},
	}
}

func callFields() []Field {
	return []Field{
		intField("session.max_calls", "call sessions at once; 0 = as many as there are ports", func(c *Config) *int { return &c.Session.MaxCalls }, 1_000_000),
		// RFC 4028 §5: Min-SE is 90 seconds at least.
		durationField("session.min_se", "shortest SIP session interval that is accepted", func(c *Config) *time.Duration { return &c.Session.MinSE }, 90*time.Second, 24*time.Hour),
		durationField("session.expires", "SIP session interval that is asked for", func(c *Config) *time.Duration { return &c.Session.Expires }, 90*time.Second, 24*time.Hour),
		intField("media.workers", "media workers; 0 = one per CPU", func(c *Config) *int { return &c.Media.Workers }, 1024),
		intField("media.shared_ports", "pairs of UDP ports that all legs of a media worker share, told apart by the addresses that their peers announce; 0 = a pair for each leg", func(c *Config) *int { return &c.Media.SharedPorts }, 64),
		{
			Key: "media.realtime", Help: "give media workers that are busy a real-time priority where the system allows it",
			get: func(c *Config) string { return strconv.FormatBool(c.Media.RealTime) },
			set: func(c *Config, s string) (err error) { c.Media.RealTime, err = yesNo(s); return err },
		},
		{
			Key: "media.io_uring", Help: "use io_uring where the system has it, else epoll",
			get: func(c *Config) string { return strconv.FormatBool(c.Media.Uring) },
			set: func(c *Config, s string) (err error) { c.Media.Uring, err = yesNo(s); return err },
		},
		durationField("media.timeout", "end a call whose party sent nothing for so long; 0 = never", func(c *Config) *time.Duration { return &c.Media.Timeout }, 0, 24*time.Hour),
		durationField("media.cooldown", "how long a port rests before it is used again", func(c *Config) *time.Duration { return &c.Media.Cooldown }, 0, time.Hour),
		durationField("events.keep", "how long events and the log of their deliveries are kept", func(c *Config) *time.Duration { return &c.Events.Keep }, time.Hour, 10*365*24*time.Hour),
	}
}

func speechFields() []Field {
	return []Field{
		textField("speech.say", "what speaks: auto, none, service, flite or espeak-ng; auto is the service, where say_url is given, and else the programs that are there", func(c *Config) *string { return &c.Speech.Say }, oneOf("auto", "none", "service", "flite", "espeak-ng")),
		textField("speech.say_url", "address of a service that speaks, without /v1/audio/speech", func(c *Config) *string { return &c.Speech.SayURL }, webURL),
		textField("speech.say_key", "its key, sent as Authorization: Bearer", func(c *Config) *string { return &c.Speech.SayKey }, oneLine),
		textField("speech.say_model", "its model", func(c *Config) *string { return &c.Speech.SayModel }, notEmpty),
		textField("speech.say_voices", "its voices, the preferred ones first: LOCALE=NAME or LOCALE=NAME/male, separated by commas", func(c *Config) *string { return &c.Speech.SayVoices }, voiceList),
		textField("speech.understand", "what understands speech: auto, none, service or pocketsphinx; auto as above", func(c *Config) *string { return &c.Speech.Understand }, oneOf("auto", "none", "service", "pocketsphinx")),
		textField("speech.understand_url", "address of a service that understands, without /v1/audio/transcriptions", func(c *Config) *string { return &c.Speech.UnderstandURL }, webURL),
		textField("speech.understand_key", "its key, sent as Authorization: Bearer", func(c *Config) *string { return &c.Speech.UnderstandKey }, oneLine),
		textField("speech.understand_model", "its model", func(c *Config) *string { return &c.Speech.UnderstandModel }, notEmpty),
		textField("speech.understand_locales", "the locales that it understands, separated by commas", func(c *Config) *string { return &c.Speech.UnderstandLocales }, anyText),
		textField("speech.models", "directory of pocketsphinx's models; default: where packages put them", func(c *Config) *string { return &c.Speech.Models }, anyText),
		intField("speech.programs", "programs that speak or listen at once; 0 = one less than there are CPUs, at least 1", func(c *Config) *int { return &c.Speech.Programs }, 1024),
	}
}

func textField(key, help string, member func(*Config) *string, check func(string) error) Field {
	return Field{
		Key: key, Help: help,
		get: func(c *Config) string { return *member(c) },
		set: func(c *Config, s string) error { *member(c) = s; return check(s) },
	}
}

func durationField(key, help string, member func(*Config) *time.Duration, least, most time.Duration) Field {
	return Field{
		Key: key, Help: help,
		get: func(c *Config) string { return durationText(*member(c)) },
		set: func(c *Config, s string) error {
			d, err := time.ParseDuration(s)
			if err != nil {
				return fmt.Errorf("%q is not a duration: write it with its unit, as 250ms, 90s, 30m or 4h", s)
			}
			*member(c) = d
			return between(d, least, most, durationText)
		},
	}
}

func bytesField(key, help string, member func(*Config) *int64, least, most int64) Field {
	return Field{
		Key: key, Help: help,
		get: func(c *Config) string { return bytesText(*member(c)) },
		set: func(c *Config, s string) error {
			n, err := parseBytes(s)
			if err != nil {
				return err
			}
			*member(c) = n
			return between(n, least, most, bytesText)
		},
	}
}

// intField is of a number from 0 on.
func intField(key, help string, member func(*Config) *int, most int) Field {
	return Field{
		Key: key, Help: help,
		get: func(c *Config) string { return strconv.Itoa(*member(c)) },
		set: func(c *Config, s string) error {
			n, err := strconv.Atoi(s)
			if err != nil {
				return fmt.Errorf("%q is not a whole number", s)
			}
			*member(c) = n
			return between(n, 0, most, strconv.Itoa)
		},
	}
}

func between[T int | int64 | time.Duration](v, least, most T, text func(T) string) error {
	if v < least || v > most {
		return fmt.Errorf("%s is out of range: give %s to %s", text(v), text(least), text(most))
	}
	return nil
}

func notEmpty(s string) error {
	if strings.TrimSpace(s) == "" {
		return errors.New("it is empty")
	}
	return nil
}

func oneOf(allowed ...string) func(string) error {
	return func(s string) error {
		if !slices.Contains(allowed, s) {
			return fmt.Errorf("%q is not one of %s", s, strings.Join(allowed, ", "))
		}
		return nil
	}
}

func yesNo(s string) (bool, error) {
	b, err := strconv.ParseBool(s)
	if err != nil {
		return false, fmt.Errorf("%q is neither true nor false", s)
	}
	return b, nil
}

func hostPort(s string) error {
	_, port, err := net.SplitHostPort(s)
	if err != nil {
		return fmt.Errorf("%q is not an address with a port, as 127.0.0.1:8080 or [::1]:8080", s)
	}
	return portNumber(port)
}

func portNumber(s string) error {
	if _, err := strconv.ParseUint(s, 10, 16); err != nil {
		return fmt.Errorf("port %q is not a number from 0 to 65535", s)
	}
	return nil
}

func addrPort(s string) error {
	if _, err := netip.ParseAddrPort(s); err != nil {
		return fmt.Errorf("%q is not an IP address with a port, as 127.0.0.1:5060 or [::1]:5060", s)
	}
	return nil
}

// portRange reads FROM-TO. RTP takes an even port and RTCP the odd one above it
// (RFC 3550 §11), so the smallest range holds such a pair.
func portRange(s string) (PortRange, error) {
	from, to, found := strings.Cut(s, "-")
	var r PortRange
	var err1, err2 error
	r.From, err1 = strconv.Atoi(strings.TrimSpace(from))
	r.To, err2 = strconv.Atoi(strings.TrimSpace(to))
	switch {
	case !found || err1 != nil || err2 != nil:
		return r, fmt.Errorf("%q is not a range of ports, as 20000-29999", s)
	case r.From < 1024 || r.To > 65535:
		return r, fmt.Errorf("%s is out of range: give ports from 1024 to 65535", r)
	case r.From+r.From%2+1 > r.To:
		return r, fmt.Errorf("%s holds no even port with the odd one above it: give at least two ports a call", r)
	}
	return r, nil
}

func mediaIP(s string) (netip.Addr, error) {
	if s == "" {
		return netip.Addr{}, nil
	}
	a, err := netip.ParseAddr(s)
	if err != nil || a.Zone() != "" {
		return netip.Addr{}, fmt.Errorf("%q is not an IP address", s)
	}
	if a.IsUnspecified() || a.IsMulticast() {
		return netip.Addr{}, fmt.Errorf("%s is not an address that a party can send to", a)
	}
	return a, nil
}

func anyURL(s string) error {
	if !strings.Contains(s, "://") {
		return nil // a path, or nothing
	}
	if _, err := url.Parse(s); err != nil {
		return errors.New("it is not a URL") // its text may hold a password
	}
	return nil
}

func anyText(string) error { return nil }

// oneLine keeps a secret usable in a header; its text is not told.
func oneLine(s string) error {
	if strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' }) {
		return errors.New("it holds more than letters, digits and signs of ASCII")
	}
	return nil
}

func webURL(s string) error {
	if s == "" {
		return nil
	}
	if u, err := url.Parse(s); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return errors.New("it is not an http or https URL") // its text may hold a password
	}
	return nil
}

func voiceList(s string) error {
	_, err := SpeechVoices(s)
	return err
}

// SpeechVoices reads speech.say_voices: LOCALE=NAME or LOCALE=NAME/GENDER,
// separated by commas.
func SpeechVoices(s string) ([]SpeechVoice, error) {
	var out []SpeechVoice
	for _, part := range Listed(s) {
		locale, name, found := strings.Cut(part, "=")
		name, gender, _ := strings.Cut(name, "/")
		v := SpeechVoice{Locale: strings.TrimSpace(locale), Name: strings.TrimSpace(name), Gender: strings.TrimSpace(gender)}
		if !found || v.Locale == "" || v.Name == "" {
			return nil, fmt.Errorf("%q is not a voice, as en-US=anna or en-US=anna/female", part)
		}
		if err := oneOf("", "male", "female")(v.Gender); err != nil {
			return nil, fmt.Errorf("%q: %w", part, err)
		}
		out = append(out, v)
	}
	return out, nil
}

// Listed splits what is separated by commas.
func Listed(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return r == ',' || r == ' ' })
}

// nodeName keeps a name usable in file names, metrics and subjects.
func nodeName(s string) error {
	ok := s != "" && len(s) <= 63
	for _, c := range []byte(s) {
		ok = ok && (c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_' || c == '.')
	}
	if !ok {
		return fmt.Errorf("%q is not a name: use 1 to 63 letters, digits, '-', '_' and '.'", s)
	}
	return nil
}
