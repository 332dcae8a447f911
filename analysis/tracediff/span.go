package tracediff

import "bytes"

// Kind is the side of a call that a span stands on, by OpenTelemetry's numbers.
type Kind int8

// The kinds of spans.
const (
	Unspecified Kind = iota
	Internal
	Server
	Client
	Producer
	Consumer
)

func (k Kind) String() string {
	return [...]string{"", "internal", "server", "client", "producer", "consumer"}[max(0, min(k, Consumer))]
}

// Serves reports whether a service does with it what it was asked for.
func (k Kind) Serves() bool { return k == Server || k == Consumer }

// Calls reports whether a service asks another one with it.
func (k Kind) Calls() bool { return k == Client || k == Producer }

// A Span is what is needed of one. Times are nanoseconds since the epoch.
type Span struct {
	ID, Parent [8]byte // Parent zero: a root
	Owner      int32   // which of the owners sent it
	Kind       Kind
	Failed     bool // error status
	Start, End int64
	Name       string
	Peer       string // whom it calls, as its attributes say (PeerOf); "": they do not
	Weight     uint64 // in units of 1/OneWeight; 0 is OneWeight
}

// An Owner is who sent spans: one process of one version of a service.
type Owner struct{ Service, Version string }

// lasted returns how long the span took, 0 if it ended before it began or did not say.
func (s *Span) lasted() int64 {
	if s.Start <= 0 || s.Start > s.End {
		return 0
	}
	return s.End - s.Start
}

// PeerRank returns how well an attribute names whom a span calls: 1 is best, 0 not at all
// (semantic conventions: the peer's service, messaging and RPC, databases, addresses).
func PeerRank(key []byte) int {
	if len(key) < len("db.name") || bytes.IndexByte(key, '.') < 0 {
		return 0
	}
	switch string(key) {
	case "service.peer.name":
		return 1
	case "peer.service":
		return 2
	case "messaging.destination.name":
		return 3
	case "messaging.destination":
		return 4
	case "rpc.service":
		return 5
	case "db.namespace":
		return 6
	case "db.name":
		return 7
	case "server.address":
		return 8
	case "net.peer.name":
		return 9
	case "http.host":
		return 10
	case "net.sock.peer.addr", "network.peer.address":
		return 11
	case "db.system.name":
		return 12
	case "db.system":
		return 13
	case "messaging.system":
		return 14
	}
	return 0
}
