package validation

import "time"

// turnBack heeds a clock that was set back: who waits for a source waits as long as
// it was to, not until the old time comes again. Folds need nothing: they close by
// now, and one that is folded is not the next any more.
func (r *Runner) turnBack(now time.Time) {
	back := r.last.Sub(now)
	r.last = now
	if back <= 0 {
		return
	}
	for _, v := range r.open {
		v.planning.earlier(back)
		for i := range v.waits {
			v.waits[i].earlier(back)
		}
		if v.asking == 0 {
			r.schedule(v)
		}
	}
	for id, w := range r.unsealed {
		w.earlier(back)
		r.unsealed[id] = w
	}
}

func (w *wait) earlier(by time.Duration) {
	if !w.until.IsZero() {
		w.until = w.until.Add(-by)
	}
}
