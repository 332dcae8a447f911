package oc

import "sync"

// days remembers what was learned from simulated days before a deployment. Worlds
// that differ in their deployment only share theirs, which saves most of the time of
// a small simulation; what a deployment learns still varies, as runs take turns.
var days = struct {
	sync.Mutex
	learned map[string]func() (any, error)
}{learned: map[string]func() (any, error){}}

// learnOnce returns what learn returned for the key.
func learnOnce[T any](key string, learn func() (T, error)) (T, error) {
	days.Lock()
	once, known := days.learned[key]
	if !known {
		once = sync.OnceValues(func() (any, error) { return learn() })
		days.learned[key] = once
	}
	days.Unlock()
	v, err := once()
	if err != nil {
		var none T
		return none, err
	}
	return v.(T), nil
}
