package logdiff

import "bytes"

// traceOf reads a trace id: 32 or 16 hexadecimal digits, a traceparent (W3C Trace
// Context), or one of these at the end of a path.
func traceOf(text []byte) (id [16]byte, ok bool) {
	if slash := bytes.LastIndexByte(text, '/'); slash >= 0 {
		text = text[slash+1:]
	}
	if len(text) >= 55 && text[2] == '-' && text[35] == '-' {
		text = text[3:35]
	}
	n := 0
	for n < len(text) && isHex(text[n]) {
		n++
	}
	if n == len(text) {
		return hexID(text)
	}
	return id, false
}

// hexID decodes 32 or 16 digits; 64-bit ids are the low half. All zero is none.
func hexID(digits []byte) (id [16]byte, ok bool) {
	at := 0
	switch len(digits) {
	case 32:
	case 16:
		at = 8
	default:
		return id, false
	}
	some := byte(0)
	for i := 0; i < len(digits); i += 2 {
		id[at] = nibble(digits[i])<<4 | nibble(digits[i+1])
		some |= id[at]
		at++
	}
	return id, some != 0
}

// findTrace looks for a trace id in plain text: behind a word like trace_id, traceId or
// traceparent and at most four bytes of punctuation.
func findTrace(text []byte, f *Fields) {
	if f.TraceID != [16]byte{} {
		return
	}
	for range 8 {
		i := bytes.Index(text, []byte("race"))
		if i < 0 {
			return
		}
		begins := i > 0 && text[i-1]|0x20 == 't'
		if text = text[i+len("race"):]; !begins {
			continue
		}
		rest, parent := text, bytes.HasPrefix(text, []byte("parent"))
		if parent {
			rest = rest[len("parent"):]
		} else {
			if len(rest) > 0 && (rest[0] == '_' || rest[0] == '.' || rest[0] == '-') {
				rest = rest[1:]
			}
			if len(rest) > 1 && rest[0]|0x20 == 'i' && rest[1]|0x20 == 'd' {
				rest = rest[2:]
			}
		}
		n := 0
		for n < len(rest) && n < 5 && bytes.IndexByte([]byte(`=:[("' `), rest[n]) >= 0 {
			n++
		}
		if n == 0 {
			continue
		}
		if rest = rest[n:]; parent && len(rest) > 3 && rest[2] == '-' {
			rest = rest[3:]
		}
		for n = 0; n < len(rest) && n < 33 && isHex(rest[n]); {
			n++
		}
		if n < len(rest) && kinds[rest[n]] >= letter {
			continue
		}
		if id, ok := hexID(rest[:n]); ok {
			f.TraceID = id
			return
		}
	}
}
