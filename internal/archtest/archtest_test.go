package archtest

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

func TestHouse(t *testing.T) {
	tree, err := load(root(t))
	if err != nil {
		t.Fatal(err)
	}
	if len(tree) == 0 {
		t.Fatal("no source was found")
	}
	found := check(tree)
	for _, v := range lift(found, exceptions) {
		t.Error(v)
	}
	for _, v := range checkTables(tree, found) {
		t.Error(v)
	}
}

// TestGoMod looks at what imports cannot show: the module graph of the program holds no AGPL module.
func TestGoMod(t *testing.T) {
	gomod, err := os.ReadFile(filepath.Join(root(t), "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range checkGoMod(string(gomod)) {
		t.Error(v)
	}
}

// file is one parsed source file.
type file struct {
	name string // path relative to the root, with slashes
	pkg  string // its directory: the package path relative to the module
	test bool
	fset *token.FileSet
	ast  *ast.File
}

func parse(name string, src any) (file, error) {
	fset := token.NewFileSet()
	tree, err := parser.ParseFile(fset, name, src, parser.ParseComments|parser.SkipObjectResolution)
	return file{name: name, pkg: path.Dir(name), test: strings.HasSuffix(name, "_test.go"), fset: fset, ast: tree}, err
}

// load parses all Go files below root, apart from corpora, hidden directories and nested modules.
func load(root string) (tree []file, err error) {
	err = filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil || name == root {
			return err
		}
		if d.IsDir() {
			base := d.Name()
			_, nested := os.Stat(filepath.Join(name, "go.mod"))
			if base == "testdata" || base == "vendor" || strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_") || nested == nil {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") {
			return nil
		}
		src, err := os.ReadFile(name)
		if errors.Is(err, fs.ErrNotExist) {
			return nil // an editor's temporary file
		}
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		f, err := parse(filepath.ToSlash(relative), src)
		tree = append(tree, f)
		return err
	})
	return tree, err
}

func root(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// violation is one broken rule at one place of a package.
type violation struct{ rule, pkg, place, what, reason string }

func (v violation) String() string {
	return fmt.Sprintf("%s: [%s] %s: %s", v.place, v.rule, v.what, v.reason)
}

// at returns a place in the file as file:line.
func (f file) at(pos token.Pos) string {
	return fmt.Sprintf("%s:%d", f.name, f.fset.Position(pos).Line)
}

// check returns every violation in the files, in their order and whether excepted or not.
func check(tree []file) (found []violation) {
	for _, f := range tree {
		report := func(rule string, pos token.Pos, what, reason string) {
			found = append(found, violation{rule, f.pkg, f.at(pos), what, reason})
		}
		checkImports(f, report)
		checkNames(f, report)
		if !f.test {
			checkUses(f, report)
			checkGoroutines(f, report)
		}
	}
	return append(found, checkComments(tree)...)
}

type reporter func(rule string, pos token.Pos, what, reason string)

// lift returns the violations that no exception covers.
func lift(found []violation, exceptions []exception) []violation {
	return slices.DeleteFunc(slices.Clone(found), func(v violation) bool {
		return slices.ContainsFunc(exceptions, func(e exception) bool { return e.lifts(v) })
	})
}

func (e exception) lifts(v violation) bool { return e.rule == v.rule && covers(e.pattern, v.pkg) }

// checkImports holds a file's import declarations against rooms, testOnly, imports and gonum.
func checkImports(f file, report reporter) {
	from, known := roomOf(f.pkg)
	if !known {
		report("room", f.ast.Package, "package "+f.pkg+" has no row in the table of rooms", "every package has a place in the house: add one to rules_test.go")
	}
	for _, spec := range f.ast.Imports {
		target, _ := strconv.Unquote(spec.Path.Value)
		what := f.pkg + " imports " + strings.TrimPrefix(target, module+"/")
		if spec.Name != nil && spec.Name.Name == "." {
			report("dot", spec.Pos(), what+" with a dot", "a reader, and this test, must see where a name comes from")
		}
		for _, ban := range imports {
			if within(target, ban.path) && (!f.test || ban.inTests) && ban.where(f.pkg) && !slices.ContainsFunc(ban.except, func(e string) bool { return within(target, e) }) {
				report("import", spec.Pos(), what, ban.reason)
			}
		}
		own, isOwn := strings.CutPrefix(target, module+"/")
		if !isOwn {
			if foreign := strings.Contains(strings.SplitN(target, "/", 2)[0], "."); foreign && !f.test && within(f.pkg, "analysis/stats") && !within(target, gonum) {
				report("kernel", spec.Pos(), what, from.reason)
			}
			continue
		}
		for _, only := range testOnly {
			if within(own, only.pattern) && !f.test && !within(f.pkg, only.pattern) && f.pkg != realServers {
				report("testonly", spec.Pos(), what+" outside tests", only.reason)
			}
		}
		if within(own, "testdata/backends") {
			if f.test && !within(f.pkg, realServers) {
				report("realservers", spec.Pos(), what, "tests against real servers live in "+realServers+", so that all others run without them")
			}
			continue
		}
		if known && !f.test && !from.allows(f.pkg, own) {
			report("edge", spec.Pos(), what, from.reason)
		}
	}
}

// checkUses looks for forbidden names of imported packages.
func checkUses(f file, report reporter) {
	imported := importNames(f)
	ast.Inspect(f.ast, func(n ast.Node) bool {
		sel, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		ident, ok := sel.X.(*ast.Ident)
		if !ok {
			return true
		}
		from, name := imported[ident.Name], sel.Sel.Name
		for _, ban := range uses {
			if from == ban.path && slices.Contains(ban.names, name) && ban.where(f.pkg) {
				report(ban.rule, sel.Pos(), f.pkg+" uses "+path.Base(ban.path)+"."+name, ban.reason)
			}
		}
		if from == "math/rand/v2" && pure(f.pkg) && !slices.Contains(seeded, name) {
			report("random", sel.Pos(), f.pkg+" uses rand."+name, "randomness is seeded by the plan, not by the process")
		}
		return true
	})
}

// checkGoroutines looks for go statements and for methods that are go statements in disguise: Go of an errgroup, or of a
// sync.WaitGroup.
func checkGoroutines(f file, report reporter) {
	if slices.ContainsFunc(startsGoroutines, func(r string) bool { return within(f.pkg, r) }) {
		return
	}
	const reason = "only cmd, internal/validation and internal/gather start goroutines: offer a blocking Run, or give a reason in exceptions"
	ast.Inspect(f.ast, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt:
			report("goroutine", n.Pos(), f.pkg+" starts a goroutine", reason)
		case *ast.CallExpr:
			if sel, ok := n.Fun.(*ast.SelectorExpr); ok && (sel.Sel.Name == "Go" || sel.Sel.Name == "TryGo") && len(n.Args) == 1 {
				report("goroutine", n.Pos(), f.pkg+" starts a goroutine through "+sel.Sel.Name, reason)
			}
		}
		return true
	})
}

func checkNames(f file, report reporter) {
	name := strings.TrimSuffix(f.ast.Name.Name, "_test")
	for _, word := range []string{name, path.Base(f.pkg)} {
		if slices.Contains(vague, strings.TrimSuffix(word, "s")) || slices.Contains(vague, word) {
			report("name", f.ast.Name.Pos(), "package "+f.pkg+" is called "+word, "a package is named after what it holds; such a name holds anything")
			return
		}
	}
}

// checkComments wants a package comment in one file of each package. Test files count for packages that have no others.
func checkComments(tree []file) (found []violation) {
	type state struct {
		first     file
		commented bool
	}
	packages := map[string]*state{}
	var order []string
	for _, tests := range []bool{false, true} {
		for _, f := range tree {
			if f.test != tests {
				continue
			}
			s := packages[f.pkg]
			if s == nil {
				s = &state{first: f}
				packages[f.pkg] = s
				order = append(order, f.pkg)
			}
			if f.test == s.first.test && f.ast.Doc.Text() != "" {
				s.commented = true
			}
		}
	}
	for _, pkg := range order {
		if s := packages[pkg]; !s.commented {
			found = append(found, violation{
				"comment", pkg, s.first.at(s.first.ast.Package),
				"package " + pkg + " has no package comment", "a package tells its story, and what it does not do",
			})
		}
	}
	return found
}

// checkTables wants every row of the tables to be about something that exists; found is what check said of the tree.
func checkTables(tree []file, found []violation) (stale []violation) {
	tables := map[string]string{"notyet": "notYet", "gone": "rooms", "exception": "exceptions"}
	report := func(rule, row, what, reason string) {
		stale = append(stale, violation{rule, "internal/archtest", rowAt(tree, tables[rule], row), what, reason})
	}
	for _, r := range rooms {
		built := slices.ContainsFunc(tree, func(f file) bool { own, _ := roomOf(f.pkg); return own.pattern == r.pattern })
		switch later := slices.Contains(notYet, r.pattern); {
		case later && built:
			report("notyet", r.pattern, "room "+r.pattern+" is built", "take it off the list notYet")
		case !later && !built:
			report("gone", r.pattern, "room "+r.pattern+" does not exist", "remove its row, or rename it along with the package, so that the rule stays in force")
		}
		for _, to := range r.mayImport {
			if to != everything && !isRoom(to) {
				report("gone", to, "room "+r.pattern+" may import "+to+", which is no room", "the table names rooms by their patterns")
			}
		}
	}
	for _, pattern := range notYet {
		if !isRoom(pattern) {
			report("notyet", pattern, pattern+" is on the list notYet but is no room", "take it off")
		}
	}
	for _, e := range exceptions {
		if !slices.ContainsFunc(found, e.lifts) {
			report("exception", e.pattern, "the exception of "+e.pattern+" from rule "+e.rule+" lifts nothing", "remove it")
		}
	}
	return stale
}

func isRoom(pattern string) bool {
	return slices.ContainsFunc(rooms, func(r room) bool { return r.pattern == pattern })
}

// rowAt returns where a table of rules_test.go first names a pattern.
func rowAt(tree []file, table, pattern string) string {
	const rules = "internal/archtest/rules_test.go"
	place := rules + ":1"
	i := slices.IndexFunc(tree, func(f file) bool { return f.name == rules })
	if i < 0 {
		return place
	}
	found := false
	ast.Inspect(tree[i].ast, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncDecl:
			return false
		case *ast.ValueSpec:
			return n.Names[0].Name == table
		case *ast.BasicLit:
			if !found && n.Value == strconv.Quote(pattern) {
				place, found = tree[i].at(n.Pos()), true
			}
		}
		return true
	})
	return place
}

var agpl = regexp.MustCompile(`(?m)^(?:require)?\s*(github\.com/grafana/(?:loki|tempo|mimir|grafana)(?:/v\d+)?) v`)

func checkGoMod(gomod string) (found []violation) {
	for _, m := range agpl.FindAllStringSubmatchIndex(gomod, -1) {
		line := 1 + strings.Count(gomod[:m[2]], "\n")
		found = append(found, violation{"gomod", ".", fmt.Sprintf("go.mod:%d", line), "the program requires " + gomod[m[2]:m[3]], "AGPL servers are talked to, never linked"})
	}
	return found
}

// roomOf returns the row with the longest pattern that covers the package; of two equally long the one without a star.
func roomOf(pkg string) (best room, ok bool) {
	for _, r := range rooms {
		if !covers(r.pattern, pkg) {
			continue
		}
		deeper := strings.Count(r.pattern, "/") - strings.Count(best.pattern, "/")
		if !ok || deeper > 0 || deeper == 0 && strings.Contains(best.pattern, "*") {
			best, ok = r, true
		}
	}
	return best, ok
}

// allows says whether a package of the room may import another package of the module.
func (r room) allows(pkg, target string) bool {
	if n := strings.Count(r.pattern, "/") + 1; prefix(pkg, n) == prefix(target, n) {
		if to, ok := roomOf(target); ok && to.pattern == r.pattern {
			return true // a part of the same room
		}
	}
	if slices.Contains(r.mayImport, everything) {
		return true
	}
	to, ok := roomOf(target)
	return ok && slices.Contains(r.mayImport, to.pattern)
}

// covers says whether the pattern stands for the package or for one above it.
func covers(pattern, pkg string) bool {
	want, got := strings.Split(pattern, "/"), strings.Split(pkg, "/")
	if len(got) < len(want) {
		return false
	}
	for i, w := range want {
		if w != "*" && w != got[i] {
			return false
		}
	}
	return true
}

// prefix returns the first n elements of a path.
func prefix(p string, n int) string {
	elements := strings.Split(p, "/")
	return strings.Join(elements[:min(n, len(elements))], "/")
}

// within says whether the path is dir or lies below it.
func within(p, dir string) bool { return p == dir || strings.HasPrefix(p, dir+"/") }

func anywhere(string) bool { return true }

func outside(dirs ...string) func(string) bool {
	return func(pkg string) bool {
		return !slices.ContainsFunc(dirs, func(d string) bool { return within(pkg, d) })
	}
}

var majorVersion = regexp.MustCompile(`^v\d+$`)

// importNames maps the names by which a file knows its imports to their paths.
func importNames(f file) map[string]string {
	names := map[string]string{}
	for _, spec := range f.ast.Imports {
		target, _ := strconv.Unquote(spec.Path.Value)
		name := path.Base(target)
		if majorVersion.MatchString(name) {
			name = path.Base(path.Dir(target))
		}
		name = strings.TrimSuffix(name, "-go")
		if spec.Name != nil {
			name = spec.Name.Name
		}
		names[name] = target
	}
	return names
}
