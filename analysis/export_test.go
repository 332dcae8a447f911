package analysis

// HoldIntervals lets the folds that wait for an interval pile up, up to n, so that
// a simulation that shows no interval to anybody does not compute it.
func (s *State) HoldIntervals(n int) {
	for i := range s.objectives {
		if r, ok := s.objectives[i].acc.(*ratio); ok && r.difference != nil {
			r.backlog = append(make([]tempered, 0, n), r.backlog...)
		}
	}
}
