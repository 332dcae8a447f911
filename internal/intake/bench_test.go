package intake

import "testing"

func BenchmarkDecode(b *testing.B) {
	for name, m := range map[string]Message{"binary": binary(event(full)), "structured": structured(b, event(full))} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(m.Value)))
			for b.Loop() {
				if _, rejection := Decode(m, DefaultLimits()); rejection != nil {
					b.Fatal(rejection)
				}
			}
		})
	}
}
