// Package e2e shows the whole of Assay at work: the real program as a process of
// its own, told of deployments over a real Kafka, fed by OTLP or asking a real
// Prometheus, killed and started again, and spoken to as users do: by HTTP, by
// Kafka and by the command line.
//
// How a test reads:
//
//  1. TestMain builds the program once. serve starts it on free ports with a
//     folder of its own (process_test.go); its log is shown when the test fails.
//  2. A world is a set of simulated shops (internal/lab) whose deployment lies some
//     minutes back, so that every fold is closed and a verdict takes a second
//     (world_test.go). It is pushed over OTLP, or filled into a Prometheus.
//  3. An event tells of the deployment, over Kafka, HTTP or `assay emit`
//     (events_test.go).
//  4. The verdict is awaited and compared with what the world deserves; its record
//     on Kafka, its bundle, its second judgement and the audit log must agree
//     (client_test.go).
//
// Nothing here knows how Assay works inside, but for the names of the steps at
// which a process can be told to kill itself (ASSAY_KILL_AT). What needs a real
// server lives here and nowhere else.
package e2e
