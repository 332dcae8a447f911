package logdiff

import "bytes"

// wildcard stands for what differs from line to line.
const wildcard = "<*>"

// maxMasked is the longest masked text in bytes.
const maxMasked = 1 << 10

// Kinds of bytes.
const (
	other = iota // punctuation
	space        // and control characters
	letter
	digit
)

// kinds tells the kind of each byte; what is not ASCII counts as letters.
var kinds = func() (k [256]uint8) {
	for c := range k {
		switch {
		case c <= ' ' || c == 0x7f:
			k[c] = space
		case c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= 0x80:
			k[c] = letter
		case c >= '0' && c <= '9':
			k[c] = digit
		}
	}
	return k
}()

// joins are the bytes that make one parameter of two: of dates, times, addresses,
// versions and lists.
var joins = [256]bool{'.': true, ':': true, '-': true, '/': true, ',': true, '+': true, '_': true}

// signs are the bytes behind which a plus or minus is the sign of a number.
var signs = [256]bool{' ': true, '=': true, '(': true, '[': true, ':': true, ',': true}

// appendMasked appends the text with single spaces between its words, a wildcard in place
// of all that has the look of a parameter, and without the frames of stack traces, which
// change with every edit of a program. Masking twice changes nothing more.
//
// Parameters are: words that begin with a digit, or are one letter and digits; the digits
// of other words; words of hexadecimal digits or of letters and digits in disorder;
// UUIDs; e-mail addresses; and what has been redacted. Parameters joined by one of
// ".:-/,+_", or by a comma and a space, are one.
func appendMasked(dst, text []byte) []byte {
	start, from := len(dst), 0 // text[from:i] stays as it is, and is not in dst yet
	for i := 0; i < len(text); {
		c := text[i]
		switch kinds[c] {
		case letter, digit:
			end, digits := i+1, kinds[c]&1 // which a digit has and a letter has not
			for end < len(text) {
				k := kinds[text[end]]
				if k < letter {
					break
				}
				digits |= k & 1
				end++
			}
			if end-i == 8 && isUUID(text[i:]) {
				dst, from = append(dst, text[from:i]...), i
				if !bytes.HasSuffix(dst[start:], []byte(wildcard)) {
					dst, i = appendWildcard(dst, start), i+36
					from = i
					continue
				}
			}
			if digits != 0 {
				dst = appendAtom(append(dst, text[from:i]...), text[i:end], start)
				from = end
			}
			i = end
			continue
		case space:
			size := len(dst) - start + i - from
			if size > maxMasked {
				return cutMasked(append(dst, text[from:i]...), start)
			}
			blank := size == 0 || i > from && text[i-1] == ' ' || i == from && dst[len(dst)-1] == ' '
			if c == ' ' && !blank {
				i++
				continue
			}
			dst = append(dst, text[from:i]...)
			if !blank {
				dst = append(dst, ' ')
			}
			if i++; c == '\n' {
				i = skipFrames(text, i-1)
			}
			from = i
			continue
		}
		switch c {
		case '<':
			if n := placeholder(text[i:]); n > 0 {
				dst = appendWildcard(append(dst, text[from:i]...), start)
				i += n
				from = i
				continue
			}
		case '@':
			if n := domain(text[i+1:]); n > 0 {
				dst, from = append(dst, text[from:i]...), i
				if local := localPart(dst, start); local < len(dst) {
					dst = appendWildcard(dst[:local], start)
					i += 1 + n
					from = i
					continue
				}
			}
		}
		i++
	}
	dst = append(dst, text[from:]...)
	if n := len(dst); n > start && dst[n-1] == ' ' {
		dst = dst[:n-1]
	}
	if len(dst)-start > maxMasked {
		return cutMasked(dst, start)
	}
	return dst
}

// appendAtom appends a run of letters and digits in which there is a digit.
func appendAtom(dst, atom []byte, start int) []byte {
	if kinds[atom[0]] == digit || isParameter(atom) {
		return appendWildcard(dst, start)
	}
	for i := 0; i < len(atom); {
		if kinds[atom[i]] != digit {
			dst = append(dst, atom[i])
			i++
			continue
		}
		for i < len(atom) && kinds[atom[i]] == digit {
			i++
		}
		dst = append(dst, wildcard...)
	}
	return dst
}

// isParameter reports whether an atom that begins with a letter is no word with a number
// in it: one letter and digits, hexadecimal, or letters and digits in turns.
func isParameter(atom []byte) bool {
	turns, hex := 0, len(atom) >= 6
	for i, c := range atom {
		if i > 0 && (kinds[c] == digit) != (kinds[atom[i-1]] == digit) {
			turns++
		}
		hex = hex && isHex(c)
	}
	return hex || turns >= 4 || turns == 1 && kinds[atom[1]] == digit
}

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'f'
}

// appendWildcard appends a wildcard, as part of the one before it where they are joined,
// and over the sign of a number.
func appendWildcard(dst []byte, start int) []byte {
	text := dst[start:]
	if n := len(text); n > 0 && (text[n-1] == '-' || text[n-1] == '+') {
		if n == 1 || signs[text[n-2]] {
			text = text[:n-1]
		}
	}
	before := text
	switch n := len(before); {
	case n > 2 && before[n-1] == ' ' && before[n-2] == ',':
		before = before[:n-2]
	case n > 1 && joins[before[n-1]]:
		before = before[:n-1]
	}
	if bytes.HasSuffix(before, []byte(wildcard)) {
		return dst[:start+len(before)]
	}
	return append(dst[:start+len(text)], wildcard...)
}

func isUUID(text []byte) bool {
	if len(text) < 36 || text[8] != '-' || len(text) > 36 && (kinds[text[36]] >= letter || bytes.HasPrefix(text[36:], []byte(wildcard))) {
		return false
	}
	for i, c := range text[:36] {
		if i == 8 || i == 13 || i == 18 || i == 23 {
			if c != '-' {
				return false
			}
		} else if !isHex(c) {
			return false
		}
	}
	return true
}

// placeholder returns the length of a wildcard or of what stands for redacted text at the
// front of text; 0: neither.
func placeholder(text []byte) int {
	if bytes.HasPrefix(text, []byte(wildcard)) {
		return len(wildcard)
	}
	const redacted = "<redacted"
	if !bytes.HasPrefix(text, []byte(redacted)) {
		return 0
	}
	n := len(redacted)
	if n < len(text) && text[n] == ':' {
		for n++; n < len(text) && text[n] >= 'a' && text[n] <= 'z'; {
			n++
		}
	}
	if n < len(text) && text[n] == '>' {
		return n + 1
	}
	return 0
}

// domain returns the length of the domain of an e-mail address at the front of text, to
// its last label of letters alone; 0: there is none.
func domain(text []byte) int {
	found, label, letters := 0, 0, true
	for n := 0; ; n++ {
		c := byte(0)
		if n < len(text) {
			c = text[n]
		}
		switch {
		case kinds[c] == letter:
		case kinds[c] == digit || c == '-':
			letters = false
		default:
			if label > 0 && letters && n-label >= 2 && !bytes.HasPrefix(text[min(n, len(text)):], []byte(wildcard)) {
				found = n
			}
			if c != '.' || n == label {
				return found
			}
			label, letters = n+1, true
		}
	}
}

// localPart returns where the local part of an e-mail address begins that is the end of
// dst; len(dst): there is none.
func localPart(dst []byte, start int) int {
	word := start + bytes.LastIndexByte(dst[start:], ' ') + 1
	from := len(dst)
	for from > word {
		if c := dst[from-1]; kinds[c] < letter && bytes.IndexByte([]byte("._%+-"), c) < 0 {
			if !bytes.HasSuffix(dst[word:from], []byte(wildcard)) {
				break
			}
			from -= len(wildcard) - 1
		}
		from--
	}
	return from
}

// cutMasked cuts a masked text to its bound, between two words where there are such.
func cutMasked(dst []byte, start int) []byte {
	text := dst[start : start+maxMasked-len(CutMark)+1]
	end := bytes.LastIndexByte(text, ' ')
	if end <= 0 {
		for end = len(text) - 1; end > 0 && text[end]&0xc0 == 0x80; {
			end--
		}
	}
	return append(dst[:start+end], CutMark...)
}

// skipFrames returns where the text goes on after the line break at i and the frames of a
// stack trace below it.
func skipFrames(text []byte, i int) int {
	for i < len(text) && text[i] == '\n' {
		line := text[i+1:]
		if end := bytes.IndexByte(line, '\n'); end >= 0 {
			line = line[:end]
		}
		if !isFrame(line) {
			return i + 1
		}
		i += 1 + len(line)
	}
	return i
}

// isFrame reports whether a line names a place in a program and nothing else.
func isFrame(line []byte) bool {
	bare := bytes.TrimLeft(line, " \t")
	indent := len(line) - len(bare)
	switch {
	case bytes.HasPrefix(bare, []byte("at ")):
		return indent > 0 || bytes.IndexByte(bare, '(') > 0
	case bytes.HasPrefix(bare, []byte("... ")):
		return bytes.HasSuffix(bytes.TrimRight(bare, " \r"), []byte(" more")) || bytes.Contains(bare, []byte("frames"))
	case indent > 0 && bytes.HasPrefix(bare, []byte(`File "`)), indent > 0 && bytes.HasPrefix(bare, []byte("^")):
		return true
	}
	return indent >= 4 && line[0] == ' ' || indent > 0 && line[0] == '\t' && len(bare) > 0 && bare[0] == '/'
}
