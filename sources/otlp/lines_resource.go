package otlp

// lock returns the service, locked, and the window that the bytes of a resource were
// found to mean, if both are still there.
func (r *resources) lock(encoded []byte) (*service, *window) {
	r.mu.RLock()
	known, ok := r.known[string(encoded)]
	r.mu.RUnlock()
	if !ok {
		return nil, nil
	}
	known.service.mu.Lock()
	if !known.service.gone && known.service.windows[known.window.key] == known.window {
		return known.service, known.window
	}
	known.service.mu.Unlock()
	return nil, nil
}
