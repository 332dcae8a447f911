package otlp

// Held is how many samples are held, and what buckets cost in samples.
func (s *Source) Held() int { return int(s.samples.Load()) }
