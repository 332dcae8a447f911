package intake

import (
	"encoding/base64"
	"fmt"
	"maps"
	"mime"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// An envelope is a CloudEvent 1.0 without what it is wrapped in.
type envelope struct {
	attributes map[string]string
	data       []byte // JSON
	dataAt     string // what error paths of the data begin with
	slips      bool   // some name in the data may be misspelt (scan)
}

func (e envelope) source() string { return e.attributes["source"] }
func (e envelope) id() string     { return e.attributes["id"] }

// open reads the CloudEvent of a message, in binary or in structured mode. What it
// could read of the attributes is returned also beside a rejection, so that the
// dead letter can name the event.
func open(m Message, l Limits) (envelope, *Rejection) {
	size := len(m.Key) + len(m.Value)
	for _, h := range m.Headers {
		size += len(h.Key) + len(h.Value)
	}
	e := envelope{attributes: map[string]string{}, dataAt: "data"}
	if size > l.MaxBytes {
		return e, &Rejection{Reason: TooLarge, Detail: fmt.Sprintf("%d bytes, at most %d are allowed", size, l.MaxBytes)}
	}
	media := m.ContentType
	if media != "" && media != "application/json" {
		parsed, parameters, err := mime.ParseMediaType(media)
		if err != nil {
			return e, &Rejection{Reason: Malformed, Path: contentTypeHeader, Detail: "no media type: " + clip(media)}
		}
		if charset := parameters["charset"]; charset != "" && !strings.EqualFold(charset, "utf-8") {
			return e, &Rejection{Reason: Malformed, Path: contentTypeHeader, Detail: "charset " + clip(charset) + "; only UTF-8 is read"}
		}
		media = parsed
	}
	if rejection := e.readHeaders(m); rejection != nil {
		return e, rejection
	}
	var rejection *Rejection
	switch {
	case media == "application/cloudevents-batch+json":
		return e, &Rejection{Reason: Malformed, Path: contentTypeHeader, Detail: "batches of CloudEvents are not supported; send each event by itself"}
	case strings.HasPrefix(media, "application/cloudevents"):
		if media != "application/cloudevents+json" {
			return e, &Rejection{Reason: Malformed, Path: contentTypeHeader, Detail: clip(media) + "; of the structured formats only application/cloudevents+json is read"}
		}
		rejection = e.readStructured(m.Value, l)
	case len(e.attributes) == 0:
		return e, &Rejection{Reason: Malformed, Detail: "no CloudEvent: neither ce_ headers nor the content type application/cloudevents+json"}
	default:
		rejection = e.readBinary(m, media, l)
	}
	if rejection == nil {
		rejection = e.checkAttributes()
	}
	return e, rejection
}

// readHeaders collects the attributes that came as headers.
func (e *envelope) readHeaders(m Message) *Rejection {
	contentTypes := 0
	for _, h := range m.Headers {
		if h.Key == contentTypeHeader {
			if contentTypes++; contentTypes > 1 {
				return &Rejection{Reason: Malformed, Path: contentTypeHeader, Detail: "more than one"}
			}
		}
		name, ok := strings.CutPrefix(h.Key, attributePrefix)
		if !ok {
			continue
		}
		if !isAttributeName(name) {
			return &Rejection{Reason: Malformed, Path: clip(h.Key), Detail: "attribute names are lower-case letters and digits"}
		}
		if _, twice := e.attributes[name]; twice {
			return &Rejection{Reason: Malformed, Path: h.Key, Detail: "more than one"}
		}
		if err := checkText(string(h.Value), maxURL); err != nil {
			return &Rejection{Reason: Malformed, Path: h.Key, Detail: err.Error()}
		}
		e.attributes[name] = string(h.Value)
	}
	return nil
}

func isAttributeName(s string) bool {
	return s != "" && len(s) <= 64 && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789") == ""
}

func (e *envelope) readBinary(m Message, media string, l Limits) *Rejection {
	if !isJSON(media) {
		return &Rejection{Reason: Schema, Path: contentTypeHeader, Detail: clip(media) + "; the data of a CDEvent is application/json"}
	}
	if len(m.Value) == 0 {
		return &Rejection{Reason: Malformed, Path: "data", Detail: "none"}
	}
	e.data = m.Value
	var rejection *Rejection
	e.slips, rejection = scan(m.Value, e.dataAt, l)
	return rejection
}

func isJSON(media string) bool {
	return media == "" || media == "application/json" || strings.HasPrefix(media, "application/") && strings.HasSuffix(media, "+json")
}

// readStructured reads the JSON format. Attributes may be repeated as headers,
// but not with other values.
func (e *envelope) readStructured(value []byte, l Limits) *Rejection {
	var rejection *Rejection
	if e.slips, rejection = scan(value, "", l); rejection != nil {
		return rejection
	}
	var members map[string]jsontext.Value
	if err := json.Unmarshal(value, &members, scanned); err != nil {
		return semanticFault(err, "")
	}
	headers := e.attributes
	e.attributes = map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(members)) { // the first fault is always the same
		v := members[name]
		if name == "data" || name == "data_base64" || v.Kind() == 'n' {
			continue
		}
		if !isAttributeName(name) {
			return &Rejection{Reason: Malformed, Path: clip(name), Detail: "attribute names are lower-case letters and digits"}
		}
		var text string
		switch v.Kind() {
		case '"':
			if err := json.Unmarshal(v, &text, scanned); err != nil {
				return semanticFault(err, name)
			}
			if err := checkText(text, maxURL); err != nil {
				return &Rejection{Reason: Malformed, Path: name, Detail: err.Error()}
			}
		case 't', 'f', '0':
			text = string(v)
		default:
			return &Rejection{Reason: Malformed, Path: name, Detail: "an attribute is a string, a number or a boolean"}
		}
		e.attributes[name] = text
	}
	for _, name := range slices.Sorted(maps.Keys(headers)) {
		v := headers[name]
		if got, ok := e.attributes[name]; ok && got != v {
			return &Rejection{Reason: Malformed, Path: attributePrefix + name, Detail: "differs from the attribute in the value"}
		}
	}
	if media := e.attributes["datacontenttype"]; media != "" {
		parsed, _, err := mime.ParseMediaType(media)
		if err != nil || !isJSON(parsed) {
			return &Rejection{Reason: Schema, Path: "datacontenttype", Detail: clip(media) + "; the data of a CDEvent is application/json"}
		}
	}
	data, plain := members["data"]
	encoded, based := members["data_base64"]
	switch {
	case plain && based:
		return &Rejection{Reason: Malformed, Path: "data_base64", Detail: "there is data too"}
	case plain && data.Kind() == '{':
		e.data = data // scanned with the rest
		return nil
	case plain:
		return &Rejection{Reason: Malformed, Path: "data", Detail: "the value must be a JSON object, not " + kindName(data.Kind())}
	case based:
		e.dataAt = "data_base64"
		var text string
		if err := json.Unmarshal(encoded, &text, scanned); err != nil {
			return semanticFault(err, e.dataAt)
		}
		var err error
		if e.data, err = base64.StdEncoding.DecodeString(text); err != nil {
			return &Rejection{Reason: Malformed, Path: e.dataAt, Detail: err.Error()}
		}
		e.slips, rejection = scan(e.data, e.dataAt, l)
		return rejection
	}
	return &Rejection{Reason: Malformed, Path: "data", Detail: "none"}
}

func (e *envelope) checkAttributes() *Rejection {
	a := e.attributes
	if v := a["specversion"]; v != "1.0" {
		if v == "" {
			return &Rejection{Reason: Malformed, Path: "specversion", Detail: "missing"}
		}
		return &Rejection{Reason: UnsupportedSchema, Path: "specversion", Detail: fmt.Sprintf("CloudEvents %s; only 1.0 is read", clip(v))}
	}
	if err := checkID(a["id"]); err != nil {
		return &Rejection{Reason: Malformed, Path: "id", Detail: err.Error()}
	}
	source := a["source"]
	if source == "" {
		return &Rejection{Reason: Malformed, Path: "source", Detail: "missing"}
	}
	if err := checkText(source, maxSource); err != nil {
		return &Rejection{Reason: Malformed, Path: "source", Detail: err.Error()}
	}
	if a["type"] == "" {
		return &Rejection{Reason: Malformed, Path: "type", Detail: "missing"}
	}
	if v, ok := a["time"]; ok {
		if _, err := parseTime(v); err != nil {
			return &Rejection{Reason: Malformed, Path: "time", Detail: err.Error()}
		}
	}
	return nil
}

// parseTime reads RFC 3339 strictly; package time alone would take more. Years
// that cannot be kept as nanoseconds, or not be written again (9999-12-31 west of
// Greenwich is the year 10000 in UTC), are refused here, where it costs one event.
func parseTime(s string) (time.Time, error) {
	var t time.Time
	if err := t.UnmarshalText([]byte(s)); err != nil {
		return t, fmt.Errorf("%q is no instant (2026-11-23T10:00:00Z)", clip(s))
	}
	t = t.UTC()
	if y := t.Year(); y < 1970 || y > 2261 {
		return t, fmt.Errorf("%s is not between 1970 and 2261", clip(s))
	}
	return t, nil
}
