import java.io.BufferedReader;
import java.io.FileReader;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;

/**
 * Idempotent producers that outlive the broker, and the check of what they were told.
 *
 * write BOOTSTRAP TOPIC PRODUCERS STOP_FILE ACKNOWLEDGED: writes until the stop file exists; prints "acknowledged N" as
 * it goes; leaves a line "producer partition number offset" for each acknowledged record. Record values are
 * "producer partition number", numbers counted per producer and partition.
 * check BOOTSTRAP TOPIC ACKNOWLEDGED: each acknowledged record at its offset, all numbers of each producer in order and once.
 */
public final class Durable {
    private static final String[] CODECS = {"none", "lz4", "gzip"};

    private Durable() {}

    public static void main(String[] args) throws Exception {
        if (args[0].equals("write")) {
            write(args[1], args[2], Integer.parseInt(args[3]), Paths.get(args[4]), args[5]);
        } else {
            Check.step("acknowledged records of " + args[2], () -> check(args[1], args[2], args[3]));
            System.exit(0);
        }
    }

    private static void write(String bootstrap, String topic, int producers, Path stop, String out) throws Exception {
        ConcurrentLinkedQueue<String> acknowledged = new ConcurrentLinkedQueue<>();
        ConcurrentLinkedQueue<String> failures = new ConcurrentLinkedQueue<>();
        AtomicLong count = new AtomicLong();
        List<Thread> threads = new ArrayList<>();
        for (int i = 0; i < producers; i++) {
            int producer = i;
            Thread thread = new Thread(() -> {
                try {
                    produce(bootstrap, topic, producer, stop, acknowledged, failures, count);
                } catch (Throwable e) {
                    failures.add("producer " + producer + ": " + e);
                }
            });
            thread.start();
            threads.add(thread);
        }
        long told = -1;
        while (threads.stream().anyMatch(Thread::isAlive)) {
            if (count.get() != told) {
                told = count.get();
                System.out.println("acknowledged " + told);
            }
            Thread.sleep(50);
        }
        try (PrintWriter writer = new PrintWriter(out)) {
            acknowledged.forEach(writer::println);
        }
        System.out.println("written: " + count.get() + " acknowledged, " + failures.size() + " failed");
        failures.stream().limit(5).forEach(System.out::println);
        System.exit(failures.isEmpty() ? 0 : 1);
    }

    private static void produce(String bootstrap, String topic, int producer, Path stop, ConcurrentLinkedQueue<String> acknowledged,
            ConcurrentLinkedQueue<String> failures, AtomicLong count) {
        try (KafkaProducer<String, String> client = Clients.producer(bootstrap, "acks", "all", "enable.idempotence", "true",
                "compression.type", CODECS[producer % CODECS.length], "linger.ms", "1", "batch.size", "2000",
                "delivery.timeout.ms", "600000", "request.timeout.ms", "10000", "max.block.ms", "600000",
                "buffer.memory", "200000", "retry.backoff.ms", "50", "reconnect.backoff.max.ms", "200")) {
            int partitions = client.partitionsFor(topic).size();
            for (int i = 0; !Files.exists(stop); i++) {
                int partition = i % partitions;
                String value = producer + " " + partition + " " + i / partitions;
                client.send(new ProducerRecord<>(topic, partition, null, value), (metadata, error) -> {
                    if (error == null) {
                        acknowledged.add(value + " " + metadata.offset());
                        count.incrementAndGet();
                    } else {
                        failures.add(value + ": " + error);
                    }
                });
                if (i % 200 == 199) {
                    pause();
                }
            }
        }
    }

    /** Leaves the processor to the broker: this is about order and loss, not about speed. */
    private static void pause() {
        try {
            Thread.sleep(20);
        } catch (InterruptedException e) {
            throw new IllegalStateException(e);
        }
    }

    private static void check(String bootstrap, String topic, String acknowledged) throws Exception {
        Map<Integer, List<ConsumerRecord<String, String>>> read = readAll(bootstrap, topic);
        Map<String, Long> last = new HashMap<>();
        Map<String, Long> offsets = new HashMap<>();
        for (List<ConsumerRecord<String, String>> records : read.values()) {
            long next = 0;
            for (ConsumerRecord<String, String> record : records) {
                Check.equal("offset in partition " + record.partition(), next++, record.offset());
                String[] words = record.value().split(" ");
                Check.equal("partition of " + record.value(), String.valueOf(record.partition()), words[1]);
                String stream = words[0] + " " + words[1];
                long expected = last.getOrDefault(stream, -1L) + 1;
                Check.equal("number in stream " + stream + " at offset " + record.offset(), expected, Long.parseLong(words[2]));
                last.put(stream, expected);
                offsets.put(record.value(), record.offset());
            }
        }
        Set<String> streams = new HashSet<>();
        long lines = 0;
        try (BufferedReader reader = new BufferedReader(new FileReader(acknowledged))) {
            for (String line; (line = reader.readLine()) != null; lines++) {
                int space = line.lastIndexOf(' ');
                String value = line.substring(0, space);
                Check.equal("offset of the acknowledged record " + value, Long.valueOf(line.substring(space + 1)), offsets.get(value));
                streams.add(value.substring(0, value.lastIndexOf(' ')));
            }
        }
        System.out.println(offsets.size() + " records, " + lines + " of them acknowledged, in " + streams.size() + " streams");
    }

    private static Map<Integer, List<ConsumerRecord<String, String>>> readAll(String bootstrap, String topic) throws Exception {
        Map<Integer, List<ConsumerRecord<String, String>>> read = new HashMap<>();
        try (KafkaConsumer<String, String> consumer = Clients.consumer(bootstrap)) {
            int partitions = consumer.partitionsFor(topic).size();
            for (int p = 0; p < partitions; p++) {
                TopicPartition partition = new TopicPartition(topic, p);
                long end = consumer.endOffsets(Arrays.asList(partition)).get(partition);
                read.put(p, end == 0 ? new ArrayList<>() : Clients.read(consumer, partition, 0, (int) end));
            }
        }
        return read;
    }
}
