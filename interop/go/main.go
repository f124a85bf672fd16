// franz-go against a running node: create a topic, write with every compression, read everything
// back and compare. Arguments: bootstrap address, topic, records.
package main

import (
	"context"
	"fmt"
	"os"
	"reflect"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

const partitions = 3

var compressions = []struct {
	name  string
	codec kgo.CompressionCodec
}{
	{"none", kgo.NoCompression()},
	{"gzip", kgo.GzipCompression()},
	{"snappy", kgo.SnappyCompression()},
	{"lz4", kgo.Lz4Compression()},
	{"zstd", kgo.ZstdCompression()},
}

type place struct {
	partition int32
	offset    int64
}

func main() {
	if err := run(os.Args[1], os.Args[2], os.Args[3]); err != nil {
		fmt.Fprintln(os.Stderr, "go:", err)
		os.Exit(1)
	}
}

func run(bootstrap, topic, count string) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	records, err := strconv.Atoi(count)
	if err != nil {
		return err
	}
	if err := create(ctx, bootstrap, topic); err != nil {
		return fmt.Errorf("create: %w", err)
	}
	written, err := write(ctx, bootstrap, topic, records)
	if err != nil {
		return fmt.Errorf("write: %w", err)
	}
	read, err := readBack(ctx, bootstrap, topic, len(written))
	if err != nil {
		return fmt.Errorf("read: %w", err)
	}
	if !reflect.DeepEqual(read, written) {
		return fmt.Errorf("what was read differs from what was written")
	}
	fmt.Printf("go: %d records there and back\n", len(written))
	return groups(bootstrap, topic, len(written))
}

func create(ctx context.Context, bootstrap, topic string) error {
	client, err := kgo.NewClient(kgo.SeedBrokers(bootstrap))
	if err != nil {
		return err
	}
	defer client.Close()
	admin := kadm.NewClient(client)
	if _, err := admin.CreateTopic(ctx, partitions, -1, nil, topic); err != nil {
		return err
	}
	listed, err := admin.ListTopics(ctx, topic)
	if err != nil {
		return err
	}
	if len(listed[topic].Partitions) != partitions {
		return fmt.Errorf("listed with %d partitions", len(listed[topic].Partitions))
	}
	return nil
}

func write(ctx context.Context, bootstrap, topic string, records int) (map[place]string, error) {
	written := map[place]string{}
	for _, compression := range compressions {
		client, err := kgo.NewClient(
			kgo.SeedBrokers(bootstrap),
			kgo.DefaultProduceTopic(topic),
			kgo.ProducerBatchCompression(compression.codec),
		)
		if err != nil {
			return nil, err
		}
		batch := make([]*kgo.Record, records)
		for i := range batch {
			batch[i] = &kgo.Record{
				Key:     fmt.Appendf(nil, "key-%d", i),
				Value:   fmt.Appendf(nil, "%s-%d", compression.name, i),
				Headers: []kgo.RecordHeader{{Key: "from", Value: []byte("go")}},
			}
		}
		results := client.ProduceSync(ctx, batch...)
		client.Close()
		if err := results.FirstErr(); err != nil {
			return nil, err
		}
		for _, r := range batch {
			written[place{r.Partition, r.Offset}] = shown(r)
		}
	}
	if len(written) != records*len(compressions) {
		return nil, fmt.Errorf("two records got one offset")
	}
	return written, nil
}

func readBack(ctx context.Context, bootstrap, topic string, expected int) (map[place]string, error) {
	from := map[int32]kgo.Offset{}
	for p := int32(0); p < partitions; p++ {
		from[p] = kgo.NewOffset().AtStart()
	}
	client, err := kgo.NewClient(
		kgo.SeedBrokers(bootstrap),
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: from}),
	)
	if err != nil {
		return nil, err
	}
	defer client.Close()
	read := map[place]string{}
	for len(read) < expected {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err0(); err != nil {
			return nil, fmt.Errorf("%d of %d records: %w", len(read), expected, err)
		}
		fetches.EachRecord(func(r *kgo.Record) { read[place{r.Partition, r.Offset}] = shown(r) })
	}
	ends, err := kadm.NewClient(client).ListEndOffsets(ctx, topic)
	if err != nil {
		return nil, err
	}
	total := int64(0)
	ends.Each(func(o kadm.ListedOffset) { total += o.Offset })
	if total != int64(expected) {
		return nil, fmt.Errorf("the end offsets add up to %d, not %d", total, expected)
	}
	return read, nil
}

func shown(r *kgo.Record) string {
	return fmt.Sprintf("%s=%s/%s", r.Key, r.Value, r.Headers[0].Value)
}
