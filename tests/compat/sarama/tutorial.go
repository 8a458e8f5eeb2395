// The producer and consumer of countless tutorials, with Sarama's defaults: protocol version 0.8.2 or what the
// library takes. Only the address can be changed, by BOOTSTRAP.
package main

import (
	"fmt"
	"os"
	"time"

	"github.com/Shopify/sarama"
)

func main() {
	address := os.Getenv("BOOTSTRAP")
	if address == "" {
		address = "127.0.0.1:9092"
	}
	config := sarama.NewConfig()
	config.Producer.RequiredAcks = sarama.WaitForAll
	config.Producer.Partitioner = sarama.NewRandomPartitioner
	config.Producer.Return.Successes = true

	msg := &sarama.ProducerMessage{}
	msg.Topic = "web_log"
	msg.Value = sarama.StringEncoder("this is a test log")

	client, err := sarama.NewSyncProducer([]string{address}, config)
	if err != nil {
		fmt.Println("producer closed, err:", err)
		os.Exit(1)
	}
	defer client.Close()
	pid, offset, err := client.SendMessage(msg)
	if err != nil {
		fmt.Println("send msg failed, err:", err)
		os.Exit(1)
	}
	fmt.Printf("ok sent pid:%v offset:%v\n", pid, offset)

	consumer, err := sarama.NewConsumer([]string{address}, nil)
	if err != nil {
		fmt.Println("fail to start consumer, err:", err)
		os.Exit(1)
	}
	pc, err := consumer.ConsumePartition("web_log", pid, offset)
	if err != nil {
		fmt.Printf("failed to start consumer for partition %d, err:%v\n", pid, err)
		os.Exit(1)
	}
	defer pc.AsyncClose()
	select {
	case got := <-pc.Messages():
		if got.Offset != offset || string(got.Value) != "this is a test log" {
			fmt.Printf("read offset %d %q\n", got.Offset, got.Value)
			os.Exit(1)
		}
		fmt.Printf("ok read Partition:%d Offset:%d Value:%s\n", got.Partition, got.Offset, got.Value)
	case <-time.After(20 * time.Second):
		fmt.Println("nothing came in 20 seconds")
		os.Exit(1)
	}
}
