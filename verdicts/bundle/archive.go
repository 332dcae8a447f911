package bundle

import (
	"bytes"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"slices"
	"strconv"
	"strings"
)

// eachMember reads a tar archive that Write has written, and only such a one:
// every block must be the one that Write would have made for the name and the
// size that it names. There is nothing to parse, so nothing to exploit: no paths,
// links, devices, extended headers or other owners can occur. f gets a reader of
// exactly size bytes and must read them all.
func eachMember(archive io.Reader, limit int64, f func(name string, size int64, content io.Reader) error) error {
	place := 0 // in members: they come in this order, each at most once
	for {
		var block [blockSize]byte
		if err := readFull(archive, block[:]); err != nil {
			return err
		}
		if block == [blockSize]byte{} {
			break
		}
		name, size, err := memberOf(block[:])
		if err != nil {
			return err
		}
		for place < len(members) && members[place] != name {
			if !optional[members[place]] {
				return corrupt("%s is missing", members[place])
			}
			place++
		}
		if place++; place > len(members) {
			return corrupt("%s is there twice", name)
		}
		if limit -= blockSize + size + padding(size); limit < 0 || size > maxSmall && name != looksJSONL {
			return corrupt("%s says that it has %d bytes, too many for this file", name, size)
		}
		content := &io.LimitedReader{R: archive, N: size}
		if err := f(name, size, content); err != nil {
			return err
		}
		if content.N != 0 {
			return corrupt("%s is cut off", name)
		}
		pad := make([]byte, padding(size))
		if err := readFull(archive, pad); err != nil {
			return err
		}
		if len(bytes.TrimLeft(pad, "\x00")) > 0 {
			return corrupt("there is something hidden behind %s", name)
		}
	}
	for ; place < len(members); place++ {
		if !optional[members[place]] {
			return corrupt("%s is missing", members[place])
		}
	}
	rest := make([]byte, endSize-blockSize)
	if err := readFull(archive, rest); err != nil {
		return err
	}
	if n, err := archive.Read(make([]byte, 1)); n > 0 || len(bytes.TrimLeft(rest, "\x00")) > 0 {
		return corrupt("something follows the archive")
	} else if err != nil && err != io.EOF {
		return err
	}
	return nil
}

// memberOf returns the name and size in a header that Write can have written.
func memberOf(block []byte) (string, int64, error) {
	name, _, _ := strings.Cut(string(block[:100]), "\x00")
	digits := strings.TrimRight(string(block[124:136]), "\x00")
	size, err := strconv.ParseInt(digits, 8, 64)
	if err != nil || !slices.Contains(members, name) {
		return "", 0, corrupt("%q does not belong here", name)
	}
	want, err := header(name, size)
	if err != nil || !bytes.Equal(block, want) {
		return "", 0, corrupt("the header of %s is not as Assay writes it", name)
	}
	return name, size, nil
}

func readFull(r io.Reader, p []byte) error {
	_, err := io.ReadFull(r, p)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return corrupt("it is cut off")
	}
	return err
}

func hexOf(h hash.Hash) string { return hex.EncodeToString(h.Sum(nil)) }
