package wire

import (
	"errors"
	"math"
)

// The spans of a request are staged as they are read, and shown when all of it is known
// to be well formed: so its bytes are gone through once.

// maxStaged bounds how many spans, and how many resources, are staged. Of a request with
// more, which are bytes that claim rather than say something, all are read twice.
const maxStaged = 1 << 15

var errLarge = errors.New("more than is staged")

type stagedRequest struct {
	spans  []spanRef
	owners []stagedOwner
	merged []byte // resources that came in parts
}

// A stagedOwner is a Resource{Spans} and how many of the spans are its.
type stagedOwner struct {
	resource part // of the request, or of merged
	parts    int  // that the resource came in
	spans    int
}

// stage reads a request.
func (r *spanReader) stage(data []byte) error {
	s := &r.staged
	s.spans, s.owners, s.merged = s.spans[:0], s.owners[:0], s.merged[:0]
	if uint64(len(data)) > math.MaxUint32 {
		return errLarge
	}
	for pos := 0; pos < len(data); {
		tag, at, ok := readTag(data, pos)
		if ok && tag == tagOfRequest {
			var owner []byte
			if owner, pos, ok = readBytes(data, at); ok {
				if len(s.owners) >= maxStaged {
					return errLarge
				}
				if err := s.owner(data[:pos], pos-len(owner)); err != nil {
					return err
				}
			}
		} else if ok {
			pos, ok = skipUnknown(data, at, tag, fieldsOfRequest)
		}
		if !ok {
			return ErrMalformed
		}
	}
	return nil
}

// owner stages a ResourceSpans, which is what lies from pos on.
func (s *stagedRequest) owner(data []byte, pos int) error {
	var o stagedOwner
	attributes, first, current := 0, len(s.spans), false
	for pos < len(data) {
		tag, at, ok := readTag(data, pos)
		if !ok {
			return ErrMalformed
		}
		var b []byte
		switch tag {
		case tagResource:
			if b, pos, ok = readBytes(data, at); !ok {
				break
			}
			var n int
			n, ok = checkResource(b)
			if attributes += n; ok && attributes > maxAttributes {
				return ErrAttributes
			}
			s.add(&o, data, partOf(pos-len(b), pos))
		case tagScope, tagOldScope:
			if b, pos, ok = readBytes(data, at); !ok {
				break
			}
			if tag == tagScope && !current { // those of old scopes do not count
				s.spans, current = s.spans[:first], true
			}
			before := len(s.spans)
			if err := s.scope(data[:pos], pos-len(b)); err != nil {
				return err
			}
			if tag == tagOldScope && current {
				s.spans = s.spans[:before]
			}
		case tagSchema:
			_, pos, ok = readBytes(data, at)
		default:
			if ok = tag>>3 != numberOldScope; ok {
				pos, ok = skipUnknown(data, at, tag, fieldsOfOwner)
			}
		}
		if !ok {
			return ErrMalformed
		}
	}
	o.spans = len(s.spans) - first
	s.owners = append(s.owners, o)
	return nil
}

// add merges a resource into those of the same message before it: such messages merge
// when they are put one after the other.
func (s *stagedRequest) add(o *stagedOwner, data []byte, resource part) {
	switch o.parts++; o.parts {
	case 1:
		o.resource = resource
		return
	case 2:
		start := len(s.merged)
		s.merged = append(s.merged, o.resource.of(data)...)
		o.resource = partOf(start, len(s.merged))
	}
	s.merged = append(s.merged, resource.of(data)...)
	o.resource.to = uint32(len(s.merged))
}

// scope stages a ScopeSpans, which is what lies from pos on.
func (s *stagedRequest) scope(data []byte, pos int) error {
	for pos < len(data) {
		tag, at, ok := readTag(data, pos)
		if !ok {
			return ErrMalformed
		}
		switch tag {
		case tagItem:
			var item []byte
			if item, pos, ok = readBytes(data, at); !ok {
				break
			}
			n := len(s.spans)
			if n >= maxStaged {
				return errLarge
			}
			if n == cap(s.spans) {
				s.spans = append(s.spans, spanRef{})
			}
			s.spans = s.spans[:n+1]
			s.spans[n] = spanRef{item: partOf(pos-len(item), pos)}
			if err := s.spans[n].read(item); err != nil {
				return err
			}
		case tagScopeItself, tagSchema:
			_, pos, ok = readBytes(data, at)
		default:
			pos, ok = skipUnknown(data, at, tag, fieldsOfScope)
		}
		if !ok {
			return ErrMalformed
		}
	}
	return nil
}

// show shows what is staged.
func (r *spanReader) show(data []byte) error {
	s := &r.staged
	spans, res := s.spans, &r.owner
	res.attributes.bad = false
	for i := range s.owners {
		o := &s.owners[i]
		res.begin()
		switch {
		case o.parts == 1:
			res.Encoded = data[o.resource.from:o.resource.to:o.resource.to]
		case o.parts > 1:
			res.Encoded = o.resource.of(s.merged)
		}
		if r.visitor.Resource(res) {
			for k := range spans[:o.spans] {
				ref := &spans[k]
				r.visit(data[ref.item.from:ref.item.to:ref.item.to], ref)
			}
		}
		spans = spans[o.spans:]
	}
	if res.attributes.bad {
		return ErrMalformed
	}
	return nil
}
