package intake

import (
	"fmt"
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

// kindOf returns the type without its version, and whether it is one that is read.
func kindOf(t string) (kind string, known bool, rejection *Rejection) {
	kind, major, minor, ok := splitType(t)
	if !ok {
		return "", false, &Rejection{
			Reason: Schema, Path: "type",
			Detail: fmt.Sprintf("%q is no type of CDEvents (dev.cdevents.service.deployed.0.3.0)", clip(t)),
		}
	}
	read, known := versions[kind]
	if known && !read[[2]int{major, minor}] {
		return kind, true, &Rejection{Reason: UnsupportedSchema, Path: "type", Detail: fmt.Sprintf("version %d.%d of %s is not known to this program", major, minor, kind)}
	}
	return kind, known, nil
}

// splitType takes dev.cdevents.<subject>.<predicate>.<major>.<minor>.<patch> apart;
// the last may have a pre-release behind it.
func splitType(t string) (kind string, major, minor int, ok bool) {
	parts := strings.SplitN(t, ".", 7)
	if len(t) > maxID || len(parts) < 7 || parts[0] != "dev" || parts[1] != "cdevents" && parts[1] != "cdeventsx" {
		return "", 0, 0, false
	}
	for _, word := range parts[2:4] {
		if word == "" || strings.Trim(word, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
			return "", 0, 0, false
		}
	}
	patch, pre, hasPre := strings.Cut(parts[6], "-")
	if hasPre && checkName(pre, ".-") != nil {
		return "", 0, 0, false
	}
	var numbers [3]int
	for i, text := range []string{parts[4], parts[5], patch} {
		n, err := strconv.ParseUint(text, 10, 16)
		if err != nil || len(text) > 1 && text[0] == '0' {
			return "", 0, 0, false
		}
		numbers[i] = int(n)
	}
	return t[:len(t)-len(parts[4])-len(parts[5])-len(parts[6])-3], numbers[0], numbers[1], true
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
	if rejection := newer(c.Context.SpecVersion+c.Context.Version, e); rejection != nil { // one of them is empty
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
	if v, given := a["time"]; given && v != c.Context.Timestamp {
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

// newerSpec looks for another major version of CDEvents in data that could not be
// read.
func newerSpec(e envelope) *Rejection {
	var peek struct {
		Context struct {
			SpecVersion string `json:"specversion"`
			Version     string `json:"version"`
		} `json:"context"`
	}
	if json.Unmarshal(e.data, &peek, scanned) != nil {
		return nil
	}
	return newer(peek.Context.SpecVersion+peek.Context.Version, e)
}

// newer refuses another major version than 0, which is all there is so far.
func newer(version string, e envelope) *Rejection {
	if major, _, _ := strings.Cut(version, "."); version == "" || major == "0" {
		return nil
	}
	return &Rejection{Reason: UnsupportedSchema, Path: e.dataAt + ".context.specversion", Detail: fmt.Sprintf("CDEvents %s; only 0.x is known to this program", clip(version))}
}
