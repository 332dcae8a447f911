package logdiff

import (
	"bytes"
	"encoding/binary"
	"unicode/utf8"
)

// plainByte tells which bytes may stand in a text as they are.
var plainByte = func() (ok [256]bool) {
	for c := ' '; c < 0x7f; c++ {
		ok[c] = true
	}
	ok['\t'] = true
	return ok
}()

// sanitize returns the text as valid UTF-8 without control characters but tabs and line
// breaks, without terminal sequences and without marks that turn the direction of
// writing, at most MaxText bytes long. Carriage returns are line breaks.
func (r *Reader) sanitize(text []byte) (clean []byte, cut bool) {
	if len(text) > 4*MaxText {
		text, cut = text[:4*MaxText], true
	}
	i := plainPrefix(text)
	if i == len(text) && len(text) <= MaxText && !cut {
		return text, false
	}
	out := append(r.clean[:0], text[:i]...)
	for i < len(text) && len(out) <= MaxText {
		c := text[i]
		switch {
		case plainByte[c]:
			out = append(out, c)
			i++
		case c == '\n' || c == '\r':
			if i++; c == '\n' || i >= len(text) || text[i] != '\n' {
				out = append(out, '\n')
			}
		case c == 0x1b:
			i += terminalSequence(text[i:])
		case c < utf8.RuneSelf:
			i++
		default:
			v, n := utf8.DecodeRune(text[i:])
			if i += n; !turnsDirection(v) {
				out = utf8.AppendRune(out, v)
			}
		}
	}
	cut = cut || i < len(text)
	if len(out) > MaxText || cut {
		out, cut = cutText(out), true
	}
	r.clean = out
	return bytes.TrimSpace(out), cut
}

// plainPrefix returns how many bytes at the front of text may stand as they are. It looks
// at eight at a time for one that is below a space or above the tilde.
func plainPrefix(text []byte) int {
	const ones, high = 0x0101010101010101, 0x8080808080808080
	i := 0
	for {
		for i+8 <= len(text) {
			x := binary.LittleEndian.Uint64(text[i:])
			if ((x-0x20*ones)|x|(x+ones))&high != 0 {
				break
			}
			i += 8
		}
		end := min(i+8, len(text))
		for i < end {
			if !plainByte[text[i]] {
				return i
			}
			i++
		}
		if i == len(text) {
			return i
		}
	}
}

// cutText cuts a text that is too long and says so.
func cutText(text []byte) []byte {
	end := min(len(text), MaxText-len(CutMark))
	for end > 0 && end < len(text) && !utf8.RuneStart(text[end]) {
		end--
	}
	return append(text[:end], CutMark...)
}

// turnsDirection reports whether a rune changes the order in which others are shown, or
// is a control character of the second kind.
func turnsDirection(r rune) bool {
	return r >= 0x80 && r < 0xa0 || r == 0x61c || r == 0x200e || r == 0x200f || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069
}

// terminalSequence returns the length of the escape sequence at the front of text
// (ECMA-48, section 5.4), at most 64 bytes.
func terminalSequence(text []byte) int {
	if len(text) < 2 {
		return len(text)
	}
	end := min(len(text), 64)
	switch text[1] {
	case '[':
		for i := 2; i < end; i++ {
			if text[i] >= 0x40 && text[i] <= 0x7e {
				return i + 1
			}
			if text[i] < 0x20 || text[i] > 0x7e {
				return i
			}
		}
		return end
	case ']':
		for i := 2; i < end; i++ {
			if text[i] == 0x07 {
				return i + 1
			}
			if text[i] == 0x1b || text[i] == '\n' {
				return i
			}
		}
		return 2
	}
	if text[1] < 0x20 || text[1] > 0x7e {
		return 1
	}
	return 2
}
