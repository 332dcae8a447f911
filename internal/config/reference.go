package config

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"
)

// maxSecret bounds what a ${file:...} reference reads.
const maxSecret = 64 << 10

var reference = regexp.MustCompile(`\$\{([^}]*)\}?`)

// resolve replaces the references in every text value below n: ${env:NAME} is
// the environment variable, ${file:path} the content of the file without the line
// break at its end, where a relative path starts at the folder of the process
// file. What they hold is not looked into again. Keys and policy files have no
// references.
func (d *document) resolve(n *yaml.Node, path string) {
	switch n.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			d.resolve(n.Content[i+1], join(path, n.Content[i].Value))
		}
	case yaml.SequenceNode:
		for i, item := range n.Content {
			d.resolve(item, at(path, i))
		}
	case yaml.ScalarNode:
		if n.ShortTag() != "!!str" || !strings.Contains(n.Value, "${") {
			return
		}
		original := n.Value
		value := reference.ReplaceAllStringFunc(original, func(ref string) string {
			s, err := d.lookUp(ref)
			if err != nil {
				d.reject(n, path, fmt.Sprintf("%s: %v", ref, err))
			}
			return s
		})
		n.SetString(value)
		// A resolved value is a text, whatever it looks like.
		n.Tag, n.Style = "!!str", yaml.DoubleQuotedStyle
		d.written[n] = original
		if d.references == nil {
			d.references = map[string]string{}
		}
		d.references[path] = original
	}
}

func (d *document) lookUp(ref string) (string, error) {
	kind, name, _ := strings.Cut(strings.TrimSuffix(strings.TrimPrefix(ref, "${"), "}"), ":")
	switch {
	case !strings.HasSuffix(ref, "}") || name == "" || kind != "env" && kind != "file":
		return "", fmt.Errorf("is no reference (legal: ${env:NAME}, ${file:path})")
	case kind == "env":
		value, set := os.LookupEnv(name)
		if !set {
			return "", fmt.Errorf("the environment variable is not set")
		}
		return value, nil
	}
	data, err := readFile(d.relative(name))
	if err != nil {
		return "", fmt.Errorf("%s", fileFault(name, err).Message)
	}
	if len(data) > maxSecret {
		return "", fmt.Errorf("is larger than %d bytes", maxSecret)
	}
	return strings.TrimRight(string(data), "\r\n"), nil
}

// relative returns a path of the file as seen from the working directory.
func (d *document) relative(path string) string {
	if path == "" || filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(filepath.Dir(d.file), path)
}
