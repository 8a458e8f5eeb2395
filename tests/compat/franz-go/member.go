// A member of a group until SIGTERM; see groups.sh. Arguments: BOOTSTRAP GROUP TOPIC ASSIGNOR.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"sort"
	"strings"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

var owned = map[int32]bool{}

func say(partitions []int32, owns bool) {
	for _, partition := range partitions {
		if owns {
			owned[partition] = true
		} else {
			delete(owned, partition)
		}
	}
	var all []int
	for partition := range owned {
		all = append(all, int(partition))
	}
	sort.Ints(all)
	fmt.Println("owns", strings.Trim(fmt.Sprint(all), "[]"))
}

func commit(ctx context.Context, client *kgo.Client) {
	if err := client.CommitUncommittedOffsets(ctx); err != nil {
		fmt.Println("not committed:", err)
	}
}

func main() {
	topic := os.Args[3]
	balancers := map[string]kgo.GroupBalancer{
		"range": kgo.RangeBalancer(), "roundrobin": kgo.RoundRobinBalancer(),
		"sticky": kgo.StickyBalancer(), "cooperative-sticky": kgo.CooperativeStickyBalancer(),
	}
	client, err := kgo.NewClient(
		kgo.SeedBrokers(os.Args[1]), kgo.ConsumerGroup(os.Args[2]), kgo.ConsumeTopics(topic),
		kgo.Balancers(balancers[os.Args[4]]), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.SessionTimeout(10*time.Second), kgo.HeartbeatInterval(300*time.Millisecond),
		kgo.DisableAutoCommit(), kgo.BlockRebalanceOnPoll(),
		kgo.OnPartitionsAssigned(func(_ context.Context, _ *kgo.Client, now map[string][]int32) { say(now[topic], true) }),
		kgo.OnPartitionsRevoked(func(ctx context.Context, client *kgo.Client, gone map[string][]int32) {
			commit(ctx, client)
			say(gone[topic], false)
		}),
		kgo.OnPartitionsLost(func(_ context.Context, _ *kgo.Client, gone map[string][]int32) { say(gone[topic], false) }),
	)
	if err != nil {
		panic(err)
	}
	ctx, _ := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	for ctx.Err() == nil {
		// Not longer, so that what could not be committed while members changed is so soon.
		poll, cancel := context.WithTimeout(ctx, 500*time.Millisecond)
		fetches := client.PollFetches(poll)
		cancel()
		fetches.EachRecord(func(record *kgo.Record) {
			fmt.Printf("read %d %d %s\n", record.Partition, record.Offset, record.Value)
		})
		commit(context.Background(), client)
		client.AllowRebalance()
	}
	client.CloseAllowingRebalance()
	fmt.Println("left")
}
