package store

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"
)

// An AuditEntry says who did what to what, and when. Seq, PrevHash and Hash are set
// by the store.
type AuditEntry struct {
	Seq            int64
	At             time.Time
	Actor          string
	Action         string
	Subject        string
	Body           []byte
	PrevHash, Hash string // hex SHA-256; PrevHash of the first entry is empty
}

// An AuditMark is an entry by number and hash. Marks that were published (to Kafka,
// into bundles) prove later that the log's tail was not cut off.
type AuditMark struct {
	Seq  int64  `json:"seq"`
	Hash string `json:"hash"`
}

// An AuditError names the first entry of the audit log that is not as it was
// written. It is an ErrCorrupt.
type AuditError struct {
	Seq     int64
	Problem string
}

func (e *AuditError) Error() string { return fmt.Sprintf("audit entry %d: %s", e.Seq, e.Problem) }

// Unwrap returns ErrCorrupt.
func (e *AuditError) Unwrap() error { return ErrCorrupt }

// sum is the hash that an entry must have after prev: SHA-256 over a domain name,
// prev, the number and the instant in 8 bytes each, and the four texts, each after
// its length in 8 bytes (all big-endian), so that no two entries have the same bytes.
func (e AuditEntry) sum(prev string) string {
	h := sha256.New()
	text := func(b []byte) {
		var length [8]byte
		binary.BigEndian.PutUint64(length[:], uint64(len(b)))
		h.Write(length[:])
		h.Write(b)
	}
	number := func(n int64) { _ = binary.Write(h, binary.BigEndian, n) }
	text([]byte("assay.dev/audit/v1"))
	text([]byte(prev))
	number(e.Seq)
	number(nanos(e.At))
	text([]byte(e.Actor))
	text([]byte(e.Action))
	text([]byte(e.Subject))
	text(e.Body)
	return hex.EncodeToString(h.Sum(nil))
}

// audit appends an entry to the chain.
func (t *tx) audit(e AuditEntry) error {
	head, err := t.auditHead()
	if err != nil {
		return err
	}
	if e.Body == nil {
		e.Body = []byte{}
	}
	e.Seq, e.PrevHash = head.Seq+1, head.Hash
	// What cannot be kept exactly is hashed as it is kept.
	e.Actor, e.Action, e.Subject = kept(e.Actor), kept(e.Action), kept(e.Subject)
	_, err = t.exec(`INSERT INTO audit (seq, at, actor, action, subject, body, prev_hash, hash) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
		e.Seq, nanos(e.At), e.Actor, e.Action, e.Subject, e.Body, e.PrevHash, e.sum(e.PrevHash))
	return err
}

// kept is a text as SQLite gives it back: functions of SQLite and other tools end a
// text at a NUL, so there is none.
func kept(text string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(text, "\uFFFD"), "\x00", "\uFFFD")
}

const selectHead = `SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1`

func (t *tx) auditHead() (AuditMark, error) {
	var head AuditMark
	err := t.row(selectHead, nil, &head.Seq, &head.Hash)
	if errors.Is(err, ErrNotFound) {
		err = nil
	}
	return head, err
}

// AuditHead returns the newest entry of the log, for publishing.
func (s *Store) AuditHead(ctx context.Context) (AuditMark, error) {
	var head AuditMark
	err := s.reading.QueryRowContext(ctx, selectHead).Scan(&head.Seq, &head.Hash)
	return head, wrap("audit head", found(err))
}

const selectAudit = `SELECT seq, at, actor, action, subject, body, prev_hash, hash FROM audit WHERE seq > ? ORDER BY seq LIMIT ?`

func scanAudit(row scanner) (e AuditEntry, err error) {
	var at int64
	err = row.Scan(&e.Seq, &at, &e.Actor, &e.Action, &e.Subject, &e.Body, &e.PrevHash, &e.Hash)
	e.At = instant(at)
	return e, err
}

// Audit returns up to limit entries with numbers after the given one, oldest first.
func (s *Store) Audit(ctx context.Context, after int64, limit int) ([]AuditEntry, error) {
	entries, err := list(ctx, s.reading, scanAudit, selectAudit, after, limit)
	return entries, wrap("audit", err)
}

// VerifyAudit follows the chain from its first entry and compares it with the
// known marks. The error is an *AuditError that names the first entry that was
// changed, removed, or put elsewhere. A tail that was cut off, or a chain that was
// written anew as a whole, is found by marks only.
func (s *Store) VerifyAudit(ctx context.Context, known ...AuditMark) error {
	return wrap("verify audit", s.verifyAudit(ctx, known))
}

func (s *Store) verifyAudit(ctx context.Context, known []AuditMark) error {
	marks := make(map[int64]string, len(known))
	for _, mark := range known {
		if other, ok := marks[mark.Seq]; ok && other != mark.Hash {
			return &AuditError{mark.Seq, "two different marks are known of it"}
		}
		marks[mark.Seq] = mark.Hash
	}
	var last AuditMark
	for {
		entries, err := list(ctx, s.reading, scanAudit, selectAudit, last.Seq, 1000)
		if err != nil {
			return err
		}
		for _, e := range entries {
			switch mark, marked := marks[e.Seq]; {
			case e.Seq != last.Seq+1:
				return &AuditError{last.Seq + 1, "it is missing"}
			case e.PrevHash != last.Hash:
				return &AuditError{e.Seq, "it does not follow the entry before it"}
			case e.Hash != e.sum(last.Hash):
				return &AuditError{e.Seq, "it is not what was written"}
			case marked && mark != e.Hash:
				return &AuditError{e.Seq, "it is not the entry whose hash was published"}
			}
			last = AuditMark{e.Seq, e.Hash}
		}
		if len(entries) == 0 {
			break
		}
	}
	if last.Seq == 0 {
		return &AuditError{1, "it is missing"}
	}
	for seq := range marks {
		if seq > last.Seq || seq < 1 {
			return &AuditError{last.Seq + 1, fmt.Sprintf("it is missing; the log went on to entry %d at least", seq)}
		}
	}
	return nil
}
