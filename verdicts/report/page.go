package report

import (
	"strings"
	"unicode/utf8"

	"github.com/release-assay/assay/verdicts"
)

// Width is the longest line in characters.
const Width = 100

// indent is where the text behind a label begins.
const indent = 18

// A page collects lines.
type page struct {
	b      strings.Builder
	colour bool
}

// plain makes somebody else's words harmless and at most n characters long.
func plain(s string, n int) string { return verdicts.Shorten(verdicts.Plain(s), n) }

func (p *page) blank() { p.b.WriteByte('\n') }

// line writes a line as it is.
func (p *page) line(text string) {
	p.b.WriteString(strings.TrimRight(text, " "))
	p.b.WriteByte('\n')
}

// heading begins a section.
func (p *page) heading(text string) {
	p.blank()
	p.line(p.paint(bold, strings.ToUpper(text)))
}

// field writes a label and a text, wrapped behind the label.
func (p *page) field(label, text string) {
	for i, line := range wrap(text, Width-indent) {
		if i > 0 {
			label = ""
		}
		p.line(pad("  "+label, indent) + line)
	}
}

// pad fills s with blanks up to n characters. What is longer stays, with one
// blank behind it.
func pad(s string, n int) string {
	return s + strings.Repeat(" ", max(1, n-utf8.RuneCountInString(s)))
}

// wrap breaks s into lines of at most n characters, between words where it can.
// It returns at least one line.
func wrap(s string, n int) []string {
	var lines []string
	line := ""
	for _, word := range strings.Fields(s) {
		for {
			room := n - utf8.RuneCountInString(line)
			if line != "" {
				room--
			}
			length := utf8.RuneCountInString(word)
			if length <= room {
				if line != "" {
					line += " "
				}
				line += word
				break
			}
			if line != "" {
				lines = append(lines, line)
				line = ""
				continue
			}
			runes := []rune(word) // a word that no line can hold
			lines = append(lines, string(runes[:n]))
			word = string(runes[n:])
		}
	}
	if line != "" || len(lines) == 0 {
		lines = append(lines, line)
	}
	return lines
}

// The colours of a terminal, used only if asked for.
const (
	bold   = "1"
	red    = "1;31"
	green  = "1;32"
	yellow = "1;33"
)

func (p *page) paint(colour, text string) string {
	if !p.colour || colour == "" {
		return text
	}
	return "\x1b[" + colour + "m" + text + "\x1b[0m"
}
