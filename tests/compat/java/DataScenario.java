import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndTimestamp;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.TopicPartition;

/** Produce and read, for Java clients 0.10.2 to 4.1. Arguments: BOOTSTRAP, the client's version, a word for topic names. */
public final class DataScenario {
    private static final int PARTITIONS = 3;
    private static final int COUNT = 300;

    private final String bootstrap;
    private final String prefix;
    private final boolean since011;
    private final boolean since21;

    private DataScenario(String bootstrap, String version, String word) {
        String[] parts = version.split("\\.");
        int major = Integer.parseInt(parts[0]);
        int minor = Integer.parseInt(parts[1]);
        this.bootstrap = bootstrap;
        this.prefix = "java-" + version + "-" + word;
        this.since011 = major > 0 || minor >= 11;
        this.since21 = major > 2 || major == 2 && minor >= 1;
    }

    public static void main(String[] args) {
        new DataScenario(args[0], args[1], args[2]).run();
    }

    private void run() {
        List<String> codecs = new ArrayList<>(Arrays.asList("none", "gzip", "snappy", "lz4"));
        if (since21) {
            codecs.add("zstd");
        }
        for (String acks : new String[] {"0", "1", "all"}) {
            for (String codec : codecs) {
                Check.step("produce and read, acks=" + acks + " " + codec, () -> roundTrip(acks, codec, false));
            }
        }
        if (since011) {
            for (String codec : codecs) {
                Check.step("idempotent produce and read, " + codec, () -> roundTrip("all", codec, true));
            }
        }
        Check.step("keyed records keep their partition", this::keyed);
        Check.step("large records", this::large);
        Check.step("too large a record is refused", this::tooLarge);
        Check.step("seek, position, beginning and end", this::seek);
        Check.step("offsetsForTimes", this::offsetsForTimes);
        Check.step("reading past the end is out of range", this::outOfRange);
        Check.step("a waiting fetch sees what is produced later", this::waits);
        Check.step("listTopics and partitionsFor", this::listTopics);
        Check.finish();
    }

    private String topic(String name) {
        return prefix + "-" + name;
    }

    /** Every seventh value is null, every fifth key; timestamps are given. */
    private ProducerRecord<String, String> record(String topic, int i, long baseTimestamp) throws Exception {
        String key = i % 5 == 0 ? null : "key-" + i;
        String value = i % 7 == 0 ? null : "value " + i + " of " + topic;
        ProducerRecord<String, String> record =
            new ProducerRecord<>(topic, i % PARTITIONS, baseTimestamp + i, key, value);
        if (since011 && i % 3 == 0) {
            Clients.addHeader(record, "number", "h" + i);
        }
        return record;
    }

    private void roundTrip(String acks, String codec, boolean idempotent) throws Exception {
        String topic = topic(acks + "-" + codec + (idempotent ? "-idempotent" : ""));
        long base = System.currentTimeMillis();
        List<String> settings = new ArrayList<>(Arrays.asList(
            "acks", acks, "compression.type", codec, "linger.ms", "5", "batch.size", "2000"));
        if (since011) {
            settings.addAll(Arrays.asList("enable.idempotence", String.valueOf(idempotent)));
        }
        List<ProducerRecord<String, String>> sent = new ArrayList<>();
        for (int i = 0; i < COUNT; i++) {
            sent.add(record(topic, i, base));
        }
        try (KafkaProducer<String, String> producer = Clients.producer(bootstrap, settings.toArray(new String[0]))) {
            Check.equal("partitions of an automatically created topic", PARTITIONS, producer.partitionsFor(topic).size());
            List<RecordMetadata> acknowledged = Clients.sendAll(producer, sent);
            if (!acks.equals("0")) {
                checkOffsets(acknowledged);
            }
        }
        try (KafkaConsumer<String, String> consumer = Clients.consumer(bootstrap)) {
            for (int p = 0; p < PARTITIONS; p++) {
                List<ConsumerRecord<String, String>> read =
                    Clients.read(consumer, new TopicPartition(topic, p), 0, COUNT / PARTITIONS);
                for (int n = 0; n < read.size(); n++) {
                    same(sent.get(n * PARTITIONS + p), read.get(n), n);
                }
            }
        }
    }

    private void checkOffsets(List<RecordMetadata> acknowledged) {
        long[] next = new long[PARTITIONS];
        for (int i = 0; i < COUNT; i++) {
            RecordMetadata metadata = acknowledged.get(i);
            Check.equal("partition of record " + i, i % PARTITIONS, metadata.partition());
            Check.equal("offset of record " + i, next[i % PARTITIONS]++, metadata.offset());
        }
    }

    private void same(ProducerRecord<String, String> sent, ConsumerRecord<String, String> read, long offset)
            throws Exception {
        Check.equal("offset", offset, read.offset());
        Check.equal("key", sent.key(), read.key());
        Check.equal("value", sent.value(), read.value());
        Check.equal("timestamp", sent.timestamp(), read.timestamp());
        Check.equal("timestamp type", "CreateTime", read.timestampType().toString());
        if (since011 && sent.timestamp() % 3 == 0 && read.key() != null) {
            int i = Integer.parseInt(read.key().substring("key-".length()));
            if (i % 3 == 0) {
                Check.equal("header", "h" + i, Clients.header(read, "number"));
            }
        }
    }

    private void keyed() throws Exception {
        String topic = topic("keyed");
        Map<String, Integer> partitions = new TreeMap<>();
        try (KafkaProducer<String, String> producer = Clients.producer(bootstrap, "acks", "all")) {
            for (int round = 0; round < 3; round++) {
                for (int i = 0; i < 20; i++) {
                    RecordMetadata metadata = producer.send(new ProducerRecord<>(topic, "k" + i, "v" + round)).get();
                    Integer before = partitions.put("k" + i, metadata.partition());
                    Check.isTrue("k" + i + " moved", before == null || before == metadata.partition());
                }
            }
        }
        Check.isTrue("keys spread", new java.util.HashSet<>(partitions.values()).size() == PARTITIONS);
    }

    private void large() throws Exception {
        String topic = topic("large");
        char[] text = new char[900_000];
        Arrays.fill(text, 'x');
        List<ProducerRecord<String, String>> records = new ArrayList<>();
        for (int i = 0; i < 6; i++) {
            records.add(new ProducerRecord<>(topic, 0, "k", new String(text) + i));
        }
        try (KafkaProducer<String, String> producer = Clients.producer(bootstrap, "acks", "all")) {
            Clients.sendAll(producer, records);
        }
        // Smaller than one batch: whole batches come all the same.
        try (KafkaConsumer<String, String> consumer = Clients.consumer(bootstrap,
                "max.partition.fetch.bytes", "1000", "fetch.max.bytes", "5000")) {
            List<ConsumerRecord<String, String>> read =
                Clients.read(consumer, new TopicPartition(topic, 0), 0, records.size());
            for (int i = 0; i < read.size(); i++) {
                Check.equal("large value " + i, records.get(i).value(), read.get(i).value());
            }
        }
    }

    private void tooLarge() throws Exception {
        String topic = topic("large");
        try (KafkaProducer<String, String> producer =
                Clients.producer(bootstrap, "acks", "all", "max.request.size", "10000000")) {
            String value = new String(new char[2_000_000]).replace('\0', 'y');
            Check.fails("RecordTooLargeException",
                () -> producer.send(new ProducerRecord<String, String>(topic, 0, "k", value)).get());
        }
    }

    private void seek() throws Exception {
        String topic = topic("1-none");
        TopicPartition partition = new TopicPartition(topic, 1);
        long each = COUNT / PARTITIONS;
        try (KafkaConsumer<String, String> consumer = Clients.consumer(bootstrap, "max.poll.records", "7")) {
            List<TopicPartition> all = Collections.singletonList(partition);
            Check.equal("beginning", 0L, consumer.beginningOffsets(all).get(partition));
            Check.equal("end", each, consumer.endOffsets(all).get(partition));
            Check.equal("first after seek", 42L, Clients.read(consumer, partition, 42, 7).get(0).offset());
            Check.equal("position", 49L, consumer.position(partition));
            consumer.seekToEnd(all);
            Check.equal("position at the end", each, consumer.position(partition));
            Check.equal("nothing at the end", 0, Clients.poll(consumer, 300).count());
            consumer.seekToBeginning(all);
            Check.equal("position at the beginning", 0L, consumer.position(partition));
            Check.equal("first", 0L, Clients.read(consumer, partition, 0, 7).get(0).offset());
        }
    }

    private void offsetsForTimes() throws Exception {
        String topic = topic("times");
        TopicPartition partition = new TopicPartition(topic, 2);
        long base = System.currentTimeMillis() - 100_000;
        try (KafkaProducer<String, String> producer = Clients.producer(bootstrap, "acks", "all", "batch.size", "300")) {
            List<ProducerRecord<String, String>> records = new ArrayList<>();
            for (int i = 0; i < 100; i++) {
                records.add(new ProducerRecord<>(topic, 2, base + i * 100, null, "v" + i));
            }
            Clients.sendAll(producer, records);
        }
        try (KafkaConsumer<String, String> consumer = Clients.consumer(bootstrap)) {
            for (long[] ask : new long[][] {{0, 0}, {100, 1}, {101, 2}, {5000, 50}, {9899, 99}, {9900, 99}}) {
                OffsetAndTimestamp found =
                    consumer.offsetsForTimes(Collections.singletonMap(partition, base + ask[0])).get(partition);
                Check.equal("offset at +" + ask[0], ask[1], found.offset());
                Check.equal("timestamp at +" + ask[0], base + ask[1] * 100, found.timestamp());
            }
            Check.equal("after the last", null,
                consumer.offsetsForTimes(Collections.singletonMap(partition, base + 9901)).get(partition));
        }
    }

    private void outOfRange() throws Exception {
        TopicPartition partition = new TopicPartition(topic("1-none"), 0);
        try (KafkaConsumer<String, String> consumer = Clients.consumer(bootstrap, "auto.offset.reset", "none")) {
            consumer.assign(Arrays.asList(partition));
            consumer.seek(partition, 5000);
            Check.fails("OffsetOutOfRangeException", () -> {
                for (int i = 0; i < 20; i++) {
                    Clients.poll(consumer, 500);
                }
                return "ten seconds of polling";
            });
        }
        try (KafkaConsumer<String, String> consumer = Clients.consumer(bootstrap, "auto.offset.reset", "earliest")) {
            consumer.assign(Arrays.asList(partition));
            consumer.seek(partition, 5000);
            long until = System.nanoTime() + 20_000_000_000L;
            while (System.nanoTime() < until) {
                for (ConsumerRecord<String, String> record : Clients.poll(consumer, 500)) {
                    Check.equal("first offset after the reset", 0L, record.offset());
                    return;
                }
            }
            throw new AssertionError("no record after the reset to earliest");
        }
    }

    private void waits() throws Exception {
        TopicPartition partition = new TopicPartition(topic("waits"), 0);
        try (KafkaConsumer<String, String> consumer =
                Clients.consumer(bootstrap, "fetch.max.wait.ms", "10000", "request.timeout.ms", "30000");
                KafkaProducer<String, String> producer = Clients.producer(bootstrap, "acks", "all")) {
            Check.equal("partitions", PARTITIONS, producer.partitionsFor(partition.topic()).size());
            consumer.assign(Arrays.asList(partition));
            consumer.seek(partition, 0);
            Clients.poll(consumer, 200);
            for (int i = 0; i < 5; i++) {
                producer.send(new ProducerRecord<>(partition.topic(), 0, "k", "late " + i)).get();
                long until = System.nanoTime() + 8_000_000_000L;
                int seen = 0;
                while (seen == 0) {
                    Check.isTrue("record " + i + " seen before the fetch's own wait ends", System.nanoTime() < until);
                    for (ConsumerRecord<String, String> record : Clients.poll(consumer, 200)) {
                        Check.equal("value", "late " + i, record.value());
                        seen++;
                    }
                }
            }
        }
    }

    private void listTopics() throws Exception {
        try (KafkaConsumer<String, String> consumer = Clients.consumer(bootstrap)) {
            Check.isTrue("listTopics has our topic", consumer.listTopics().containsKey(topic("keyed")));
            Check.equal("partitionsFor", PARTITIONS, consumer.partitionsFor(topic("keyed")).size());
            Check.isTrue("a leader", consumer.partitionsFor(topic("keyed")).get(0).leader().id() >= 0);
        }
    }
}
