package intaketest

import "strings"

// A node is one member of a JSON object: either a leaf, which is JSON text, or an
// object.
type node struct {
	name string
	leaf string
	of   []node
}

func (n node) value() string {
	if n.leaf != "" {
		return n.leaf
	}
	return object(n.of)
}

func (n node) member() string { return `"` + n.name + `":` + n.value() }

func object(nodes []node) string {
	members := make([]string, len(nodes))
	for i, n := range nodes {
		members[i] = n.member()
	}
	return "{" + strings.Join(members, ",") + "}"
}

func text(name, value string) node { return node{name: name, leaf: `"` + value + `"`} }

func (n node) isText() bool { return strings.HasPrefix(n.leaf, `"`) }

// walk calls visit with each member and its path.
func walk(nodes []node, at string, visit func(path string, n node)) {
	for _, n := range nodes {
		path := strings.TrimPrefix(at+"."+n.name, ".")
		visit(path, n)
		walk(n.of, path, visit)
	}
}

// with returns the object in which the member at path is written as change says:
// its name, colon and value, with whatever stands beside it; empty: left out.
func with(nodes []node, path string, change func(n node) string) string {
	name, rest, deeper := strings.Cut(path, ".")
	var members []string
	for _, n := range nodes {
		written := n.member()
		switch {
		case n.name != name:
		case deeper:
			written = `"` + n.name + `":` + with(n.of, rest, change)
		default:
			written = change(n)
		}
		if written != "" {
			members = append(members, written)
		}
	}
	return "{" + strings.Join(members, ",") + "}"
}
