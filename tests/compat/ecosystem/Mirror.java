import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.Future;
import org.apache.kafka.clients.admin.AdminClient;
import org.apache.kafka.clients.admin.Config;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.connect.mirror.RemoteClusterUtils;

/**
 * What MirrorMaker 2 is to copy, and whether it did.
 *
 *   fill SOURCE TOPIC PARTITIONS WORD STOP   writes records with keys of their own until the file STOP exists
 *   consume SOURCE TOPIC GROUP               reads to the end in a group, and commits
 *   equal SOURCE TARGET TOPIC ALIAS exactly|again
 *                                            waits until the copy has all, then compares record by record; "again":
 *                                            without those of the copy that have come before
 *   offsets SOURCE TARGET TOPIC ALIAS GROUP  the group has read all, and so it has of the copy: its offsets are
 *                                            translated, and committed on the other side
 */
public final class Mirror {
    private Mirror() {}

    public static void main(String[] args) throws Exception {
        switch (args[0]) {
            case "fill":
                fill(args[1], args[2], Integer.parseInt(args[3]), args[4], Paths.get(args[5]));
                break;
            case "consume":
                Check.step(args[3] + " reads from " + args[2], () -> consume(args[1], args[2], args[3]));
                break;
            case "equal":
                boolean exactly = args[5].equals("exactly");
                Check.step(args[3] + " and its copy are equal" + (exactly ? ", with offsets" : ", without repetitions"),
                        () -> equal(args[1], args[2], args[3], args[4], exactly));
                Check.step("their settings, too", () -> settings(args[1], args[2], args[3], args[4]));
                break;
            case "offsets":
                Check.step("offsets of " + args[5], () -> offsets(args[1], args[2], args[3], args[4], args[5]));
                break;
            default:
                throw new IllegalArgumentException(args[0]);
        }
        System.exit(0);
    }

    private static Properties bootstrap(String address) {
        Properties properties = new Properties();
        properties.put("bootstrap.servers", address);
        return properties;
    }

    private static void fill(String source, String topic, int partitions, String word, Path stop) throws Exception {
        try (AdminClient admin = AdminClient.create(bootstrap(source))) {
            Map<String, String> settings = new HashMap<>();
            settings.put("cleanup.policy", "compact,delete");
            settings.put("max.message.bytes", "900000");
            NewTopic created = new NewTopic(topic, partitions, (short) 1).configs(settings);
            if (!admin.listTopics().names().get().contains(topic)) {
                admin.createTopics(Arrays.asList(created)).all().get();
            }
        }
        List<Future<RecordMetadata>> sent = new ArrayList<>();
        try (KafkaProducer<String, String> producer = Clients.producer(source, "enable.idempotence", "true", "acks",
                "all", "delivery.timeout.ms", "300000", "linger.ms", "5", "compression.type", "lz4")) {
            for (int i = 0; !Files.exists(stop); i++) {
                String value = i % 7 == 0 ? null : "value " + i;
                ProducerRecord<String, String> record = new ProducerRecord<>(topic, i % partitions, word + " " + i, value);
                Clients.addHeader(record, "number", Integer.toString(i));
                sent.add(producer.send(record));
                if (i % 20 == 19) {
                    Thread.sleep(20);
                }
            }
        }
        for (Future<RecordMetadata> future : sent) {
            future.get();
        }
        System.out.println("wrote " + sent.size() + " records");
    }

    private static void consume(String source, String topic, String group) throws Exception {
        try (KafkaConsumer<String, String> consumer = Clients.consumer(source, "group.id", group, "auto.offset.reset",
                "earliest")) {
            List<TopicPartition> partitions = partitions(consumer, topic);
            Map<TopicPartition, Long> ends = consumer.endOffsets(partitions);
            consumer.subscribe(Arrays.asList(topic));
            long until = System.nanoTime() + 240_000_000_000L;
            while (!consumer.assignment().containsAll(partitions)
                    || partitions.stream().anyMatch(partition -> consumer.position(partition) < ends.get(partition))) {
                Check.isTrue("in time", System.nanoTime() < until);
                consumer.poll(Duration.ofMillis(200));
            }
            consumer.commitSync();
        }
    }

    private static List<TopicPartition> partitions(KafkaConsumer<?, ?> consumer, String topic) {
        List<TopicPartition> partitions = new ArrayList<>();
        consumer.partitionsFor(topic).forEach(p -> partitions.add(new TopicPartition(topic, p.partition())));
        return partitions;
    }

    private static Map<Integer, Long> ends(String address, String topic) throws Exception {
        Map<Integer, Long> ends = new TreeMap<>();
        try (KafkaConsumer<String, String> consumer = Clients.consumer(address)) {
            consumer.endOffsets(partitions(consumer, topic)).forEach((p, end) -> ends.put(p.partition(), end));
        }
        return ends;
    }

    /** All records of all partitions, as text, by partition; or without offsets, and each record once. */
    private static Map<Integer, List<String>> read(String address, String topic, boolean exactly) throws Exception {
        Map<Integer, List<String>> all = new TreeMap<>();
        try (KafkaConsumer<String, String> consumer = Clients.consumer(address)) {
            List<TopicPartition> partitions = partitions(consumer, topic);
            Set<String> seen = new HashSet<>();
            partitions.forEach(partition -> all.put(partition.partition(), new ArrayList<>()));
            Map<TopicPartition, Long> ends = consumer.endOffsets(partitions);
            consumer.assign(partitions);
            consumer.seekToBeginning(partitions);
            while (partitions.stream().anyMatch(partition -> consumer.position(partition) < ends.get(partition))) {
                for (ConsumerRecord<String, String> record : consumer.poll(Duration.ofMillis(200))) {
                    String text = record.timestamp() + " " + record.key() + " " + record.value() + " "
                            + Clients.header(record, "number");
                    if (exactly) {
                        all.get(record.partition()).add(record.offset() + " " + text);
                    } else if (seen.add(text)) {
                        all.get(record.partition()).add(text);
                    }
                }
            }
        }
        return all;
    }

    private static Map<Integer, Integer> sizes(Map<Integer, List<String>> all) {
        Map<Integer, Integer> sizes = new TreeMap<>();
        all.forEach((partition, records) -> sizes.put(partition, records.size()));
        return sizes;
    }

    private static void equal(String source, String target, String topic, String alias, boolean exactly)
            throws Exception {
        Map<Integer, List<String>> original = read(source, topic, exactly);
        Map<Integer, List<String>> copy;
        long until = System.nanoTime() + 240_000_000_000L;
        do {
            copy = read(target, alias + "." + topic, exactly);
            Check.isTrue("in time: expected " + sizes(original) + " records, got " + sizes(copy), System.nanoTime() < until);
        } while (original.keySet().size() != copy.keySet().size()
                || copy.entrySet().stream().anyMatch(e -> e.getValue().size() < original.get(e.getKey()).size()));
        for (Integer partition : original.keySet()) {
            List<String> expected = original.get(partition);
            List<String> got = copy.get(partition);
            for (int i = 0; i < Math.max(expected.size(), got.size()); i++) {
                Check.equal("record " + i + " of partition " + partition, i < expected.size() ? expected.get(i) : null,
                        i < got.size() ? got.get(i) : null);
            }
        }
    }

    private static void settings(String source, String target, String topic, String alias) throws Exception {
        for (String name : Arrays.asList("cleanup.policy", "max.message.bytes")) {
            String expected = setting(source, topic, name);
            Check.eventually(name, 120, expected, () -> setting(target, alias + "." + topic, name));
        }
    }

    private static String setting(String address, String topic, String name) throws Exception {
        ConfigResource resource = new ConfigResource(ConfigResource.Type.TOPIC, topic);
        try (AdminClient admin = AdminClient.create(bootstrap(address))) {
            Config config = admin.describeConfigs(Arrays.asList(resource)).all().get().get(resource);
            return config.get(name).value();
        }
    }

    private static Map<Integer, Long> committed(String address, String group, String topic) throws Exception {
        Map<Integer, Long> offsets = new TreeMap<>();
        try (AdminClient admin = AdminClient.create(bootstrap(address))) {
            admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata().get().forEach((partition, offset) -> {
                if (partition.topic().equals(topic) && offset != null) {
                    offsets.put(partition.partition(), offset.offset());
                }
            });
        }
        return offsets;
    }

    private static Map<Integer, Long> translated(String address, String alias, String group, String topic) throws Exception {
        Map<String, Object> properties = new HashMap<>();
        properties.put("bootstrap.servers", address);
        Map<Integer, Long> offsets = new TreeMap<>();
        RemoteClusterUtils.translateOffsets(properties, alias, group, Duration.ofSeconds(60)).forEach((partition, offset) -> {
            if (partition.topic().equals(topic)) {
                offsets.put(partition.partition(), offset.offset());
            }
        });
        return offsets;
    }

    private static void offsets(String source, String target, String topic, String alias, String group) throws Exception {
        String remote = alias + "." + topic;
        Check.equal("committed at the source", ends(source, topic), committed(source, group, topic));
        Map<Integer, Long> expected = ends(target, remote);
        Check.eventually("translated", 240, expected, () -> translated(target, alias, group, remote));
        Check.eventually("committed at the target", 240, expected, () -> committed(target, group, remote));
    }
}
