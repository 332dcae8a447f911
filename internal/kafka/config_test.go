package kafka

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	kafkago "github.com/segmentio/kafka-go"
)

func TestConfigValidate(t *testing.T) {
	ok := []string{"127.0.0.1:9092"}
	for _, c := range []struct {
		name   string
		config Config
		want   []string // parts of the error; none: valid
	}{
		{"plaintext", Config{Brokers: []string{"a:1", "[::1]:65535"}}, nil},
		{"tls with client certificate", Config{Brokers: ok, TLS: &TLS{CertFile: "c", KeyFile: "k"}}, nil},
		{"scram", Config{Brokers: ok, SASL: &SASL{Mechanism: "scram-sha-512", Username: "u", PasswordEnv: "P"}}, nil},
		{"plain on loopback", Config{Brokers: ok, SASL: &SASL{Mechanism: "plain", Username: "u", PasswordFile: "f"}}, nil},
		{"plain in the clear", Config{Brokers: []string{"k:9092"}, SASL: &SASL{Mechanism: "plain", Username: "u", PasswordFile: "f"}}, []string{"in the clear"}},
		{"no broker", Config{}, []string{"none is named"}},
		{
			"all faults together",
			Config{Brokers: []string{"k", "k:0", ":9", "k:99999"}, TLS: &TLS{CertFile: "c"}, SASL: &SASL{Mechanism: "SCRAM"}},
			[]string{"brokers[0]", "brokers[1]", "brokers[2]", "brokers[3]", "belong together", "legal are plain, scram-sha-256 or scram-sha-512", "username", "passwordFile or passwordEnv"},
		},
		{"two passwords", Config{Brokers: ok, SASL: &SASL{Mechanism: "scram-sha-256", Username: "u", PasswordFile: "f", PasswordEnv: "P"}}, []string{"either"}},
	} {
		err := c.config.Validate()
		if (err == nil) != (c.want == nil) {
			t.Errorf("%s: error %v", c.name, err)
			continue
		}
		for _, part := range c.want {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%s: error %q does not mention %q", c.name, err, part)
			}
		}
	}
}

func TestPasswordIsReadAgain(t *testing.T) {
	file := filepath.Join(t.TempDir(), "password")
	s := &SASL{Mechanism: "plain", Username: "u", PasswordFile: file}
	if _, err := s.mechanism(); err == nil {
		t.Error("a password file that does not exist is no error")
	}
	for _, password := range []string{"first", "second"} {
		if err := os.WriteFile(file, []byte(password+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		m, err := s.mechanism()
		if err != nil {
			t.Fatal(err)
		}
		_, said, err := m.Start(t.Context())
		if want := "\x00u\x00" + password; err != nil || string(said) != want {
			t.Errorf("mechanism says %q, error %v; want %q", said, err, want)
		}
	}
}

// The settings of the writer are what P16 to P23 ask for; a change here must be a decision.
func TestWriterSettings(t *testing.T) {
	c, err := Connect(Config{Brokers: []string{"127.0.0.1:1"}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	w := c.Writer("t")
	if w.RequiredAcks != kafkago.RequireAll {
		t.Errorf("acks %v, want all: the zero value is fire and forget (P16)", w.RequiredAcks)
	}
	if b, ok := w.Balancer.(kafkago.Murmur2Balancer); !ok || !b.Consistent {
		t.Errorf("balancer %#v, want the one of Java clients (P17)", w.Balancer)
	}
	if w.BatchTimeout != 5*time.Millisecond || w.BatchSize != 1 {
		t.Errorf("batch timeout %v, size %d: a synchronous write would wait (P18)", w.BatchTimeout, w.BatchSize)
	}
	if w.Async {
		t.Error("async writers drop errors (P21)")
	}
	if w.MaxAttempts > 3 || w.WriteTimeout > 5*time.Second {
		t.Errorf("%d attempts of %v: the outbox retries, not the writer (P19, P22)", w.MaxAttempts, w.WriteTimeout)
	}
	if w.AllowAutoTopicCreation {
		t.Error("a topic made by accident has the wrong settings")
	}
	if c.transport.MetadataTTL != 5*time.Second {
		t.Errorf("metadata lives %v: a moved leader is found too late (P22)", c.transport.MetadataTTL)
	}
}
