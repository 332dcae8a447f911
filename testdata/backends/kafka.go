package backends

import (
	"crypto/rand"
	_ "embed" // the broker's jars and log settings
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

//go:embed kafka/pom.xml
var kafkaPOM string

//go:embed kafka/log4j2.properties
var kafkaLogging []byte

// Kafka is an Apache Kafka broker: one node in KRaft mode that creates no topic by itself. Stop, Kill and Restart keep the
// data directory and the ports; they fail the test if the broker was named by ASSAY_TEST_KAFKA.
type Kafka struct {
	// Addr is the broker's host:port, plaintext and without authentication. Whoever comes here may do everything.
	Addr string
	// Guarded is the host:port at which users authenticate; empty without KafkaUsers.
	Guarded string

	*server
}

// A KafkaOption changes how the broker is set up.
type KafkaOption func(*kafkaOptions)

type kafkaOptions struct {
	users    map[string]string
	lifetime time.Duration
}

// KafkaUsers adds a second listener on which users with these passwords authenticate (SCRAM-SHA-256, no TLS) and may do
// what ACLs allow, which is nothing at first. The broker closes a connection whose authentication is older than lifetime.
func KafkaUsers(lifetime time.Duration, passwords map[string]string) KafkaOption {
	return func(o *kafkaOptions) { o.lifetime, o.users = lifetime, passwords }
}

// StartKafka starts a broker with an empty data directory and returns when it serves; the test's clean-up stops it.
// With ASSAY_TEST_KAFKA=host:port it returns that broker instead, so topics need names of the test's own; a broker with
// options is always the test's.
func StartKafka(t testing.TB, options ...KafkaOption) *Kafka {
	t.Helper()
	const variable = "ASSAY_TEST_KAFKA"
	if addr := os.Getenv(variable); addr != "" && len(options) == 0 {
		k := &Kafka{Addr: addr, server: &server{t: t, name: "kafka", external: variable}}
		k.ready = k.serves
		k.start()
		return k
	}

	program, err := java()
	if err != nil {
		t.Fatal(err)
	}
	a, err := kafkaJars()
	if err != nil {
		t.Fatal(err)
	}
	libs, err := a.ensure(t.Logf)
	if err != nil {
		t.Fatal(err)
	}

	var o kafkaOptions
	for _, option := range options {
		option(&o)
	}
	dir, addr := t.TempDir(), address(freePort(t))
	properties, logging := filepath.Join(dir, "server.properties"), filepath.Join(dir, "log4j2.properties")
	guarded := ""
	if o.users != nil {
		guarded = address(freePort(t))
	}
	settings := kafkaSettings(filepath.Join(dir, "data"), addr, address(freePort(t)), guarded, o.lifetime)
	if err := errors.Join(os.WriteFile(properties, []byte(settings), 0o644), os.WriteFile(logging, kafkaLogging, 0o644)); err != nil {
		t.Fatalf("write the settings of kafka: %v", err)
	}
	jvm := []string{
		"-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", // small and quick to start; throughput is not the point
		"-Dlog4j2.configurationFile=" + logging, "-cp", filepath.Join(libs, "*"),
	}
	args := append(slices.Clip(jvm), "kafka.tools.StorageTool", "format", "--standalone", "-t", clusterID(), "-c", properties)
	for name, password := range o.users {
		args = append(args, "--add-scram", "SCRAM-SHA-256=[name="+name+",password="+password+"]")
	}
	format := exec.Command(program, args...)
	if out, err := format.CombinedOutput(); err != nil {
		t.Fatalf("format the data directory of kafka: %v\n%s", err, lastLines(string(out), 40))
	}

	k := &Kafka{Addr: addr, Guarded: guarded, server: &server{t: t, name: "kafka", program: program, args: append(jvm, "kafka.Kafka", properties)}}
	k.ready = k.serves
	k.start()
	return k
}

func kafkaSettings(data, broker, controller, guarded string, lifetime time.Duration) string {
	listeners, protocols := "PLAINTEXT://"+broker, "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT"
	var access []string
	if guarded != "" {
		listeners += ",SASL_PLAINTEXT://" + guarded
		protocols += ",SASL_PLAINTEXT:SASL_PLAINTEXT"
		access = []string{
			"sasl.enabled.mechanisms=SCRAM-SHA-256",
			"listener.name.sasl_plaintext.scram-sha-256.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;",
			fmt.Sprintf("connections.max.reauth.ms=%d", lifetime.Milliseconds()),
			"authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer",
			"super.users=User:ANONYMOUS", // of the listener without authentication, and the broker itself
		}
	}
	return strings.Join(append(access, []string{
		"process.roles=broker,controller",
		"node.id=1",
		"controller.quorum.bootstrap.servers=" + controller,
		"listeners=" + listeners + ",CONTROLLER://" + controller,
		"advertised.listeners=" + listeners,
		"inter.broker.listener.name=PLAINTEXT",
		"controller.listener.names=CONTROLLER",
		"listener.security.protocol.map=" + protocols,
		"log.dirs=" + data,
		"offsets.topic.replication.factor=1",
		"offsets.topic.num.partitions=4", // the default of 50 costs seconds at each start
		"transaction.state.log.replication.factor=1",
		"transaction.state.log.min.isr=1",
		"share.coordinator.state.topic.replication.factor=1",
		"group.initial.rebalance.delay.ms=0",
		"auto.create.topics.enable=false",
		"broker.session.timeout.ms=4000", // for so long a killed broker's successor is refused as its duplicate
		"broker.heartbeat.interval.ms=500",
	}...), "\n") + "\n"
}

// clusterID returns 16 random bytes in the broker's base64; the first bit is clear, so that no id looks like an option.
func clusterID() string {
	var id [16]byte
	rand.Read(id[:]) // never fails
	id[0] &= 0x7f
	return base64.RawURLEncoding.EncodeToString(id[:])
}

// serves asks for the cluster's metadata: an open port is not enough, the broker must also know itself to be alive.
func (k *Kafka) serves() error {
	conn, err := net.DialTimeout("tcp", k.Addr, time.Second)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		return err
	}
	// Metadata request, version 5: api key, version, correlation id, no client id, no topics, no creation of topics.
	request := []byte{0, 0, 0, 15, 0, 3, 0, 5, 0, 0, 0, 1, 0xff, 0xff, 0, 0, 0, 0, 0}
	if _, err := conn.Write(request); err != nil {
		return err
	}
	// Response: size, correlation id, throttle time, number of brokers.
	var response [16]byte
	if _, err := io.ReadFull(conn, response[:]); err != nil {
		return fmt.Errorf("read metadata: %w", err)
	}
	if brokers := binary.BigEndian.Uint32(response[12:]); brokers == 0 {
		return errors.New("the broker is not registered yet")
	}
	return nil
}

var kafkaVersion = regexp.MustCompile(`<kafka\.version>(.*)</kafka\.version>`)

func kafkaJars() (artifact, error) {
	m := kafkaVersion.FindStringSubmatch(kafkaPOM)
	if m == nil {
		return artifact{}, errors.New("kafka/pom.xml names no kafka.version")
	}
	return artifact{name: "kafka", version: m[1], recipe: []string{kafkaPOM}, build: gatherJars}, nil
}

func gatherJars(dir string, out io.Writer) error {
	mvn, err := exec.LookPath("mvn")
	if err != nil {
		return fmt.Errorf("%w; Apache Kafka's jars are gathered by Maven: install maven (or run `go run ./testdata/backends/setup` as root on Debian)", err)
	}
	work, err := os.MkdirTemp("", "assay-kafka-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	if err := os.WriteFile(filepath.Join(work, "pom.xml"), []byte(kafkaPOM), 0o644); err != nil {
		return err
	}
	cmd := exec.Command(mvn, "-q", "-B", "dependency:copy-dependencies", "-DincludeScope=runtime", "-DoutputDirectory="+dir)
	cmd.Dir, cmd.Stdout, cmd.Stderr = work, out, out
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("mvn dependency:copy-dependencies: %w", err)
	}
	if jars, err := filepath.Glob(filepath.Join(dir, "kafka_2.13-*.jar")); err != nil || len(jars) != 1 {
		return fmt.Errorf("mvn gathered %d brokers, not one (%v)", len(jars), err)
	}
	return nil
}
