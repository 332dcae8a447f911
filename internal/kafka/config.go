package kafka

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"

	"github.com/segmentio/kafka-go/sasl"
	"github.com/segmentio/kafka-go/sasl/plain"
	"github.com/segmentio/kafka-go/sasl/scram"
)

// A Config names a Kafka cluster and how to be let in.
type Config struct {
	Brokers  []string `yaml:"brokers"`  // host:port, any of the cluster
	ClientID string   `yaml:"clientId"` // shown in the broker's logs; "assay" when empty
	TLS      *TLS     `yaml:"tls"`      // nil: plaintext
	SASL     *SASL    `yaml:"sasl"`     // nil: no authentication
}

// TLS encrypts the connections. There is no switch that skips verification: name
// the CA instead.
type TLS struct {
	CAFile     string `yaml:"caFile"`     // PEM; empty: the system's
	CertFile   string `yaml:"certFile"`   // client certificate, read again for each connection, so that it can be renewed
	KeyFile    string `yaml:"keyFile"`    //
	ServerName string `yaml:"serverName"` // empty: the host of the broker
}

// SASL authenticates. The password is given by reference and read again for each
// connection, so that it can be rotated without a restart.
type SASL struct {
	Mechanism    string `yaml:"mechanism"` // plain | scram-sha-256 | scram-sha-512
	Username     string `yaml:"username"`
	PasswordFile string `yaml:"passwordFile"`
	PasswordEnv  string `yaml:"passwordEnv"`
	Password     string `yaml:"-"` // already resolved, instead of the references
}

const mechanisms = "plain, scram-sha-256 or scram-sha-512"

// Validate reports every fault of c together. It reads no files: Connect does.
func (c Config) Validate() error {
	var errs []error
	fault := func(format string, args ...any) { errs = append(errs, fmt.Errorf("kafka: "+format, args...)) }

	if len(c.Brokers) == 0 {
		fault("brokers: none is named (host:port)")
	}
	for i, b := range c.Brokers {
		host, port, err := net.SplitHostPort(b)
		n, nerr := strconv.ParseUint(port, 10, 16)
		if err != nil || nerr != nil || host == "" || n == 0 {
			fault("brokers[%d]: %q is no host:port", i, b)
		}
	}
	if t := c.TLS; t != nil && (t.CertFile == "") != (t.KeyFile == "") {
		fault("tls: certFile and keyFile belong together")
	}
	if s := c.SASL; s != nil {
		switch s.Mechanism {
		case "plain":
			if c.TLS == nil && !loopback(c.Brokers) {
				fault("sasl: plain without tls would send the password in the clear; use tls, or scram")
			}
		case "scram-sha-256", "scram-sha-512":
		default:
			fault("sasl.mechanism: %q; legal are %s", s.Mechanism, mechanisms)
		}
		if s.Username == "" {
			fault("sasl.username: missing")
		}
		if s.Password == "" && (s.PasswordFile == "") == (s.PasswordEnv == "") {
			fault("sasl: name either passwordFile or passwordEnv")
		}
	}
	return errors.Join(errs...)
}

func loopback(brokers []string) bool {
	for _, b := range brokers {
		host, _, err := net.SplitHostPort(b)
		if err != nil || !isLoopback(host) {
			return false
		}
	}
	return true
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// config returns what crypto/tls needs.
func (t *TLS) config() (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: t.ServerName}
	if t.CAFile != "" {
		pem, err := os.ReadFile(t.CAFile)
		if err != nil {
			return nil, fmt.Errorf("kafka: tls.caFile: %w", err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("kafka: tls.caFile: %s has no certificate in PEM form", t.CAFile)
		}
	}
	if t.CertFile != "" {
		load := func() (*tls.Certificate, error) {
			cert, err := tls.LoadX509KeyPair(t.CertFile, t.KeyFile)
			if err != nil {
				return nil, fmt.Errorf("kafka: tls.certFile: %w", err)
			}
			return &cert, nil
		}
		if _, err := load(); err != nil { // say it at start, not at the first connection
			return nil, err
		}
		c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return load() }
	}
	return c, nil
}

func (s *SASL) password() (string, error) {
	if s.Password != "" {
		return s.Password, nil
	}
	if s.PasswordEnv != "" {
		v := os.Getenv(s.PasswordEnv)
		if v == "" {
			return "", fmt.Errorf("kafka: sasl.passwordEnv: %s is not set", s.PasswordEnv)
		}
		return v, nil
	}
	b, err := os.ReadFile(s.PasswordFile)
	if err != nil {
		return "", fmt.Errorf("kafka: sasl.passwordFile: %w", err)
	}
	v := strings.TrimRight(string(b), "\r\n")
	if v == "" {
		return "", fmt.Errorf("kafka: sasl.passwordFile: %s is empty", s.PasswordFile)
	}
	return v, nil
}

// mechanism returns a mechanism that asks for the password at each connection.
func (s *SASL) mechanism() (sasl.Mechanism, error) {
	if _, err := s.password(); err != nil {
		return nil, err
	}
	return rotating{s}, nil
}

type rotating struct{ *SASL }

func (r rotating) Name() string { return strings.ToUpper(r.Mechanism) }

func (r rotating) Start(ctx context.Context) (sasl.StateMachine, []byte, error) {
	password, err := r.password()
	if err != nil {
		return nil, nil, err
	}
	var m sasl.Mechanism
	switch r.Mechanism {
	case "plain":
		m = plain.Mechanism{Username: r.Username, Password: password}
	case "scram-sha-256":
		m, err = scram.Mechanism(scram.SHA256, r.Username, password)
	case "scram-sha-512":
		m, err = scram.Mechanism(scram.SHA512, r.Username, password)
	default:
		err = fmt.Errorf("kafka: sasl.mechanism: %q; legal are %s", r.Mechanism, mechanisms)
	}
	if err != nil {
		return nil, nil, err
	}
	return m.Start(ctx)
}
