package intake

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"math"
	"slices"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
)

// contentHash names the content of an event. Its core attributes equal members of
// the data (readCDEvent), so the data says it all; what bridges add on the way,
// like traceparent, is no content. Two texts have one hash if they differ in
// nothing but white space, the order of members, the escapes of strings and the
// spelling of numbers.
//
// The form that is hashed is that of RFC 8785 but for the spelling of numbers and
// the order of names outside of ASCII. It is written here because it is a quarter
// of the work of Decode when the library does it, which must check what scan has
// checked already.
func contentHash(data []byte) (string, error) {
	buffer := make([]byte, 2*len(data)) // what is written is seldom longer than what is read
	c := canonical{in: data, out: buffer[:0:len(data)], scratch: buffer[len(data):len(data)], members: make([]span, 0, 32)}
	c.value()
	if c.err != nil {
		return "", c.err
	}
	sum := sha256.Sum256(c.out)
	return hex.EncodeToString(sum[:]), nil
}

// canonical rewrites a JSON value that is known to be valid.
type canonical struct {
	in  []byte
	at  int
	out []byte
	err error

	members []span // of the open objects, one after the other
	scratch []byte
}

// A span is where the name and the value of a member stand in out.
type span struct{ name, value, end int }

func (c *canonical) peek() byte {
	for c.at < len(c.in) {
		switch b := c.in[c.at]; b {
		case ' ', '\t', '\r', '\n', ',', ':':
			c.at++
		default:
			return b
		}
	}
	return 0
}

func (c *canonical) value() {
	switch b := c.peek(); {
	case b == '{':
		c.object()
	case b == '[':
		c.at++
		c.out = append(c.out, '[')
		for c.peek() != ']' && c.peek() != 0 {
			c.value()
			c.out = append(c.out, ',')
		}
		c.at++
		c.out = append(c.out, ']')
	case b == '"':
		c.str()
	case b == '-' || b >= '0' && b <= '9':
		start := c.at
		for c.at < len(c.in) && bytes.IndexByte([]byte("+-.0123456789Ee"), c.in[c.at]) >= 0 {
			c.at++
		}
		v, err := strconv.ParseFloat(string(c.in[start:c.at]), 64)
		if err != nil {
			c.err = cmp.Or(c.err, err)
		}
		if v == 0 {
			v = math.Abs(v) // -0 is 0
		}
		c.out = strconv.AppendFloat(c.out, v, 'g', -1, 64)
	case b >= 'a' && b <= 'z':
		start := c.at
		for c.at < len(c.in) && c.in[c.at] >= 'a' && c.in[c.at] <= 'z' {
			c.at++
		}
		c.out = append(c.out, c.in[start:c.at]...)
	default:
		c.at++ // not in a valid value; make progress all the same
	}
}

// str copies a string, or writes it anew where it has escapes.
func (c *canonical) str() {
	start := c.at
	escaped := false
	for c.at++; c.at < len(c.in) && c.in[c.at] != '"'; c.at++ {
		if c.in[c.at] == '\\' {
			escaped = true
			c.at++
		}
	}
	c.at = min(c.at+1, len(c.in))
	raw := c.in[start:c.at]
	if !escaped {
		c.out = append(c.out, raw...)
		return
	}
	text, err := jsontext.AppendUnquote(nil, raw)
	if err == nil {
		c.out, err = jsontext.AppendQuote(c.out, text)
	}
	c.err = cmp.Or(c.err, err)
}

// object writes the members as they come, and then in the order of their names.
func (c *canonical) object() {
	c.at++
	start, first := len(c.out), len(c.members)
	c.out = append(c.out, '{')
	for c.peek() == '"' {
		m := span{name: len(c.out)}
		c.str()
		c.out = append(c.out, ':')
		m.value = len(c.out)
		c.value()
		c.out = append(c.out, ',')
		m.end = len(c.out)
		c.members = append(c.members, m)
	}
	c.at++
	mine := c.members[first:]
	byName := func(a, b span) int { return bytes.Compare(c.out[a.name:a.value], c.out[b.name:b.value]) }
	if !slices.IsSortedFunc(mine, byName) {
		slices.SortFunc(mine, byName)
		c.scratch = c.scratch[:0]
		for _, m := range mine {
			c.scratch = append(c.scratch, c.out[m.name:m.end]...)
		}
		copy(c.out[start+1:], c.scratch)
	}
	c.members = c.members[:first]
	c.out = append(c.out, '}')
}
