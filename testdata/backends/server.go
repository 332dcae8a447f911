package backends

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
	"testing"
	"time"
)

const (
	readyWithin   = 90 * time.Second // a start takes 3 s on an idle machine; the tests share two cores
	stoppedWithin = 30 * time.Second // after which a polite stop becomes a kill
)

// server is one backend and the process that serves it. Its methods are for one test at a time, not for concurrent use.
type server struct {
	t        testing.TB
	name     string
	external string // the environment variable that named a server of somebody else's; empty if it is ours
	program  string
	args     []string
	logFile  string
	ready    func() error // nil once the server answers

	cmd    *exec.Cmd
	exited chan struct{} // closed when cmd has ended
}

// start begins to serve and arranges that the server is gone when the test is over.
func (s *server) start() {
	s.t.Helper()
	if s.external == "" {
		s.logFile = filepath.Join(s.t.TempDir(), s.name+".log")
		s.t.Cleanup(func() {
			if s.t.Failed() {
				s.t.Logf("the end of the log of %s:\n%s", s.name, s.logTail())
			}
			s.end(syscall.SIGTERM)
		})
		s.launch()
	}
	s.await()
}

// Stop ends the server as an operator would, and returns when it is gone.
func (s *server) Stop() {
	s.t.Helper()
	s.mustBeOurs("stopped")
	s.end(syscall.SIGTERM)
}

// Kill ends the server as a power cut would (SIGKILL), and returns when it is gone.
func (s *server) Kill() {
	s.t.Helper()
	s.mustBeOurs("killed")
	s.end(syscall.SIGKILL)
}

// Pause stops the server's processor time (SIGSTOP): its connections stay open and nobody answers.
func (s *server) Pause() {
	s.t.Helper()
	s.mustBeOurs("paused")
	s.signal(syscall.SIGSTOP)
}

// Resume ends a Pause and returns when the server answers again.
func (s *server) Resume() {
	s.t.Helper()
	s.mustBeOurs("resumed")
	s.signal(syscall.SIGCONT)
	s.await()
}

func (s *server) signal(sig syscall.Signal) {
	s.t.Helper()
	if err := s.cmd.Process.Signal(sig); err != nil {
		s.t.Fatalf("signal %s: %v", s.name, err)
	}
}

// Restart starts the server again on the data and ports it had, after a Stop if it still runs, and returns when it serves.
func (s *server) Restart() {
	s.t.Helper()
	s.mustBeOurs("restarted")
	s.end(syscall.SIGTERM)
	s.launch()
	s.await()
}

func (s *server) mustBeOurs(what string) {
	s.t.Helper()
	if s.external != "" {
		s.t.Fatalf("the %s of %s cannot be %s by a test: unset the variable to let the test start its own", s.name, s.external, what)
	}
}

// launch starts the process. The thread that starts it lives as long as the process does, since on Linux the kernel ends
// the process together with that thread: a test program that dies leaves no server behind.
func (s *server) launch() {
	s.t.Helper()
	log, err := os.OpenFile(s.logFile, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		s.t.Fatalf("open the log of %s: %v", s.name, err)
	}
	defer log.Close()
	cmd, exited, started := exec.Command(s.program, s.args...), make(chan struct{}), make(chan error)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Dir = filepath.Dir(s.logFile)
	cmd.SysProcAttr = dieWithParent()
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			cmd.Wait() // how it ended is in its log; await and end only ask whether
			close(exited)
		}
	}()
	if err := <-started; err != nil {
		s.t.Fatalf("start %s: %v", s.name, err)
	}
	s.cmd, s.exited = cmd, exited
}

// await returns when the server answers and fails the test when it ends, or takes too long.
func (s *server) await() {
	s.t.Helper()
	deadline := time.After(readyWithin)
	for {
		err := s.ready()
		if err == nil {
			return
		}
		select {
		case <-s.exited: // nil, hence never, for a server that is not ours
			s.t.Fatalf("%s ended before it was ready: %s", s.name, s.cmd.ProcessState)
		case <-deadline:
			s.t.Fatalf("%s was not ready within %s: %v", s.name, readyWithin, err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// end sends the signal, and SIGKILL after a while, and waits until the process is gone. It may be called again.
func (s *server) end(sig syscall.Signal) {
	s.t.Helper()
	if s.cmd == nil {
		return
	}
	if err := s.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		s.t.Errorf("signal %s: %v", s.name, err)
	}
	_ = s.cmd.Process.Signal(syscall.SIGCONT) // it may be paused, or gone already
	select {
	case <-s.exited:
	case <-time.After(stoppedWithin):
		s.t.Logf("%s did not stop within %s and was killed\n%s", s.name, stoppedWithin, s.logTail())
		s.cmd.Process.Kill() // it is gone already, or it goes now
		<-s.exited
	}
	s.cmd = nil
}

func (s *server) logTail() string {
	log, err := os.ReadFile(s.logFile)
	if err != nil {
		return fmt.Sprintf("(no log: %v)", err)
	}
	return lastLines(string(log), 40)
}

// freePort returns a loopback port that nobody listens on. It lies below the range from which outgoing connections take
// theirs: a client that dials a stopped server again and again would else connect to itself in the end, and keep the port.
func freePort(t testing.TB) int {
	t.Helper()
	for range 100 {
		port := 20000 + rand.IntN(12000)
		l, err := net.Listen("tcp", address(port))
		if err != nil {
			continue
		}
		l.Close()
		return port
	}
	t.Fatal("no free port on loopback between 20000 and 32000")
	return 0
}

func address(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }
