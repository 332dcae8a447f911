package intake

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// The types that say something of a deployment. The version of a type follows it.
const (
	typeDeployed   = "dev.cdevents.service.deployed"
	typeUpgraded   = "dev.cdevents.service.upgraded"
	typeRolledBack = "dev.cdevents.service.rolledback"
	typeStep       = "dev.cdeventsx.assay-deployment.step"
)

// stepVersion is the version of our own step event.
const stepVersion = "0.1.0"

// versions are the major and minor versions of each type that are read.
var versions = map[string]map[[2]int]bool{
	typeDeployed:   {{0, 1}: true, {0, 2}: true, {0, 3}: true},
	typeUpgraded:   {{0, 1}: true, {0, 2}: true, {0, 3}: true},
	typeRolledBack: {{0, 1}: true, {0, 2}: true, {0, 3}: true},
	typeStep:       {{0, 1}: true},
}

var typePattern = regexp.MustCompile(`^(dev\.cdeventsx?\.[a-z0-9-]+\.[a-z0-9-]+)\.(0|[1-9][0-9]{0,4})\.(0|[1-9][0-9]{0,4})\.(0|[1-9][0-9]{0,4})(-[0-9A-Za-z.-]{1,32})?$`)

// kindOf returns the type without its version, and whether it is one that is read.
func kindOf(t string) (kind string, known bool, rejection *Rejection) {
	m := typePattern.FindStringSubmatch(t)
	if len(t) > maxID || m == nil {
		return "", false, &Rejection{
			Reason: Schema, Path: "type",
			Detail: fmt.Sprintf("%q is no type of CDEvents (dev.cdevents.service.deployed.0.3.0)", clip(t)),
		}
	}
	read, known := versions[m[1]]
	if !known {
		return m[1], false, nil
	}
	major, _ := strconv.Atoi(m[2]) // digits, few enough
	minor, _ := strconv.Atoi(m[3])
	if !read[[2]int{major, minor}] {
		return m[1], true, &Rejection{Reason: UnsupportedSchema, Path: "type", Detail: fmt.Sprintf("version %d.%d of %s is not known to this program", major, minor, m[1])}
	}
	return m[1], true, nil
}

// A cdEvent is the data of a CDEvent. Its objects are closed, but for customData.
type cdEvent struct {
	Context struct {
		SpecVersion string           `json:"specversion"`
		Version     string           `json:"version"` // the same, in types before 0.3
		ID          string           `json:"id"`
		ChainID     string           `json:"chainId"`
		Source      string           `json:"source"`
		Type        string           `json:"type"`
		Timestamp   string           `json:"timestamp"`
		SchemaURI   string           `json:"schemaUri"`
		Links       []jsontext.Value `json:"links"`
	} `json:"context"`
	Subject struct {
		ID      string         `json:"id"`
		Source  string         `json:"source"`
		Type    string         `json:"type"` // in types before 0.3
		Content jsontext.Value `json:"content"`
	} `json:"subject"`
	CustomData            jsontext.Value `json:"customData"`
	CustomDataContentType string         `json:"customDataContentType"`
}

// serviceContent is the content of service.deployed, upgraded and rolledback, and
// of our step event.
type serviceContent struct {
	Environment struct {
		ID     string `json:"id"`
		Source string `json:"source"`
	} `json:"environment"`
	ArtifactID string `json:"artifactId"`
}

// readCDEvent decodes the data and holds it against the attributes.
func readCDEvent(e envelope) (cdEvent, *Rejection) {
	var c cdEvent
	if rejection := decode(e.data, &c, e.dataAt); rejection != nil {
		if newer := newerSpec(e); newer != nil {
			return c, newer // which is why it has members that are not known
		}
		return c, rejection
	}
	if rejection := newerSpec(e); rejection != nil {
		return c, rejection
	}
	schema := func(path, format string, args ...any) *Rejection {
		return &Rejection{Reason: Schema, Path: e.dataAt + "." + path, Detail: fmt.Sprintf(format, args...)}
	}
	if (c.Context.SpecVersion == "") == (c.Context.Version == "") {
		return c, schema("context.specversion", "missing (or given twice, as version too)")
	}
	// One event has one name: whoever trusts the headers must not see another event
	// than who trusts the data.
	a := e.attributes
	for _, pair := range []struct{ attribute, got, path string }{
		{"id", c.Context.ID, "context.id"}, {"source", c.Context.Source, "context.source"}, {"type", c.Context.Type, "context.type"},
	} {
		if pair.got != a[pair.attribute] {
			return c, schema(pair.path, "%q, but the CloudEvent's %s is %q", clip(pair.got), pair.attribute, clip(a[pair.attribute]))
		}
	}
	if subject, given := a["subject"]; given && subject != c.Subject.ID {
		return c, schema("subject.id", "%q, but the CloudEvent's subject is %q", clip(c.Subject.ID), clip(subject))
	}
	at, err := parseTime(c.Context.Timestamp)
	if err != nil {
		return c, schema("context.timestamp", "%v", err)
	}
	if v, given := a["time"]; given {
		if claimed, err := parseTime(v); err != nil || !claimed.Equal(at) {
			return c, schema("context.timestamp", "%s, but the CloudEvent's time is %s", c.Context.Timestamp, clip(v))
		}
	}
	for _, text := range []struct{ path, value string }{
		{"context.chainId", c.Context.ChainID}, {"context.schemaUri", c.Context.SchemaURI}, {"subject.source", c.Subject.Source},
	} {
		if err := checkText(text.value, maxSource); err != nil {
			return c, schema(text.path, "%v", err)
		}
	}
	return c, nil
}

// newerSpec refuses another major version of CDEvents than 0, which is all there
// is so far.
func newerSpec(e envelope) *Rejection {
	var peek struct {
		Context struct {
			SpecVersion string `json:"specversion"`
			Version     string `json:"version"`
		} `json:"context"`
	}
	if json.Unmarshal(e.data, &peek) != nil {
		return nil
	}
	v := peek.Context.SpecVersion + peek.Context.Version // one of them
	if major, _, _ := strings.Cut(v, "."); v != "" && major != "0" {
		return &Rejection{Reason: UnsupportedSchema, Path: e.dataAt + ".context.specversion", Detail: fmt.Sprintf("CDEvents %s; only 0.x is known to this program", clip(v))}
	}
	return nil
}

// contentHash names the content of an event. Its core attributes equal members of
// the data (readCDEvent), so the data in canonical form (RFC 8785) says it all;
// what bridges add on the way, like traceparent, is no content.
func contentHash(data []byte) (string, error) {
	canonical := jsontext.Value(bytes.Clone(data))
	if err := canonical.Canonicalize(); err != nil {
		return "", err
	}
	sum := sha256.Sum256(canonical)
	return hex.EncodeToString(sum[:]), nil
}
