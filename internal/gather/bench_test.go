package gather

import (
	"context"
	"fmt"
	"testing"
)

// BenchmarkRows is one fold of one signal for many deployments of ten pods each.
func BenchmarkRows(b *testing.B) {
	f, requests := shop("prom", 2000)
	for i, p := range f.pods[:4000] {
		for k := range 4 {
			q := p
			q.name = fmt.Sprint(p.name, i, k)
			f.pods = append(f.pods, q)
		}
	}
	g := New(table(map[string]*fake{"prom": f}), Options{})
	for b.Loop() {
		g.Rows(context.Background(), requests)
		f.queries = nil
	}
}
