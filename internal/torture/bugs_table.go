package torture

// Bugs are the re-introduced faults.
var Bugs = []Bug{
	{
		Name: "offset before event", Breaks: []Invariant{Kept},
		Why: "The offset is committed in a transaction of its own, before the inbox row: the classic loss. The window is held open for 200 ms.",
		Edits: []Edit{{"internal/store/accept.go", `	err = s.writeEvents(ctx, "accept", func(tx *tx) error {
		if batch.Lease != nil {`, `	if batch.Lease != nil {
		err = s.writeEvents(ctx, "offset", func(tx *tx) error { return tx.advance(*batch.Lease, batch.NextOffset, batch.Now) })
		if err != nil {
			return Accepted{}, err
		}
		time.Sleep(200 * time.Millisecond)
	}
	err = s.writeEvents(ctx, "accept", func(tx *tx) error {
		if false {`}},
	},
	{
		Name: "offset not stored", Breaks: []Invariant{Once, Fenced},
		Why: "The offset is left to the consumer group: what has no name to be recognised by, poison, is refused again after each restart.",
		Edits: []Edit{{"internal/store/accept.go", `			if err := tx.advance(*batch.Lease, batch.NextOffset, batch.Now); err != nil {
				return err
			}`, `			_ = tx.advance`}},
	},
	{
		Name: "last event wins", Breaks: []Invariant{Kept, Judged},
		Why: "A repeated event replaces the first and is applied again: forgeries count, and old events open new attempts.",
		Edits: []Edit{{"internal/store/accept.go", `ON CONFLICT (source, event_id) DO NOTHING`, `ON CONFLICT (source, event_id) DO UPDATE SET
		content_hash = excluded.content_hash, event = excluded.event, raw = excluded.raw, handled_at = 0`}},
	},
	{
		Name: "verdict without message", Step: "final", Breaks: []Invariant{Published},
		Why: "The outbox rows are written after the transaction of the verdict: a crash between them and nobody is ever told.",
		Edits: []Edit{
			{"internal/validation/conclude.go", `	r.passed("before final")
`, `	r.passed("before final")
	var outbox []store.OutboxMessage
`},
			{"internal/validation/conclude.go", `		change.Finals = append(change.Finals, final)
`, `		outbox, final.Outbox = append(outbox, final.Outbox...), nil
		change.Finals = append(change.Finals, final)
`},
			{"internal/validation/conclude.go", `	r.passed("final")
`, `	r.passed("final")
	if _, err := r.Store.Apply(ctx, store.Change{Outbox: outbox, Now: change.Now}); err != nil {
		return err
	}
`},
		},
	},
	{
		Name: "marked before sent", Quick: true, Step: "sent", Breaks: []Invariant{Published},
		Why: "A message is marked as sent before the broker has acknowledged it.",
		Edits: []Edit{{"internal/validation/publish.go", `		if err := sink.Publish(ctx, messageOf(m)); err != nil {`, `		if err := p.Store.MarkSent(ctx, []int64{m.ID}, now); err != nil {
			return sent, err
		}
		if p.Passed != nil {
			p.Passed("sent")
		}
		if err := sink.Publish(ctx, messageOf(m)); err != nil {`}},
	},
	{
		Name: "id made at delivery", Breaks: []Invariant{Published},
		Why: "The id of a record depends on when it is sent: a receiver cannot tell a repeat from another verdict.",
		Edits: []Edit{{"internal/validation/publish.go", `		out.Headers = append(out.Headers, verdicts.Header{Key: h.Key, Value: h.Value})`, `		if h.Key == "ce_id" {
			h.Value = fmt.Append(nil, time.Now().UnixNano())
		}
		out.Headers = append(out.Headers, verdicts.Header{Key: h.Key, Value: h.Value})`}},
	},
	{
		Name: "newest first", Breaks: []Invariant{Ordered},
		Why:   "The outbox is emptied from its end: the records of a service stand in the wrong order.",
		Edits: []Edit{{"internal/store/outbox.go", `WHERE sink = ? AND sent_at = 0 ORDER BY id LIMIT ?`, `WHERE sink = ? AND sent_at = 0 ORDER BY id DESC LIMIT ?`}},
	},
	{
		Name: "final verdict replaced", Quick: true, Step: "final", Breaks: []Invariant{Judged, Unchanged},
		Why: "The verdict and the end of the validation are two transactions, and the verdict is no compare-and-set: after a crash between them it is issued again.",
		Edits: []Edit{
			{"internal/store/change.go", `	written, err := t.exec(` + "`INSERT INTO final", `	written, err := t.exec(` + "`INSERT OR REPLACE INTO final"},
			{"internal/store/change.go", `FROM validation WHERE id = ? ON CONFLICT (validation) DO NOTHING` + "`,\n\t\tf.Verdict", `FROM validation WHERE id = ?` + "`,\n\t\tf.Verdict"},
			{"internal/store/change.go", "	if _, err := t.exec(`UPDATE validation SET phase = 'final', seq = ?, updated_at = ? WHERE id = ?`, f.Seq, nanos(now), string(f.Validation)); err != nil {\n		return false, err\n	}\n", "	_ = now\n"},
			{"internal/store/change.go", `func (t *tx) checkpoint(`, `// EndPhase is the second half of end.
func (s *Store) EndPhase(ctx context.Context, finals []Final) error {
	return s.write(ctx, "end phase", func(t *tx) error {
		for _, f := range finals {
			if _, err := t.exec("UPDATE validation SET phase = 'final', seq = ? WHERE id = ?", f.Seq, string(f.Validation)); err != nil {
				return err
			}
		}
		return nil
	})
}

func (t *tx) checkpoint(`},
			{"internal/validation/conclude.go", `	r.passed("final")
`, `	r.passed("final")
	if err := r.Store.EndPhase(ctx, change.Finals); err != nil {
		return err
	}
`},
		},
	},
	{
		Name: "event handled before it is applied", Step: "accepted", Breaks: []Invariant{Judged, Applied},
		Why: "Events are marked as handled when they are read from the inbox, and applied then.",
		Edits: []Edit{{"internal/validation/events.go", `		for _, row := range rows {
			if err := r.takeEvent(ctx, row, now); err != nil {`, `		var handled []int64
		for _, row := range rows {
			handled = append(handled, row.ID)
		}
		if _, err := r.Store.Apply(ctx, store.Change{Handled: handled, Now: now}); err != nil {
			return err
		}
		if len(rows) > 0 {
			r.passed("accepted")
		}
		for _, row := range rows {
			if err := r.takeEvent(ctx, row, now); err != nil {`}},
	},
	{
		Name: "step applied twice", Step: "accepted", Breaks: []Invariant{Applied},
		Why: "A step is applied in one transaction and its event marked as handled in the next: after a crash it is applied again.",
		Edits: []Edit{{"internal/validation/events.go", `		change.Update = []store.Validation{stepped}
`, `		if _, err := r.Store.Apply(ctx, store.Change{Update: []store.Validation{stepped}, Now: now}); err != nil {
			return err
		}
		r.passed("accepted")
`}},
	},
	{
		Name: "attempts counted in memory", Breaks: []Invariant{Judged, True},
		Why: "A process knows of the attempts that it began itself: after a restart a new attempt takes the number of an old one and is never judged.",
		Edits: []Edit{
			{"internal/validation/events.go", `	attempts, err := r.Store.ByDeployment(ctx, e.DeploymentID)
`, `	attempts, err := r.Store.ByDeployment(ctx, e.DeploymentID)
	attempts = slices.DeleteFunc(attempts, func(a store.Validation) bool { return !begunHere[a.ID] })
`},
			{"internal/validation/events.go", `	r.add(v)
	r.passed("opened")
`, `	r.add(v)
	begunHere[v.row.ID] = true
	r.passed("opened")
`},
			{"internal/validation/events.go", `// accepted is the reason of`, `var begunHere = map[analysis.ValidationID]bool{}

// accepted is the reason of`},
		},
	},
	{
		Name: "planning forgotten", Step: "opened", Breaks: []Invariant{Judged},
		Why:   "A new process resumes what has a plan; what was killed while it was planned is never judged.",
		Edits: []Edit{{"internal/store/validation.go", `WHERE v.phase <> 'final' ORDER BY v.n`, `WHERE v.phase = 'judging' ORDER BY v.n`}},
	},
	{
		Name: "answered before stored", Breaks: []Invariant{Kept},
		Why: "A posted event is acknowledged when it is read, and stored 50 ms later.",
		Edits: []Edit{{"internal/httpapi/server.go", `	answer, err := s.Accept(r.Context(), r.Header, body)
`, `	ctx, header := context.WithoutCancel(r.Context()), r.Header.Clone()
	go func() {
		time.Sleep(50 * time.Millisecond)
		_, _ = s.Accept(ctx, header, body)
	}()
	answer, err := EventAnswer{Outcome: "accepted"}, error(nil)
`}},
	},
	{
		Name: "spool one look behind", Step: "final", Breaks: []Invariant{Proven, Judged, Sound},
		Why: "The newest look is kept in memory until the next one: a verdict is committed whose last evidence is nowhere.",
		Edits: []Edit{
			{"internal/validation/spool.go", `func (s spools) append(id analysis.ValidationID, offset int64, line []byte) error {
`, `func (s spools) append(id analysis.ValidationID, offset int64, line []byte) error {
	behindLock.Lock()
	before, ok := behind[id]
	behind[id] = heldLook{offset, bytes.Clone(line)}
	behindLock.Unlock()
	if !ok {
		return nil
	}
	return s.write(id, before.offset, before.line)
}

type heldLook struct {
	offset int64
	line   []byte
}

var (
	behindLock sync.Mutex
	behind     = map[analysis.ValidationID]heldLook{}
)

func (s spools) write(id analysis.ValidationID, offset int64, line []byte) error {
`},
			{"internal/validation/spool.go", `	f, err := os.OpenFile(s.path(id), os.O_WRONLY, 0)
`, `	f, err := os.OpenFile(s.path(id), os.O_WRONLY|os.O_CREATE, 0o644)
`},
			{"internal/validation/spool.go", `	f, err := os.Open(s.path(id))
`, `	behindLock.Lock()
	if last, ok := behind[id]; ok {
		_ = s.write(id, last.offset, last.line)
		delete(behind, id)
	}
	behindLock.Unlock()
	f, err := os.Open(s.path(id))
`},
		},
	},
	{
		Name: "tail of the spool ignored", Breaks: []Invariant{Proven, True},
		Why:   "A restart goes on from the checkpoint and takes the looks behind it for folded.",
		Edits: []Edit{{"internal/validation/resuming.go", `	return c.SpoolBytes, nil`, `	return r.spools.size(v.row.ID), nil`}},
	},
	{
		Name: "checkpoint behind its state", Breaks: []Invariant{True, Proven},
		Why:   "A checkpoint says that less was folded than its state holds: the looks between are folded twice.",
		Edits: []Edit{{"internal/validation/conclude.go", `SpoolBytes: v.row.SpoolBytes, Looks: v.row.Looks, Snapshot: snapshot`, `SpoolBytes: 0, Looks: v.row.Looks, Snapshot: snapshot`}},
	},
	{
		Name: "bundle written in place", Breaks: []Invariant{Proven},
		Why: "A bundle is written under its own name, and one that is there is taken for whole. The window is held open for 100 ms.",
		Edits: []Edit{
			{"verdicts/bundle/seal.go", `	there, err := Open(path)
	if err != nil {
		return Sealed{}, err
	}
	defer there.Close()
`, `	if _, err := os.Stat(path); err == nil {
		return Sealed{Path: path}, nil
	}
	there, err := Open(path)
	if err != nil {
		return Sealed{}, err
	}
	defer there.Close()
`},
			{"verdicts/bundle/seal.go", `	temp, err := os.CreateTemp(dir, "."+name+".*.tmp")
`, `	temp, err := os.Create(path)
	time.Sleep(100 * time.Millisecond)
`},
			{"verdicts/bundle/seal.go", `	"slices"
`, `	"slices"
	"time"
`},
		},
	},
	{
		Name: "unsealed bundles forgotten", Step: "final", Breaks: []Invariant{Proven},
		Why:   "A new process does not look for verdicts whose bundles were not sealed.",
		Edits: []Edit{{"internal/validation/resuming.go", `	return r.findUnsealed(ctx)`, `	return nil`}},
	},
}
