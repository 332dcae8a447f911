package wire

import "errors"

// ErrAttributes is the error of a request in which one span, record or resource has
// more than 4,096 attributes.
var ErrAttributes = errors.New("more than 4096 attributes on one span, record or resource")

// Fields that requests of spans and of logs have in common: Export…ServiceRequest,
// Resource{Spans,Logs} and Scope{Spans,Logs} (trace.proto, logs.proto).
const (
	tagOfRequest = 1<<3 | wireBytes // Resource{Spans,Logs}

	tagResource     = 1<<3 | wireBytes
	tagScope        = 2<<3 | wireBytes // Scope{Spans,Logs}
	tagSchema       = 3<<3 | wireBytes
	numberOldScope  = 1000 // deprecated in 2022; counts where there is no other
	tagOldScope     = numberOldScope<<3 | wireBytes
	fieldsOfOwner   = 1<<1 | 1<<2 | 1<<3
	tagScopeItself  = 1<<3 | wireBytes
	tagItem         = 2<<3 | wireBytes // Span, LogRecord
	fieldsOfScope   = 1<<1 | 1<<2 | 1<<3
	fieldsOfRequest = 1 << 1
)

// A reader knows one kind of item.
type reader interface {
	check(item []byte) error // whether it is well formed, and within the bounds
	resource(*Resource) bool // shows it
	item(item []byte)        // shows it
}

// walk shows a request's resources and their items, in the order of the bytes. Nothing
// is shown if check has an error.
func walk(data []byte, res *Resource, r reader) error {
	if err := request(data, res, r, false); err != nil {
		return err
	}
	if err := request(data, res, r, true); err != nil {
		return err
	}
	if res.attributes.bad {
		return ErrMalformed
	}
	return nil
}

func request(data []byte, res *Resource, r reader, show bool) error {
	res.attributes.bad = false
	for pos := 0; pos < len(data); {
		tag, at, ok := readTag(data, pos)
		if ok && tag == tagOfRequest {
			var owner []byte
			if owner, pos, ok = readBytes(data, at); ok {
				if err := ownerOf(owner, res, r, show); err != nil {
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

// ownerOf walks a Resource{Spans,Logs}: first for its resource, then for its scopes.
func ownerOf(owner []byte, res *Resource, r reader, show bool) error {
	res.begin()
	items := uint64(tagOldScope)
	for pos := 0; pos < len(owner); {
		tag, at, ok := readTag(owner, pos)
		if !ok {
			return ErrMalformed
		}
		switch tag {
		case tagResource:
			var b []byte
			if b, pos, ok = readBytes(owner, at); ok {
				ok = res.add(b)
			}
			if ok && res.count > maxAttributes {
				return ErrAttributes
			}
		case tagScope:
			items = tagScope
			fallthrough
		case tagOldScope, tagSchema:
			_, pos, ok = readBytes(owner, at)
		default:
			if ok = tag>>3 != numberOldScope; ok {
				pos, ok = skipUnknown(owner, at, tag, fieldsOfOwner)
			}
		}
		if !ok {
			return ErrMalformed
		}
	}
	if show && !r.resource(res) {
		return nil
	}
	for pos := 0; pos < len(owner); {
		tag, at, ok := readTag(owner, pos)
		if ok && (tag == tagScope || tag == tagOldScope) {
			var scope []byte
			if scope, pos, ok = readBytes(owner, at); ok && (tag == items || !show) {
				if err := scopeOf(scope, r, show); err != nil {
					return err
				}
			}
		} else if ok {
			pos, ok = skip(owner, at, tag)
		}
		if !ok {
			return ErrMalformed
		}
	}
	return nil
}

func scopeOf(scope []byte, r reader, show bool) error {
	for pos := 0; pos < len(scope); {
		tag, at, ok := readTag(scope, pos)
		if !ok {
			return ErrMalformed
		}
		switch tag {
		case tagItem:
			var item []byte
			if item, pos, ok = readBytes(scope, at); !ok {
				break
			}
			if show {
				r.item(item)
			} else if err := r.check(item); err != nil {
				return err
			}
		case tagScopeItself, tagSchema:
			_, pos, ok = readBytes(scope, at)
		default:
			pos, ok = skipUnknown(scope, at, tag, fieldsOfScope)
		}
		if !ok {
			return ErrMalformed
		}
	}
	return nil
}
