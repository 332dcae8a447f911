package e2e

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// program is the assay that TestMain built.
var program string

func TestMain(m *testing.M) { os.Exit(buildAndRun(m)) }

func buildAndRun(m *testing.M) int {
	dir, err := os.MkdirTemp("", "assay-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	program = filepath.Join(dir, "assay")
	// With the settings of this very test program, so that what it imports is built already.
	if out, err := exec.Command("go", "build", "-o", program, "github.com/release-assay/assay/cmd/assay").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build assay: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// A setup is what differs between one Assay and another. The zero value has an
// embedded broker, no Prometheus and the demo's policy.
type setup struct {
	brokers    []string // instead of the embedded broker
	noKafka    bool     // neither: events come over HTTP only
	prometheus string   // URL of a source called prom
	policies   string   // YAML; empty: the demo's policy
	login      string   // "user:password" of a SASL listener
	topics     string   // prefix of the names of its topics on a broker that several share
	program    string   // another than TestMain has built
	slow       bool     // measured or waited for by the caller: do not wait for /-/ready
}

// An assay is a running `assay serve` with its folder and its ports, which stay the
// same when it is killed and started again.
type assay struct {
	t testing.TB

	dir                          string // of assay.yaml, policies and data
	web, otlpGRPC, otlpHTTP, bus string // addresses; bus is that of the embedded broker, or the first of the others

	program string
	flags   []string

	log    *os.File
	cmd    *exec.Cmd
	exited chan struct{} // closed when cmd has ended
}

// serve starts an Assay and returns when it is ready. The test's clean-up stops it.
func serve(t testing.TB, s setup) *assay {
	t.Helper()
	a := prepare(t, s)
	a.start()
	if !s.slow {
		a.awaitReady()
	}
	return a
}

// prepare writes the folder of an Assay and starts nothing.
func prepare(t testing.TB, s setup) *assay {
	t.Helper()
	a := &assay{t: t, program: cmp.Or(s.program, program), dir: t.TempDir(), web: freeAddress(t), otlpGRPC: freeAddress(t), otlpHTTP: freeAddress(t), bus: freeAddress(t)}
	listeners := fmt.Sprintf("listeners:\n  http: %s\n  otlp: {grpc: %s, http: %s}\n", a.web, a.otlpGRPC, a.otlpHTTP)
	switch {
	case s.noKafka:
		a.flags = []string{"--kafka", "off"}
	case len(s.brokers) > 0:
		a.bus = s.brokers[0]
		own := ""
		if s.topics != "" {
			own = fmt.Sprintf(", group: %[1]s, topics: {deployments: %[1]s.deployments, deadLetters: %[1]s.dlq}}\nsinks: [{type: kafka, topic: %[1]s.verdicts}]", s.topics)
		}
		if user, password, found := strings.Cut(s.login, ":"); found {
			own = fmt.Sprintf(", sasl: {mechanism: SCRAM-SHA-256, username: %s, password: %s}", user, password) + cmp.Or(own, "}")
		}
		listeners += fmt.Sprintf("kafka: {brokers: [%s]%s\n", strings.Join(s.brokers, ", "), cmp.Or(own, "}"))
	default:
		listeners += "  kafka: " + a.bus + "\n"
	}
	process := listeners + "dataDir: data\npolicies: [policies]\n"
	if s.prometheus != "" {
		process += fmt.Sprintf("sources:\n  prom: {type: prometheus, url: %s}\n", s.prometheus)
	}
	if s.policies == "" {
		s.policies = demoPolicy(t)
	}
	a.write("assay.yaml", process)
	a.write("policies/policy.yaml", s.policies)
	log, err := os.Create(filepath.Join(a.dir, "assay.log"))
	if err != nil {
		t.Fatal(err)
	}
	a.log = log
	t.Cleanup(func() {
		a.kill()
		log.Close()
		if t.Failed() {
			t.Logf("the end of the log of assay:\n%s", a.logTail(60))
		}
	})
	return a
}

// in lets a subtest own what goes wrong until it ends.
func (a *assay) in(t *testing.T) {
	outer := a.t
	a.t = t
	t.Cleanup(func() { a.t = outer })
}

// demoPolicy is the policy of `assay demo` as far as it is about metrics, which is what
// most tests push: what needs whole traces is waited for.
func demoPolicy(t testing.TB) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "cmd", "assay", "demo.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	lines := slices.DeleteFunc(strings.SplitAfter(string(text), "\n"), func(line string) bool {
		return strings.Contains(line, "- {logs:") || strings.Contains(line, "- {traces:")
	})
	return strings.Join(lines, "")
}

func (a *assay) write(name, text string) {
	a.t.Helper()
	name = filepath.Join(a.dir, name)
	if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o755), os.WriteFile(name, []byte(text), 0o644)); err != nil {
		a.t.Fatal(err)
	}
}

func (a *assay) data(elements ...string) string {
	return filepath.Join(append([]string{a.dir, "data"}, elements...)...)
}

// start runs the process, with variables added to its environment, and returns when
// it answers.
func (a *assay) start(environment ...string) {
	a.t.Helper()
	if err := a.launch(environment...); err != nil {
		a.t.Fatal(err)
	}
	a.eventually(30*time.Second, "assay answers /-/healthy", func() error {
		select {
		case <-a.exited:
			a.t.Fatalf("assay ended: %v\n%s", a.cmd.ProcessState, a.logTail(40))
		default:
		}
		return a.answers("/-/healthy")
	})
}

// launch runs the process and does not wait for it.
func (a *assay) launch(environment ...string) error {
	cmd := exec.Command(a.program, append([]string{"serve", "--config", filepath.Join(a.dir, "assay.yaml")}, a.flags...)...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = a.dir, a.log, a.log
	cmd.Env = append(os.Environ(), environment...)
	exited, started := make(chan struct{}), make(chan error)
	go func() {
		// On Linux the process is killed together with the thread that started it,
		// so a test program that dies leaves nothing behind.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		cmd.SysProcAttr = dieWithParent()
		started <- cmd.Start()
		_ = cmd.Wait() // how it ended is in cmd.ProcessState
		close(exited)
	}()
	if err := <-started; err != nil {
		return err
	}
	a.cmd, a.exited = cmd, exited
	return nil
}

func (a *assay) awaitReady() {
	a.t.Helper()
	a.eventually(60*time.Second, "assay is ready", func() error { return a.answers("/-/ready") })
}

func (a *assay) answers(path string) error {
	status, body, err := a.ask(http.MethodGet, path, nil, nil)
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("%s: %d %s", path, status, body)
	}
	return err
}

// kill ends the process with SIGKILL, if it runs.
func (a *assay) kill() {
	if a.cmd == nil {
		return
	}
	_ = a.cmd.Process.Kill()
	<-a.exited
	a.cmd = nil
}

// stop ends the process as an operator does; it must go within ten seconds, with
// code 0 (reliability G8).
func (a *assay) stop() {
	a.t.Helper()
	began := time.Now()
	if err := a.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		a.t.Fatal(err)
	}
	select {
	case <-a.exited:
	case <-time.After(25 * time.Second):
		a.t.Fatal("assay did not stop within 25 s")
	}
	if took, code := time.Since(began), a.cmd.ProcessState.ExitCode(); code != 0 || took > 10*time.Second {
		a.t.Errorf("stopped after %v with code %d, want 0 within 10 s\n%s", took, code, a.logTail(10))
	}
	a.cmd = nil
}

// awaitSuicide waits until the process has killed itself at its step.
func (a *assay) awaitSuicide(step string) {
	a.t.Helper()
	select {
	case <-a.exited:
	case <-time.After(30 * time.Second):
		a.t.Fatalf("step %q was not reached within 30 s\n%s", step, a.logTail(40))
	}
	if status, ok := a.cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || status.Signal() != syscall.SIGKILL {
		a.t.Fatalf("step %q: the process ended with %v, want SIGKILL\n%s", step, a.cmd.ProcessState, a.logTail(40))
	}
	a.cmd = nil
}

func (a *assay) logTail(n int) string {
	text, err := os.ReadFile(a.log.Name())
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimRight(string(text), "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

// An outcome is how a command line ended.
type outcome struct {
	code     int
	out, err string
}

func (o outcome) String() string {
	return fmt.Sprintf("exit code %d\nstdout: %s\nstderr: %s", o.code, o.out, o.err)
}

// run runs a command against this Assay.
func (a *assay) run(args ...string) outcome {
	a.t.Helper()
	return command(a.t, []string{"ASSAY_SERVER=http://" + a.web}, args...)
}

// command runs assay with the given arguments, at most a minute.
func command(t testing.TB, environment []string, args ...string) outcome {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir, cmd.Env = t.TempDir(), append(os.Environ(), environment...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if ctx.Err() != nil || err != nil && !errors.As(err, &exit) {
		t.Fatalf("assay %s: %v %v\n%s", strings.Join(args, " "), err, ctx.Err(), errs.String())
	}
	return outcome{cmd.ProcessState.ExitCode(), strings.TrimSpace(out.String()), strings.TrimSpace(errs.String())}
}

// eventually tries until f returns nil, or fails the test with f's last error.
func (a *assay) eventually(within time.Duration, what string, f func() error) time.Duration {
	a.t.Helper()
	return eventually(a.t, within, what, f)
}

func eventually(t testing.TB, within time.Duration, what string, f func() error) time.Duration {
	t.Helper()
	began := time.Now()
	for {
		err := f()
		if err == nil {
			return time.Since(began)
		}
		if time.Since(began) > within {
			t.Fatalf("not within %v: %s: %v", within, what, err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// freeAddress is an address on loopback that nobody listens on, below the range of
// outgoing connections and away from that of testdata/backends.
func freeAddress(t testing.TB) string {
	t.Helper()
	for range 100 {
		address := net.JoinHostPort("127.0.0.1", strconv.Itoa(12000+rand.IntN(8000)))
		if l, err := net.Listen("tcp", address); err == nil {
			l.Close()
			return address
		}
	}
	t.Fatal("no free port on loopback")
	return ""
}
