package logdiff

import (
	"bytes"
	"unicode/utf16"
	"unicode/utf8"
)

// parseJSON reads the first level of an object. It is lenient: what a careless logger
// writes is still told apart. False: the object does not end.
func parseJSON(raw []byte) (p parts, ok bool) {
	i := 1
	for {
		if i = skipSpace(raw, i); i >= len(raw) {
			return p, false
		}
		switch raw[i] {
		case '}':
			return p, true
		case ',':
			i++
			continue
		case '"':
		default:
			return p, false
		}
		end, _ := endOfString(raw, i)
		if end < 0 {
			return p, false
		}
		key := raw[i+1 : end]
		if i = skipSpace(raw, end+1); i >= len(raw) || raw[i] != ':' {
			return p, false
		}
		if i = skipSpace(raw, i+1); i >= len(raw) {
			return p, false
		}
		switch raw[i] {
		case '"':
			end, escaped := endOfString(raw, i)
			if end < 0 {
				return p, false
			}
			p.set(key, value{raw[i+1 : end], escaped}, true)
			i = end + 1
		case '{', '[':
			if i = endOfNested(raw, i); i < 0 {
				return p, false
			}
		default:
			end := i
			for end < len(raw) && raw[end] != ',' && raw[end] != '}' && raw[end] > ' ' {
				end++
			}
			p.set(key, value{text: raw[i:end]}, false)
			i = end
		}
	}
}

func skipSpace(raw []byte, i int) int {
	for i < len(raw) && raw[i] <= ' ' {
		i++
	}
	return i
}

// endOfString returns where the quote is that ends the string which begins at i; -1:
// nowhere.
func endOfString(raw []byte, i int) (end int, escaped bool) {
	for i++; ; {
		quote := bytes.IndexByte(raw[i:], '"')
		if quote < 0 {
			return -1, escaped
		}
		back := bytes.IndexByte(raw[i:i+quote], '\\')
		if back < 0 {
			return i + quote, escaped
		}
		escaped = true
		if i += back + 2; i > len(raw) {
			return -1, escaped
		}
	}
}

// endOfNested returns the place after the object or list which begins at i; -1: it does
// not end.
func endOfNested(raw []byte, i int) int {
	for depth := 0; i < len(raw); i++ {
		switch raw[i] {
		case '"':
			if i, _ = endOfString(raw, i); i < 0 {
				return -1
			}
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
	return -1
}

// parseLogfmt reads key=value pairs; false: the line is not made of them, or begins with
// something else.
func parseLogfmt(line []byte) (p parts, ok bool) {
	if i := bytes.IndexByte(line, '='); i <= 0 || i > 40 {
		return p, false
	}
	pairs, words := 0, 0
	for i := 0; ; {
		if i = skipSpace(line, i); i >= len(line) {
			return p, pairs >= 2 && pairs > words
		}
		start := i
		for i < len(line) && line[i] > ' ' && line[i] != '=' && line[i] != '"' {
			i++
		}
		if i >= len(line) || line[i] != '=' || i == start {
			if words++; pairs == 0 {
				return p, false
			}
			for i < len(line) && line[i] > ' ' {
				i++
			}
			continue
		}
		key := line[start:i]
		if i++; i < len(line) && line[i] == '"' {
			end, escaped := endOfString(line, i)
			if end < 0 {
				return p, false
			}
			p.set(key, value{line[i+1 : end], escaped}, true)
			i = end + 1
		} else {
			start = i
			for i < len(line) && line[i] > ' ' {
				i++
			}
			p.set(key, value{text: line[start:i]}, true)
		}
		pairs++
	}
}

// decode returns a string without its escapes, to a little more than the longest text.
func (r *Reader) decode(v value, depth int) []byte {
	if !v.escaped {
		return v.text
	}
	out := r.decoded[depth][:0]
	for text := v.text; len(text) > 0 && len(out) <= 4*MaxText; {
		back := bytes.IndexByte(text, '\\')
		if back < 0 || back+1 >= len(text) {
			out = append(out, text...)
			break
		}
		out = append(out, text[:back]...)
		c := text[back+1]
		text = text[back+2:]
		switch c {
		case 'n':
			out = append(out, '\n')
		case 't':
			out = append(out, '\t')
		case 'r':
			out = append(out, '\r')
		case 'b', 'f':
			out = append(out, ' ')
		case 'u':
			var c rune
			c, text = escapedRune(text)
			out = utf8.AppendRune(out, c)
		default:
			out = append(out, c)
		}
	}
	r.decoded[depth] = out
	return out
}

// escapedRune reads the digits of \u, and of a second one that makes up a pair.
func escapedRune(text []byte) (rune, []byte) {
	first, ok := hex4(text)
	if !ok {
		return utf8.RuneError, text
	}
	text = text[4:]
	if !utf16.IsSurrogate(first) {
		return first, text
	}
	if len(text) >= 6 && text[0] == '\\' && text[1] == 'u' {
		if second, ok := hex4(text[2:]); ok {
			if c := utf16.DecodeRune(first, second); c != utf8.RuneError {
				return c, text[6:]
			}
		}
	}
	return utf8.RuneError, text
}

func hex4(text []byte) (rune, bool) {
	if len(text) < 4 {
		return 0, false
	}
	n := rune(0)
	for _, c := range text[:4] {
		if !isHex(c) {
			return 0, false
		}
		n = n<<4 | rune(nibble(c))
	}
	return n, true
}

func nibble(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return c&0xf + 9
}
