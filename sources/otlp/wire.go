package otlp

import (
	"errors"
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
)

// A request is looked over before it is decoded, because decoding trusts it: pdata
// follows nested attribute values as deep as they go (20 MiB of them overflow the
// stack, which ends the process), and makes some hundred bytes of each empty
// message of two.
const (
	maxNesting  = 256     // of messages in messages; without nested values it is 8
	maxMessages = 1 << 20 // 20 bytes each in a request of 20 MiB, which is close to what real ones have
)

var (
	errNested   = fmt.Errorf("attribute values are nested too deep (more than %d messages)", maxNesting)
	errMessages = fmt.Errorf("more than %d objects in one request: send smaller batches", maxMessages)
	errWire     = errors.New("not a valid protobuf message")
)

// message is a kind of message in an export request.
type message uint8

const (
	leaf message = iota // has no messages in it that could nest or repeat
	request
	resourceMetrics
	resource
	scopeMetrics
	scope
	metric
	numberPoint
	histogramPoint
	exponentialPoint
	summary
	summaryPoint
	exemplar
	keyValue
	anyValue
	arrayValue
	keyValueList
	numbers
	histogramData
	exponentialData
)

// children says which fields of a message are messages, by opentelemetry-proto
// v1: common.proto, resource.proto, metrics.proto.
var children = [...]map[protowire.Number]message{
	request:          {1: resourceMetrics},
	resourceMetrics:  {1: resource, 2: scopeMetrics, 1000: scopeMetrics},
	resource:         {1: keyValue, 3: leaf},
	scopeMetrics:     {1: scope, 2: metric},
	scope:            {3: keyValue},
	metric:           {5: numbers, 7: numbers, 9: histogramData, 10: exponentialData, 11: summary, 12: keyValue},
	numbers:          {1: numberPoint},
	histogramData:    {1: histogramPoint},
	exponentialData:  {1: exponentialPoint},
	summary:          {1: summaryPoint},
	numberPoint:      {7: keyValue, 5: exemplar},
	histogramPoint:   {9: keyValue, 8: exemplar},
	exponentialPoint: {1: keyValue, 11: exemplar, 8: leaf, 9: leaf},
	summaryPoint:     {7: keyValue, 6: leaf},
	exemplar:         {7: keyValue},
	keyValue:         {2: anyValue},
	anyValue:         {5: arrayValue, 6: keyValueList},
	arrayValue:       {1: anyValue},
	keyValueList:     {1: keyValue},
}

// checkProto returns an error for an export request that must not be decoded.
func checkProto(body []byte) error {
	budget := maxMessages
	return checkMessage(body, request, 0, &budget)
}

func checkMessage(b []byte, kind message, depth int, budget *int) error {
	if depth > maxNesting {
		return errNested
	}
	for len(b) > 0 {
		field, wireType, n := protowire.ConsumeTag(b)
		if n < 0 {
			return errWire
		}
		b = b[n:]
		if wireType != protowire.BytesType {
			if n = protowire.ConsumeFieldValue(field, wireType, b); n < 0 {
				return errWire
			}
			b = b[n:]
			continue
		}
		value, n := protowire.ConsumeBytes(b)
		if n < 0 {
			return errWire
		}
		b = b[n:]
		child, ok := children[kind][field]
		if !ok {
			continue
		}
		if *budget--; *budget < 0 {
			return errMessages
		}
		if child == leaf {
			continue
		}
		if err := checkMessage(value, child, depth+1, budget); err != nil {
			return err
		}
	}
	return nil
}

// checkJSON is the same for JSON, by its brackets alone.
func checkJSON(body []byte) error {
	depth, objects, quoted := 0, 0, false
	for i := 0; i < len(body); i++ {
		switch c := body[i]; {
		case quoted:
			if c == '\\' {
				i++
			} else if c == '"' {
				quoted = false
			}
		case c == '"':
			quoted = true
		case c == '{' || c == '[':
			objects++
			if depth++; depth > 2*maxNesting { // each message is an object in a list
				return errNested
			}
			if objects > maxMessages {
				return errMessages
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return nil
}
