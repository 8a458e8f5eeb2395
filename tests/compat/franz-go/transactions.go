// Transactions with franz-go: what readers see, fencing, timeout, read-process-write. Arguments: BOOTSTRAP, a word for names.
package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"sort"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	inputs     = 300
	partitions = 3
)

var (
	bootstrap = os.Args[1]
	word      = os.Args[2]
	stdin     = bufio.NewReader(os.Stdin)
)

func step(name string, body func(context.Context) error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	if err := body(ctx); err != nil {
		fmt.Printf("FAILED %s: %v\n", name, err)
		os.Exit(1)
	}
	fmt.Println("ok", name)
}

func equal(what string, expected, got interface{}) error {
	if fmt.Sprint(expected) != fmt.Sprint(got) {
		return fmt.Errorf("%s: expected %v, got %v", what, expected, got)
	}
	return nil
}

func topic(name string) string { return "fgtx-" + name + "-" + word }

func options(more ...kgo.Opt) []kgo.Opt {
	return append([]kgo.Opt{
		kgo.SeedBrokers(bootstrap), kgo.AllowAutoTopicCreation(), kgo.RecordPartitioner(kgo.ManualPartitioner()),
	}, more...)
}

func client(more ...kgo.Opt) *kgo.Client {
	client, err := kgo.NewClient(options(more...)...)
	if err != nil {
		panic(err)
	}
	return client
}

func producer(id string, more ...kgo.Opt) *kgo.Client {
	return client(append(more, kgo.TransactionalID("fg-"+id+"-"+word))...)
}

func record(topic, value string, partition int32) *kgo.Record {
	return &kgo.Record{Topic: topic, Value: []byte(value), Partition: partition}
}

// Everything in the topic before an "end" that is written now to each partition, sorted.
func values(ctx context.Context, topic string, isolation kgo.IsolationLevel) ([]string, error) {
	offsets := map[int32]kgo.Offset{}
	plain := client()
	defer plain.Close()
	for p := int32(0); p < partitions; p++ {
		offsets[p] = kgo.NewOffset().AtStart()
		if err := plain.ProduceSync(ctx, record(topic, "end", p)).FirstErr(); err != nil {
			return nil, err
		}
	}
	reader := client(kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: offsets}), kgo.FetchIsolationLevel(isolation))
	defer reader.Close()
	var found []string
	ends := map[int32]int{}
	for len(ends) < partitions {
		fetches := reader.PollFetches(ctx)
		if err := ctx.Err(); err != nil {
			return nil, fmt.Errorf("ends of partitions %v only: %w", ends, err)
		}
		fetches.EachRecord(func(record *kgo.Record) {
			if string(record.Value) == "end" {
				ends[record.Partition]++
			} else {
				found = append(found, string(record.Value))
			}
		})
	}
	sort.Strings(found)
	return found, nil
}

func expect(ctx context.Context, topic string, isolation kgo.IsolationLevel, expected ...string) error {
	found, err := values(ctx, topic, isolation)
	if err != nil {
		return err
	}
	sort.Strings(expected)
	return equal("records of "+topic, expected, found)
}

// One transaction with these values, which is ended as said.
func transaction(ctx context.Context, client *kgo.Client, topic string, end kgo.TransactionEndTry, values ...string) error {
	if err := client.BeginTransaction(); err != nil {
		return err
	}
	for _, value := range values {
		if err := client.ProduceSync(ctx, record(topic, value, 0)).FirstErr(); err != nil {
			return err
		}
	}
	return client.EndTransaction(ctx, end)
}

func commitAndAbort(ctx context.Context) error {
	client := producer("ends")
	defer client.Close()
	for _, round := range []string{"a", "b", "c"} {
		if err := transaction(ctx, client, topic("ends"), kgo.TransactionEndTry(round != "b"), round+"1", round+"2"); err != nil {
			return err
		}
	}
	if err := transaction(ctx, client, topic("ends"), kgo.TryCommit); err != nil {
		return err
	}
	if err := expect(ctx, topic("ends"), kgo.ReadCommitted(), "a1", "a2", "c1", "c2"); err != nil {
		return err
	}
	return expect(ctx, topic("ends"), kgo.ReadUncommitted(), "a1", "a2", "b1", "b2", "c1", "c2")
}

func openTransaction(ctx context.Context) error {
	name := topic("open")
	client := producer("open")
	defer client.Close()
	if err := client.BeginTransaction(); err != nil {
		return err
	}
	if err := client.ProduceSync(ctx, record(name, "open", 0)).FirstErr(); err != nil {
		return err
	}
	short, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	if found, err := values(short, name, kgo.ReadCommitted()); err == nil {
		return fmt.Errorf("an open transaction does not bound readers: %v", found)
	}
	if err := client.EndTransaction(ctx, kgo.TryCommit); err != nil {
		return err
	}
	return expect(ctx, name, kgo.ReadCommitted(), "open")
}

func fencing(ctx context.Context) error {
	old := producer("fence")
	defer old.Close()
	if err := old.BeginTransaction(); err != nil {
		return err
	}
	if err := old.ProduceSync(ctx, record(topic("fence"), "old", 0)).FirstErr(); err != nil {
		return err
	}
	fresh := producer("fence")
	defer fresh.Close()
	if err := transaction(ctx, fresh, topic("fence"), kgo.TryCommit, "new"); err != nil {
		return err
	}
	err := old.EndTransaction(ctx, kgo.TryCommit)
	if !errors.Is(err, kerr.InvalidProducerEpoch) && !errors.Is(err, kerr.ProducerFenced) {
		return fmt.Errorf("the zombie's commit: %v", err)
	}
	return expect(ctx, topic("fence"), kgo.ReadCommitted(), "new")
}

func timeout(ctx context.Context) error {
	client := producer("timeout", kgo.TransactionTimeout(time.Second))
	defer client.Close()
	if err := client.BeginTransaction(); err != nil {
		return err
	}
	if err := client.ProduceSync(ctx, record(topic("timeout"), "late", 0)).FirstErr(); err != nil {
		return err
	}
	if err := expect(ctx, topic("timeout"), kgo.ReadCommitted()); err != nil {
		return err
	}
	if err := client.EndTransaction(ctx, kgo.TryCommit); err == nil {
		return fmt.Errorf("a transaction was committed after its timeout")
	}
	return nil
}

func readProcessWrite(ctx context.Context, kind string) error {
	source, target := topic(kind+"-in"), topic(kind+"-out")
	plain := client()
	defer plain.Close()
	var expected []string
	for i := 0; i < inputs; i++ {
		if err := plain.ProduceSync(ctx, record(source, fmt.Sprintf("v%d", i), int32(i%partitions))).FirstErr(); err != nil {
			return err
		}
		expected = append(expected, fmt.Sprintf("V%d", i))
	}
	processed := 0
	for deaths := 1; processed < inputs; deaths++ {
		more, err := process(ctx, kind, processed, kind == "deaths" && deaths < 5)
		if err != nil {
			return err
		}
		processed += more
	}
	return expect(ctx, target, kgo.ReadCommitted(), expected...)
}

// Processes all inputs, or dies in the middle of a transaction; or the broker does, twice.
func process(ctx context.Context, kind string, before int, dies bool) (processed int, err error) {
	id := "fg-" + kind + "-" + word
	session, err := kgo.NewGroupTransactSession(options(kgo.TransactionalID(id), kgo.TransactionTimeout(3*time.Minute), kgo.ConsumerGroup(id), kgo.ConsumeTopics(topic(kind+"-in")),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.RequireStableFetchOffsets(),
		kgo.SessionTimeout(10*time.Second), kgo.HeartbeatInterval(300*time.Millisecond))...)
	if err != nil {
		return 0, err
	}
	defer session.Close()
	var signals []string
	if kind == "broker" {
		signals = []string{"KILL", "TERM"}
	}
	for before+processed < inputs {
		fetches := session.PollRecords(ctx, 10)
		if ctx.Err() != nil {
			return processed, ctx.Err()
		}
		if fetches.NumRecords() == 0 {
			continue
		}
		if err := session.Begin(); err != nil {
			return processed, err
		}
		var failed error
		fetches.EachRecord(func(in *kgo.Record) {
			session.Produce(ctx, record(topic(kind+"-out"), strings.ToUpper(string(in.Value)), in.Partition), func(_ *kgo.Record, err error) {
				if err != nil {
					failed = err
				}
			})
		})
		if err := session.Client().Flush(ctx); err != nil || failed != nil {
			return processed, errors.Join(err, failed)
		}
		if dies && processed > 20 {
			return processed, nil
		}
		if len(signals) > 0 && processed > 80 {
			fmt.Println("restart", signals[0])
			signals = signals[1:]
			_, _ = stdin.ReadString('\n')
		}
		committed, err := session.End(ctx, kgo.TryCommit)
		if err != nil {
			return processed, err
		}
		if committed {
			processed += fetches.NumRecords()
		}
	}
	return processed, nil
}

func main() {
	step("commit and abort", commitAndAbort)
	step("an open transaction bounds read_committed", openTransaction)
	step("a new producer fences the old one", fencing)
	step("a transaction that is open too long is aborted", timeout)
	step("read, process, write", func(ctx context.Context) error { return readProcessWrite(ctx, "loop") })
	step("read, process, write, with deaths", func(ctx context.Context) error { return readProcessWrite(ctx, "deaths") })
	step("read, process, write, while the broker is killed and stopped", func(ctx context.Context) error {
		return readProcessWrite(ctx, "broker")
	})
}
