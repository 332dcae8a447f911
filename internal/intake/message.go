package intake

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/internal/store"
)

// A Message is a deployment event as it arrived, from Kafka or over HTTP. Its
// headers are named as on Kafka: attributes of a CloudEvent in binary mode are
// "ce_<name>".
type Message struct {
	Headers     []store.Header
	Key         []byte
	Value       []byte // nil: a tombstone
	ContentType string
}

const (
	attributePrefix   = "ce_"
	contentTypeHeader = "content-type"
)

// FromKafka returns the message of a record.
func FromKafka(headers []store.Header, key, value []byte) Message {
	m := Message{Headers: headers, Key: key, Value: value}
	for _, h := range headers {
		if h.Key == contentTypeHeader {
			m.ContentType = string(h.Value)
		}
	}
	return m
}

// FromHTTP returns the message of a request. Of its headers those of the CloudEvent
// and of its trace are kept, in alphabetical order; the others concern the
// connection, or are secrets.
func FromHTTP(header http.Header, body []byte) Message {
	m := Message{Value: body, ContentType: header.Get("Content-Type")}
	names := make([]string, 0, len(header))
	for name := range header {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		lower := strings.ToLower(name)
		attribute, isAttribute := strings.CutPrefix(lower, "ce-")
		switch {
		case isAttribute:
			lower = attributePrefix + attribute
		case lower != contentTypeHeader && lower != "traceparent" && lower != "tracestate":
			continue
		}
		for _, v := range header[name] { // more than one is for Decode to refuse
			if isAttribute {
				v = unescape(v)
			}
			m.Headers = append(m.Headers, store.Header{Key: lower, Value: []byte(v)})
		}
	}
	return m
}

// unescape undoes the percent-encoding of the HTTP binding. What is no encoding
// stays as it is: a bare percent sign is legal there.
func unescape(v string) string {
	if s, err := url.PathUnescape(v); err == nil {
		return s
	}
	return v
}

// Limits bound what one event may be.
type Limits struct {
	MaxBytes      int // key, value and headers together
	MaxDepth      int // nesting of its JSON
	MaxMembers    int // object members of its JSON, all together
	MaxLabels     int // of labels, and of each selector
	MaxLabelBytes int // of a key, and of a value
}

// DefaultLimits are those of the contract (contracts 1.4, reliability F8).
func DefaultLimits() Limits {
	return Limits{MaxBytes: 256 << 10, MaxDepth: 32, MaxMembers: 4096, MaxLabels: 32, MaxLabelBytes: 128}
}

// A Reason is why an event was refused. The words are stable.
type Reason string

const (
	Malformed         Reason = "malformed"          // no CloudEvent, no JSON, or two readers could read it in two ways
	Schema            Reason = "schema"             // well-formed, but not what the contract says
	UnsupportedSchema Reason = "unsupported_schema" // of a version that this program does not know: replay it after the upgrade
	Conflict          Reason = store.ReasonConflict // another event of that name was first (decided by the store)
	Orphan            Reason = "orphan"             // its deployment never came (decided by the validation runner)
	Unauthorised      Reason = "unauthorised"       // signed by nobody who may (decided by policy)
	Quarantined       Reason = "quarantined"        // must not be trusted as it came: transactions, instants out of range
	TooLarge          Reason = "too_large"
	Poison            Reason = "poison" // made the decoder panic
)

// A Rejection says why an event was refused, and where in it the fault is.
type Rejection struct {
	Reason Reason
	Path   string // of the fault: data.customData.assay.step.weight, ce_id; empty: all of it
	Detail string // for people
	// Of the CloudEvent, where they could be read.
	EventSource, EventID string
	// DeploymentID is what an event of an unsupported schema says of its deployment,
	// where it can be read: its sender asks by it.
	DeploymentID analysis.DeploymentID
}

func (r *Rejection) Error() string {
	if r.Path == "" {
		return r.Detail
	}
	return r.Path + ": " + r.Detail
}

// An Outcome says what became of a message that was not refused. The zero value
// is invalid.
type Outcome uint8

const (
	Accepted Outcome = iota + 1 // a deployment event
	Ignored                     // a valid event of a type that says nothing of deployments
)

// A Decoded is an event that was understood.
type Decoded struct {
	Outcome     Outcome
	Type        string         // of the CloudEvent
	Event       analysis.Event // when Accepted
	ContentHash string         // hex; equal for the binary and the structured form of one event
}
