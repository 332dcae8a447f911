package analysis

// HoldIntervals lets the folds that wait for an interval pile up, up to n, so that
// a simulation that shows no interval to anybody does not compute it.
func (s *State) HoldIntervals(n int) {
	for i := range s.objectives {
		r, ok := s.objectives[i].acc.(*ratio)
		if !ok {
			continue
		}
		for _, t := range []*trial{r.concurrent, r.before} {
			if t != nil && t.difference != nil {
				t.difference.backlog = append(make([]tempered, 0, n), t.difference.backlog...)
			}
		}
	}
}
