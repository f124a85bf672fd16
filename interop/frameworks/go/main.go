// Goka and Watermill over a cluster, both on sarama. A Goka processor keeps a table by key with its changelog, loops back to itself and
// emits; it is stopped, and another one recovers the table elsewhere while a third shares the work; a view reads it. A Watermill router
// carries messages from topic to topic in a consumer group, is closed in the middle and goes on.
//
//	go run . BOOTSTRAP
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/IBM/sarama"
	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill-kafka/v3/pkg/kafka"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/lovoo/goka"
	"github.com/lovoo/goka/codec"
	"github.com/lovoo/goka/storage"
)

const (
	records  = 20000
	keys     = 100
	patience = 2 * time.Minute
)

var (
	brokers []string
	run     = fmt.Sprintf("%d-%d", os.Getpid(), time.Now().Unix())
	quiet   = log.New(discard{}, "", 0)
)

type discard struct{}

func (discard) Write(text []byte) (int, error) { return len(text), nil }

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func await(what string, holds func() bool) {
	for end := time.Now().Add(patience); !holds(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			log.Fatalf("waited in vain: %s", what)
		}
	}
	fmt.Println(what)
}

// A running processor.
type running struct {
	processor *goka.Processor
	ended     chan error
	stop      context.CancelFunc
}

// Starts one over an empty directory. It keeps the highest number of each key, which comes to it over its loop.
func process(group goka.Group, in, out goka.Stream, seen *atomic.Int64) running {
	graph := goka.DefineGroup(group,
		goka.Input(in, new(codec.Int64), func(ctx goka.Context, message any) {
			ctx.Loopback(ctx.Key(), message)
			ctx.Emit(out, ctx.Key(), message)
		}),
		goka.Loop(new(codec.Int64), func(ctx goka.Context, message any) {
			if old, is := ctx.Value().(int64); !is || message.(int64) > old {
				ctx.SetValue(message)
			}
			seen.Add(1)
		}),
		goka.Output(out, new(codec.Int64)),
		goka.Persist(new(codec.Int64)))
	directory, err := os.MkdirTemp("", "goka")
	must(err)
	processor, err := goka.NewProcessor(brokers, graph, goka.WithLogger(quiet), goka.WithTopicManagerBuilder(topics()),
		goka.WithStorageBuilder(storage.DefaultBuilder(directory)))
	must(err)
	ctx, stop := context.WithCancel(context.Background())
	one := running{processor, make(chan error, 1), stop}
	go func() { one.ended <- processor.Run(ctx) }()
	return one
}

func (r running) end() {
	r.stop()
	must(<-r.ended)
}

func topics() goka.TopicManagerBuilder {
	settings := goka.NewTopicManagerConfig()
	settings.Table.Replication = 1
	settings.Stream.Replication = 1
	return goka.TopicManagerBuilderWithTopicManagerConfig(settings)
}

func emit(in goka.Stream, from, to int64) {
	emitter, err := goka.NewEmitter(brokers, in, new(codec.Int64), goka.WithEmitterLogger(quiet))
	must(err)
	for n := from; n < to; n++ {
		_, err := emitter.Emit(fmt.Sprintf("k%d", n%keys), n)
		must(err)
	}
	must(emitter.Finish())
}

func tables() {
	in, out, group := goka.Stream("goka-in-"+run), goka.Stream("goka-out-"+run), goka.Group("goka-"+run)
	manager, err := topics()(brokers)
	must(err)
	must(manager.EnsureStreamExists(string(in), 4))
	must(manager.EnsureStreamExists(string(out), 4))
	must(manager.Close())
	var seen atomic.Int64
	first := process(group, in, out, &seen)
	await("goka: a processor found an empty table", first.processor.Recovered)
	emit(in, 0, records/2)
	await("goka: it took half of the records", func() bool { return seen.Load() >= records/2 })
	first.end()
	emit(in, records/2, records)
	second, third := process(group, in, out, &seen), process(group, in, out, &seen)
	await("goka: two others took the other half", func() bool { return seen.Load() >= records })
	view, err := goka.NewView(brokers, goka.GroupTable(group), new(codec.Int64), goka.WithViewLogger(quiet),
		goka.WithViewTopicManagerBuilder(topics()), goka.WithViewStorageBuilder(storage.MemoryBuilder()))
	must(err)
	ctx, stop := context.WithCancel(context.Background())
	go func() { must(view.Run(ctx)) }()
	await("goka: a view shows the last number of each key", func() bool {
		for k := int64(0); k < keys; k++ {
			if value, err := view.Get(fmt.Sprintf("k%d", k)); err != nil || value != records-keys+k {
				return false
			}
		}
		return view.Recovered()
	})
	second.end()
	third.end()
	fourth := process(group, in, out, &seen)
	await("goka: one more recovered the table from its changelog", func() bool {
		if !fourth.processor.Recovered() {
			return false
		}
		value, err := fourth.processor.Get("k7")
		return err == nil && value == int64(records-keys+7)
	})
	fourth.end()
	stop()
}

func subscriber(group string) *kafka.Subscriber {
	settings := kafka.DefaultSaramaSubscriberConfig()
	settings.Consumer.Offsets.Initial = sarama.OffsetOldest
	one, err := kafka.NewSubscriber(kafka.SubscriberConfig{Brokers: brokers, Unmarshaler: kafka.DefaultMarshaler{}, ConsumerGroup: group,
		OverwriteSaramaConfig: settings, InitializeTopicDetails: &sarama.TopicDetail{NumPartitions: 4, ReplicationFactor: -1}}, watermill.NopLogger{})
	must(err)
	return one
}

func publisher() *kafka.Publisher {
	one, err := kafka.NewPublisher(kafka.PublisherConfig{Brokers: brokers, Marshaler: kafka.DefaultMarshaler{}}, watermill.NopLogger{})
	must(err)
	return one
}

// A router closes what it was given when it is closed.
func route(in, out string) *message.Router {
	router, err := message.NewRouter(message.RouterConfig{}, watermill.NopLogger{})
	must(err)
	router.AddHandler("carry", in, subscriber("watermill-"+run), out, publisher(), func(one *message.Message) ([]*message.Message, error) {
		return message.Messages{one}, nil
	})
	go func() { must(router.Run(context.Background())) }()
	<-router.Running()
	return router
}

func messages() {
	const count = records / 4
	in, out := "watermill-in-"+run, "watermill-out-"+run
	own := publisher()
	reader := subscriber("")
	must(reader.SubscribeInitialize(in))
	must(reader.SubscribeInitialize(out))
	arrived, err := reader.Subscribe(context.Background(), out)
	must(err)
	var seen sync.Map
	var distinct atomic.Int64
	go func() {
		for one := range arrived {
			if _, again := seen.LoadOrStore(string(one.Payload), true); !again {
				distinct.Add(1)
			}
			one.Ack()
		}
	}()
	publish := func(from, to int) {
		for n := from; n < to; n++ {
			must(own.Publish(in, message.NewMessage(watermill.NewUUID(), []byte(fmt.Sprint(n)))))
		}
	}
	router := route(in, out)
	publish(0, count/2)
	await("watermill: a router carries", func() bool { return distinct.Load() > count/4 })
	must(router.Close())
	publish(count/2, count)
	router = route(in, out)
	await("watermill: another one carried the rest", func() bool { return distinct.Load() == count })
	must(router.Close())
}

func main() {
	brokers = strings.Split(os.Args[1], ",")
	sarama.Logger = quiet
	tables()
	messages()
	fmt.Println("go: ok")
}
