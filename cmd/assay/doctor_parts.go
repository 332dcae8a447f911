package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/release-assay/assay/internal/config"
	"github.com/release-assay/assay/internal/kafka"
	"github.com/release-assay/assay/sources/otlp"
	"github.com/release-assay/assay/verdicts"
)

const (
	doctorPatience = 10 * time.Second // with each part
	littleSpace    = 1 << 30          // bytes below which the disk is soon full
	workingSpace   = 128 << 20        // bytes without which nothing should be started
)

// lookAtServer asks whether the server runs, and what it says of its parts: it holds
// the lock of the store, so that nobody else can look.
func (d *doctor) lookAtServer(ctx context.Context) {
	p := part{Name: "server", Kind: embedded, Where: cmp.Or(d.server, "http://"+dialled(d.conf.Listeners.HTTP)), State: "not running"}
	defer func() { d.part(p) }()
	cl, err := newClient(p.Where)
	if err != nil {
		p.State = "no address"
		d.broken(exitUsage, p.Name, "%v", err)
		return
	}
	p.Where = cl.name
	ctx, cancel := context.WithTimeout(ctx, doctorPatience)
	defer cancel()
	body, status, err := cl.do(ctx, http.MethodGet, "/v1/status", nil, nil)
	switch {
	case errors.Is(err, syscall.ECONNREFUSED) && d.server == "":
		d.find(levelNote, p.Name, "assay serve does not run at %s: what is embedded is not asked", p.Where)
		return
	case err != nil && status == 0:
		p.State = "down"
		d.broken(exitInternal, p.Name, "%v", err)
		return
	}
	if err == nil {
		err = json.Unmarshal(body, &d.running)
	}
	if err != nil || d.running == nil || d.running.Version == "" {
		d.running, p.State = nil, "another program"
		d.broken(exitInternal, p.Name, "what answers at %s is not Assay: stop it, or let Assay listen elsewhere (listeners.http)", p.Where)
		return
	}
	p.State = "ok, version " + verdicts.Line(d.running.Version)
	if d.running.Version != version {
		d.find(levelNote, p.Name, "it runs version %s, this is %s", verdicts.Line(d.running.Version), version)
	}
}

// dialled is the address at which a listener is reached from this machine.
func dialled(listener string) string {
	host, port, err := net.SplitHostPort(listener)
	if ip := net.ParseIP(host); err == nil && (host == "" || ip != nil && ip.IsUnspecified()) {
		return net.JoinHostPort("127.0.0.1", port)
	}
	return listener
}

// told is what the running server says of a part, or what is said in its place.
func (d *doctor) told(name string) (p part, running bool) {
	if d.running == nil {
		return part{}, false
	}
	for _, p := range d.running.Parts {
		if p.Name == name {
			return p, true
		}
	}
	return part{State: "not part of the running server"}, true
}

// lookAtStore looks at the directory of the database, the spools and the bundles. It
// does not open the database.
func (d *doctor) lookAtStore(context.Context) {
	p := part{Name: "store", Kind: embedded, Where: databasePath(d.conf), State: "not running, not opened"}
	defer func() { d.part(p) }()
	if told, running := d.told(p.Name); running {
		p.State = told.State
		if told.State != "ok" {
			d.broken(exitInternal, p.Name, "the running server cannot use it: %s", verdicts.Line(told.State))
		}
	}
	for _, dir := range slices.Compact([]string{filepath.Dir(databasePath(d.conf)), d.conf.DataDir}) {
		if err := writable(dir); err != nil {
			p.State = "cannot be written"
			d.broken(exitInternal, p.Name, "the data directory cannot be used: %v (dataDir and store.path name another)", err)
			return
		}
	}
	dir := existing(d.conf.DataDir)
	free, err := freeSpace(dir)
	if err != nil {
		d.find(levelNote, p.Name, "how much space is left is not known: %v", err)
		return
	}
	p.State += fmt.Sprintf(", %s free", bytesText(free))
	switch reserve := uint64(d.conf.Store.ReserveMiB) << 20; {
	case free < workingSpace+reserve && d.running == nil:
		d.broken(exitInternal, p.Name, "%s are left on the disk of %s: make room", bytesText(free), dir)
	case free < littleSpace:
		d.find(levelWarning, p.Name, "%s are left on the disk of %s: bundles and spools need room, and events are refused when it is full", bytesText(free), dir)
	}
}

// existing is a directory, or the one above it in which the first start makes it.
func existing(dir string) string {
	for dir != filepath.Dir(dir) {
		if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
			break
		}
		dir = filepath.Dir(dir)
	}
	return dir
}

// writable tries to write into a directory, or to where it will be, and leaves nothing.
func writable(dir string) error {
	dir = existing(dir)
	if info, err := os.Stat(dir); err == nil && !info.IsDir() {
		return fmt.Errorf("%s is no directory", dir)
	}
	f, err := os.CreateTemp(dir, ".assay-doctor-*")
	if err != nil {
		return err
	}
	return errors.Join(f.Close(), os.Remove(f.Name()))
}

func bytesText(n uint64) string {
	if n >= 1<<30 {
		return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30))
	}
	return fmt.Sprintf("%d MiB", n>>20)
}

// lookAtKafka asks external brokers itself, the embedded one through the server.
func (d *doctor) lookAtKafka(ctx context.Context) {
	p := part{Name: "kafka", Kind: embedded, Where: d.conf.Listeners.Kafka, State: "not running"}
	defer func() { d.part(p) }()
	if d.conf.Kafka.Embedded() {
		if d.conf.Listeners.Kafka == config.Off {
			p.Kind, p.Where, p.State = notConfigured, "", "events come over HTTP only"
			return
		}
		told, running := d.told(p.Name)
		if !running {
			d.bindable(p.Name, p.Where, "listeners.kafka")
			return
		}
		p.State = told.State
		if told.State != "ok" {
			d.broken(exitInternal, p.Name, "the running server does not read events: %s", verdicts.Line(told.State))
		}
		return
	}
	p.Kind, p.Where, p.State = external, strings.Join(d.conf.Kafka.Brokers, ","), "down"
	c := kafkaConfig(d.conf.Kafka)
	if err := c.Validate(); err != nil {
		d.broken(exitUsage, p.Name, "%v", err)
		return
	}
	client, err := kafka.Connect(c)
	if err != nil {
		d.broken(exitUsage, p.Name, "%v", err)
		return
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(ctx, doctorPatience)
	defer cancel()
	missing, deviations, err := kafka.InspectTopics(ctx, client, topics(d.conf)...)
	if err != nil {
		d.broken(exitInternal, p.Name, "%s", verdicts.Plain(err.Error()))
		return
	}
	p.State = "ok"
	for _, name := range missing {
		d.find(levelNote, p.Name, "topic %s does not exist: assay serve creates it if the brokers let it", name)
	}
	for _, text := range deviations {
		d.find(levelWarning, p.Name, "%s", text)
	}
	if told, running := d.told(p.Name); running && told.State != "ok" {
		p.State = "ok; in the server: " + verdicts.Line(told.State)
		d.broken(exitInternal, p.Name, "the brokers answer, and the running server does not read events: %s", verdicts.Line(told.State))
	}
}

// bindable reports where another program has the address that the server needs.
func (d *doctor) bindable(about, address, setting string) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		d.broken(exitInternal, about, "assay serve could not listen on %s (%s): %v", address, setting, err)
		return
	}
	l.Close()
}

// lookAtOTLP looks at the receivers of pushed telemetry.
func (d *doctor) lookAtOTLP(context.Context) {
	p := part{Name: config.OTLPSource, Kind: embedded, State: "not running"}
	defer func() { d.part(p) }()
	var where []string
	for _, l := range []struct{ address, setting string }{
		{d.conf.Listeners.OTLP.GRPC, "listeners.otlp.grpc"}, {d.conf.Listeners.OTLP.HTTP, "listeners.otlp.http"},
	} {
		if l.address == config.Off {
			continue
		}
		where = append(where, l.address)
		if d.running == nil {
			d.bindable(p.Name, l.address, l.setting)
		}
	}
	p.Where = strings.Join(where, " ")
	if len(where) == 0 {
		p.Kind, p.State = notConfigured, "nothing is received"
	}
	told, running := d.told(p.Name)
	if !running || len(where) == 0 {
		return
	}
	p.State = told.State
	var stats otlp.Stats
	if detail, err := json.Marshal(told.Detail); err != nil || json.Unmarshal(detail, &stats) != nil {
		return // of another version
	}
	if stats.Services == 0 {
		d.find(levelWarning, p.Name, "no service has pushed telemetry yet: let them export OTLP to %s, with service.name, service.version and a pod or instance id", p.Where)
	}
}

// lookAtAccess says who may use what listens.
func (d *doctor) lookAtAccess(context.Context) {
	var open []string
	listeners := []string{d.conf.Listeners.HTTP, d.conf.Listeners.OTLP.GRPC, d.conf.Listeners.OTLP.HTTP}
	if d.conf.Kafka.Embedded() {
		listeners = append(listeners, d.conf.Listeners.Kafka)
	}
	for _, address := range listeners {
		host, _, err := net.SplitHostPort(address)
		if ip := net.ParseIP(host); err == nil && host != "localhost" && (ip == nil || !ip.IsLoopback()) {
			open = append(open, address)
		}
	}
	p := part{Name: "authentication", Kind: notConfigured, State: "loopback only"}
	if len(open) > 0 {
		p.State = "open to whoever reaches " + strings.Join(open, ", ")
		d.find(levelWarning, p.Name, "%s can be reached from other machines, and nobody is asked who he is: deployments can be told of, and cancelled, by anybody; listen on loopback behind a proxy that asks", strings.Join(open, ", "))
	}
	d.part(p)
}
