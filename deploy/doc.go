// Package deploy holds the ways to run Assay: Containerfile, compose (the real
// stack on one machine), systemd (a hardened unit) and helm (a chart).
//
// It is data; the tests check what can be checked without a container engine or a
// cluster. The program is built as the Containerfile builds it and run alone in an
// empty root as the user of the image. Assay's own files are loaded by its own
// loader, flags are looked up in `assay serve --help`, ports are compared with the
// defaults, mounted files must exist, the unit is read by systemd-analyze where
// that is there, and the chart is rendered by a small renderer that knows the few
// functions it may use, and decoded strictly. What only an engine shows, that the
// images can be pulled and start together, is not tested here.
//
// None of it opens Assay to a network without saying so: there is no
// authentication yet, so who reaches its ports may announce releases.
package deploy
