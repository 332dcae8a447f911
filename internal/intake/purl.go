package intake

import (
	"errors"
	"net/url"
	"strings"
)

// An artifact is what a package URL says of it.
type artifact struct {
	version string // the tag of an image, the version of any other package
	digest  string // algorithm:hex
}

var errPURL = errors.New("no package URL (pkg:oci/app@sha256%3A…?tag=1.5.0, pkg:generic/app@1.5.0)")

// parsePURL reads the parts of a package URL that tell versions:
// pkg:type/namespace/name@version?qualifiers#subpath.
func parsePURL(s string) (artifact, error) {
	rest, ok := strings.CutPrefix(s, "pkg:")
	if !ok {
		return artifact{}, errPURL
	}
	rest, _, _ = strings.Cut(rest, "#")
	rest, query, _ := strings.Cut(rest, "?")
	kind, path, ok := strings.Cut(strings.TrimLeft(rest, "/"), "/")
	if !ok || kind == "" || path == "" {
		return artifact{}, errPURL
	}
	// The version follows the last @ of the name; a scope like %40acme is escaped.
	name, version := path[strings.LastIndexByte(path, '/')+1:], ""
	if at := strings.LastIndexByte(name, '@'); at >= 0 {
		name, version = name[:at], name[at+1:]
	}
	if name == "" {
		return artifact{}, errPURL
	}
	version, err := url.PathUnescape(version)
	if err != nil {
		return artifact{}, errPURL
	}
	qualifiers, err := url.ParseQuery(query)
	if err != nil {
		return artifact{}, errPURL
	}
	var a artifact
	if isDigest(version) {
		a.digest = version
	} else {
		a.version = version
	}
	if tag := qualifiers.Get("tag"); tag != "" {
		a.version = tag
	}
	if a.digest == "" {
		for c := range strings.SplitSeq(qualifiers.Get("checksum"), ",") {
			if isDigest(c) {
				a.digest = c
				break
			}
		}
	}
	return a, nil
}

func isDigest(s string) bool {
	algorithm, hex, ok := strings.Cut(s, ":")
	if !ok || hex == "" || len(hex) > 128 {
		return false
	}
	switch algorithm {
	case "sha256", "sha384", "sha512":
	default:
		return false
	}
	return strings.Trim(hex, "0123456789abcdef") == ""
}

// makePURL is the inverse for what Assay emits.
func makePURL(service, version, digest string) string {
	if digest == "" {
		return "pkg:generic/" + url.PathEscape(service) + "@" + escapeVersion(version)
	}
	p := "pkg:oci/" + url.PathEscape(strings.ToLower(service)) + "@" + escapeVersion(digest)
	if version != "" && version != digest {
		p += "?tag=" + url.QueryEscape(version)
	}
	return p
}

// escapeVersion escapes what separates the parts of a package URL.
func escapeVersion(v string) string {
	return strings.NewReplacer(":", "%3A", "@", "%40").Replace(url.PathEscape(v))
}
