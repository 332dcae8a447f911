// Package intaketest has the hostile deployment events with which everything is
// tried that reads events: the decoder, intake from a broker in memory, and the
// whole program on a real Kafka.
//
// [Corpus] makes them systematically: one good event, every member of it, and
// everything that can be done to a member; then the envelope, the values and the
// versions, from tables. Each says with which reason it must be refused. The
// reason is part of the table and never asked of the decoder.
package intaketest
