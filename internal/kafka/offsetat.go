package kafka

import (
	"context"
	"fmt"
	"time"

	kafkago "github.com/segmentio/kafka-go"
)

// OffsetAt returns the offset of the first record of a partition that is not older than
// the instant, or where its next record will be if all are. The time of a record is its
// producer's or the broker's, as the topic has it.
func (c *Client) OffsetAt(ctx context.Context, topic string, partition int, at time.Time) (int64, error) {
	// Asked first: a record that is written in between must not be left out.
	_, end, err := c.Offsets(ctx, topic, partition)
	if err != nil {
		return 0, err
	}
	r, err := c.api.ListOffsets(ctx, &kafkago.ListOffsetsRequest{Topics: map[string][]kafkago.OffsetRequest{
		topic: {kafkago.TimeOffsetOf(partition, at)},
	}})
	if err != nil {
		return 0, err
	}
	for _, p := range r.Topics[topic] {
		if p.Partition != partition {
			continue
		}
		if p.Error != nil {
			return 0, p.Error
		}
		for offset := range p.Offsets {
			if offset >= 0 {
				return offset, nil
			}
		}
		return end, nil
	}
	return 0, fmt.Errorf("kafka: the broker tells no offsets of %s/%d", topic, partition)
}
