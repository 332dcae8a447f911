package archtest

// module is the import path of the repository's root.
const module = "github.com/release-assay/assay"

// room is one row of the import table. A pattern is a package path relative to the module, where "*" stands for any one
// element; it covers what lies below it too, unless a longer pattern does. Packages of one room may import each other.
type room struct {
	pattern   string
	mayImport []string // patterns of other rooms; everything is any room
	reason    string   // why it may import no more
}

const everything = "..."

// rooms is the import table of non-test files. A package that no row covers is a violation.
var rooms = []room{
	{"cmd/assay", []string{everything}, "the wiring knows every part"},

	{"analysis/stats", nil, "the numeric kernel knows no releases: gonum and the standard library only"},
	{"analysis", []string{"analysis/stats"}, "the vocabulary is the centre: everybody imports it, it imports nobody"},
	{"analysis/*", []string{"analysis", "analysis/stats"}, "reducers are pure, independent of each other, and know no source and no verdict"},

	{"sources", []string{"analysis"}, "the contract of sources speaks the vocabulary only"},
	{"sources/sourcetest", []string{"sources", "sources/replay", "analysis"}, "the conformance suite knows no product; replay's recording is the neutral telemetry that it loads"},
	{"sources/otlp", []string{"sources", "analysis", "analysis/*", "internal/kafka", "internal/redact"}, "sources gather, they do not judge, and they do not know each other"},
	{"sources/replay", []string{"sources", "analysis", "analysis/*", "internal/redact"}, "replay answers from what it is given; cmd opens the bundle"},
	{"sources/jaeger", []string{"sources", "analysis", "internal/exemplar", "internal/httpquery", "internal/redact"}, "stores of traces do not know each other; what is shown of a trace is the same for all"},
	{"sources/tempo", []string{"sources", "analysis", "internal/exemplar", "internal/httpquery", "internal/redact"}, "stores of traces do not know each other; what is shown of a trace is the same for all"},
	{"sources/*", []string{"sources", "analysis", "analysis/*", "internal/httpquery", "internal/redact"}, "sources gather, they do not judge, and they do not know each other"},

	{"verdicts", []string{"analysis"}, "the decision can be read whole and knows neither bundle nor sink"},
	{"verdicts/bundle", []string{"verdicts", "analysis"}, "the bundle does not decide"},
	{"verdicts/report", []string{"verdicts", "analysis"}, "a report is made from a verdict, without I/O"},
	{"verdicts/sinktest", []string{"verdicts", "analysis"}, "the conformance suite knows no sink"},
	{"verdicts/topic", []string{"verdicts", "verdicts/bundle", "analysis", "internal/kafka"}, "sinks deliver a finished verdict and do not know each other"},
	{"verdicts/*", []string{"verdicts", "verdicts/bundle", "analysis"}, "sinks deliver a finished verdict and do not know each other"},

	{"internal/validation", []string{"internal/gather", "internal/store", "verdicts", "verdicts/bundle", "sources", "analysis", "analysis/*"}, "the line knows contracts, not products"},
	{"internal/backtest", []string{"internal/validation", "verdicts", "verdicts/bundle", "analysis", "analysis/stats"}, "past releases are judged as the line judges; it asks no source and reads no configuration"},
	{"internal/gather", []string{"sources", "analysis"}, "gather knows neither objectives nor verdicts"},
	{"internal/intake", []string{"analysis", "internal/kafka", "internal/store"}, "intake answers no queries and does not judge"},
	{"internal/intake/intaketest", []string{"internal/intake", "internal/store"}, "hostile events for the tests of those who read events"},
	{"internal/store", []string{"analysis", "verdicts"}, "the store keeps facts and makes none"},
	{"internal/store/disktest", nil, "disks for the tests of those who write to them"},
	{"internal/store/powertest", nil, "a disk whose power is cut, for the tests of those who write to it"},
	{"internal/fuzztest", nil, "bounds for the fuzz targets of everybody"},
	{"internal/promql", []string{"analysis"}, "it reads expressions and binds nothing to them"},
	{"internal/importer", []string{"analysis", "internal/promql"}, "it turns the text of other tools into text of ours; what that means is read by internal/config"},
	{"internal/config", []string{"analysis", "verdicts", "internal/promql"}, "adapters decode their own blocks; there is no central union of them"},
	{"internal/policy", []string{"analysis"}, "policy is evaluated on what it is given"},
	{"internal/kafka", nil, "broker options know no event and no verdict"},
	{"internal/kafka/kafkatest", []string{"internal/kafka"}, "hostile batches for the tests of those who read Kafka"},
	{"internal/httpquery", []string{"sources"}, "it knows HTTP and no store; what an error means is said in the words of sources"},
	{"internal/exemplar", []string{"sources", "analysis", "internal/httpquery", "internal/redact"}, "it makes examples of traces, whichever store they are from, and asks what it is told to ask"},
	{"internal/redact", nil, "redaction works on text, whatever it is for"},
	{"internal/instrument", nil, "instruments are used by all and use nobody"},
	{"internal/backup", []string{"internal/store"}, "a backup copies what is there and understands none of it"},
	{"internal/httpapi", []string{"verdicts", "verdicts/report", "analysis", "sources", "internal/intake", "internal/store", "internal/instrument"}, "the API shows what was decided, and of sources their contract"},
	{"internal/webui", []string{"verdicts", "verdicts/report", "analysis", "internal/intake", "internal/store", "internal/instrument"}, "pages show what was decided"},
	{"internal/lab", []string{"analysis"}, "the simulated shop is the world outside: it knows no judge"},
	{"internal/liar", []string{"analysis", "internal/lab"}, "it tells what the shop exports, or something else; it does not know who asks"},
	{"internal/faults", nil, "the catalogue is in its tests"},
	{"internal/peers", nil, "the rules of other tools know nothing of Assay"},
	{"internal/oc", []string{"analysis", "analysis/*", "analysis/stats", "verdicts", "internal/peers"}, "simulated releases are judged as the service judges: by analysis and verdicts"},
	{"internal/torture", []string{"analysis", "internal/intake"}, "the model of the kill loop sends events and judges what was seen; it knows nothing of the inside"},
	{"internal/accuracy", []string{"analysis", "analysis/*", "analysis/stats", "verdicts"}, "it makes cases of recordings and counts answers; internal/e2e asks the line"},
	{"internal/scenarios", []string{"analysis", "analysis/*", "verdicts"}, "a script is played through the library alone"},
	{"internal/archtest", nil, "it reads source text only"},
	{"internal/e2e", []string{everything}, "end-to-end tests see the whole"},

	{"dashboards", []string{"internal/instrument"}, "panels are made from the names of the metrics"},
	{"deploy", nil, "manifests and recipes are data"},
}

// notYet are the rooms that are drawn but not built. A room that appears must leave this list, so that it ends empty.
var notYet = []string{
	"internal/policy", "internal/webui",
}

// testOnly are packages that only test files may import.
var testOnly = []struct{ pattern, reason string }{
	{"sources/sourcetest", "a conformance suite is no part of the program"},
	{"verdicts/sinktest", "a conformance suite is no part of the program"},
	{"internal/kafka/kafkatest", "helpers of tests are no part of the program"},
	{"internal/intake/intaketest", "hostile events are no part of the program"},
	{"internal/fuzztest", "bounds of tests are no part of the program"},
	{"internal/store/disktest", "helpers of tests are no part of the program"},
	{"internal/store/powertest", "helpers of tests are no part of the program"},
	{"internal/liar", "the program has no lies to tell"},
	{"internal/faults", "the catalogue offers nothing to others"},
	{"internal/torture", "the program does not torture itself"},
	{"internal/oc", "the program does not simulate itself"},
	{"internal/accuracy", "recordings are no part of the program"},
	{"internal/scenarios", "scripts are no part of the program"},
	{"internal/e2e", "end-to-end tests offer nothing to others"},
	{"internal/archtest", "it offers nothing to others"},
	{"testdata/backends", "real servers are for tests"},
}

// realServers is where tests may start the real servers; everything else is tested without network, Java or broker.
const realServers = "internal/e2e"

// pure are the packages without I/O, clock, goroutines, context or randomness of their own: "analysis" with all below
// it, and the root package of verdicts.
func pure(pkg string) bool { return within(pkg, "analysis") || pkg == "verdicts" }

// line are the packages of the straight line, which are told the time instead of reading it.
func line(pkg string) bool { return pkg == "internal/validation" || pkg == "internal/gather" }

// imports is the table of forbidden import paths; a path covers what lies below it. Test files obey where inTests is set.
var imports = []struct {
	path    string
	where   func(pkg string) bool
	except  []string // import paths below it that are fine
	inTests bool
	reason  string
}{
	{path: "os", where: pure, reason: "pure code does no I/O"},
	{path: "net", where: pure, reason: "pure code does no I/O"},
	{path: "io/ioutil", where: pure, reason: "pure code does no I/O"},
	{path: "database/sql", where: pure, reason: "pure code does no I/O"},
	{path: "syscall", where: pure, reason: "pure code does no I/O"},
	{path: "log", where: pure, reason: "pure code returns errors and warnings, it does not log"},
	{path: "context", where: func(pkg string) bool { return within(pkg, "analysis") }, reason: "pure code has nothing to cancel and takes no values from a context; the contract of sinks in verdicts does"},
	{path: "math/rand", where: pure, except: []string{"math/rand/v2"}, reason: "randomness is seeded by the plan: math/rand/v2 with a seed"},
	{path: "crypto/rand", where: pure, reason: "randomness is seeded by the plan, or a verdict cannot be reproduced"},
	{path: "golang.org/x/sync", where: pure, reason: "pure code starts no goroutines"},

	{path: "github.com/grafana/loki", where: anywhere, inTests: true, reason: "AGPL: Loki is talked to, never linked"},
	{path: "github.com/grafana/tempo", where: anywhere, inTests: true, reason: "AGPL: Tempo is talked to, never linked"},
	{path: "github.com/grafana/mimir", where: anywhere, inTests: true, reason: "AGPL: Mimir is talked to, never linked"},
	{path: "github.com/grafana/grafana", where: anywhere, inTests: true, reason: "AGPL: Grafana is talked to, never linked"},
	{path: "github.com/grafana/loki-client-go", where: outside("verdicts/lokimirror"), inTests: true, reason: "an archived library with heavy requirements: verdicts/lokimirror only"},
	{
		path: "github.com/prometheus/prometheus", where: anywhere, inTests: true,
		except: []string{"github.com/prometheus/prometheus/promql/parser", "github.com/prometheus/prometheus/model"},
		reason: "no query engine or storage is embedded: parser and labels only",
	},
	{path: "pgregory.net/rapid", where: anywhere, reason: "MPL: in tests only"},
	{path: "testing", where: outside("sources/sourcetest", "verdicts/sinktest", "internal/kafka/kafkatest", "internal/store/disktest", "internal/store/powertest", "internal/fuzztest", "internal/e2e"), reason: "the program does not carry its tests"},
}

// gonum is the only library that the numeric kernel imports beside the standard one.
const gonum = "gonum.org/v1/gonum"

var (
	clock  = []string{"Now", "Since", "Until"}
	timers = []string{"NewTimer", "NewTicker", "After", "AfterFunc", "Tick", "Sleep"}
)

// uses is the table of forbidden names of imported packages, in non-test files.
var uses = []struct {
	rule   string
	path   string
	names  []string
	where  func(pkg string) bool
	reason string
}{
	{"clock", "time", clock, pure, "time enters pure code as an argument"},
	{"clock", "time", clock, line, "the line reads no clock: cmd calls Advance(now)"},
	{"timer", "time", timers, outside("cmd", "internal/e2e"), "only cmd has timers; what waits elsewhere needs a reason in exceptions"},
	{
		"reader", "github.com/segmentio/kafka-go",
		[]string{"NewReader", "Reader", "ReaderConfig"},
		anywhere, "a Reader rewinds committed offsets and loses or repeats records: use ConsumerGroup and Client.Fetch",
	},
}

// seeded are the only names of math/rand/v2 that pure code may use: all others draw from a seed that nobody recorded.
var seeded = []string{"New", "NewPCG", "NewChaCha8", "NewZipf", "Rand", "Source", "PCG", "ChaCha8", "Zipf"}

// startsGoroutines are the rooms that may, besides those excepted below. Whoever starts one waits for it.
var startsGoroutines = []string{"cmd", "internal/validation", "internal/gather", "internal/e2e"}

// exception lifts one rule in the packages that the pattern covers.
type exception struct{ rule, pattern, reason string }

// exceptions are all there are. A row that lifts nothing fails, so that the list is as short as it can be.
var exceptions = []exception{
	{"goroutine", "sources/otlp", "Run serves gRPC and HTTP side by side in one errgroup and waits for both"},
	{"timer", "sources/otlp", "what a sender leaves hanging must not hold up the end of Run"},
	{"goroutine", "internal/intake", "the records of one batch are decoded on all processors; decodeAll waits for them. A reader that hangs is left to itself, which only a goroutine can be"},
	{"timer", "internal/intake", "the pause between two tries of a broker that does not answer; it waits for nothing of the line"},
	{"timer", "internal/liar", "a body of one byte a second takes its time"},
	{"goroutine", "internal/oc", "simulated runs fill all processors; Simulate waits for them"},
	{"goroutine", "sources/sourcetest", "the suite asks a source from several goroutines at once and waits for them"},
}

// vague are package names that say nothing; the plural counts as well.
var vague = []string{"util", "common", "type", "model", "manager", "helper", "misc", "shared", "base"}
