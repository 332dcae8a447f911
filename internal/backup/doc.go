// Package backup copies the data of a running Assay into one file, and makes a
// folder of such a file again.
//
// What belongs together is taken at one instant: while nothing is judged ([Folder.Still])
// the store is snapshotted, the spools of open validations are linked and the bundles
// are listed, which takes milliseconds; then everything is copied beside the work that
// goes on. So every event that was acknowledged before the backup is in it, every open
// validation has the spool that its checkpoint rests on, and no bundle is there whose
// verdict is not.
//
// The file is a tar archive, compressed with zstd: assay-backup.json, the database,
// spool/, bundles/, and last manifest.json with the digest of every file before it, so
// that a file that breaks off is no backup. [Restore] unpacks it beside its target,
// compares every byte, opens the store, reads every page and follows the audit chain,
// and only then gives the folder its name: there is a whole one or none.
//
// A restored Assay goes on where the backup was taken. What was final stays, byte for
// byte; what was open is judged on, with the evidence that sources still have. Messages
// that were sent after the backup may be sent again, with the same ids.
//
// What it does not do: copy the log of the embedded broker, keys or configuration, run
// while another backup of the folder does, encrypt, or start goroutines.
package backup
