package config

import (
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/release-assay/assay/analysis"
)

// Config is everything that one process needs to know. Flags are laid over it by
// cmd; paths in it are relative to the working directory.
type Config struct {
	Listeners Listeners `yaml:"listeners"`
	DataDir   string    `yaml:"dataDir"`
	Kafka     Kafka     `yaml:"kafka"`
	Store     Store     `yaml:"store"`
	Sources   Sources   `yaml:"sources"`
	Sinks     []Sink    `yaml:"sinks"`
	Policies  []string  `yaml:"policies"` // files, or directories that are searched for .yaml and .yml
	BuiltIn   BuiltIn   `yaml:"builtIn"`

	references map[string]string // ${...} as written, by the path of the field
}

// Listeners are the addresses, host:port, on which the process is spoken to.
type Listeners struct {
	HTTP  string        `yaml:"http"` // the HTTP interface and our own metrics
	OTLP  OTLPListeners `yaml:"otlp"`
	Kafka string        `yaml:"kafka"` // the embedded broker; not used where kafka.brokers is set
}

// OTLPListeners receive pushed telemetry. "off" does not listen.
type OTLPListeners struct {
	GRPC string `yaml:"grpc"`
	HTTP string `yaml:"http"`
}

// Off is the address of a listener that does not listen.
const Off = "off"

// Kafka is where deployment events come from.
type Kafka struct {
	Brokers []string  `yaml:"brokers"` // empty: the embedded broker
	TLS     *KafkaTLS `yaml:"tls"`     // nil: none
	SASL    *SASL     `yaml:"sasl"`    // nil: none
	Topics  Topics    `yaml:"topics"`
	Group   string    `yaml:"group"`
}

// Embedded reports whether the broker runs inside this process.
func (k Kafka) Embedded() bool { return len(k.Brokers) == 0 }

// KafkaTLS encrypts the connection to the brokers; an empty block uses the
// system's roots.
type KafkaTLS struct {
	CAFile     string `yaml:"caFile"`
	CertFile   string `yaml:"certFile"`
	KeyFile    string `yaml:"keyFile"`
	ServerName string `yaml:"serverName"`
}

// SASL says who we are to the brokers.
type SASL struct {
	Mechanism Mechanism `yaml:"mechanism" need:"true"`
	Username  string    `yaml:"username" need:"true"`
	Password  Secret    `yaml:"password" need:"true"`
}

// Mechanism is how a password is shown to the brokers.
type Mechanism string

const (
	Plain       Mechanism = "PLAIN"
	ScramSHA256 Mechanism = "SCRAM-SHA-256"
	ScramSHA512 Mechanism = "SCRAM-SHA-512"
)

func (Mechanism) legal() (now, later []string) {
	return []string{string(Plain), string(ScramSHA256), string(ScramSHA512)}, []string{"OAUTHBEARER", "GSSAPI"}
}

// A Secret is a text that is not printed. Convert it to a string to use it.
type Secret string

func (Secret) String() string { return "<secret>" }

// GoString keeps %#v from printing the secret.
func (Secret) GoString() string { return "<secret>" }

// MarshalText keeps encoders from printing the secret.
func (Secret) MarshalText() ([]byte, error) { return []byte("<secret>"), nil }

// Topics are the topics that the process reads from and writes its dead letters to.
type Topics struct {
	Deployments string     `yaml:"deployments"`
	DeadLetters string     `yaml:"deadLetters"`
	OTLP        OTLPTopics `yaml:"otlp"`
}

// OTLPTopics hold OTLP export requests, as the OpenTelemetry Collector's kafka exporter
// writes them. Those that are not named are not read.
type OTLPTopics struct {
	Spans   string `yaml:"spans"`
	Logs    string `yaml:"logs"`
	Metrics string `yaml:"metrics"`
}

// Store is where the state is kept.
type Store struct {
	Path string `yaml:"path"` // of the SQLite database, inside DataDir unless absolute
	// Retention is how long finished validations, their evidence and their bundles
	// are kept.
	Retention analysis.Duration `yaml:"retention"`
	// ReserveMiB is how much of the disk is kept, beside the database, for verdicts
	// that are due when the disk is full. 0 keeps none.
	ReserveMiB int `yaml:"reserveMiB"`
}

const maxReserveMiB = 64 << 10

// BuiltIn is the plan of releases that no policy matches.
type BuiltIn struct {
	Source string `yaml:"source"` // from which the built-in signals are read
}

// Defaults is what an empty file means: one machine, loopback only, nothing else
// needed.
func Defaults() Config {
	return Config{
		Listeners: Listeners{
			HTTP:  "127.0.0.1:8080",
			OTLP:  OTLPListeners{GRPC: "127.0.0.1:4317", HTTP: "127.0.0.1:4318"},
			Kafka: "127.0.0.1:9092",
		},
		DataDir: "assay-data",
		Kafka: Kafka{
			Topics: Topics{Deployments: "assay.deployments.v1", DeadLetters: "assay.deployments.dlq.v1"},
			Group:  "assay",
		},
		Store:   Store{Path: "assay.db", Retention: analysis.Duration(90 * 24 * time.Hour), ReserveMiB: 64},
		Sources: Sources{OTLPSource: {Name: OTLPSource, Kind: KindOTLP}},
		Sinks:   []Sink{{Type: SinkKafka, Topic: "assay.verdicts.v1"}},
		BuiltIn: BuiltIn{Source: OTLPSource},
	}
}

// Load reads the process file over the defaults. An empty path is an empty file.
// Relative paths in the file start at its folder.
func Load(path string) (Config, error) {
	if path == "" {
		return Defaults(), nil
	}
	data, err := readFile(path)
	if err != nil {
		return Config{}, Faults{fileFault(path, err)}
	}
	return parseProcess(path, data)
}

func parseProcess(file string, data []byte) (Config, error) {
	c := Defaults()
	docs := parseDocuments(file, data)
	if len(docs) == 0 {
		return c, nil
	}
	d := docs[0]
	if len(docs) > 1 {
		second := docs[1]
		d.faults = append(d.faults, second.faults...)
		if second.root != nil {
			d.reject(second.root, "", "a process file is one document")
		}
	}
	if d.root != nil {
		d.resolve(d.root, "")
		c.references = d.references
		d.decode(d.root, "", &c)
		c.Sources.name(d)
		c.check(d)
		c.place(d)
	}
	if err := d.faults.err(); err != nil {
		return Config{}, err
	}
	return c, nil
}

// check reports what no single field shows.
func (c *Config) check(d *document) {
	taken := map[string]string{} // address to the path that has it
	for _, l := range []struct {
		path, address string
		unused        bool
	}{
		{"listeners.http", c.Listeners.HTTP, false},
		{"listeners.otlp.grpc", c.Listeners.OTLP.GRPC, c.Listeners.OTLP.GRPC == Off},
		{"listeners.otlp.http", c.Listeners.OTLP.HTTP, c.Listeners.OTLP.HTTP == Off},
		{"listeners.kafka", c.Listeners.Kafka, !c.Kafka.Embedded()},
	} {
		if l.unused {
			continue
		}
		if err := checkAddress(l.address); err != nil {
			d.fail(l.path, "%v", err)
			continue
		}
		if other, is := taken[l.address]; is && !strings.HasSuffix(l.address, ":0") {
			// One of the two may be a default, which stands nowhere.
			mine := l.path
			if d.places[mine] == nil {
				mine, other = other, mine
			}
			d.fail(mine, "%s is the address of %s already", l.address, other)
		}
		taken[l.address] = l.path
	}
	c.checkKafka(d)
	for _, required := range []struct{ path, value string }{
		{"dataDir", c.DataDir}, {"store.path", c.Store.Path},
	} {
		if required.value == "" {
			d.fail(required.path, "must not be empty")
		}
	}
	if c.Store.Retention.D() < 24*time.Hour {
		d.fail("store.retention", "%v is less than a day: a validation would be gone before anybody asks for it", c.Store.Retention)
	}
	if c.Store.ReserveMiB < 0 || c.Store.ReserveMiB > maxReserveMiB {
		d.fail("store.reserveMiB", "%d is not from 0 to %d", c.Store.ReserveMiB, maxReserveMiB)
	}
	c.Sources.find(d, "builtIn.source", c.BuiltIn.Source, Metrics)
}

func (c *Config) checkKafka(d *document) {
	k := c.Kafka
	for i, broker := range k.Brokers {
		if err := checkAddress(broker); err != nil {
			d.fail(at("kafka.brokers", i), "%v", err)
		}
	}
	if k.Embedded() {
		for path, set := range map[string]bool{"kafka.tls": k.TLS != nil, "kafka.sasl": k.SASL != nil} {
			if set {
				d.fail(path, "is for brokers of your own (kafka.brokers); the embedded one listens on loopback and has none")
			}
		}
	} else if d.places["listeners.kafka"] != nil {
		d.fail("listeners.kafka", "is the address of the embedded broker, which is not started where kafka.brokers is set")
	}
	if k.TLS != nil && (k.TLS.CertFile == "") != (k.TLS.KeyFile == "") {
		d.fail("kafka.tls", "certFile and keyFile are needed together")
	}
	topics := map[string]string{}
	check := func(path, topic string) {
		if topic == "" {
			d.fail(path, "must not be empty")
		}
		if other := topics[topic]; other != "" {
			d.fail(path, "%q is the topic of %s already", topic, other)
		}
		topics[topic] = path
	}
	check("kafka.topics.deployments", k.Topics.Deployments)
	check("kafka.topics.deadLetters", k.Topics.DeadLetters)
	for _, t := range []struct{ path, topic string }{
		{"kafka.topics.otlp.spans", k.Topics.OTLP.Spans}, {"kafka.topics.otlp.logs", k.Topics.OTLP.Logs}, {"kafka.topics.otlp.metrics", k.Topics.OTLP.Metrics},
	} {
		if t.topic != "" {
			check(t.path, t.topic)
		}
	}
	for i, sink := range c.Sinks {
		if sink.Type == SinkKafka {
			check(join(at("sinks", i), "topic"), sink.Topic)
		}
	}
	if k.Group == "" {
		d.fail("kafka.group", "must not be empty")
	}
}

// place turns the relative paths that the file names into paths from the working
// directory. The defaults are relative to the working directory already.
func (c *Config) place(d *document) {
	if d.places["dataDir"] != nil {
		c.DataDir = d.relative(c.DataDir)
	}
	for i := range c.Policies {
		c.Policies[i] = d.relative(c.Policies[i])
	}
	if c.Kafka.TLS != nil {
		for _, path := range []*string{&c.Kafka.TLS.CAFile, &c.Kafka.TLS.CertFile, &c.Kafka.TLS.KeyFile} {
			*path = d.relative(*path)
		}
	}
}

func checkAddress(address string) error {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("%q is no address (write host:port, such as 127.0.0.1:8080)", address)
	}
	if n, err := strconv.Atoi(port); err != nil || n < 0 || n > 65535 {
		return fmt.Errorf("%q is no address: the port %q is no number from 0 to 65535", address, port)
	}
	return nil
}
