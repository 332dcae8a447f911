// Package intake is how deployment events come in: from a Kafka topic, or posted
// over HTTP.
//
// A [Message] is what arrived. [Decode] opens its CloudEvent envelope (binary or
// structured), holds the attributes against the CDEvent inside, reads what
// customData.assay says of the rollout, and returns an [analysis.Event], or a
// [Rejection] that names the field and the reason. It is strict where two readers
// could understand two things, because whoever signs or filters the event may be
// another reader than Assay. [Encode] is its inverse, for `assay emit`.
//
// [Run] reads the partitions of a topic, all of them where its process has the store
// alone, else those that a consumer group assigns to it, and gives each fetched batch
// to the store: inbox rows, dead letters and the next offset in one transaction. So
// an event that was acknowledged is never lost, one that comes again is a duplicate,
// and the offsets that Kafka keeps are only for dashboards. Whatever cannot be read
// becomes a dead letter and the next event is served; whatever cannot be written is
// tried again. A reader that hangs is replaced. [Accepter] does the same for one
// posted event. [Status] tells people how it goes.
//
// Two things are left to people. [Replay] decodes what is a dead letter again, say
// after an upgrade, and accepts it or writes down why not; the letter stays. [Resume]
// lets a partition go on that stands still because its topic is another one than
// before, has lost its end, or has a record on which reading hangs.
//
// What it does not do: decide whether an event is too old, joins a deployment or
// may start one (internal/validation and internal/policy do, with a clock and a
// configuration), verify signatures, answer queries, or judge. It reads the topic
// of events only and no compacted one.
package intake
