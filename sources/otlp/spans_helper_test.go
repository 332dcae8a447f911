package otlp_test

import (
	"encoding/binary"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
)

func pcommonTime(t time.Time) pcommon.Timestamp { return pcommon.Timestamp(t.UnixNano()) }

// shiftSpans makes the spans of a request later, where they are.
func shiftSpans(data []byte, by time.Duration) []byte {
	walkTimes(data, func(at []byte) {
		binary.LittleEndian.PutUint64(at, binary.LittleEndian.Uint64(at)+uint64(by))
	})
	return data
}

// walkTimes shows where the start and end of each span are.
func walkTimes(data []byte, visit func([]byte)) {
	eachSpanField(data, func(number uint64, field []byte) {
		if number == 7 || number == 8 {
			visit(field)
		}
	})
}

// eachSpanField shows the fields of all spans that are bytes or eight bytes.
func eachSpanField(data []byte, visit func(number uint64, field []byte)) {
	eachField(data, 1, func(rs []byte) {
		eachField(rs, 2, func(ss []byte) {
			eachField(ss, 2, func(span []byte) {
				for i := 0; i < len(span); {
					tag, n := binary.Uvarint(span[i:])
					i += n
					switch tag & 7 {
					case 0:
						_, n = binary.Uvarint(span[i:])
						i += n
					case 1:
						visit(tag>>3, span[i:i+8])
						i += 8
					case 2:
						size, n := binary.Uvarint(span[i:])
						i += n
						visit(tag>>3, span[i:i+int(size)])
						i += int(size)
					case 5:
						i += 4
					}
				}
			})
		})
	})
}

func eachField(data []byte, number uint64, visit func([]byte)) {
	for len(data) > 0 {
		tag, n := binary.Uvarint(data)
		data = data[n:]
		if tag&7 != 2 {
			return
		}
		size, n := binary.Uvarint(data)
		data = data[n:]
		if tag>>3 == number {
			visit(data[:size])
		}
		data = data[size:]
	}
}
