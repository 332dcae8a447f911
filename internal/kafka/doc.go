// Package kafka is how Assay talks to brokers: the one place that knows kafka-go,
// its pitfalls and the settings that avoid them.
//
// [Connect] checks a [Config] (brokers, TLS, SASL) and returns a [Client]. The
// client reads partitions batch by batch ([Client.Fetch]), asks for offsets and
// topics, joins consumer groups ([Client.Group]) and makes writers
// ([Client.Writer]) that lose nothing silently. [EnsureTopics] creates the topics
// of Assay and says where a broker differs from what they need. [StartEmbedded]
// runs a broker inside the process for installations that have none.
//
// What comes from a topic is not trusted. Two walls stand between a hostile batch
// and the process: the decompressors of kafka-go are bounded ([MaxInflated]), and
// every connection of a client inspects fetch responses before kafka-go decodes
// them, because kafka-go decodes in goroutines of its own, where a panic or a
// 30 GB allocation cannot be caught. A batch that is refused is a [BadBatch] with
// its exact offsets, so that the reader can quarantine it and go on.
//
// What it does not do: decode events, keep offsets, retry, or decide what to do
// about an error. kafka-go's Reader is used nowhere: it rewinds committed offsets
// and loses records (docs: reliability, P1 to P9).
package kafka
