package config

import (
	"net/netip"
	"strconv"
	"time"
)

// Config is the whole configuration of a server.
type Config struct {
	Data             string     // data directory
	HTTP             string     // address of the API, host:port
	SIP              string     // address of SIP, IP:port, UDP and TCP
	RTP              PortRange  // UDP ports of media
	MediaIP          netip.Addr // address written into SDP; zero = the one that SIP binds
	Database         string     // URL or path; empty = SQLite in the data directory
	Storage          string     // URL or path; empty = a folder in the data directory
	AllowPrivateURLs bool       // playback and webhooks may reach private addresses
	DrainTimeout     time.Duration
	Node             string // name of this node, the same after a restart
	Log              Log
	Recording        Recording
	Session          Session
	Media            Media
	Events           Events
	Speech           Speech

	sources map[string]string // where each key that is no default comes from
}

// Log says what is logged, and how.
type Log struct {
	Level  string // debug, info, warn, error
	Format string // auto, text, json
}

// Recording says how calls are recorded.
type Recording struct {
	MaxLength   time.Duration // of a file
	Buffer      int64         // bytes in memory while a disk stalls
	MinFree     int64         // bytes on the disk; below, no new recordings
	KeepJournal time.Duration // after the file is safe
	MaskDTMF    bool          // no key that is pressed is kept
	Flush       time.Duration // journal blocks are written this often
	Sync        time.Duration // and synced to disk this often
	Renderers   int           // files made at once; 0 = one less than CPUs, at least one
	Process     bool          // files are made in processes of their own
}

// Session limits calls.
type Session struct {
	MaxCalls int           // call sessions at once; 0 = as many as there are ports
	MinSE    time.Duration // shortest session interval we accept (RFC 4028 §5)
	Expires  time.Duration // session interval we ask for (RFC 4028 §4)
}

// Media says how media is carried.
type Media struct {
	Workers     int           // 0 = one per CPU
	SharedPorts int           // pairs of ports that all legs of a worker share; 0 = each leg has its own
	RealTime    bool          // a real-time priority for workers that are busy, where it is allowed
	Uring       bool          // use io_uring where the system has it
	Timeout     time.Duration // a party that is silent on the wire for so long has gone; 0 = never
	Cooldown    time.Duration // a port rests so long before it is used again
}

// Events says how long it is known what happened.
type Events struct {
	Keep time.Duration // events, and deliveries of them that are over
}

// Speech says what speaks and what understands.
type Speech struct {
	Say, Understand                    string // auto, none, or an engine's name
	SayURL, SayKey, SayModel           string
	SayVoices                          string // as SpeechVoices reads it
	UnderstandURL, UnderstandKey       string
	UnderstandModel, UnderstandLocales string // as Listed splits it
	Models                             string // directory of pocketsphinx's
	Programs                           int    // at once; 0 = one less than CPUs, at least one
}

// SpeechVoice is a voice of a service.
type SpeechVoice struct{ Locale, Name, Gender string }

// PortRange is a range of UDP ports, both ends included.
type PortRange struct{ From, To int }

// String is the range as a flag takes it.
func (r PortRange) String() string { return strconv.Itoa(r.From) + "-" + strconv.Itoa(r.To) }

// Default returns the configuration of a server that is given none.
func Default() *Config {
	return &Config{
		Data:         "./data",
		HTTP:         "127.0.0.1:8080",
		SIP:          "127.0.0.1:5060",
		RTP:          PortRange{From: 20000, To: 29999},
		DrainTimeout: 30 * time.Second,
		Node:         "local",
		Log:          Log{Level: "info", Format: "auto"},
		Recording: Recording{
			MaxLength:   4 * time.Hour,
			Buffer:      256 << 20,
			MinFree:     1 << 30,
			KeepJournal: 24 * time.Hour,
			Flush:       400 * time.Millisecond,
			Sync:        time.Second,
			Process:     true,
		},
		Session: Session{MinSE: 90 * time.Second, Expires: 30 * time.Minute},
		Media:   Media{RealTime: true, Uring: true, Timeout: 5 * time.Minute, Cooldown: 5 * time.Second},
		Events:  Events{Keep: 7 * 24 * time.Hour},
		Speech:  Speech{Say: "auto", Understand: "auto", SayModel: "tts-1", UnderstandModel: "whisper-1"},
		sources: map[string]string{},
	}
}
