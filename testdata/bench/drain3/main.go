// Command drain3 compares package logdiff with Drain3 on the lines of the
// nezha-trainticket-slice recording: how fast raw lines become template counts, and how
// well lines are grouped that came from the same statement. It makes a virtual environment
// with Drain3 in a temporary folder, which needs Python and its package index; no test
// does.
//
//	go run ./testdata/bench/drain3 -data ../shared/data/nezha-trainticket-slice
package main

import (
	"bufio"
	"cmp"
	"compress/gzip"
	"encoding/csv"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/analysis/logdiff"
)

// A line is a log entry with the statement that wrote it.
type line struct {
	service, pod, truth string
	plain               string // as the program wrote it
	text                string // without time, level and truth
	raw                 string // as the container runtime wrapped it
	at                  string
}

// statement is what the programs of the recording write: time, level, Class#line, message.
var statement = regexp.MustCompile(`^(\d\d:\d\d:\d\d\.\d{3} (\w+)\s+)(\S+#\d+) (.*)`)

func main() {
	data := flag.String("data", filepath.Join("..", "shared", "data", "nezha-trainticket-slice"), "folder of the recording")
	python := flag.String("python", "python3", "Python to make the virtual environment with")
	venv := flag.String("venv", filepath.Join(os.TempDir(), "assay-bench-drain3"), "folder of the virtual environment; made if missing")
	flag.Parse()
	if err := run(*data, *python, *venv); err != nil {
		fmt.Fprintln(os.Stderr, "drain3:", err)
		os.Exit(1)
	}
}

func run(data, python, venv string) error {
	lines, err := read(data)
	if err != nil {
		return err
	}
	fmt.Printf("%d lines of %d services\n\n", len(lines), len(services(lines)))
	own, err := group(lines)
	if err != nil {
		return err
	}
	fmt.Printf("grouping accuracy, Assay:                    %.4f (%d groups, %d statements)\n", accuracy(lines, own), distinct(own), distinct(truths(lines)))
	if err := install(python, venv); err != nil {
		return fmt.Errorf("no Drain3 to compare with: %w", err)
	}
	best := time.Duration(1 << 62)
	var reading [3]time.Duration // of the formats
	for _, similarity := range []string{"0.4", "0.5", "0.7"} {
		clusters, took, read, err := drain(venv, similarity, lines)
		if err != nil {
			return err
		}
		best = min(best, took)
		for i := range reading {
			if reading[i] == 0 || read[i] < reading[i] {
				reading[i] = read[i]
			}
		}
		fmt.Printf("grouping accuracy, Drain3 at similarity %s:  %.4f (%d groups), %v\n", similarity, accuracy(lines, clusters), distinct(clusters), took.Round(time.Millisecond))
	}
	fmt.Println()
	for i, f := range formats {
		speed(f.name, lines, f.write, best, reading[i])
	}
	return nil
}

// read returns the different lines of all log files, in order of time.
func read(data string) ([]line, error) {
	files, err := filepath.Glob(filepath.Join(data, "*", "*", "*_log.csv.gz"))
	if err != nil || len(files) == 0 {
		return nil, fmt.Errorf("%s: no log files (%v)", data, err)
	}
	seen := map[string]bool{}
	var out []line
	for _, name := range files {
		f, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		z, err := gzip.NewReader(f)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		rows, err := csv.NewReader(z).ReadAll()
		f.Close()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		for _, r := range rows[1:] {
			key := strings.Join(r[1:], "\x00")
			if seen[key] {
				continue
			}
			seen[key] = true
			var wrapped struct{ Log string }
			if err := json.Unmarshal([]byte(r[7]), &wrapped); err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
			plain := strings.TrimRight(wrapped.Log, "\n")
			m := statement.FindStringSubmatch(plain)
			if m == nil {
				continue
			}
			service := r[3]
			for range 2 {
				if i := strings.LastIndexByte(service, '-'); i > 0 {
					service = service[:i]
				}
			}
			out = append(out, line{service: service, pod: r[3], truth: m[3], plain: plain, text: m[4], raw: r[7], at: r[1]})
		}
	}
	slices.SortStableFunc(out, func(a, b line) int { return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.raw, b.raw)) })
	return out, nil
}

func services(lines []line) map[string][]int {
	out := map[string][]int{}
	for i, l := range lines {
		out[l.service] = append(out[l.service], i)
	}
	return out
}

func truths(lines []line) []string {
	out := make([]string, len(lines))
	for i, l := range lines {
		out[i] = l.service + " " + l.truth
	}
	return out
}

func distinct(names []string) int {
	names = slices.Clone(names)
	slices.Sort(names)
	return len(slices.Compact(names))
}

// group learns templates of each service and tells the one of each line.
func group(lines []line) ([]string, error) {
	out := make([]string, len(lines))
	for service, indexes := range services(lines) {
		history := make([]analysis.Line, len(indexes))
		for j, i := range indexes {
			history[j].Text = lines[i].text
		}
		set, err := logdiff.Learn(history, nil)
		if err != nil {
			return nil, err
		}
		tree, err := logdiff.Compile(set)
		if err != nil {
			return nil, err
		}
		for _, i := range indexes {
			id, ok := tree.Match(lines[i].text)
			if !ok {
				return nil, fmt.Errorf("%q has no template", lines[i].text)
			}
			out[i] = service + " " + id
		}
	}
	return out, nil
}

// accuracy is the share of lines whose group has all lines of their statement and no
// others (J. Zhu et al., "Tools and benchmarks for automated log parsing", ICSE-SEIP 2019).
func accuracy(lines []line, groups []string) float64 {
	want := truths(lines)
	both, each := map[[2]string]int{}, map[string]int{}
	for i := range lines {
		both[[2]string{groups[i], want[i]}]++
		each["g"+groups[i]]++
		each["t"+want[i]]++
	}
	right := 0
	for pair, n := range both {
		if n == each["g"+pair[0]] && n == each["t"+pair[1]] {
			right += n
		}
	}
	return float64(right) / float64(len(lines))
}

// install makes the virtual environment, once.
func install(python, venv string) error {
	pip := filepath.Join(venv, "bin", "pip")
	if _, err := os.Stat(filepath.Join(venv, "installed")); err == nil {
		return nil
	}
	for _, args := range [][]string{{python, "-m", "venv", venv}, {pip, "install", "--quiet", "--disable-pip-version-check", "drain3==0.9.11"}} {
		if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w\n%s", strings.Join(args, " "), err, out)
		}
	}
	return os.WriteFile(filepath.Join(venv, "installed"), nil, 0o644)
}

// drain lets Drain3 group the lines and tells how long it took, and how long Python takes
// to read the lines in each of the formats.
func drain(venv, similarity string, lines []line) (clusters []string, took time.Duration, reading [3]time.Duration, err error) {
	f, err := os.CreateTemp("", "drain3-*.tsv")
	if err != nil {
		return nil, 0, reading, err
	}
	defer os.Remove(f.Name())
	w := bufio.NewWriter(f)
	for _, l := range lines {
		fmt.Fprintf(w, "%s\t%s", l.service, strings.NewReplacer("\n", " ", "\r", " ", "\t", " ").Replace(l.text))
		for _, f := range formats {
			fmt.Fprintf(w, "\t%s", strings.NewReplacer("\n", " ", "\r", " ", "\t", " ").Replace(f.write(l)))
		}
		fmt.Fprintln(w)
	}
	if err := w.Flush(); err != nil {
		return nil, 0, reading, err
	}
	if err := f.Close(); err != nil {
		return nil, 0, reading, err
	}
	_, self, _, _ := runtime.Caller(0)
	c := exec.Command(filepath.Join(venv, "bin", "python"), filepath.Join(filepath.Dir(self), "drain.py"), similarity, f.Name())
	c.Stderr = os.Stderr
	out, err := c.Output()
	if err != nil {
		return nil, 0, reading, err
	}
	rows := strings.Split(strings.TrimSpace(string(out)), "\n")
	var seconds [1 + len(reading)]float64
	for i := range seconds {
		if seconds[i], err = strconv.ParseFloat(rows[i], 64); err != nil {
			return nil, 0, reading, err
		}
	}
	if rows = rows[len(seconds):]; len(rows) != len(lines) {
		return nil, 0, reading, fmt.Errorf("drain.py told of %d lines, want %d", len(rows), len(lines))
	}
	for i := range reading {
		reading[i] = time.Duration(seconds[1+i] * float64(time.Second))
	}
	return rows, time.Duration(seconds[0] * float64(time.Second)), reading, nil
}

// formats are what loggers and runtimes make of a line.
var formats = []struct {
	name  string
	write func(line) string
}{
	{"JSON", func(l line) string { return l.raw }},
	{"logfmt", func(l line) string {
		m := statement.FindStringSubmatch(l.plain)
		return fmt.Sprintf("time=2023-01-29T%sZ level=%s logger=%s msg=%q", m[1][:12], strings.ToLower(m[2]), m[3], m[4])
	}},
	{"plain", func(l line) string { return "2023-01-29 " + l.plain }},
}

// speed times the way from raw lines to template counts on one processor, beside a bare
// loop over the words of the same bytes.
func speed(name string, lines []line, write func(line) string, drain, reading time.Duration) {
	raw, size := make([][]byte, len(lines)), 0
	text := make([]string, len(lines))
	var history []analysis.Line
	for i, l := range lines {
		text[i] = write(l)
		raw[i] = []byte(text[i])
		size += len(raw[i])
		history = append(history, analysis.Line{Text: logdiff.Read(text[i]).Text})
	}
	set, err := logdiff.Learn(history, nil)
	if err != nil {
		panic(err)
	}
	tree, err := logdiff.Compile(set)
	if err != nil {
		panic(err)
	}
	at := time.Unix(1674981742, 0)
	full, bare := time.Duration(1<<62), time.Duration(1<<62)
	rows, words := 0, 0
	for range 7 {
		tallies := map[string]*logdiff.Tally{} // a pod has its own, as in a source
		for _, l := range lines {
			if tallies[l.pod] == nil {
				tallies[l.pod] = logdiff.NewTally()
			}
		}
		runtime.GC()
		var r logdiff.Reader
		start := processor()
		for i := range raw {
			f := r.Read(raw[i])
			tallies[lines[i].pod].Add(logdiff.Record{At: at, Severity: f.Severity, TraceID: f.TraceID, Text: f.Text, Bytes: len(raw[i]), Cut: f.Truncated})
		}
		rows = 0
		for _, t := range tallies {
			rows += len(t.Rows(tree, nil))
		}
		full = min(full, processor()-start)
		start = processor()
		for _, t := range text {
			for range strings.FieldsSeq(t) {
				words++
			}
		}
		bare = min(bare, processor()-start)
	}
	perSecond := func(d time.Duration) float64 { return float64(size) / d.Seconds() / 1e6 }
	fmt.Printf("%-7s %4.0f MB/s, %.0f ns a line; %.1fx Drain3 that is handed the messages, %.1fx Drain3 with reading; %.0f %% of strings.FieldsSeq (%.0f MB/s); %d rows, %d words\n", name, perSecond(full), float64(full)/float64(len(lines)), drain.Seconds()/full.Seconds(), (drain+reading).Seconds()/full.Seconds(), 100*bare.Seconds()/full.Seconds(), perSecond(bare), rows, words/7)
}

// processor is the time of the processor that this program has used: other programs on
// the machine make less of a difference than with a clock.
func processor() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
