// Package dashboards holds what an SRE looks at: Grafana dashboards and Prometheus
// alert rules about Assay itself.
//
// How it is laid out:
//
//  1. releases.go and internals.go each describe one dashboard: rows of panels,
//     every panel with a title, a description, a unit and its queries.
//  2. grafana.go is the classic JSON of Grafana, as far as they need it; panel.go
//     builds panels, and layout places them, so nobody writes coordinates.
//  3. `go generate ./dashboards` writes json/, which is committed and is what
//     ships: deploy/compose provisions it, and Grafana imports it by hand.
//  4. alerts/assay.yaml are the alert rules, written by hand, and
//     alerts/assay_test.yaml their unit tests for promtool. Each alert has a page
//     in docs/runbooks.
//
// In a query, @ stands for the matchers that every selector has: cluster, job and
// instance, as the dashboard's variables choose them. The tests parse every
// expression of panels and rules and know no metric but those of
// internal/instrument; internal/e2e asks a real Prometheus every query, and runs
// promtool.
//
// The package asks nothing and draws nothing: Grafana is talked to by files only.
// It needs no dashboard library, and adds no recording rules.
package dashboards

//go:generate go test -count=1 -run=^TestGenerated$ . -update
