package intake

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/release-assay/assay/internal/kafka"
	"github.com/release-assay/assay/internal/kafka/kafkatest"
)

// F15: a certificate that has expired, the broker's or our own, is told as
// auth_failed within 30 seconds. When it is renewed, in its file or at the broker,
// intake heals by itself.
func TestRunCertificateExpired(t *testing.T) {
	goodCert, goodKey := kafkatest.Certificate(t, time.Now().Add(time.Hour))
	oldCert, oldKey := kafkatest.Certificate(t, time.Now().Add(-time.Hour))
	good, err := tls.LoadX509KeyPair(goodCert, goodKey)
	if err != nil {
		t.Fatal(err)
	}
	old, err := tls.LoadX509KeyPair(oldCert, oldKey)
	if err != nil {
		t.Fatal(err)
	}
	trusted := x509.NewCertPool()
	authorities := filepath.Join(t.TempDir(), "ca.pem")
	for _, file := range []string{goodCert, oldCert} {
		pem, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		trusted.AppendCertsFromPEM(pem)
		appendTo(t, authorities, pem)
	}
	for _, whose := range []string{"ours", "the broker's"} {
		var renewed atomic.Bool
		cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, testTopic), kfake.TLS(&tls.Config{
			ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: trusted,
			GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
				if whose == "the broker's" && !renewed.Load() {
					return &old, nil
				}
				return &good, nil
			},
		}))
		if err != nil {
			t.Fatal(err)
		}
		mine := [2]string{filepath.Join(t.TempDir(), "cert.pem"), filepath.Join(t.TempDir(), "key.pem")}
		give := func(cert, key string) {
			t.Helper()
			for i, from := range []string{cert, key} {
				text, err := os.ReadFile(from)
				if err := errors.Join(err, os.WriteFile(mine[i], text, 0o600)); err != nil {
					t.Fatal(err)
				}
			}
		}
		if give(goodCert, goodKey); whose == "ours" {
			give(oldCert, oldKey)
		}
		config := kafka.Config{Brokers: cluster.ListenAddrs(), TLS: &kafka.TLS{CAFile: authorities, CertFile: mine[0], KeyFile: mine[1]}}
		s := openStore(t)
		m := startRun(t, s, config, func(c *RunConfig) { c.Alone = true })
		took := eventually(t, 30*time.Second, "it says that it is not let in", func() bool { return m.snapshot().State == AuthFailed })
		t.Logf("%s: told after %v: %s", whose, took.Round(time.Millisecond), m.snapshot().LastError)
		renewed.Store(true)
		give(goodCert, goodKey)
		kafkatest.Send(t, kafkatest.Connect(t, config), testTopic, 0, record(t, "e"))
		eventually(t, 10*time.Second, "the event", func() bool { return inbox(t, s)["e"] == 1 && m.snapshot().State == OK })
		m.end()
		cluster.Close()
	}
}

func appendTo(t *testing.T, file string, text []byte) {
	t.Helper()
	f, err := os.OpenFile(file, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.Write(text); err != nil {
		t.Fatal(err)
	}
}
