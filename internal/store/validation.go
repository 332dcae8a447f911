package store

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"strings"
	"time"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/verdicts"
)

// The phases of a validation. A final one never changes again.
const (
	PhasePlanning = "planning" // accepted, no plan yet
	PhaseJudging  = "judging"
	PhaseFinal    = "final"
)

// A Validation is one attempt at judging one deployment, as far as it has come.
type Validation struct {
	ID         analysis.ValidationID
	Deployment analysis.Deployment
	AcceptedAt time.Time
	Plan       []byte // nil until planned
	Phase      string
	Latest     []byte // the newest verdict object as JSON, the final one once there is one; nil before the first
	Seq        int    // of Latest
	SpoolBytes int64  // how much of the spool is committed
	Looks      int64  // how many looks that is
	Poison     int    // how often work on it began without coming to an end
	InboxID    int64  // the event that opened it
	UpdatedAt  time.Time
	FinalAt    time.Time // when the final verdict was issued; zero before
	Word       string    // the final verdict's word, "pending" before
}

// validationColumns are read by scanValidation. The plan is the %p: lists leave it out.
const validationColumns = `v.id, v.body, v.accepted_at, %p, v.phase, coalesce(f.body, l.body), v.seq, v.spool_bytes, v.looks, v.poison, v.inbox, v.updated_at,
	coalesce(f.issued_at, 0), coalesce(f.word, 'pending') FROM validation v LEFT JOIN final f ON f.validation = v.n LEFT JOIN latest l ON l.validation = v.n`

var (
	selectValidation = `SELECT ` + strings.Replace(validationColumns, "%p", "p.body", 1) + ` LEFT JOIN plan p ON p.validation = v.n `
	selectListed     = `SELECT ` + strings.Replace(validationColumns, "%p", "NULL", 1) + ` `
	selectOpen       = `SELECT v.id, v.body, v.accepted_at, NULL, v.phase, NULL, v.seq, v.spool_bytes, v.looks, v.poison, v.inbox, v.updated_at, 0, 'pending' FROM validation v `
)

func scanValidation(row scanner) (Validation, error) {
	var v Validation
	var body string
	var accepted, updated, issued int64
	err := row.Scan(&v.ID, &body, &accepted, &v.Plan, &v.Phase, &v.Latest, &v.Seq, &v.SpoolBytes, &v.Looks, &v.Poison, &v.InboxID, &updated, &issued, &v.Word)
	if err != nil {
		return v, err
	}
	v.AcceptedAt, v.UpdatedAt, v.FinalAt = instant(accepted), instant(updated), instant(issued)
	return v, decode(body, &v.Deployment)
}

// OpenValidations returns every validation without a final verdict, in the order in
// which they were accepted, without their plans and newest verdicts: a new process
// knows from it what there is to resume, and need not read all before the first.
func (s *Store) OpenValidations(ctx context.Context) ([]Validation, error) {
	open, err := list(ctx, s.reading, scanValidation, selectOpen+`WHERE v.phase <> 'final' ORDER BY v.n`)
	return open, wrap("open validations", err)
}

// Validation returns one validation with its plan, or ErrNotFound.
func (s *Store) Validation(ctx context.Context, id analysis.ValidationID) (Validation, error) {
	v, err := scanValidation(s.reading.QueryRowContext(ctx, selectValidation+`WHERE v.id = ?`, string(id)))
	return v, wrap("validation "+string(id), found(err))
}

// A Filter restricts a list of validations. Empty fields match everything.
type Filter struct {
	Service, Environment, Namespace, Version string
	Deployment                               analysis.DeploymentID
	Word                                     string // pending, promote, rollback or hold
	Phase                                    string
	Limit                                    int                   // 0: 100
	Before                                   analysis.ValidationID // only validations accepted before this one: the last of the page before
}

// Validations returns validations without their plans, the last accepted first.
// Where Before has been removed by retention the error is ErrNotFound.
func (s *Store) Validations(ctx context.Context, filter Filter) ([]Validation, error) {
	query, args := selectListed+`WHERE 1`, []any{}
	for _, condition := range []struct{ column, value string }{
		{"v.service", filter.Service},
		{"v.environment", filter.Environment},
		{"v.namespace", filter.Namespace},
		{"v.version", filter.Version},
		{"v.deployment", string(filter.Deployment)},
		{"coalesce(f.word, 'pending')", filter.Word},
		{"v.phase", filter.Phase},
	} {
		if condition.value != "" {
			query += ` AND ` + condition.column + ` = ?`
			args = append(args, condition.value)
		}
	}
	if filter.Before != "" {
		var n int64
		if err := s.reading.QueryRowContext(ctx, `SELECT n FROM validation WHERE id = ?`, string(filter.Before)).Scan(&n); err != nil {
			return nil, wrap("validations before "+string(filter.Before), found(err))
		}
		query += ` AND v.n < ?`
		args = append(args, n)
	}
	limit := filter.Limit
	if limit <= 0 {
		limit = 100
	}
	listed, err := list(ctx, s.reading, scanValidation, query+` ORDER BY v.n DESC LIMIT ?`, append(args, limit)...)
	return listed, wrap("validations", err)
}

// ByDeployment returns all validations of a deployment, of every mode and of every
// release that uses the id, with their plans, the newest attempt first.
func (s *Store) ByDeployment(ctx context.Context, id analysis.DeploymentID) ([]Validation, error) {
	of, err := list(ctx, s.reading, scanValidation, selectValidation+`WHERE v.deployment = ? ORDER BY v.attempt DESC, v.n DESC`, string(id))
	return of, wrap("validations of deployment", err)
}

// NewestLive returns the live validation of a version that was started last. An
// empty namespace is any: then there is one for each namespace in which there are
// some, sorted by namespace. With after, only deployments that were started then
// or later count. Nothing found is an empty list.
func (s *Store) NewestLive(ctx context.Context, environment, namespace, service, version string, after *time.Time) ([]Validation, error) {
	since := int64(math.MinInt64)
	if after != nil {
		since = nanos(*after)
	}
	newest, err := list(ctx, s.reading, scanValidation, selectValidation+`
		WHERE v.environment = ?1 AND (?2 = '' OR v.namespace = ?2) AND v.service = ?3 AND v.version = ?4 AND v.mode = 'live' AND v.started_at >= ?5
		AND NOT EXISTS (SELECT 1 FROM validation w WHERE w.environment = v.environment AND w.namespace = v.namespace AND w.service = v.service
			AND w.version = v.version AND w.mode = 'live' AND (w.started_at, w.n) > (v.started_at, v.n))
		ORDER BY v.namespace`, environment, namespace, service, version, since)
	return newest, wrap("newest live", err)
}

// OpenOf returns the open live validations of exactly this service, with their
// plans, the last started first.
func (s *Store) OpenOf(ctx context.Context, environment, namespace, service string) ([]Validation, error) {
	open, err := list(ctx, s.reading, scanValidation, selectValidation+`
		WHERE v.environment = ? AND v.namespace = ? AND v.service = ? AND v.mode = 'live' AND v.phase <> 'final'
		ORDER BY v.started_at DESC, v.n DESC`, environment, namespace, service)
	return open, wrap("open validations of service", err)
}

// FinalVerdict returns the bytes of a final verdict, always the same; false while
// there is none, ErrNotFound where there is no such validation.
func (s *Store) FinalVerdict(ctx context.Context, id analysis.ValidationID) ([]byte, bool, error) {
	var body []byte
	var final bool
	err := s.reading.QueryRowContext(ctx, `SELECT f.body, f.validation IS NOT NULL FROM validation v LEFT JOIN final f ON f.validation = v.n WHERE v.id = ?`, string(id)).Scan(&body, &final)
	return body, final, wrap("final verdict", found(err))
}

// LastPromoted returns the version of the live deployment of exactly this service
// that was started last among those whose final verdict is promote.
func (s *Store) LastPromoted(ctx context.Context, environment, namespace, service string) (version string, ok bool, err error) {
	err = found(s.reading.QueryRowContext(ctx, `SELECT v.version FROM validation v JOIN final f ON f.validation = v.n
		WHERE v.environment = ? AND v.namespace = ? AND v.service = ? AND v.mode = 'live' AND f.word = ?
		ORDER BY v.started_at DESC, v.n DESC LIMIT 1`, environment, namespace, service, verdicts.Promote.String()).Scan(&version))
	if errors.Is(err, ErrNotFound) {
		return "", false, nil
	}
	return version, err == nil, wrap("last promoted", err)
}

// IncrementPoison counts, before work on an open validation begins, that it began,
// and returns the count: a validation that killed the process is known by it
// afterwards. A later Update with Poison 0 says that the work came to an end. There
// is no such open validation: ErrNotFound.
func (s *Store) IncrementPoison(ctx context.Context, id analysis.ValidationID, now time.Time) (int, error) {
	var poison int
	err := s.write(ctx, "increment poison of "+string(id), func(tx *tx) error {
		return tx.row(`UPDATE validation SET poison = poison + 1, updated_at = ? WHERE id = ? AND phase <> 'final' RETURNING poison`, []any{nanos(now), string(id)}, &poison)
	})
	return poison, err
}

// open writes a validation that does not exist yet and returns whether it did.
func (t *tx) open(v Validation, now time.Time) (bool, error) {
	d := v.Deployment
	body, err := json.Marshal(d)
	if err != nil {
		return false, err
	}
	mode := d.Mode
	if mode == "" {
		mode = analysis.Live
	}
	n, err := t.insert(`INSERT INTO validation (id, deployment, attempt, environment, namespace, service, version, mode, started_at, body, accepted_at, inbox, phase, seq, spool_bytes, looks, poison, updated_at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING`,
		string(v.ID), string(d.ID), d.Attempt, d.Release.Environment, d.Release.Namespace, d.Release.Service, d.Release.Version, string(mode), nanos(d.StartedAt), string(body),
		nanos(v.AcceptedAt), v.InboxID, openPhase(v.Phase), v.Seq, v.SpoolBytes, v.Looks, v.Poison, nanos(now))
	if err != nil || n == 0 {
		return false, err
	}
	return true, t.attach(n, v)
}

// openPhase is the phase of a validation that has no final verdict.
func openPhase(phase string) string {
	if phase == "" {
		return PhasePlanning
	}
	return phase
}

// update moves an open validation and returns whether it was open.
func (t *tx) update(v Validation, now time.Time) (bool, error) {
	body, err := json.Marshal(v.Deployment)
	if err != nil {
		return false, err
	}
	var n int64
	err = t.row(`UPDATE validation SET body = ?, phase = ?, seq = ?, spool_bytes = ?, looks = ?, poison = ?, updated_at = ? WHERE id = ? AND phase <> 'final' RETURNING n`,
		[]any{string(body), openPhase(v.Phase), v.Seq, v.SpoolBytes, v.Looks, v.Poison, nanos(now), string(v.ID)}, &n)
	if errors.Is(err, ErrNotFound) {
		return false, t.exists(v.ID)
	}
	if err != nil {
		return false, err
	}
	return true, t.attach(n, v)
}

// attach writes the large parts of a validation. A nil part is left as it was, and
// an equal plan is not written again.
func (t *tx) attach(n int64, v Validation) error {
	if v.Plan != nil {
		if _, err := t.exec(`INSERT INTO plan (validation, body) VALUES (?, ?) ON CONFLICT (validation) DO UPDATE SET body = excluded.body WHERE body <> excluded.body`, n, v.Plan); err != nil {
			return err
		}
	}
	if v.Latest != nil {
		if _, err := t.exec(`INSERT INTO latest (validation, body) VALUES (?, ?) ON CONFLICT (validation) DO UPDATE SET body = excluded.body`, n, v.Latest); err != nil {
			return err
		}
	}
	return nil
}

// exists returns ErrNotFound where there is no such validation.
func (t *tx) exists(id analysis.ValidationID) error {
	return t.row(`SELECT 1 FROM validation WHERE id = ?`, []any{string(id)}, new(int))
}
