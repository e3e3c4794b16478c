package arch

// Library is a third-party module and the packages that may import it, so that
// replacing the module means editing those.
type Library struct {
	Module string
	Homes  []string // as Package.Path; a home includes its sub-packages
	From   Floor    // instead of homes: every package from this floor up
	Tests  bool     // tests of every package may import it, too
	Why    string
}

// Libraries returns the home of every library that the module requires. A new
// requirement fails the test until it has a row here.
func Libraries() []Library {
	return []Library{
		{Module: "github.com/alecthomas/kong", Homes: []string{"cmd/tapedeck"}, Why: "command line"},
		{Module: "github.com/mattn/go-isatty", Homes: []string{"cmd/tapedeck"}, Why: "people or machines at the terminal"},
		{Module: "github.com/schollz/progressbar", Homes: []string{"cmd/tapedeck", "demo"}, Why: "progress of the demo"},
		{Module: "github.com/knadh/koanf", Homes: []string{"config"}, Why: "settings from file and environment"},
		{Module: "gopkg.in/yaml.v3", Homes: []string{"api"}, Why: "the contract as YAML"},
		{Module: "github.com/emiago/sipgo", Homes: []string{"sip"}, Why: "SIP parser and message model"},
		{Module: "github.com/pion/rtp", Homes: []string{"rtp"}, Why: "RTP headers"},
		{Module: "github.com/pion/rtcp", Homes: []string{"rtp"}, Why: "what RTCP is compared with in tests"},
		{Module: "github.com/pion/sdp", Homes: []string{"sdp"}, Why: "session descriptions"},
		{Module: "github.com/ebitengine/purego", Homes: []string{"native"}, Why: "calls into C libraries without cgo"},
		{Module: "github.com/pion/opus", Homes: []string{"codec/opus"}, Why: "Opus decoding where libopus is not"},
		{Module: "golang.org/x/sys", Homes: []string{"callgen", "media", "media/uring", "journal", "recorder", "blob", "background", "render/workshop", "server", "client", "bench"}, Why: "epoll, memory of blocks, free disk space, thread priority, file locks"},
		{Module: "golang.org/x/sync", From: Engines, Why: "groups of goroutines"},
		{Module: "github.com/uptrace/bun", Homes: []string{"store"}, Why: "one query set for more than one dialect"},
		{Module: "github.com/pressly/goose", Homes: []string{"store"}, Why: "migrations"},
		{Module: "modernc.org/sqlite", Homes: []string{"store"}, Why: "SQLite without cgo"},
		{Module: "github.com/google/uuid", From: Stores, Why: "identifiers that sort by time"},
		{Module: "github.com/go-chi/chi", Homes: []string{"httpapi"}, Why: "routes of the generated server"},
		{Module: "github.com/getkin/kin-openapi", Homes: []string{"httpapi"}, Why: "validation against the contract"},
		{Module: "github.com/oapi-codegen/runtime", Homes: []string{"httpapi"}, Why: "run time of the generated server"},
		{Module: "github.com/prometheus/client_golang", From: Engines, Tests: true, Why: "metrics"},
		{Module: "go.uber.org/goleak", Homes: []string{"testkit"}, Why: "goroutines left behind"},
		{Module: "github.com/standard-webhooks/standard-webhooks", Tests: true, Why: "the other side of signed webhooks"},
		{Module: "pgregory.net/rapid", Tests: true, Why: "property tests"},
	}
}
