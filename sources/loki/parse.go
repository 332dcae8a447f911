package loki

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// parse reads back what text writes, and nothing else of LogQL.
func parse(text string) (e expression, err error) {
	p := &reader{rest: text}
	p.expect("{")
	for first := true; !p.take("}"); first = false {
		if !first {
			p.expect(",")
		}
		e.streams = append(e.streams, p.matcher())
		if p.err != nil {
			return e, p.err
		}
	}
	for p.err == nil && p.rest != "" {
		if p.take("|~") {
			if len(e.filters) > 0 {
				return e, errors.New("a pattern of lines after a filter on labels")
			}
			e.lines = append(e.lines, p.quoted())
			continue
		}
		p.expect("|")
		any := []matcher{p.matcher()}
		for p.err == nil && p.take("or ") {
			any = append(any, p.matcher())
		}
		e.filters = append(e.filters, any)
	}
	return e, p.err
}

// A reader reads a text from its front; its first fault stays.
type reader struct {
	rest string
	err  error
}

func (p *reader) take(token string) bool {
	rest := strings.TrimLeft(p.rest, " ")
	if after, ok := strings.CutPrefix(rest, token); ok {
		p.rest = after
		return true
	}
	return false
}

func (p *reader) expect(token string) {
	if !p.take(token) && p.err == nil {
		p.err = fmt.Errorf("no %q before %.40q", token, p.rest)
	}
}

func (p *reader) matcher() matcher {
	rest := strings.TrimLeft(p.rest, " ")
	end := strings.IndexAny(rest, "=!")
	if end < 0 || !labelName.MatchString(rest[:end]) {
		if p.err == nil {
			p.err = fmt.Errorf("no label name before %.40q", rest)
		}
		return matcher{}
	}
	m := matcher{name: rest[:end]}
	p.rest = rest[end:]
	for _, op := range []string{"=~", "!~", "!=", "="} {
		if p.take(op) {
			m.op = op
			break
		}
	}
	m.value = p.quoted()
	return m
}

func (p *reader) quoted() string {
	rest := strings.TrimLeft(p.rest, " ")
	literal, err := strconv.QuotedPrefix(rest)
	if err == nil && literal[0] != '"' {
		err = errors.New("it is not in double quotes")
	}
	if err != nil {
		if p.err == nil {
			p.err = fmt.Errorf("no string before %.40q: %w", rest, err)
		}
		return ""
	}
	value, _ := strconv.Unquote(literal)
	p.rest = rest[len(literal):]
	return value
}
