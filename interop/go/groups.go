// Consumer groups of franz-go: in each way of sharing, two members share the topic's partitions,
// one leaves, the other has all of them, and what was committed is there afterwards.
package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

var ways = []struct {
	name     string
	balancer kgo.GroupBalancer
	static   bool
}{
	{"range", kgo.RangeBalancer(), false},
	{"roundrobin", kgo.RoundRobinBalancer(), false},
	{"sticky", kgo.StickyBalancer(), false},
	{"cooperative", kgo.CooperativeStickyBalancer(), false},
	{"static", kgo.CooperativeStickyBalancer(), true},
}

// What the members of a group have and saw.
type group struct {
	sync.Mutex
	held map[string]map[int32]bool
	seen map[place]bool
}

func (g *group) member(bootstrap, topic, name, who string, at int) (*kgo.Client, error) {
	way := ways[at]
	g.held[who] = map[int32]bool{}
	gets := func(has bool) func(context.Context, *kgo.Client, map[string][]int32) {
		return func(ctx context.Context, client *kgo.Client, parts map[string][]int32) {
			if !has {
				// What was read so far isn't read again by who gets the partitions.
				_ = client.CommitUncommittedOffsets(ctx)
			}
			g.Lock()
			defer g.Unlock()
			for _, p := range parts[topic] {
				if has {
					g.held[who][p] = true
				} else {
					delete(g.held[who], p)
				}
			}
		}
	}
	options := []kgo.Opt{
		kgo.SeedBrokers(bootstrap),
		kgo.ConsumerGroup(name),
		kgo.ConsumeTopics(topic),
		kgo.Balancers(way.balancer),
		kgo.HeartbeatInterval(500 * time.Millisecond),
		kgo.SessionTimeout(6 * time.Second),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.DisableAutoCommit(),
		kgo.OnPartitionsAssigned(gets(true)),
		kgo.OnPartitionsRevoked(gets(false)),
		kgo.OnPartitionsLost(gets(false)),
	}
	if way.static {
		options = append(options, kgo.InstanceID(who))
	}
	return kgo.NewClient(options...)
}

func (g *group) until(ctx context.Context, what string, done func() bool, members ...*kgo.Client) error {
	for {
		g.Lock()
		ready := done()
		g.Unlock()
		if ready {
			return nil
		}
		if ctx.Err() != nil {
			return fmt.Errorf("not in time: %s", what)
		}
		for _, client := range members {
			brief, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
			fetches := client.PollFetches(brief)
			cancel()
			g.Lock()
			fetches.EachRecord(func(r *kgo.Record) { g.seen[place{r.Partition, r.Offset}] = true })
			g.Unlock()
		}
	}
}

func groups(bootstrap, topic string, expected int) error {
	for at := range ways {
		if err := share(bootstrap, topic, expected, at); err != nil {
			return fmt.Errorf("%s: %w", ways[at].name, err)
		}
	}
	fmt.Printf("go: groups in %d ways\n", len(ways))
	return nil
}

func share(bootstrap, topic string, expected, at int) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	name := topic + "-" + ways[at].name
	g := &group{held: map[string]map[int32]bool{}, seen: map[place]bool{}}
	a, err := g.member(bootstrap, topic, name, "a", at)
	if err != nil {
		return err
	}
	all := func(who string) func() bool { return func() bool { return len(g.held[who]) == partitions } }
	if err := g.until(ctx, "the first member has all", all("a"), a); err != nil {
		return err
	}
	b, err := g.member(bootstrap, topic, name, "b", at)
	if err != nil {
		return err
	}
	shared := func() bool {
		for p := range g.held["a"] {
			if g.held["b"][p] {
				return false
			}
		}
		return len(g.held["a"]) > 0 && len(g.held["b"]) > 0 && len(g.held["a"])+len(g.held["b"]) == partitions
	}
	if err := g.until(ctx, "two members share", shared, a, b); err != nil {
		return err
	}
	read := func() bool { return len(g.seen) == expected }
	if err := g.until(ctx, "everything is read", read, a, b); err != nil {
		return err
	}
	for _, client := range []*kgo.Client{a, b} {
		if err := client.CommitUncommittedOffsets(ctx); err != nil {
			return err
		}
	}
	admin := kadm.NewClient(b)
	if ways[at].static {
		// A static member doesn't leave by closing; an operator sends it away.
		a.Close()
		left, err := admin.LeaveGroup(ctx, kadm.LeaveGroup(name).InstanceIDs("a"))
		if err != nil || left.Error() != nil {
			return fmt.Errorf("leave: %v %v", err, left.Error())
		}
	} else {
		a.Close()
	}
	if err := g.until(ctx, "who stays has all", all("b"), b); err != nil {
		return err
	}
	offsets, err := admin.FetchOffsets(ctx, name)
	if err != nil {
		return err
	}
	total := int64(0)
	offsets.Each(func(o kadm.OffsetResponse) { total += o.At })
	if total != int64(expected) {
		return fmt.Errorf("%d records are committed, not %d", total, expected)
	}
	b.Close()
	return nil
}
