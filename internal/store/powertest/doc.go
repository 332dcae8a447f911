// Package powertest cuts the power of a disk, as often as a test likes. A [Disk] is a
// FUSE file system that keeps a log of all that is done to it, with what the program
// was promised in between ([Disk.Mark]). Afterwards [Recording.CutPower] makes from
// the log what a disk may hold after a loss of power at any of its moments.
//
// The model is that of a file system which gives what POSIX says, and of ext4 and XFS
// only what programs commonly count on:
//
//   - What was written to a file up to its last completed fsync is there.
//   - Of what was written or truncated later anything may be there, in any order,
//     torn into sectors of 512 bytes. A sector that did not come holds what was there
//     before, and zeros where nothing was; the file may have its new length all the same.
//   - A new file, and the directories made for it, are there once it was fsynced.
//   - A rename and a removal are there once the directory was fsynced, and each by
//     itself may be there or not before that.
//
// It is stricter than a journal, which keeps the order of names. It does not lose what
// an fsync has promised, as a disk that lies would, unless it is told to
// ([Recording.Lying]).
//
// The file system is served by a process of its own: SQLite maps its -shm file into
// memory, and a process that has to answer its own page faults hangs when the runtime
// stops the world. TestMain must therefore begin with [Serve]. Nothing is known here of
// what is written. Linux only.
package powertest
