// Package lab is a simulated shop for the demo and for end-to-end tests: three
// services, two versions of one of them side by side, and telemetry as the
// OpenTelemetry SDK would export it.
//
// A [Scenario] says what goes wrong; a [Shop] plays it, seeded, step by step, in
// its own time. Traffic has a daily swing and bursts that all pods share, and each
// pod wanders a little by itself; requests and errors are drawn at random. What a
// shop sends at a step depends on the seed and the scenario only, so a demo can be
// repeated exactly.
//
// The shop knows nothing of Assay: it neither pushes its telemetry nor judges it.
// Its worlds are cleaner than production; calibration is measured elsewhere.
package lab
