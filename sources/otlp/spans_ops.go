package otlp

import (
	"hash/maphash"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/analysis/tracediff"
)

// opsOfName are the operations of one name, 1 + their number; 0: there is none yet.
type opsOfName struct {
	name     string
	kinds    [tracediff.Consumer + 1]int32 // of weight 1
	weighted []int32                       // of others
}

// opNames finds operations by name: a map whose slots are two bytes each, since every
// span asks it.
type opNames struct {
	names []opsOfName // at most opsOfWindow and _other
	slots []uint16    // 1 + index; 0: free. At most a quarter are taken
}

var opSeed = maphash.MakeSeed()

// find returns what is known of a name, until the next one is added; nil: nothing.
func (o *opNames) find(name []byte) *opsOfName {
	if len(o.slots) == 0 {
		return nil
	}
	for at := maphash.Bytes(opSeed, name); ; at++ {
		slot := o.slots[at&uint64(len(o.slots)-1)]
		if slot == 0 {
			return nil
		}
		if known := &o.names[slot-1]; known.name == string(name) {
			return known
		}
	}
}

// add adds a name that is not known.
func (o *opNames) add(name string) *opsOfName {
	o.names = append(o.names, opsOfName{name: name})
	if 4*len(o.names) > len(o.slots) {
		o.slots = make([]uint16, max(16, 2*len(o.slots)))
		for i := range o.names {
			o.place(i)
		}
	} else {
		o.place(len(o.names) - 1)
	}
	return &o.names[len(o.names)-1]
}

func (o *opNames) place(i int) {
	for at := maphash.String(opSeed, o.names[i].name); ; at++ {
		if slot := &o.slots[at&uint64(len(o.slots)-1)]; *slot == 0 {
			*slot = uint16(i + 1)
			return
		}
	}
}

// operation returns the number of an operation, and its kind.
func (sw *spanWindow) operation(s *Source, svc *service, name []byte, kind int8, weight uint64) (int32, tracediff.Kind) {
	if kind < 0 || kind > int8(tracediff.Consumer) {
		kind = 0
	}
	known := sw.names.find(name)
	if known != nil && weight == tracediff.OneWeight {
		if op := known.kinds[kind]; op > 0 {
			return op - 1, tracediff.Kind(kind)
		}
	}
	op := sw.newOperation(s, svc, known, name, tracediff.Kind(kind), weight)
	return op, sw.ops[op].kind
}

func (sw *spanWindow) newOperation(s *Source, svc *service, known *opsOfName, name []byte, kind tracediff.Kind, weight uint64) int32 {
	if known != nil {
		for _, op := range known.weighted {
			if sw.ops[op].kind == kind && sw.ops[op].weight == weight {
				return op
			}
		}
	}
	if string(name) != analysis.OtherOperation && known == nil {
		hash := hashOfName(name)
		if !svc.spanNames.admit(string(name), hash) || len(sw.ops) >= opsOfWindow || !s.moreOperations() {
			s.otherSpans.Add(1)
			op, _ := sw.operation(s, svc, []byte(analysis.OtherOperation), int8(kind), weight)
			return op
		}
		known = sw.names.add(intern(string(name)))
	} else if known == nil {
		known = sw.names.add(analysis.OtherOperation)
		s.operations.Add(1)
	} else if len(sw.ops) >= 2*opsOfWindow {
		// So many weights that the span counts with those of another: of the operation
		// _other, if it has any of the kind.
		for i, op := range sw.ops {
			if op.kind == kind {
				return int32(i)
			}
		}
		return 0
	} else {
		s.operations.Add(1)
	}
	op := int32(len(sw.ops))
	sw.ops = append(sw.ops, spanOp{name: intern(string(name)), hash: hashOfName(name), weight: weight, kind: kind})
	if weight == tracediff.OneWeight {
		known.kinds[kind] = op + 1
	} else {
		known.weighted = append(known.weighted, op)
	}
	return op
}

// moreOperations takes room for one more operation.
func (s *Source) moreOperations() bool {
	if s.operations.Add(1) > int64(s.cfg.MaxOperations) {
		s.operations.Add(-1)
		return false
	}
	return true
}

func hashOfName(name []byte) uint64 {
	h := uint64(14695981039346656037)
	for _, c := range name {
		h = (h ^ uint64(c)) * 1099511628211
	}
	h ^= h >> 32
	h *= 0x94d049bb133111eb
	return h ^ h>>29
}
