package validation

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/internal/store"
	"github.com/release-assay/assay/internal/store/powertest"
	"github.com/release-assay/assay/sources"
	"github.com/release-assay/assay/sources/replay"
	"github.com/release-assay/assay/verdicts"
)

var powercuts = flag.Int("validation.powercuts", 30, "how often TestPowerLoss cuts the power")

func TestMain(m *testing.M) {
	powertest.Serve()
	os.Exit(m.Run())
}

const powerServices = 5

// powerEnd is when every release of the power tests has its verdict.
const powerEnd = 30 * time.Minute

// alley is a street in which some have so little traffic that they are judged for long
// enough to have a checkpoint.
func alley() replay.Recording {
	return row(powerServices, func(i int) world {
		w := world{baselineRate: .001, canaryRate: .001, rps: 40, history: time.Hour, span: powerEnd}
		switch i {
		case 1:
			w.canaryRate = .05
		case 2, 3, 4:
			w.rps = 0.4
		}
		return w
	})
}

// promiseOf is a verdict as a promise: its service and the digest of its bytes.
func promiseOf(i int, body []byte) string {
	return fmt.Sprintf("final %d %x", i, sha256.Sum256(body))
}

// powered is a line that was driven to its end on a disk that records.
type powered struct {
	recording *powertest.Recording
	source    sources.Source
	finals    map[int][]byte // without any loss of power
}

// runPowered drives the line as the program does, and marks what it promised: "event",
// "final", and how far its clock is: "now".
func runPowered(t *testing.T) *powered {
	t.Helper()
	disk := powertest.Mount(t)
	b := &bench{t: t, dir: disk.Dir, source: mustReplay(t, alley())}
	b.open()
	defer b.close()
	b.Message = func(v verdicts.Verdict, body []byte, _ analysis.Deployment) ([]store.OutboxMessage, error) {
		return []store.OutboxMessage{{Sink: "test", MessageID: v.ID(), Payload: body}}, nil
	}
	b.Concluded = func(v verdicts.Verdict) {
		var i int
		_, err := fmt.Sscanf(v.Service, "service-%d", &i)
		body, encodes := verdictBytes(v)
		if err := errors.Join(err, encodes); err != nil {
			t.Error(err)
		}
		disk.Mark(promiseOf(i, body))
	}
	rng := rand.New(rand.NewPCG(42, 2))
	told := map[int][]int{}
	for i := range powerServices {
		step := rng.IntN(60)
		told[step] = append(told[step], i)
	}
	for step := 0; time.Duration(step)*5*time.Second < powerEnd; step++ {
		for _, i := range told[step] {
			e := called(deployment(analysis.Live), serviceOf(i))
			e.Release.Service = serviceOf(i)
			b.deploy(e)
			disk.Mark(fmt.Sprint("event ", i))
		}
		disk.Mark(fmt.Sprint("now ", step))
		b.advance(start.Add(time.Duration(step) * 5 * time.Second))
	}
	p := &powered{source: b.source, finals: b.finals(all(powerServices))}
	if len(p.finals) != powerServices {
		t.Fatalf("%d of %d are judged", len(p.finals), powerServices)
	}
	b.close()
	p.recording = disk.Recording()
	p.recording.Careless = func(name string) bool {
		return strings.HasSuffix(name, "-shm") || strings.HasSuffix(name, ".lock") || name == "working"
	}
	return p
}

func all(n int) (numbers []int) {
	for i := range n {
		numbers = append(numbers, i)
	}
	return numbers
}

// promised is what the marks of an image say.
type promised struct {
	events []int
	finals map[int]string
	now    time.Time
}

func promisesOf(t *testing.T, marks []string) promised {
	p := promised{finals: map[int]string{}, now: start}
	for _, mark := range marks {
		words := strings.Fields(mark)
		n, err := strconv.Atoi(words[1])
		if err != nil {
			t.Fatal(err)
		}
		switch words[0] {
		case "event":
			p.events = append(p.events, n)
		case "final":
			p.finals[n] = mark
		case "now":
			p.now = start.Add(time.Duration(n) * 5 * time.Second)
		}
	}
	return p
}

// goesOn starts the line on what a loss of power has left and drives it to its end. It
// says what is wrong, and how many validations were taken up from a checkpoint.
func (p *powered) goesOn(t *testing.T, i *powertest.Image) (resumed int, err error) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "disk")
	defer os.RemoveAll(dir)
	if err := i.Write(dir); err != nil {
		t.Fatal(err)
	}
	st, err := store.Open(t.Context(), filepath.Join(dir, "assay.db"), start)
	if err != nil {
		return 0, err
	}
	b := &bench{t: t, dir: dir, source: p.source}
	if b.Runner, err = Open(t.Context(), b.config(st)); err != nil {
		return 0, errors.Join(err, st.Close())
	}
	defer b.close()
	if err := errors.Join(st.IntegrityCheck(t.Context()), st.VerifyAudit(t.Context())); err != nil {
		return 0, err
	}
	if resumed, err = b.checkpointsCovered(); err != nil {
		return resumed, err
	}
	promises := promisesOf(t, i.Marks)
	for now := promises.now; !now.After(start.Add(powerEnd)); now = now.Add(2 * time.Minute) {
		if err := b.Advance(t.Context(), now); err != nil {
			return resumed, err
		}
	}
	return resumed, b.kept(t, p, promises)
}

// checkpointsCovered counts the checkpoints. Each must have all the looks that it
// stands for in its spool.
func (b *bench) checkpointsCovered() (n int, err error) {
	rows, err := b.Store.OpenValidations(b.t.Context())
	if err != nil {
		return 0, err
	}
	for _, row := range rows {
		c, err := b.Store.Checkpoint(b.t.Context(), row.ID)
		if errors.Is(err, store.ErrNotFound) {
			continue
		}
		if err != nil {
			return n, err
		}
		n++
		spool, err := os.ReadFile(b.spools.path(row.ID))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return n, err
		}
		if int64(len(spool)) < c.SpoolBytes || bytes.IndexByte(spool[:c.SpoolBytes], 0) >= 0 {
			return n, fmt.Errorf("the checkpoint of %s stands for %d bytes of a spool that has lost some of them", row.ID, c.SpoolBytes)
		}
	}
	return n, nil
}

// kept says which promises are not kept: every event ends in the verdict to which it
// comes without a loss of power, and a verdict that was told stays as it was, with a
// bundle that proves it.
func (b *bench) kept(t *testing.T, p *powered, promises promised) error {
	finals := b.finals(promises.events)
	var errs []error
	for _, i := range promises.events {
		if finals[i] == nil {
			errs = append(errs, fmt.Errorf("%s was acknowledged and has no verdict", serviceOf(i)))
			continue
		}
		got, want := word(t, finals[i]), word(t, p.finals[i])
		if told := promises.finals[i]; told != "" && told != promiseOf(i, finals[i]) {
			errs = append(errs, fmt.Errorf("%s was told another verdict than %s", serviceOf(i), finals[i]))
		}
		if got.Verdict != want.Verdict || got.ReasonCode != want.ReasonCode || !got.AsOf.Equal(*want.AsOf) {
			errs = append(errs, fmt.Errorf("%s is %v %s as of %v: %s; want %v %s as of %v", serviceOf(i), got.Verdict, got.ReasonCode, got.AsOf, got.Reason, want.Verdict, want.ReasonCode, want.AsOf))
		}
		if err := b.proved(got); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", serviceOf(i), err))
		}
	}
	return errors.Join(errs...)
}

// TestPowerLoss (F42) cuts the power while releases are judged, with database, spools
// and bundles on one disk. The line goes on with what is left: to the same verdicts, at
// the same instants of evidence, with bundles that prove them. That the disk finds what
// it is there for is shown by fsyncs that are taken away.
func TestPowerLoss(t *testing.T) {
	p := runPowered(t)
	t.Run("as it is", func(t *testing.T) {
		lossy, dropped, torn, resumed := 0, 0, 0, 0
		p.recording.CutPower(42, *powercuts, func(i *powertest.Image) {
			if i.Lossy() {
				lossy++
			}
			dropped, torn = dropped+i.Dropped, torn+i.Torn
			n, err := p.goesOn(t, i)
			if resumed += n; err != nil {
				t.Errorf("power loss after %d writes: %v", i.Moment, err)
			}
		})
		t.Logf("%d losses of power, %d of them lost something: %d writes or names not there, %d torn; %d checkpoints were gone on from", *powercuts, lossy, dropped, torn, resumed)
		if lossy*100 < *powercuts*95 || resumed == 0 {
			t.Errorf("only %d of %d losses of power lost anything, %d checkpoints: nothing was tested", lossy, *powercuts, resumed)
		}
	})
	for _, c := range []struct {
		missing, complaint string
		lying              func(name string) bool
	}{
		{"spools before checkpoints", "has lost some of them", func(name string) bool { return strings.HasSuffix(name, spoolSuffix) }},
		{"folder of bundles", ".tar.zst: no such file", func(name string) bool { return name == "bundles" }},
	} {
		t.Run("without the fsync of "+c.missing, func(t *testing.T) {
			const cuts = 60
			noticed := error(nil)
			p.recording.Lying = c.lying
			defer func() { p.recording.Lying = nil }()
			p.recording.CutPower(1, cuts, func(i *powertest.Image) {
				if noticed != nil || promisesOf(t, i.Marks).now.Before(start.Add(checkpointEvery)) {
					return // before there are checkpoints and bundles
				}
				if _, err := p.goesOn(t, i); err != nil && strings.Contains(err.Error(), c.complaint) {
					noticed = err
				}
			})
			t.Log(noticed)
			if noticed == nil {
				t.Errorf("none of %d losses of power was noticed", cuts)
			}
		})
	}
}

// A look in the middle of the spool that a loss of power left as zeros: it and all that
// follows are asked again, and the verdict is the same. Nothing of them is believed.
func TestHoleInSpool(t *testing.T) {
	b := newBench(t, mustReplay(t, healthy()))
	b.deploy(deployment(analysis.Live))
	b.live(0, 4*time.Minute)
	id := deployment("").Deployment(1).Validation()
	path, length := b.spools.path(id), b.spools.size(id)
	b.close()
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt(make([]byte, 512), length/2); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	b.open()
	b.live(4*time.Minute, 12*time.Minute)
	b.wants("d1", verdicts.Promote, analysis.AllSafe)
	_, v := b.of("d1")
	b.rejudged(v)
}
