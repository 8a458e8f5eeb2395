// A member of a group until SIGTERM; see groups.sh. Arguments: BOOTSTRAP GROUP TOPIC ASSIGNOR.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"reflect"
	"strings"
	"syscall"
	"time"

	"github.com/Shopify/sarama"
)

type member struct{ topic string }

func (m member) Setup(session sarama.ConsumerGroupSession) error {
	fmt.Println("owns", strings.Trim(fmt.Sprint(session.Claims()[m.topic]), "[]"))
	return nil
}

func (member) Cleanup(sarama.ConsumerGroupSession) error {
	fmt.Println("owns")
	return nil
}

func (member) ConsumeClaim(session sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	for message := range claim.Messages() {
		fmt.Printf("read %d %d %s\n", message.Partition, message.Offset, message.Value)
		session.MarkMessage(message, "")
	}
	return nil
}

// The sticky strategy came with Sarama 1.23: sticky() is in strategies.go of those versions only.
var strategies = map[string]sarama.BalanceStrategy{
	"range":      sarama.BalanceStrategyRange,
	"roundrobin": sarama.BalanceStrategyRoundRobin,
}

// Kafka 2.8's protocol where the library has it, else the newest that it has.
func version() sarama.KafkaVersion {
	if version, err := sarama.ParseKafkaVersion("2.8.0"); err == nil && reflect.ValueOf(sarama.MaxVersion) != reflect.ValueOf(version) {
		for _, known := range sarama.SupportedVersions {
			if known == version {
				return version
			}
		}
	}
	return sarama.MaxVersion
}

func main() {
	config := sarama.NewConfig()
	config.Version = version()
	config.Consumer.Offsets.Initial = sarama.OffsetOldest
	config.Consumer.Group.Session.Timeout = 10 * time.Second
	config.Consumer.Group.Heartbeat.Interval = 300 * time.Millisecond
	config.Consumer.Group.Rebalance.Strategy = strategies[os.Args[4]]
	ctx, _ := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	var group sarama.ConsumerGroup
	var err error
	for group == nil && ctx.Err() == nil {
		if group, err = sarama.NewConsumerGroup([]string{os.Args[1]}, os.Args[2], config); err != nil {
			fmt.Println("not started:", err)
			time.Sleep(100 * time.Millisecond)
		}
	}
	for ctx.Err() == nil {
		if err := group.Consume(ctx, []string{os.Args[3]}, member{os.Args[3]}); err != nil {
			fmt.Println("session ended:", err)
			time.Sleep(100 * time.Millisecond)
		}
	}
	if err := group.Close(); err != nil {
		fmt.Println("close:", err)
		os.Exit(1)
	}
	fmt.Println("left")
}
