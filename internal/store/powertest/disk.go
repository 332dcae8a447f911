package powertest

import (
	"bufio"
	"bytes"
	"encoding/gob"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// servingEnv tells a process of a test binary that it is to serve a disk: the folder
// behind it, the mount point, and the file for the log.
const servingEnv = "ASSAY_POWERTEST_SERVE"

const separator = "\n"

// markName is the file that is no file: what is written to it is a mark.
const markName = ".mark"

// mounting is what to do where a disk cannot be mounted.
const mounting = "the disk of this test is a FUSE file system: it needs the kernel module fuse, /dev/fuse, and root or fusermount3 (package fuse3); in a container run it with --device /dev/fuse --cap-add SYS_ADMIN"

// A Disk records what is done below Dir.
type Disk struct {
	Dir    string
	t      testing.TB
	mark   *os.File
	server *exec.Cmd
	stop   io.Closer
	said   bytes.Buffer
	log    string
}

// Serve serves a disk if this process was started to do so, and then does not return.
func Serve() {
	task := strings.Split(os.Getenv(servingEnv), separator)
	if len(task) != 3 {
		return
	}
	if err := serve(task[0], task[1], task[2]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// Mount returns an empty disk. Where there can be none the test fails.
func Mount(t testing.TB) *Disk {
	t.Helper()
	d := &Disk{t: t, Dir: t.TempDir(), log: filepath.Join(t.TempDir(), "log")}
	if _, err := os.Stat("/dev/fuse"); err != nil {
		t.Fatalf("%v: %s", err, mounting)
	}
	d.server = exec.Command(os.Args[0], "-test.run=^$")
	d.server.Env = append(os.Environ(), servingEnv+"="+strings.Join([]string{t.TempDir(), d.Dir, d.log}, separator))
	d.server.Stderr = &d.said
	in, err := d.server.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := d.server.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := d.server.Start(); err != nil {
		t.Fatal(err)
	}
	d.stop = in
	t.Cleanup(func() { _ = d.unmount() })
	if line, _ := bufio.NewReader(out).ReadString('\n'); line != "mounted\n" {
		t.Fatalf("no disk: %v: %s: %s", d.unmount(), d.said.String(), mounting)
	}
	if d.mark, err = os.OpenFile(filepath.Join(d.Dir, markName), os.O_WRONLY|os.O_CREATE, 0o600); err != nil {
		t.Fatal(err)
	}
	return d
}

// Mark notes what the program was promised, after all that was done before.
func (d *Disk) Mark(promise string) {
	d.t.Helper()
	if _, err := d.mark.WriteAt([]byte(promise), 0); err != nil {
		d.t.Fatal(err)
	}
}

// unmount ends the server, which writes its log then. A second one does nothing.
func (d *Disk) unmount() error {
	if d.stop == nil {
		return nil
	}
	if d.mark != nil {
		_ = d.mark.Close()
	}
	_ = d.stop.Close()
	d.stop = nil
	return d.server.Wait()
}

// Recording unmounts the disk, on which no file may be open any more, and returns
// what was done to it.
func (d *Disk) Recording() *Recording {
	d.t.Helper()
	if err := d.unmount(); err != nil {
		d.t.Fatalf("the disk: %v: %s", err, d.said.String())
	}
	f, err := os.Open(d.log)
	if err != nil {
		d.t.Fatal(err)
	}
	defer f.Close()
	r := &Recording{}
	if err := gob.NewDecoder(bufio.NewReaderSize(f, 1<<20)).Decode(&r.log); err != nil {
		d.t.Fatal(err)
	}
	return r
}
