package e2e

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/release-assay/assay/analysis"
)

// TestBackupAndRestore backs up a server while it works, with an event that has only
// just been acknowledged, and serves from the restored folder: verdicts are the very
// bytes, their bundles rejudge, what was open is open, and the embedded broker, whose
// log begins anew, is read from its beginning.
func TestBackupAndRestore(t *testing.T) {
	a := serve(t, setup{})
	w := worldOf(t, 12*time.Minute, "error-regression", "healthy")
	w.push(a)
	for i := range 20 { // offsets that the new log will not reach
		produce(t, a.bus, encode(t, started(fmt.Sprint("open-", i), time.Now().UTC())))
	}
	produce(t, a.bus, encode(t, started("error-regression", w.deployed)))
	judged, before := a.final("error-regression", 30*time.Second)
	a.proven("error-regression")
	produce(t, a.bus, encode(t, started("just-told", time.Now().UTC())))

	dir := t.TempDir()
	file := filepath.Join(dir, "backup.tar.zst")
	o := a.run("backup", file)
	if o.code != 0 || !strings.HasPrefix(o.out, file+"\n") || o.err != "" {
		t.Fatalf("backup: %v", o)
	}
	if o = a.run("backup", file); o.code != 2 || !strings.Contains(o.err, "is there already") {
		t.Errorf("a backup over another: %v", o)
	}
	if o = command(t, nil, "backup", dir, "--data-dir", a.data()); o.code != 2 || !strings.Contains(o.err, "--server") {
		t.Errorf("a backup of the folder of a server that runs: %v", o)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("left behind: %v, %v", entries, err)
	}

	b := prepare(t, setup{})
	if o = command(t, nil, "restore", file, "--data-dir", b.dir); o.code != 2 || !strings.Contains(o.err, "not empty") {
		t.Errorf("restore into a folder that has something in it: %v", o)
	}
	if o = command(t, nil, "restore", file, "--data-dir", b.data(), "--by", "ada"); o.code != 0 {
		t.Fatalf("restore: %v", o)
	}
	b.start()
	b.awaitReady()
	if _, after := b.final("error-regression", time.Second); !bytes.Equal(before, after) {
		t.Errorf("the verdict was\n%s\nand is\n%s", before, after)
	}
	b.proven("error-regression")
	b.eventually(10*time.Second, "every event that was acknowledged", func() error {
		for _, id := range []string{"open-0", "open-19", "just-told"} {
			if v, _ := b.verdict(id); v.ReasonCode == analysis.NotSeen || v.Final {
				return fmt.Errorf("%s is %s (%s)", id, v.Verdict, v.ReasonCode)
			}
		}
		return nil
	})
	// New events, new telemetry: the restored one goes on.
	w.push(b)
	produce(t, b.bus, encode(t, started("healthy", w.deployed)))
	if v, _ := b.final("healthy", 30*time.Second); v.Verdict.String() != "promote" {
		t.Errorf("%s (%s: %s), want promote", v.Verdict, v.ReasonCode, v.Reason)
	}
	if n := len(b.validations("error-regression")); n != 1 {
		t.Errorf("%d validations of %s", n, judged.DeploymentID)
	}
	b.stop()
	b.verifyAudit()

	a.stop()
	if o = command(t, nil, "backup", dir, "--data-dir", a.data()); o.code != 0 {
		t.Errorf("a backup of the folder of a server that is stopped: %v", o)
	}
	a.verifyAudit()
}
