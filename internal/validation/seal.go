package validation

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/internal/store"
	"github.com/release-assay/assay/verdicts"
	"github.com/release-assay/assay/verdicts/bundle"
)

// seal writes the bundle of a validation that has its final verdict, and removes
// the spool. Sealing again gives the same file.
func (r *Runner) seal(ctx context.Context, id analysis.ValidationID) error {
	row, err := r.Store.Validation(ctx, id)
	if err != nil {
		return err
	}
	var verdict verdicts.Verdict
	if err := json.Unmarshal(row.Latest, &verdict); err != nil {
		return fmt.Errorf("verdict of %s: %w", id, err)
	}
	looks, err := r.spools.open(id)
	if err != nil {
		return err
	}
	c := bundle.Contents{Plan: row.Plan, Verdict: verdict, Engine: r.Engine}
	if looks != nil {
		defer looks.Close()
		c.Looks = looks
	}
	var plan analysis.Plan
	if err := json.Unmarshal(row.Plan, &plan); err == nil { // of a verdict without a plan nothing was wanted
		if c.Exemplars, err = r.exemplarLines(&plan, verdict); err != nil {
			return err
		}
	}
	if in, err := r.Store.Inbox(ctx, row.InboxID); err == nil && json.Valid(in.Raw) {
		c.Event = in.Raw
	}
	sealed, err := bundle.Seal(r.bundles, bundle.Name(id), c)
	if err != nil {
		return err
	}
	r.Log.Debug("bundle sealed", "validation", id, "path", sealed.Path, "digest", sealed.Digest)
	return r.spools.remove(id)
}

// findUnsealed finds what a crash left between the final transaction and the sealed
// bundle.
func (r *Runner) findUnsealed(ctx context.Context) error {
	ids, err := r.spools.ids()
	if err != nil {
		return err
	}
	for _, id := range ids {
		if r.open[id] != nil {
			continue
		}
		row, err := r.Store.Validation(ctx, id)
		switch {
		case errors.Is(err, store.ErrNotFound):
			r.Log.Warn("a spool belongs to no validation", "validation", id)
		case err != nil:
			return err
		case row.Phase == store.PhaseFinal:
			r.unsealed[id] = wait{}
		}
	}
	return nil
}

// sealAgain is how long a bundle waits that could not be written.
const sealAgain = time.Minute

// sealUnsealed seals the bundles of final verdicts. One that cannot be written keeps
// its spool and is tried again; it holds up nothing.
func (r *Runner) sealUnsealed(ctx context.Context, now time.Time) {
	if r.Store.Full() {
		return // what space there is belongs to verdicts
	}
	for _, id := range slices.Sorted(maps.Keys(r.unsealed)) {
		if r.unsealed[id].until.After(now) {
			continue
		}
		if err := r.seal(ctx, id); err != nil {
			r.unsealed[id] = wait{until: now.Add(sealAgain), err: err}
			r.Log.Error("the bundle could not be sealed, its spool is kept", "validation", id, "again", r.unsealed[id].until, "error", err)
			continue
		}
		delete(r.unsealed, id)
		delete(r.sealing, id)
	}
}

// Rejudge judges a bundle's looks again by its plan and returns the verdict that
// comes out, and whether its bytes are those that the bundle holds.
func Rejudge(b *bundle.Bundle) (verdict verdicts.Verdict, same bool, err error) {
	plan, err := b.Plan()
	if err != nil {
		return verdict, false, err
	}
	judge, err := NewJudge(plan)
	if err != nil {
		return verdict, false, err
	}
	for line, err := range b.Lines() {
		if err != nil {
			return verdict, false, err
		}
		if _, err := judge.Look(bytes.TrimSuffix(line, []byte{'\n'})); err != nil {
			return verdict, false, err
		}
	}
	got, err := verdictBytes(judge.Verdict())
	if err != nil {
		return verdict, false, err
	}
	return judge.Verdict(), bytes.Equal(got, b.VerdictBytes()), nil
}

// SweepBundles removes the bundles last written before the given instant whose
// validations retention has taken. It may be called beside Advance.
func (r *Runner) SweepBundles(ctx context.Context, before time.Time) error {
	entries, err := os.ReadDir(r.bundles)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var errs []error
	for _, e := range entries {
		id, isBundle := strings.CutSuffix(e.Name(), bundle.Name(""))
		info, err := e.Info()
		if !isBundle || err != nil || !info.ModTime().Before(before) {
			continue
		}
		if _, err := r.Store.Validation(ctx, analysis.ValidationID(id)); errors.Is(err, store.ErrNotFound) {
			errs = append(errs, os.Remove(filepath.Join(r.bundles, e.Name())))
		}
	}
	return errors.Join(errs...)
}
