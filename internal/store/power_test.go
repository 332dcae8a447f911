package store

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/release-assay/assay/internal/store/powertest"
)

var powercuts = flag.Int("store.powercuts", 100, "how often TestPowerLoss cuts the power")

// errEnough ends writeForEver.
var errEnough = errors.New("enough")

// recorded lets a store be written to on a disk that records: several processes one
// after the other, since what the last to close does to the files is part of it. The
// log is folded into the database every few pages, so that this is cut as well.
func recorded(t *testing.T, pragma string) *powertest.Recording {
	t.Helper()
	disk := powertest.Mount(t)
	for range 4 {
		s, err := Open(t.Context(), filepath.Join(disk.Dir, "assay.db"), t0)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range []string{"wal_autocheckpoint=64", pragma} {
			if _, err := s.conn.ExecContext(t.Context(), "PRAGMA "+p); err != nil {
				t.Fatal(err)
			}
		}
		finals := 0
		err = writeForEver(s, func(promise string) error {
			disk.Mark(promise)
			if strings.HasPrefix(promise, "final ") {
				finals++
			}
			if finals == 150 {
				return errEnough
			}
			return nil
		})
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if !errors.Is(err, errEnough) {
			t.Fatal(err)
		}
	}
	r := disk.Recording()
	r.Careless = func(name string) bool { return strings.HasSuffix(name, "-shm") || strings.HasSuffix(name, ".lock") }
	return r
}

// afterPowerLoss opens what the loss of power has left and says what is wrong with it.
func afterPowerLoss(t *testing.T, i *powertest.Image) error {
	t.Helper()
	dir := filepath.Join(t.TempDir(), strconv.Itoa(i.Moment))
	defer os.RemoveAll(dir)
	if err := i.Write(dir); err != nil {
		t.Fatal(err)
	}
	s, err := Open(t.Context(), filepath.Join(dir, "assay.db"), t0)
	if err != nil {
		return err
	}
	defer s.Close()
	if err := errors.Join(s.IntegrityCheck(t.Context()), s.VerifyAudit(t.Context())); err != nil {
		return err
	}
	promises, offset := map[string]bool{}, int64(0)
	for _, mark := range i.Marks {
		switch what, value, _ := strings.Cut(mark, " "); what {
		case "offset":
			if offset, err = strconv.ParseInt(value, 10, 64); err != nil {
				t.Fatal(err)
			}
		case "event", "final":
			promises[mark] = true
		}
	}
	if err := s.unkept(t, promises, offset); err != nil {
		return err
	}
	_, err = s.Accept(t.Context(), Batch{Deliveries: []Delivery{delivery(TopicHTTP, 1_000_000)}, Now: t0})
	return err
}

// TestPowerLoss (F42) cuts the power at any moment of a store that is created, written
// to, closed and opened again. Whatever of the unsynced sectors and names came, the
// store opens, is sound, holds all that was acknowledged, and takes the next event.
func TestPowerLoss(t *testing.T) {
	r := recorded(t, "synchronous=FULL")
	lossy, dropped, torn := 0, 0, 0
	r.CutPower(42, *powercuts, func(i *powertest.Image) {
		if i.Lossy() {
			lossy++
		}
		dropped, torn = dropped+i.Dropped, torn+i.Torn
		if err := afterPowerLoss(t, i); err != nil {
			t.Errorf("power loss after %d writes: %v", i.Moment, err)
		}
	})
	t.Logf("%d losses of power, %d of them lost something: %d writes or names not there, %d torn; %d promises at the end", *powercuts, lossy, dropped, torn, len(r.Marks()))
	if lossy*100 < *powercuts*95 {
		t.Errorf("only %d of %d losses of power lost anything: nothing was tested", lossy, *powercuts)
	}
}

// TestPowerLossFindsMissingSyncs proves that the disk finds what it is there for: a
// store that syncs less than it should is caught.
func TestPowerLossFindsMissingSyncs(t *testing.T) {
	for _, pragma := range []string{"synchronous=NORMAL", "synchronous=OFF"} {
		t.Run(pragma, func(t *testing.T) {
			const cuts = 20
			caught, example := 0, ""
			recorded(t, pragma).CutPower(1, cuts, func(i *powertest.Image) {
				if err := afterPowerLoss(t, i); err != nil {
					caught++
					example = fmt.Sprint(err)
				}
			})
			t.Logf("%d of %d losses of power, such as: %s", caught, cuts, example)
			if caught < 2 {
				t.Errorf("only %d of %d losses of power broke a promise", caught, cuts)
			}
		})
	}
}
