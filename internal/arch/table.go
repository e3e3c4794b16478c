package arch

// Floor is a level of the house. A package imports strictly lower floors, and
// besides them only its own parent or its own sub-packages.
type Floor int

// The floors, from the ground up.
const (
	Words    Floor = iota // pure types and functions
	Formats               // bytes in, bytes out
	Stores                // what keeps or describes data, opened by its user
	Engines               // what runs: own goroutines, own metrics
	TheCall               // the only place where a call changes
	Doors                 // the verbs: authorise, act, store
	Edges                 // translation between the verbs and the outside
	Server                // builds everything in order
	Programs              // main jobs made of the floors below
	Command               // what a person starts
	Test                  // imported by tests and by other Test packages only
)

// Anything in a list of imports stands for every package of a lower floor.
const Anything = "*"

// Package is one row of the import table.
type Package struct {
	Path    string // below internal/, or from the root when Root is set
	Root    bool   // Path counts from the root of the module
	Floor   Floor
	Imports []string // what its code may import; Anything = all lower floors
	Does    string   // one line for docs/architecture.md
}

// Table returns the import table: every package of Tapedeck, floor by floor.
// An edge that is not here is refused. When a wall stands in the wrong place,
// move it here, in the code and in docs/architecture.md in one change, and say
// why beside the row.
func Table() []Package {
	var all []Package
	for _, floor := range [][]Package{words(), formats(), stores(), engines(), call(), doors(), edges(), tops(), helpers()} {
		all = append(all, floor...)
	}
	return all
}

func words() []Package {
	return []Package{
		{Path: "voice", Floor: Words, Does: "the vocabulary: nouns, verbs, states, rights, error codes"},
		{Path: "audio", Floor: Words, Does: "PCM frames: gain, mixing, level, resampling"},
		{Path: "audio/compare", Floor: Words, Does: "how much of one signal is in another: place, likeness, cross-talk"},
		{Path: "timeline", Floor: Words, Does: "RTP time to sample time: where each packet belongs"},
		// native does no I/O but to load a library, as the linker would have.
		{Path: "native", Floor: Words, Does: "C libraries of the system, looked for at run time"},
		{Path: "config", Floor: Words, Does: "one struct of settings: defaults, file, environment, validation"},
	}
}

func formats() []Package {
	return []Package{
		// codec chooses among its own sub-packages; they do not know it, so
		// that there is no cycle.
		{Path: "codec", Floor: Formats, Imports: []string{"codec/g711", "codec/g722", "codec/l16", "codec/cn", "codec/plc", "codec/opus", "native"}, Does: "decoders and encoders by SDP name"},
		{Path: "codec/g711", Floor: Formats, Does: "µ-law and A-law"},
		{Path: "codec/g722", Floor: Formats, Does: "G.722: two sub-bands of ADPCM, bit by bit as the standard"},
		{Path: "codec/l16", Floor: Formats, Does: "uncompressed samples in network byte order"},
		{Path: "codec/opus", Floor: Formats, Imports: []string{"native"}, Does: "Opus by libopus, or in Go without it"},
		{Path: "codec/plc", Floor: Formats, Does: "what may have been in lost packets, for 60 ms"},
		{Path: "codec/cn", Floor: Formats, Does: "comfort noise as a packet describes it"},
		{Path: "rtp", Floor: Formats, Does: "RTP and RTCP parsed once: extended numbers, source latch, verdicts, statistics"},
		{Path: "jitter", Floor: Formats, Does: "a time-based jitter buffer for who must listen live"},
		{Path: "pcapng", Floor: Formats, Does: "captures of UDP packets that Wireshark reads"},
		{Path: "wav", Floor: Formats, Does: "WAV and RF64 files"},
		{Path: "flac", Floor: Formats, Does: "FLAC files: lossless and small"},
		{Path: "mp3", Floor: Formats, Imports: []string{"native"}, Does: "MP3 files by libmp3lame and libmpg123"},
		{Path: "subtitle", Floor: Formats, Imports: []string{"voice"}, Does: "what was said as plain lines, SubRip and WebVTT"},
		{Path: "ogg", Floor: Formats, Does: "Ogg files of Opus packets"},
		{Path: "flow", Floor: Formats, Imports: []string{"voice"}, Does: "which command of a call flow comes next"},
		{Path: "vad", Floor: Formats, Does: "speech or silence, a person or a machine, frame by frame"},
		{Path: "dtmf", Floor: Formats, Does: "the keys of a telephone, heard in audio"},
		{Path: "tone", Floor: Formats, Imports: []string{"audio"}, Does: "ringing tones, the beep, the two tones of a key"},
		{Path: "receipt", Floor: Formats, Does: "signed receipts: the signature in the bytes, and its proof"},
	}
}

func stores() []Package {
	return []Package{
		{Path: "journal", Floor: Stores, Does: "the append-only file of a recording: write, read, repair"},
		{Path: "sdp", Floor: Stores, Imports: []string{"codec"}, Does: "offer and answer, hold, codec choice"},
		{Path: "store", Floor: Stores, Imports: []string{"voice", "store/sqlite"}, Does: "the database: one writer, group commit, queries by noun"},
		{Path: "store/sqlite", Floor: Stores, Does: "the SQLite dialect: connections and migrations"},
		{Path: "fetch", Floor: Stores, Does: "HTTP to others: to addresses that users name, and to no private one"},
		{Path: "keys", Floor: Stores, Imports: []string{"receipt"}, Does: "the installation's receipt key"},
		{Path: "blob", Floor: Stores, Does: "finished files: put, open, delete by key"},
		{Path: "blob/fileblob", Floor: Stores, Imports: []string{"blob"}, Does: "the bucket in a local folder, with fsync"},
	}
}

func engines() []Package {
	return []Package{
		{Path: "sip", Floor: Engines, Does: "the user agent: transports, dialogs in order, digest, timers"},
		{Path: "media/uring", Floor: Engines, Imports: nil, Does: "an io_uring for the datagrams of connected sockets"},
		{Path: "media/addresses", Floor: Engines, Imports: nil, Does: "a table of what is known by the address of a peer"},
		{Path: "media", Floor: Engines, Imports: []string{"audio", "codec", "dtmf", "jitter", "rtp", "tone", "sdp", "media/uring", "media/addresses"}, Does: "legs, bridges that relay or transcode, prompts, listeners and taps, on epoll workers"},
		{Path: "recorder", Floor: Engines, Imports: []string{"voice", "rtp", "journal"}, Does: "captures: packets of a call into its journal"},
		{Path: "render", Floor: Engines, Imports: []string{"voice", "audio", "timeline", "codec", "journal", "wav", "codec/opus", "flac", "mp3", "ogg"}, Does: "journal to plan to WAV and receipt"},
		// workshop does what render does, in other processes too; so it stands in render,
		// and both sides of its socket are in one package.
		{Path: "render/workshop", Floor: Engines, Imports: []string{"voice", "journal", "blob", "wav", "render"}, Does: "files are made in processes of their own, which yield to the calls"},
		{Path: "archive", Floor: Engines, Imports: []string{"voice", "blob"}, Does: "finished recordings into the bucket and out of it"},
		{Path: "auth", Floor: Engines, Imports: []string{"voice", "store"}, Does: "access keys: secret to principal"},
		{Path: "speech", Floor: Engines, Imports: []string{"voice", "audio", "wav", "fetch"}, Does: "text to speech and speech to text, by programs and services"},
		{Path: "background", Floor: Engines, Does: "heavy work, bounded and at low priority"},
		{Path: "webhook", Floor: Engines, Imports: []string{"voice", "store", "fetch"}, Does: "receivers are told of events: fanned out, signed, tried again"},
		{Path: "jobs", Floor: Engines, Imports: []string{"store"}, Does: "work that must happen, kept in the database until done"},
	}
}

func call() []Package {
	return []Package{
		{Path: "session", Floor: TheCall, Imports: []string{"voice", "audio", "flow", "vad", "tone", "sdp", "codec", "media", "sip", "recorder", "store"}, Does: "one goroutine per call session: the only place where call state changes"},
	}
}

func doors() []Package {
	return []Package{
		{Path: "control", Floor: Doors, Imports: []string{"voice", "session", "store", "auth", "archive"}, Does: "every API verb as a Go method"},
		{Path: "dispatch", Floor: Doors, Imports: []string{"voice", "session", "sip", "store"}, Does: "an incoming INVITE to its channel and session"},
		{Path: "verify", Floor: Doors, Imports: []string{"voice", "receipt", "render"}, Does: "a file and its receipt, proved offline"},
		// prompt and transcribe join engines, as publish does. Neither knows a call:
		// session asks prompt by an interface of its own.
		{Path: "prompt", Floor: Doors, Imports: []string{"voice", "audio", "native", "codec/opus", "flac", "mp3", "ogg", "wav", "blob", "fetch", "store", "jobs", "speech"}, Does: "what calls hear: files of the web, uploads, spoken texts"},
		{Path: "transcribe", Floor: Doors, Imports: []string{"voice", "audio", "vad", "wav", "blob", "store", "archive", "jobs", "speech"}, Does: "what is said in recordings, with its times"},
		// publish is the path from a finished journal to an available
		// recording. It joins three engines, so it stands above them; jobs is
		// among them, because a render that can never succeed says so to the
		// runner (jobs.Permanent).
		{Path: "publish", Floor: Doors, Imports: []string{"voice", "store", "recorder", "render", "render/workshop", "archive", "journal", "jobs", "background", "blob", "wav"}, Does: "a finished journal becomes an available recording"},
	}
}

func edges() []Package {
	return []Package{
		{Path: "httpapi", Floor: Edges, Imports: []string{"voice", "subtitle", "control", "httpapi/openapi"}, Does: "HTTP to verbs and back: translation only"},
		{Path: "httpapi/openapi", Floor: Edges, Does: "server and models generated from api/openapi.yaml"},
		// client meets the server on the wire only, so it imports nothing of it but the
		// form of receipts.
		{Path: "client", Root: true, Floor: Edges, Imports: []string{"receipt"}, Does: "the HTTP API for programs in Go; theirs and ours"},
		{Path: "admin", Floor: Edges, Does: "health, readiness, metrics"},
	}
}

func tops() []Package {
	return []Package{
		// server is the only reader of config, so no other row has it.
		{Path: "server", Floor: Server, Imports: []string{Anything}, Does: "builds everything in order, runs it, drains it"},
		{Path: "callgen", Floor: Server, Imports: []string{"codec", "codec/g711", "rtp", "sdp", "sip"}, Does: "synthetic SIP parties that speak"},
		// demo starts a server and lets callgen's parties call each other: it
		// needs both, so it stands above the floor of the server.
		{Path: "demo", Floor: Programs, Imports: []string{"audio", "audio/compare", "wav", "receipt", "verify", "client", "server", "callgen"}, Does: "the main job in one command"},
		// bench starts the program and loads it from outside, as demo does.
		{Path: "bench", Floor: Programs, Imports: []string{"wav", "client", "server", "callgen"}, Does: "how many recorded calls the machine holds"},
		{Path: "cmd/tapedeck", Floor: Command, Root: true, Imports: []string{"bench", "voice", "journal", "pcapng", "store", "render", "auth", "control", "server", "demo", "client", "keys", "receipt", "verify"}, Does: "the program: one short file per command"},
		// examples are programs of users: they know of us what users know.
		{Path: "examples/ivr", Floor: Command, Root: true, Imports: []string{"client"}, Does: "a voice menu that connects its callers"},
		{Path: "examples/voicemail", Floor: Command, Root: true, Imports: []string{"client"}, Does: "an answering machine that writes down what was said"},
		{Path: "examples/recorder", Floor: Command, Root: true, Imports: []string{"client"}, Does: "an inline recorder that fetches and proves its files"},
		{Path: "api", Floor: Command, Root: true, Does: "the contract by hand, and what makes code and pages of it"},
	}
}

func helpers() []Package {
	return []Package{
		{Path: "arch", Floor: Test, Does: "the rules of this page as tests"},
		{Path: "testkit", Floor: Test, Does: "time limit, leak check and waits for tests"},
		{Path: "audiotest", Floor: Test, Imports: []string{}, Does: "the oracle for audio: whose voice, where, how loud"},
		{Path: "scene", Floor: Test, Imports: []string{}, Does: "scenes of calls as files: their lines, read and checked"},
		{Path: "calltest", Floor: Test, Imports: []string{Anything}, Does: "whole calls against a real server"},
	}
}
