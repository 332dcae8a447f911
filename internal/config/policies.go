package config

import (
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"github.com/release-assay/assay/analysis"
)

// Policies are the policies of a process: those of its files, and the built-in
// plan for every release that none of them matches. They do not change once
// loaded, and may be used from several goroutines.
type Policies struct {
	BuiltIn analysis.Policy
	// Sources are those of the process file and those that DataSource objects define.
	Sources  Sources
	policies []policy // by name
	slos     map[string]*slo
}

// LoadPolicies reads the policy files that c.Policies names. A directory stands
// for every .yaml and .yml file below it, without those whose name, or whose
// folder's name, begins with a dot. References between objects may cross files.
func (c Config) LoadPolicies() (Policies, error) {
	files, faults := listFiles(c.Policies)
	var docs []*document
	for _, name := range files {
		data, err := readFile(name)
		if err != nil {
			faults = append(faults, fileFault(name, err))
			continue
		}
		docs = append(docs, parseDocuments(name, data)...)
	}
	return readPolicies(docs, &set{sources: maps.Clone(c.Sources), builtIn: c.BuiltIn.Source}, faults)
}

// listFiles returns the files that paths stand for, each once, sorted.
func listFiles(paths []string) ([]string, Faults) {
	var faults Faults
	seen := map[string]bool{}
	for _, root := range paths {
		info, err := os.Stat(root)
		if err != nil {
			faults = append(faults, fileFault(root, err))
			continue
		}
		if !info.IsDir() {
			seen[filepath.Clean(root)] = true
			continue
		}
		found := 0
		// The slash follows a link to a directory, as a mounted ConfigMap has.
		err = filepath.WalkDir(root+string(filepath.Separator), func(name string, entry fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case strings.HasPrefix(entry.Name(), ".") && filepath.Clean(name) != filepath.Clean(root):
				if entry.IsDir() {
					return filepath.SkipDir
				}
			case !entry.IsDir() && (filepath.Ext(name) == ".yaml" || filepath.Ext(name) == ".yml"):
				seen[filepath.Clean(name)] = true
				found++
			}
			return nil
		})
		if err != nil {
			faults = append(faults, fileFault(root, err))
		} else if found == 0 {
			faults = append(faults, Fault{File: root, Message: "holds no .yaml or .yml file"})
		}
	}
	files := make([]string, 0, len(seen))
	for name := range seen {
		files = append(files, name)
	}
	sort.Strings(files)
	return files, faults
}

// A set is what the objects of the policy files may refer to.
type set struct {
	sources Sources // a DataSource of what is pushed is there under its own name
	builtIn string  // source of built-in signals where an objective names none
	slis    map[string]*sli
	slos    map[string]*slo
	// Where each was defined:
	dataSources, services map[string]string
}

// readPolicies reads a set of documents: first the DataSources and Services, then
// the SLIs, then the SLOs that refer to all of these, then the ReleaseValidations
// that refer to those.
func readPolicies(docs []*document, s *set, faults Faults) (Policies, error) {
	s.slis, s.slos = map[string]*sli{}, map[string]*slo{}
	s.dataSources, s.services = map[string]string{}, map[string]string{}
	byKind := map[objectKind][]*document{}
	for _, d := range docs {
		if k, read := d.kind(); read {
			byKind[k] = append(byKind[k], d)
		}
	}
	for _, d := range byKind[kindDataSource] {
		readDataSource(d, s)
	}
	for _, d := range byKind[kindService] {
		readService(d, s)
	}
	for _, d := range byKind[kindSLI] {
		name, read := readSLI(d, s)
		if first := s.slis[name]; first != nil {
			d.fail("metadata.name", "an SLI is called %q already: %s", name, first.where)
			continue
		}
		s.slis[name] = read
	}
	for _, d := range byKind[kindSLO] {
		name, read := readSLO(d, s)
		if first := s.slos[name]; first != nil {
			d.fail("metadata.name", "an SLO is called %q already: %s", name, first.where)
			continue
		}
		s.slos[name] = read
	}
	p := Policies{BuiltIn: withStreams(BuiltinPolicy(s.builtIn)), Sources: s.sources.opened(), slos: s.slos}
	for _, d := range byKind[kindValidation] {
		p.add(d, readValidation(d, s))
	}
	sort.Slice(p.policies, func(i, j int) bool { return p.policies[i].Name < p.policies[j].Name })
	for _, d := range docs {
		faults = append(faults, d.faults...)
	}
	if err := faults.err(); err != nil {
		return Policies{}, err
	}
	return p, nil
}

// add takes a policy in, unless it cannot be told from one that is there.
func (p *Policies) add(d *document, added policy) {
	for _, other := range p.policies {
		if other.Name == added.Name {
			d.fail("metadata.name", "a ReleaseValidation is called %q already: %s", added.Name, other.where)
			continue
		}
		if where, tie := added.ambiguous(other.match); tie {
			d.fail("spec.match", "matches the same releases as %s (%s), equally specifically: %s; let one of them say more", other.Name, other.where, where)
		}
	}
	p.policies = append(p.policies, added)
}

// For returns the policy of a release: the one called policyRef if that is not
// empty, else the most specific that matches (service before environment before
// namespace; a spelled-out name before a pattern, a longer pattern before a
// shorter), else the built-in plan. It reports whether a policy was named or
// matched. A policyRef that names nothing yields a policy with that name and no
// objectives, which no release can be promoted or rolled back by: the release must
// not be judged by another policy than the one it asked for.
func (p Policies) For(release analysis.Release, policyRef string) (analysis.Policy, bool) {
	if policyRef == BuiltinPolicyName {
		return p.BuiltIn, true
	}
	if policyRef != "" {
		for _, candidate := range p.policies {
			if candidate.Name == policyRef {
				return candidate.Policy, true
			}
		}
		unknown := p.BuiltIn
		unknown.Name, unknown.Objectives, unknown.BuiltIn = policyRef, nil, false
		unknown.Logs, unknown.Traces = nil, nil
		return unknown, false
	}
	best, found, highest := p.BuiltIn, false, rank{}
	for _, candidate := range p.policies {
		if r, ok := candidate.rankFor(release); ok && (!found || highest.below(r)) {
			best, found, highest = candidate.Policy, true, r
		}
	}
	return best, found
}

// All returns the policies of the files, by name. The built-in plan is not among
// them.
func (p Policies) All() []analysis.Policy {
	out := make([]analysis.Policy, len(p.policies))
	for i, read := range p.policies {
		out[i] = read.Policy
	}
	return out
}

// names returns the keys of a map, for lists of legal values.
func names[T any](m map[string]T) []string {
	out := make([]string, 0, len(m))
	for name := range m {
		out = append(out, name)
	}
	return out
}
