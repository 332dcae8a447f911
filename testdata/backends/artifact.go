package backends

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"
)

// artifact is what one server needs on disk before it can start: jars or programs, made once and kept.
type artifact struct {
	name    string
	version string
	recipe  []string                              // all that the outcome depends on; a change makes a new directory
	build   func(dir string, out io.Writer) error // fills dir, an empty directory; out takes what the tools print
}

// artifacts is the table of everything that Prepare makes ready.
var artifacts = []func() (artifact, error){kafkaJars, prometheusPrograms, lokiProgram, jaegerProgram, collectorProgram}

// Prepare builds or fetches whatever is not in the cache yet, with a line of progress for each artifact.
func Prepare(progress io.Writer) error {
	for _, find := range artifacts {
		a, err := find()
		if err != nil {
			return err
		}
		start := time.Now()
		dir, err := a.ensure(func(format string, args ...any) { fmt.Fprintf(progress, format+"\n", args...) })
		if err != nil {
			return err
		}
		fmt.Fprintf(progress, "%s %s: ready in %s (%s)\n", a.name, a.version, dir, time.Since(start).Round(100*time.Millisecond))
	}
	return nil
}

// ensure returns the artifact's directory and builds it first if need be. It may be called by several processes at once.
func (a artifact) ensure(logf func(format string, args ...any)) (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("no cache directory for %s: %w (set HOME or XDG_CACHE_HOME)", a.name, err)
	}
	sum := sha256.Sum256([]byte(strings.Join(a.recipe, "\x00")))
	dir := filepath.Join(cache, "assay-backends", a.name+"-"+a.version+"-"+hex.EncodeToString(sum[:4]))
	if exists(dir) {
		return dir, nil
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return "", fmt.Errorf("make the cache of %s: %w", a.name, err)
	}
	unlock, err := lock(dir+".lock", func() { logf("%s %s: waiting for another process that builds it", a.name, a.version) })
	if err != nil {
		return "", err
	}
	defer unlock()
	if exists(dir) {
		return dir, nil
	}
	logf("%s %s: building, a few minutes the first time", a.name, a.version)

	// What an interrupted build left is removed here, where the lock says that nobody is at it.
	work := dir + ".tmp"
	if err := errors.Join(os.RemoveAll(work), os.Mkdir(work, 0o755)); err != nil {
		return "", fmt.Errorf("make the build directory of %s: %w", a.name, err)
	}
	var out strings.Builder
	if err := a.build(work, &out); err != nil {
		return "", fmt.Errorf("build %s %s: %w\n%s", a.name, a.version, err, lastLines(out.String(), 40))
	}
	if err := os.Rename(work, dir); err != nil {
		return "", fmt.Errorf("keep %s: %w", a.name, err)
	}
	return dir, nil
}

// lock takes the lock that the file stands for and returns how to give it up. The kernel gives it up too when the process
// ends, however it ends.
func lock(path string, waiting func()) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open lock: %w", err)
	}
	fd := int(f.Fd())
	err = syscall.Flock(fd, syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		waiting()
		for err = syscall.EINTR; errors.Is(err, syscall.EINTR); {
			err = syscall.Flock(fd, syscall.LOCK_EX)
		}
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	return func() { f.Close() }, nil
}

// home finds testdata/backends from anywhere inside the repository.
func home() (string, error) {
	start, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("find testdata/backends: %w", err)
	}
	for dir := start; ; dir = filepath.Dir(dir) {
		here := filepath.Join(dir, "testdata", "backends")
		if exists(filepath.Join(here, "prometheus", "go.mod")) {
			return here, nil
		}
		if dir == filepath.Dir(dir) {
			return "", fmt.Errorf("find testdata/backends: not in any directory above %s: run inside the repository", start)
		}
	}
}

// Missing returns the Debian packages that have to be installed before Prepare can do its work; none if all is there.
func Missing() []string {
	var missing []string
	if _, err := java(); err != nil {
		missing = append(missing, "openjdk-17-jre-headless")
	}
	if _, err := exec.LookPath("mvn"); err != nil {
		missing = append(missing, "maven")
	}
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		missing = append(missing, "systemd") // for the test of the unit file
	}
	return missing
}

var javaVersion = regexp.MustCompile(`version "(\d+)`)

// java returns the Java program to use, if it is new enough for the broker.
func java() (string, error) {
	const remedy = "Apache Kafka needs Java 17 or newer: install openjdk-17-jre-headless (or run `go run ./testdata/backends/setup` as root on Debian), or name a running broker in ASSAY_TEST_KAFKA"
	program := "java"
	if home := os.Getenv("JAVA_HOME"); home != "" {
		program = filepath.Join(home, "bin", "java")
	}
	program, err := exec.LookPath(program)
	if err != nil {
		return "", fmt.Errorf("%w; %s", err, remedy)
	}
	out, err := exec.Command(program, "-version").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%s -version: %w; %s", program, err, remedy)
	}
	var major int
	if m := javaVersion.FindSubmatch(out); m != nil {
		fmt.Sscan(string(m[1]), &major)
	}
	if major < 17 {
		return "", fmt.Errorf("%s is too old or unknown (%s); %s", program, strings.SplitN(string(out), "\n", 2)[0], remedy)
	}
	return program, nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// lastLines returns at most n lines from the end of a log.
func lastLines(log string, n int) string {
	lines := strings.Split(strings.TrimRight(log, "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
