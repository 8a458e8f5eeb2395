// Produce, read, offsets and admin calls with Sarama, at several protocol versions.
// Arguments: BOOTSTRAP, a word for topic names.
package main

import (
	"fmt"
	"os"
	"reflect"
	"strings"
	"time"

	"github.com/Shopify/sarama"
)

const count = 60

var (
	bootstrap = os.Args[1]
	word      = os.Args[2]
)

func step(name string, body func() error) {
	if err := body(); err != nil {
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

func newConfig(version sarama.KafkaVersion) *sarama.Config {
	config := sarama.NewConfig()
	config.Version = version
	config.Producer.Return.Successes = true
	config.Producer.Partitioner = sarama.NewManualPartitioner
	config.Consumer.Return.Errors = true
	config.Consumer.MaxWaitTime = 100 * time.Millisecond
	config.Metadata.Retry.Max = 40
	config.Metadata.Retry.Backoff = 50 * time.Millisecond
	return config
}

// The codecs that a version and this library can send. zstd, number 4, came with Sarama 1.22 and Kafka 2.1.
func codecs(version sarama.KafkaVersion) []sarama.CompressionCodec {
	all := []sarama.CompressionCodec{sarama.CompressionNone, sarama.CompressionGZIP, sarama.CompressionSnappy}
	if version.IsAtLeast(sarama.V0_10_0_0) {
		all = append(all, sarama.CompressionLZ4)
	}
	if version == newest() && version != sarama.MaxVersion {
		all = append(all, sarama.CompressionCodec(4))
	}
	return all
}

// The newest version that both the library and Kafka 2.8 know: below the maximum exactly for libraries after 2.8.
func newest() sarama.KafkaVersion {
	if version, err := sarama.ParseKafkaVersion("2.8.0"); err == nil && supported(version) {
		return version
	}
	return sarama.MaxVersion
}

func supported(version sarama.KafkaVersion) bool {
	for _, known := range sarama.SupportedVersions {
		if known == version {
			return true
		}
	}
	return false
}

// The switch for idempotent producing, which Sarama 1.19 does not have.
func idempotence(config *sarama.Config) reflect.Value {
	return reflect.ValueOf(&config.Producer).Elem().FieldByName("Idempotent")
}

func produceAndRead(version sarama.KafkaVersion, acks sarama.RequiredAcks, codec sarama.CompressionCodec, idempotent bool) error {
	topic := strings.Replace(fmt.Sprintf("sarama-%s-%s-%d-%s-%v", word, version, acks, codec, idempotent), ".", "_", -1)
	config := newConfig(version)
	config.Producer.RequiredAcks = acks
	config.Producer.Compression = codec
	if idempotent {
		idempotence(config).SetBool(true)
		config.Net.MaxOpenRequests = 1
		config.Producer.Retry.Max = 5
	}
	producer, err := sarama.NewSyncProducer([]string{bootstrap}, config)
	if err != nil {
		return err
	}
	var messages []*sarama.ProducerMessage
	for i := 0; i < count; i++ {
		message := &sarama.ProducerMessage{
			Topic: topic, Partition: 1, Key: sarama.StringEncoder(fmt.Sprintf("k%d", i)),
			Value: sarama.StringEncoder(fmt.Sprintf("v%d", i)),
		}
		if version.IsAtLeast(sarama.V0_11_0_0) {
			message.Headers = []sarama.RecordHeader{{Key: []byte("h"), Value: []byte(fmt.Sprint(i))}}
		}
		messages = append(messages, message)
	}
	if err := producer.SendMessages(messages); err != nil {
		return err
	}
	if acks != sarama.NoResponse {
		for i, message := range messages {
			if err := equal("offset of a sent message", i, message.Offset); err != nil {
				return err
			}
		}
	}
	if err := producer.Close(); err != nil {
		return err
	}
	return readBack(topic, config)
}

func readBack(topic string, config *sarama.Config) error {
	consumer, err := sarama.NewConsumer([]string{bootstrap}, config)
	if err != nil {
		return err
	}
	defer consumer.Close()
	for _, from := range []int64{sarama.OffsetOldest, 17} {
		partition, err := consumer.ConsumePartition(topic, 1, from)
		if err != nil {
			return err
		}
		first := int64(0)
		if from > 0 {
			first = from
		}
		if err := readAll(partition, first, config.Version); err != nil {
			return err
		}
		if err := partition.Close(); err != nil {
			return err
		}
	}
	return nil
}

func readAll(partition sarama.PartitionConsumer, first int64, version sarama.KafkaVersion) error {
	deadline := time.After(20 * time.Second)
	for i := first; i < count; i++ {
		select {
		case got := <-partition.Messages():
			expected := fmt.Sprintf("%d k%d v%d", i, i, i)
			if err := equal("message", expected, fmt.Sprintf("%d %s %s", got.Offset, got.Key, got.Value)); err != nil {
				return err
			}
			if version.IsAtLeast(sarama.V0_11_0_0) {
				if err := equal("header", fmt.Sprint(i), string(got.Headers[0].Value)); err != nil {
					return err
				}
			}
		case err := <-partition.Errors():
			return err
		case <-deadline:
			return fmt.Errorf("no message %d in 20 seconds", i)
		}
	}
	return equal("high watermark", count, partition.HighWaterMarkOffset())
}

func offsets(version sarama.KafkaVersion) error {
	topic := strings.Replace(fmt.Sprintf("sarama-%s-%s-1-none-false", word, version), ".", "_", -1)
	client, err := sarama.NewClient([]string{bootstrap}, newConfig(version))
	if err != nil {
		return err
	}
	defer client.Close()
	partitions, err := client.Partitions(topic)
	if err != nil {
		return err
	}
	if err := equal("partitions", "[0 1 2]", partitions); err != nil {
		return err
	}
	newest, err := client.GetOffset(topic, 1, sarama.OffsetNewest)
	if err != nil {
		return err
	}
	if err := equal("newest", count, newest); err != nil {
		return err
	}
	oldest, err := client.GetOffset(topic, 1, sarama.OffsetOldest)
	if err != nil {
		return err
	}
	if err := equal("oldest", 0, oldest); err != nil {
		return err
	}
	if _, err := client.GetOffset(topic, 9, sarama.OffsetOldest); err == nil {
		return fmt.Errorf("partition 9 has an offset")
	}
	return nil
}

func outOfRange(version sarama.KafkaVersion) error {
	topic := strings.Replace(fmt.Sprintf("sarama-%s-%s-1-none-false", word, version), ".", "_", -1)
	consumer, err := sarama.NewConsumer([]string{bootstrap}, newConfig(version))
	if err != nil {
		return err
	}
	defer consumer.Close()
	_, err = consumer.ConsumePartition(topic, 1, 5000)
	return equal("error", sarama.ErrOffsetOutOfRange, err)
}

func admin(version sarama.KafkaVersion) error {
	topic := "sarama-admin-" + word
	admin, err := sarama.NewClusterAdmin([]string{bootstrap}, newConfig(version))
	if err != nil {
		return err
	}
	defer admin.Close()
	retention := "3600000"
	detail := &sarama.TopicDetail{NumPartitions: 2, ReplicationFactor: 1, ConfigEntries: map[string]*string{"retention.ms": &retention}}
	if err := admin.CreateTopic(topic, detail, false); err != nil {
		return err
	}
	if err := admin.CreateTopic(topic, detail, false); err == nil {
		return fmt.Errorf("the topic was created twice")
	}
	entries, err := admin.DescribeConfig(sarama.ConfigResource{Type: sarama.TopicResource, Name: topic, ConfigNames: []string{"retention.ms"}})
	if err != nil {
		return err
	}
	if err := equal("described entries", "1 retention.ms 3600000", fmt.Sprint(len(entries), " ", entries[0].Name, " ", entries[0].Value)); err != nil {
		return err
	}
	if err := admin.CreatePartitions(topic, 4, nil, false); err != nil {
		return err
	}
	bytes := "20000000"
	if err := admin.AlterConfig(sarama.TopicResource, topic, map[string]*string{"segment.bytes": &bytes}, false); err != nil {
		return err
	}
	if err := admin.DeleteRecords(strings.Replace(fmt.Sprintf("sarama-%s-%s-1-none-false", word, version), ".", "_", -1), map[int32]int64{1: 10}); err != nil {
		return err
	}
	return admin.DeleteTopic(topic)
}

func main() {
	versions := []sarama.KafkaVersion{sarama.V0_8_2_0, sarama.V0_9_0_1, sarama.V0_10_2_0, sarama.V0_11_0_0, sarama.V1_1_0_0, newest()}
	for _, version := range versions {
		version := version
		for _, acks := range []sarama.RequiredAcks{sarama.NoResponse, sarama.WaitForLocal, sarama.WaitForAll} {
			for _, codec := range codecs(version) {
				step(fmt.Sprintf("version %s acks %d %s", version, acks, codec), func() error {
					return produceAndRead(version, acks, codec, false)
				})
			}
		}
		if version.IsAtLeast(sarama.V0_11_0_0) && idempotence(sarama.NewConfig()).IsValid() {
			step(fmt.Sprintf("version %s idempotent", version), func() error {
				return produceAndRead(version, sarama.WaitForAll, sarama.CompressionSnappy, true)
			})
		}
		step(fmt.Sprintf("version %s offsets", version), func() error { return offsets(version) })
		step(fmt.Sprintf("version %s out of range", version), func() error { return outOfRange(version) })
	}
	step("admin calls", func() error { return admin(newest()) })
}
