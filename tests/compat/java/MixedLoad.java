import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.BooleanSupplier;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;

/**
 * What a cluster has to bear, and what it must not lose: idempotent producers with acks=all on the topics "durable" and
 * "in", a group of two that reads "durable" and commits, and for each partition of "in" a transactional process that
 * copies it into "out". They live until the stop file exists, then everything that was written is read, processed and
 * checked.
 *
 * Arguments: BOOTSTRAP STOP_FILE ACKNOWLEDGED COORDINATORS. The last file gets the acknowledged records of "durable" for
 * Durable's check. COORDINATORS is how many partitions the topics of groups and transactions have each: every one of
 * them is used. Prints "acknowledged A consumed C processed P" as it goes.
 */
public final class MixedLoad {
    private static final String[] CODECS = {"none", "lz4", "gzip"};
    private static final int PRODUCERS = 3;

    private final String bootstrap;
    private final Path stop;
    private final int coordinators;
    private final AtomicLong acknowledged = new AtomicLong();
    private final AtomicLong consumed = new AtomicLong();
    private final AtomicLong processed = new AtomicLong();
    private final AtomicLong restarts = new AtomicLong();
    private final ConcurrentLinkedQueue<String> lines = new ConcurrentLinkedQueue<>();
    private final ConcurrentLinkedQueue<String> failures = new ConcurrentLinkedQueue<>();
    private final Map<TopicPartition, Long> ends = new ConcurrentHashMap<>();
    private final Map<TopicPartition, Long> committed = new ConcurrentHashMap<>();
    private final Map<TopicPartition, Long> nextUnread = new ConcurrentHashMap<>();
    private volatile boolean written;

    private MixedLoad(String bootstrap, Path stop, int coordinators) {
        this.bootstrap = bootstrap;
        this.stop = stop;
        this.coordinators = coordinators;
    }

    interface Body {
        void run() throws Exception;
    }

    public static void main(String[] args) throws Exception {
        MixedLoad load = new MixedLoad(args[0], Paths.get(args[1]), Integer.parseInt(args[3]));
        load.run(args[2]);
        System.exit(load.failures.isEmpty() ? 0 : 1);
    }

    private Thread start(String name, Body body) {
        Thread thread = new Thread(() -> {
            try {
                body.run();
            } catch (Throwable e) {
                StackTraceElement[] trace = e.getStackTrace();
                failures.add(name + ": " + e + (trace.length > 0 ? " at " + trace[0] : ""));
            }
        }, name);
        thread.start();
        return thread;
    }

    private void run(String out) throws Exception {
        List<Thread> writers = new ArrayList<>();
        for (int i = 0; i < PRODUCERS; i++) {
            int producer = i;
            writers.add(start("producer-" + i, () -> produce("durable", producer, 240)));
        }
        writers.add(start("input", () -> produce("in", PRODUCERS, 150)));
        List<Thread> readers = new ArrayList<>();
        for (int i = 0; i < 2; i++) {
            readers.add(start("reader-" + i, this::read));
        }
        for (int i = 0; i < coordinators; i++) {
            int partition = i;
            readers.add(start("process-" + i, () -> process(partition)));
        }
        follow(() -> writers.stream().anyMatch(Thread::isAlive));
        if (failures.isEmpty()) {
            rememberEnds();
        }
        written = true;
        follow(() -> failures.isEmpty() && readers.stream().anyMatch(Thread::isAlive));
        if (failures.isEmpty()) {
            Check.step("what was processed, once and in order", this::checkProcessed);
        }
        try (PrintWriter writer = new PrintWriter(out)) {
            lines.forEach(writer::println);
        }
        System.out.println("written: " + acknowledged + " acknowledged, " + consumed + " consumed, " + processed
                + " processed, " + restarts + " processes started again, " + failures.size() + " failed");
        failures.stream().limit(8).forEach(failure -> System.out.println("FAILED " + failure));
    }

    private void follow(BooleanSupplier going) throws Exception {
        String told = "";
        while (going.getAsBoolean()) {
            String now = "acknowledged " + acknowledged + " consumed " + consumed + " processed " + processed;
            if (!now.equals(told)) {
                System.out.println(now);
                told = now;
            }
            Thread.sleep(50);
        }
    }

    /** Record values are "producer partition number", as Durable's check expects them. */
    private void produce(String topic, int producer, int pauseMs) throws Exception {
        try (KafkaProducer<String, String> client = Clients.producer(bootstrap, "acks", "all", "enable.idempotence", "true",
                "compression.type", CODECS[producer % CODECS.length], "linger.ms", "1", "batch.size", "1000",
                "delivery.timeout.ms", "600000", "request.timeout.ms", "10000", "max.block.ms", "600000",
                "buffer.memory", "100000", "retry.backoff.ms", "50", "reconnect.backoff.max.ms", "200")) {
            int count = client.partitionsFor(topic).size();
            for (int i = 0; !Files.exists(stop) && failures.isEmpty(); i++) {
                int partition = i % count;
                String value = producer + " " + partition + " " + i / count;
                client.send(new ProducerRecord<>(topic, partition, null, value), (metadata, error) -> {
                    if (error != null) {
                        failures.add(topic + ": " + value + ": " + error);
                        return;
                    }
                    acknowledged.incrementAndGet();
                    if (topic.equals("durable")) {
                        lines.add(value + " " + metadata.offset());
                    }
                });
                if (i % 10 == 9) {
                    Thread.sleep(pauseMs);
                }
            }
        }
    }

    private void rememberEnds() {
        try (KafkaConsumer<String, String> consumer = Clients.consumer(bootstrap, "isolation.level", "read_committed")) {
            for (String topic : Arrays.asList("durable", "in")) {
                List<TopicPartition> all = new ArrayList<>();
                consumer.partitionsFor(topic).forEach(p -> all.add(new TopicPartition(topic, p.partition())));
                ends.putAll(consumer.endOffsets(all, Duration.ofSeconds(120)));
            }
        }
    }

    /**
     * A member of the group that reads "durable". Whoever gets a partition must get it at a position that was committed at
     * least as far as the last commit that was answered, and not beyond what somebody has read.
     */
    private void read() throws Exception {
        try (KafkaConsumer<String, String> consumer = Clients.consumer(bootstrap, "group.id", "readers",
                "auto.offset.reset", "earliest", "session.timeout.ms", "10000", "heartbeat.interval.ms", "1000",
                "default.api.timeout.ms", "60000", "reconnect.backoff.max.ms", "200")) {
            consumer.subscribe(Collections.singleton("durable"), new ConsumerRebalanceListener() {
                @Override
                public void onPartitionsRevoked(Collection<TopicPartition> revoked) {}

                @Override
                public void onPartitionsAssigned(Collection<TopicPartition> assigned) {
                    for (TopicPartition partition : assigned) {
                        long position = consumer.position(partition, Duration.ofSeconds(60));
                        if (position < committed.getOrDefault(partition, 0L)) {
                            failures.add("commit of " + committed.get(partition) + " for " + partition + " is lost: " + position);
                        }
                        if (position > nextUnread.getOrDefault(partition, 0L)) {
                            failures.add(partition + " is read from " + position + ", unread from " + nextUnread.get(partition));
                        }
                    }
                }
            });
            while (!(written && allRead()) && failures.isEmpty()) {
                readAndCommit(consumer);
            }
        }
    }

    private void readAndCommit(KafkaConsumer<String, String> consumer) {
        ConsumerRecords<String, String> records = consumer.poll(Duration.ofMillis(200));
        if (records.isEmpty()) {
            return;
        }
        Map<TopicPartition, OffsetAndMetadata> offsets = new HashMap<>();
        for (TopicPartition partition : records.partitions()) {
            for (ConsumerRecord<String, String> record : records.records(partition)) {
                long next = nextUnread.getOrDefault(partition, 0L);
                if (record.offset() > next) {
                    failures.add(partition + " jumps from " + next + " to " + record.offset());
                }
                nextUnread.merge(partition, record.offset() + 1, Math::max);
                offsets.put(partition, new OffsetAndMetadata(record.offset() + 1));
            }
        }
        consumed.addAndGet(records.count());
        try {
            consumer.commitSync(offsets);
        } catch (KafkaException e) {
            // It has lost its partitions meanwhile, or the coordinator was away for too long: nothing is promised.
            System.out.println("commit: " + e);
            return;
        }
        offsets.forEach((partition, offset) -> committed.merge(partition, offset.offset(), Math::max));
    }

    private boolean allRead() {
        return ends.entrySet().stream().filter(e -> e.getKey().topic().equals("durable"))
                .allMatch(e -> committed.getOrDefault(e.getKey(), 0L) >= e.getValue());
    }

    /** The first name that this partition of the coordinator's topic is responsible for. */
    private String coordinatedBy(String prefix, int partition) {
        for (int i = 0;; i++) {
            String name = prefix + partition + "-" + i;
            if (Math.abs(name.hashCode()) % coordinators == partition) {
                return name;
            }
        }
    }

    /** Copies one partition of "in" into the same of "out", in transactions; a new producer after each fatal error. */
    private void process(int partition) throws Exception {
        String id = coordinatedBy("process-", partition);
        TopicPartition input = new TopicPartition("in", partition);
        while (failures.isEmpty()) {
            try (KafkaConsumer<String, String> consumer = Clients.consumer(bootstrap, "group.id", id, "isolation.level",
                            "read_committed", "auto.offset.reset", "earliest", "max.poll.records", "200",
                            "default.api.timeout.ms", "60000", "reconnect.backoff.max.ms", "200");
                    KafkaProducer<String, String> producer = Clients.producer(bootstrap, "transactional.id", id, "linger.ms",
                            "1", "delivery.timeout.ms", "120000", "request.timeout.ms", "10000", "max.block.ms", "120000",
                            "transaction.timeout.ms", "300000", "retry.backoff.ms", "50", "reconnect.backoff.max.ms", "200")) {
                copy(consumer, producer, input, id);
                return;
            } catch (KafkaException e) {
                restarts.incrementAndGet();
                System.out.println(id + " starts again: " + e + (e.getCause() == null ? "" : " because " + e.getCause()));
            }
        }
    }

    private void copy(KafkaConsumer<String, String> consumer, KafkaProducer<String, String> producer, TopicPartition input,
            String group) {
        producer.initTransactions();
        consumer.assign(Collections.singleton(input));
        long position = consumer.position(input, Duration.ofSeconds(60));
        if (position < committed.getOrDefault(input, 0L)) {
            failures.add("transaction up to " + committed.get(input) + " of " + input + " is lost: " + position);
        }
        while (failures.isEmpty() && !(written && position >= ends.get(input))) {
            ConsumerRecords<String, String> records = consumer.poll(Duration.ofMillis(200));
            if (records.isEmpty()) {
                continue;
            }
            producer.beginTransaction();
            for (ConsumerRecord<String, String> record : records) {
                producer.send(new ProducerRecord<>("out", input.partition(), null, record.value()));
                position = record.offset() + 1;
            }
            producer.sendOffsetsToTransaction(Collections.singletonMap(input, new OffsetAndMetadata(position)), group);
            producer.commitTransaction();
            committed.merge(input, position, Math::max);
            processed.addAndGet(records.count());
        }
    }

    /** "out" holds, read_committed, the numbers of each partition from 0 on without gap or repetition. */
    private void checkProcessed() throws Exception {
        long total = 0;
        try (KafkaConsumer<String, String> consumer = Clients.consumer(bootstrap, "isolation.level", "read_committed")) {
            for (int p = 0; p < coordinators; p++) {
                TopicPartition partition = new TopicPartition("out", p);
                long end = consumer.endOffsets(Collections.singleton(partition)).get(partition);
                consumer.assign(Collections.singleton(partition));
                consumer.seek(partition, 0);
                long number = 0;
                while (consumer.position(partition, Duration.ofSeconds(60)) < end) {
                    for (ConsumerRecord<String, String> record : consumer.poll(Duration.ofMillis(500))) {
                        Check.equal("in " + partition + " at " + record.offset(), PRODUCERS + " " + p + " " + number++, record.value());
                    }
                }
                Check.equal("records of " + partition, ends.get(new TopicPartition("in", p)), number);
                total += number;
            }
        }
        System.out.println(total + " records processed");
    }
}
