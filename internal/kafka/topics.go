package kafka

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	kafkago "github.com/segmentio/kafka-go"
)

// The topics of Assay. The major version of what they hold is in the name.
const (
	TopicDeployments = "assay.deployments.v1"
	TopicDeadLetters = "assay.deployments.dlq.v1"
	TopicVerdicts    = "assay.verdicts.v1"
)

// A Topic is a topic as it should be.
type Topic struct {
	Name       string
	Partitions int
	MaxMessage int           // bytes; what a batch may be once it is inflated, because the broker stores it so
	Retention  time.Duration // at least
}

// Topics is the topic contract (reliability 5). It is never compacted: kafka-go
// has open panics on compacted logs (P14).
var Topics = []Topic{
	{Name: TopicDeployments, Partitions: 6, MaxMessage: 256 << 10, Retention: 7 * 24 * time.Hour},
	{Name: TopicDeadLetters, Partitions: 1, MaxMessage: 1 << 20, Retention: 30 * 24 * time.Hour},
	{Name: TopicVerdicts, Partitions: 6, MaxMessage: 1 << 20, Retention: 90 * 24 * time.Hour},
}

// slack is what the headers of a batch and of its records may need beside the
// message itself, so that a message of exactly the limit still fits.
const slack = 16 << 10

type setting struct{ name, value string }

// settings returns the configuration of t on a cluster of so many brokers.
func (t Topic) settings(brokers int) (replicas int, s []setting) {
	replicas = min(3, brokers)
	return replicas, []setting{
		{"cleanup.policy", "delete"},
		{"compression.type", "uncompressed"}, // makes the broker re-check the inflated size (P13)
		{"max.message.bytes", strconv.Itoa(t.MaxMessage + slack)},
		{"message.timestamp.type", "LogAppendTime"},
		{"min.insync.replicas", strconv.Itoa(max(1, replicas-1))},
		{"retention.ms", strconv.FormatInt(t.Retention.Milliseconds(), 10)},
		{"unclean.leader.election.enable", "false"},
	}
}

// EnsureTopics creates those topics that do not exist, with the settings that
// Assay needs, and compares the settings of those that do. It changes no topic
// that exists: each difference comes back as a line for people. Where creation or
// description is not allowed, or the brokers do not answer, the error says so;
// Assay runs without, since brokers create and configure topics elsewhere too.
func EnsureTopics(ctx context.Context, c *Client, topics ...Topic) (deviations []string, err error) {
	missing, deviations, brokers, err := compare(ctx, c, topics)
	errs := []error{err}
	for _, t := range missing {
		errs = append(errs, create(ctx, c, t, brokers))
	}
	return deviations, errors.Join(errs...)
}

// InspectTopics compares as EnsureTopics does, and creates nothing: topics that do
// not exist come back by name.
func InspectTopics(ctx context.Context, c *Client, topics ...Topic) (missing, deviations []string, err error) {
	absent, deviations, _, err := compare(ctx, c, topics)
	for _, t := range absent {
		missing = append(missing, t.Name)
	}
	return missing, deviations, err
}

// compare tells the topics that do not exist from those that do, and how these differ
// from what Assay needs on a cluster of so many brokers.
func compare(ctx context.Context, c *Client, topics []Topic) (missing []Topic, deviations []string, brokers int, err error) {
	m, err := c.api.Metadata(ctx, &kafkago.MetadataRequest{})
	if err != nil {
		return nil, nil, 0, fmt.Errorf("kafka: list topics: %w", err)
	}
	exists := map[string]kafkago.Topic{}
	for _, t := range m.Topics {
		exists[t.Name] = t
	}
	var errs []error
	for _, t := range topics {
		found, ok := exists[t.Name]
		if !ok || found.Error != nil {
			missing = append(missing, t)
			continue
		}
		more, err := verify(ctx, c, t, found, len(m.Brokers))
		deviations, errs = append(deviations, more...), append(errs, err)
	}
	return missing, deviations, len(m.Brokers), errors.Join(errs...)
}

func create(ctx context.Context, c *Client, t Topic, brokers int) error {
	replicas, settings := t.settings(brokers)
	config := kafkago.TopicConfig{Topic: t.Name, NumPartitions: t.Partitions, ReplicationFactor: replicas}
	for _, s := range settings {
		config.ConfigEntries = append(config.ConfigEntries, kafkago.ConfigEntry{ConfigName: s.name, ConfigValue: s.value})
	}
	r, err := c.api.CreateTopics(ctx, &kafkago.CreateTopicsRequest{Topics: []kafkago.TopicConfig{config}})
	if err == nil {
		err = r.Errors[t.Name]
	}
	if err != nil && !errors.Is(err, kafkago.TopicAlreadyExists) { // another replica was quicker
		return fmt.Errorf("kafka: create topic %s: %w", t.Name, err)
	}
	return nil
}

func verify(ctx context.Context, c *Client, t Topic, found kafkago.Topic, brokers int) (deviations []string, err error) {
	replicas, settings := t.settings(brokers)
	names := make([]string, len(settings))
	for i, s := range settings {
		names[i] = s.name
	}
	r, err := c.api.DescribeConfigs(ctx, &kafkago.DescribeConfigsRequest{Resources: []kafkago.DescribeConfigRequestResource{
		{ResourceType: kafkago.ResourceTypeTopic, ResourceName: t.Name, ConfigNames: names},
	}})
	if err == nil && len(r.Resources) == 1 {
		err = r.Resources[0].Error
	}
	if err != nil {
		return nil, fmt.Errorf("kafka: describe topic %s: %w", t.Name, err)
	}
	differs := func(what, got, want string) {
		deviations = append(deviations, fmt.Sprintf("topic %s: %s is %s, Assay needs %s", t.Name, what, got, want))
	}
	for _, p := range found.Partitions {
		if len(p.Replicas) < replicas {
			differs(fmt.Sprintf("replication of partition %d", p.ID), strconv.Itoa(len(p.Replicas)), "at least "+strconv.Itoa(replicas))
			break
		}
	}
	got := map[string]string{}
	for _, resource := range r.Resources {
		for _, e := range resource.ConfigEntries {
			got[e.ConfigName] = e.ConfigValue
		}
	}
	for _, s := range settings {
		value, told := got[s.name]
		if !told || value == s.value {
			continue // the embedded broker does not know every setting
		}
		have, herr := strconv.ParseInt(value, 10, 64)
		want, werr := strconv.ParseInt(s.value, 10, 64)
		switch {
		case herr != nil || werr != nil:
			differs(s.name, value, s.value)
		case s.name == "retention.ms" && (have < 0 || have >= want), s.name == "min.insync.replicas" && have >= want:
			// more is fine
		case s.name == "max.message.bytes" && have > want:
			differs(s.name, value, "at most "+s.value+" (larger events become dead letters)")
		default:
			differs(s.name, value, "at least "+s.value)
		}
	}
	return deviations, nil
}
