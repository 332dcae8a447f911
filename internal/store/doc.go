// Package store is the memory of Assay: one SQLite file that loses nothing of what
// it acknowledged when the process is killed, the power fails or the disk is full. It
// is kept with a WAL and synchronous=FULL; the tests kill processes, and make of all
// that was written and synced what a loss of power may leave of it.
//
// A deployment event enters through [Store.Accept], which writes the inbox row
// and the partition's next offset in one transaction: an event delivered a
// thousand times is one row, and a replica that lost its partition is refused
// ([ErrFenced]). [Store.Apply] is the one transaction of a second: it marks inbox
// rows handled, opens validations, moves their positions, keeps checkpoints, and
// writes final verdicts. A final is written once; with it, and only with it, go
// its outbox rows and its audit entry. Publishers take the outbox in order and
// mark what was acknowledged. Every audit entry carries the hash of the one
// before it, so that [Store.VerifyAudit] names the first that was changed.
//
// When a method that writes returns nil, what it wrote is on the disk. When it
// returns an error, nothing of it was written, with one exception: after [ErrIO] the
// outcome is unknown, the Store refuses all further writes, and the process must
// start anew, because an fsync that failed cannot be tried again. A context is heeded
// while waiting for the writer, never in the middle of a transaction.
//
// A disk that is full stops the taking of events ([ErrFull], [Store.Full]) until
// [Store.Regain] finds space. Verdicts that are due have a reserve ([Store.Reserve]),
// a file that is given up for them, and goes back to being one afterwards.
//
// [Store.Watch] tells who waits for a verdict that it may have changed. A dead letter
// is taken up again by [Store.ReplayDeadLetter] and stays. [Store.Snapshot] is the store
// at one instant, for backups.
//
// One process owns a file: a second Open is refused with [ErrInUse]. Inside the
// process all methods may be called concurrently; writers take turns, readers see
// the last commit and wait for nobody.
//
// What it does not do: read a clock (instants are arguments), judge, deliver,
// decode events or verdicts beyond the columns it searches by, keep spools or
// bundles, start goroutines, or share a file between machines. Instants are kept to
// the nanosecond between the years 1678 and 2261 and are clamped beyond.
package store
