package otlp

import (
	"errors"
	"fmt"
	"net"
	"time"
)

// A Config says where to listen and how much to keep. Zero numbers mean the
// default; an empty address means: do not listen.
type Config struct {
	Name string `yaml:"-" json:"name"` // by which signals name the source

	GRPC string `yaml:"-" json:"grpc"` // address for OTLP/gRPC
	HTTP string `yaml:"-" json:"http"` // address for OTLP/HTTP

	MaxBytes int64 `yaml:"maxBytes" json:"maxBytes"` // of one request, inflated

	Retention        time.Duration `yaml:"retention" json:"retention"`               // of raw samples, behind the newest of their resource
	HistoryRetention time.Duration `yaml:"historyRetention" json:"historyRetention"` // of one-minute sums
	// MaxSeries bounds the memory: a series takes about 0.5 KB and 24 bytes a sample
	// (12 KB with two hours of 15-second exports). Points of further series are
	// dropped and counted.
	MaxSeries int `yaml:"maxSeries" json:"maxSeries"`
	// MaxSamples bounds it where senders export more often, or histograms whose buckets
	// are kept: these count as 5 to 15 samples each. Zero: 480 of each series, two hours
	// of 15-second exports.
	MaxSamples int `yaml:"maxSamples" json:"maxSamples"`

	// MaxOperations bounds what spans are counted for: operations of resources, of about
	// 200 bytes and 20 for each of 60 ticks. Further ones are counted together.
	MaxOperations int `yaml:"maxOperations" json:"maxOperations"`
	// TailSampled says that spans were chosen by how they ended, so that they tell no
	// rates.
	TailSampled bool `yaml:"tailSampled" json:"tailSampled,omitempty"`

	Redact []string `yaml:"redact" json:"redact,omitempty"` // patterns of what is hidden in lines, beside the built-in ones
}

// samplesEach is how many samples a series has in two hours of 15-second exports.
const samplesEach = 480

// DefaultConfig listens on loopback, on OTLP's own ports.
func DefaultConfig() Config {
	return Config{
		Name: "otlp", GRPC: "127.0.0.1:4317", HTTP: "127.0.0.1:4318",
		MaxBytes: 20 << 20, Retention: 2 * time.Hour, HistoryRetention: 24 * time.Hour, MaxSeries: 50_000, MaxSamples: samplesEach * 50_000, MaxOperations: 250_000,
	}
}

// Validate returns every fault of c, joined.
func (c Config) Validate() error {
	c = c.withDefaults()
	var errs []error
	for _, listen := range []struct{ key, address string }{{"grpc", c.GRPC}, {"http", c.HTTP}} {
		if listen.address == "" {
			continue
		}
		if _, _, err := net.SplitHostPort(listen.address); err != nil {
			errs = append(errs, fmt.Errorf("otlp: %s: %q is no address: %w", listen.key, listen.address, err))
		}
	}
	if c.GRPC != "" && c.GRPC == c.HTTP && !endsInZero(c.GRPC) {
		errs = append(errs, fmt.Errorf("otlp: grpc and http both listen on %s", c.GRPC))
	}
	if c.MaxBytes < 1<<10 || c.MaxBytes > 1<<30 {
		errs = append(errs, fmt.Errorf("otlp: maxBytes is %d (legal: 1 KiB to 1 GiB)", c.MaxBytes))
	}
	if c.Retention < 10*time.Minute {
		errs = append(errs, fmt.Errorf("otlp: retention is %v (at least 10m)", c.Retention))
	}
	if c.HistoryRetention < c.Retention {
		errs = append(errs, fmt.Errorf("otlp: historyRetention %v is shorter than retention %v", c.HistoryRetention, c.Retention))
	}
	if c.MaxSeries < 1 {
		errs = append(errs, fmt.Errorf("otlp: maxSeries is %d", c.MaxSeries))
	}
	if c.MaxSamples < c.MaxSeries {
		errs = append(errs, fmt.Errorf("otlp: maxSamples is %d (at least one of each of %d series)", c.MaxSamples, c.MaxSeries))
	}
	return errors.Join(errs...)
}

func (c Config) withDefaults() Config {
	d := DefaultConfig()
	if c.Name == "" {
		c.Name = d.Name
	}
	if c.MaxBytes == 0 {
		c.MaxBytes = d.MaxBytes
	}
	if c.Retention == 0 {
		c.Retention = d.Retention
	}
	if c.HistoryRetention == 0 {
		c.HistoryRetention = max(d.HistoryRetention, c.Retention)
	}
	if c.MaxSeries == 0 {
		c.MaxSeries = d.MaxSeries
	}
	if c.MaxOperations == 0 {
		c.MaxOperations = d.MaxOperations
	}
	if c.MaxSamples == 0 {
		c.MaxSamples = samplesEach * c.MaxSeries
	}
	return c
}

func endsInZero(address string) bool {
	_, port, err := net.SplitHostPort(address)
	return err == nil && port == "0"
}
