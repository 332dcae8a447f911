package config

import (
	"fmt"
	"regexp"

	"go.yaml.in/yaml/v3"
)

// header is what every object of a policy file begins with.
type header struct {
	APIVersion string   `yaml:"apiVersion" need:"true"`
	Kind       string   `yaml:"kind" need:"true"`
	Metadata   metadata `yaml:"metadata" need:"true"`
}

// metadata is what OpenSLO allows there; ReleaseValidation follows it.
type metadata struct {
	Name        string                `yaml:"name" need:"true"`
	DisplayName string                `yaml:"displayName"`
	Labels      map[string]labelValue `yaml:"labels"`
	Annotations map[string]string     `yaml:"annotations"`
}

// A labelValue is a text or a list of texts. Labels are for people; nothing here
// depends on them.
type labelValue []string

func (l *labelValue) decodeNode(d *document, n *yaml.Node, path string) {
	if n.Kind == yaml.SequenceNode {
		d.decode(n, path, (*[]string)(l))
		return
	}
	if s, ok := d.string(n, path); ok {
		*l = labelValue{s}
	}
}

var (
	objectName    = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`)
	attributeName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_./-]{0,254}$`)
)

func badName(name string) string {
	return fmt.Sprintf("%q is no name (at most 63 of a-z, 0-9 and -, beginning and ending with a letter or digit)", name)
}

// checkName reports a name that cannot be used in references, labels and URLs.
func (m metadata) checkName(d *document) {
	if !objectName.MatchString(m.Name) {
		d.fail("metadata.name", "%s", badName(m.Name))
	}
}

const (
	openSLO = "openslo/v1"
	ours    = "assay.dev/v1alpha1"
)

// An objectKind says what becomes of a document.
type objectKind struct{ apiVersion, name string }

var (
	kindDataSource = objectKind{openSLO, "DataSource"}
	kindService    = objectKind{openSLO, "Service"}
	kindSLI        = objectKind{openSLO, "SLI"}
	kindSLO        = objectKind{openSLO, "SLO"}
	kindValidation = objectKind{ours, "ReleaseValidation"}
)

// kindsRead become something.
var kindsRead = []objectKind{kindDataSource, kindService, kindSLI, kindSLO, kindValidation}

// kindsOfAlerting are about paging people, which Assay does not do. They are
// passed over, so that a folder of SLOs need not be taken apart; nothing that is
// judged depends on them.
var kindsOfAlerting = []objectKind{{openSLO, "AlertPolicy"}, {openSLO, "AlertCondition"}, {openSLO, "AlertNotificationTarget"}}

// kind reads the apiVersion and kind of a document, and returns whether the document
// is to be read. It reports what is not known; the rest of the document is then
// left alone.
func (d *document) kind() (objectKind, bool) {
	if d.root == nil {
		return objectKind{}, false
	}
	if d.root.Kind != yaml.MappingNode {
		d.reject(d.root, "", fmt.Sprintf("is %s, must be an object with apiVersion and kind", d.what(d.root)))
		return objectKind{}, false
	}
	var k objectKind
	for i := 0; i+1 < len(d.root.Content); i += 2 {
		switch value := d.root.Content[i+1]; d.root.Content[i].Value {
		case "apiVersion":
			k.apiVersion, d.places["apiVersion"] = value.Value, value
		case "kind":
			k.name, d.places["kind"] = value.Value, value
		}
	}
	var kinds []string
	for _, known := range kindsRead {
		if known.apiVersion == k.apiVersion {
			kinds = append(kinds, known.name)
		}
	}
	versions := []string{openSLO, ours}
	switch {
	case contains(kindsRead, k):
		return k, true
	case k.apiVersion == "":
		d.fail("apiVersion", "is required%s", legalList("", versions))
	case k.apiVersion != openSLO && k.apiVersion != ours:
		d.fail("apiVersion", "%q is not known to this version%s", k.apiVersion, legalList(k.apiVersion, versions))
	case k.name == "":
		d.fail("kind", "is required%s", legalList("", kinds))
	case contains(kindsOfAlerting, k):
	default:
		d.fail("kind", "unknown kind %q%s", k.name, legalList(k.name, kinds))
	}
	return k, false
}

func contains(kinds []objectKind, k objectKind) bool {
	for _, other := range kinds {
		if other == k {
			return true
		}
	}
	return false
}
