// Package bundle keeps a judged release in one file: everything that a stranger
// needs to see what was known and to judge it again, an hour or a year later,
// without Assay's store and without the telemetry servers.
//
// The story of a file:
//
//  1. [Write] takes the plan as it was committed, the looks as they were folded,
//     the verdict and the deployment event. It refuses contents that contradict
//     each other: the verdict names the digests of plan and looks.
//  2. The parts become members of a tar archive in the order of their names,
//     with one fixed time, mode and owner; [Manifest] lists the SHA-256 of each.
//     Zstandard compresses it with one setting on one thread, so the same
//     contents give the same bytes.
//  3. A skippable Zstandard frame at the end seals it: it holds the SHA-256 of
//     all bytes before it. Every tool that reads .tar.zst still opens the file.
//  4. [Seal] does this to a file in a directory: temporary file, fsync, rename.
//     Sealing the same contents twice leaves one file.
//  5. [Open] reads a bundle that may be damaged or made by an attacker. It
//     accepts exactly what Write can have written: these names, these tar
//     headers, bounded sizes. [Verify] reads the looks too and says in words
//     what is wrong first.
//
// The layout, version 1 (all JSON in UTF-8):
//
//	event.json       the deployment event as it came; only if there was one
//	exemplars.jsonl  traces that show what was found, one a line; only if some were wanted
//	findings.json    the findings of the verdict, for people in a hurry
//	looks.jsonl      one look a line, in the order in which they were folded
//	manifest.json    layout, engine, and size and SHA-256 of every other member
//	plan.json        the canonical bytes of the plan
//	verdict.json     the verdict
//
// The seal finds damage, not fraud: who can write a bundle can seal it too.
// Signatures (verdicts/attest) are made over [Sealed].Digest.
//
// This package does not decide, does not judge again (that is the straight line
// over [Bundle.Looks]), does not unpack files to disk and does not deliver.
package bundle
