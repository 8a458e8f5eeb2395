import java.lang.reflect.Method;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import org.apache.kafka.clients.admin.AdminClient;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;

/** Transactions: what readers see, fencing, timeouts, read-process-write. Arguments: BOOTSTRAP VERSION WORD. */
public final class TransactionScenario {
    private static final int INPUTS = 300;
    private static String bootstrap;
    private static String version;
    private static String word;

    private TransactionScenario() {}

    public static void main(String[] args) {
        bootstrap = args[0];
        version = args[1];
        word = args[2];
        Check.step("commit and abort", TransactionScenario::commitAndAbort);
        Check.step("an open transaction bounds read_committed", TransactionScenario::openTransaction);
        Check.step("a new producer fences the old one", TransactionScenario::fencing);
        Check.step("a transaction that is open too long is aborted", TransactionScenario::timeout);
        Check.step("many transactions over many partitions", TransactionScenario::many);
        Check.step("a member that has left its group sends no offsets", TransactionScenario::staleMember);
        Check.step("read, process, write", () -> readProcessWrite("loop"));
        Check.step("read, process, write, with deaths", () -> readProcessWrite("deaths"));
        Check.step("read, process, write, while the broker is killed and stopped", () -> readProcessWrite("broker"));
        Check.finish();
    }

    private static String topic(String name, int partitions) throws Exception {
        String topic = "tx-" + version + "-" + name + "-" + word;
        Properties properties = new Properties();
        properties.put("bootstrap.servers", bootstrap);
        try (AdminClient admin = AdminClient.create(properties)) {
            admin.createTopics(Collections.singleton(new NewTopic(topic, partitions, (short) 1))).all().get();
        }
        return topic;
    }

    private static KafkaProducer<String, String> producer(String id, String... settings) {
        String[] all = Arrays.copyOf(settings, settings.length + 2);
        all[settings.length] = "transactional.id";
        all[settings.length + 1] = version + "-" + id + "-" + word;
        KafkaProducer<String, String> producer = Clients.producer(bootstrap, all);
        producer.initTransactions();
        return producer;
    }

    private static KafkaConsumer<String, String> consumer(String isolation, String... settings) {
        String[] all = Arrays.copyOf(settings, settings.length + 4);
        all[settings.length] = "isolation.level";
        all[settings.length + 1] = isolation;
        all[settings.length + 2] = "auto.offset.reset";
        all[settings.length + 3] = "earliest";
        return Clients.consumer(bootstrap, all);
    }

    private static long end(KafkaConsumer<String, String> consumer, TopicPartition partition) {
        return consumer.endOffsets(Collections.singleton(partition)).get(partition);
    }

    /** All records up to the end that this consumer sees. */
    private static List<String> values(String isolation, String topic, int partitions) throws Exception {
        List<String> values = new ArrayList<>();
        try (KafkaConsumer<String, String> consumer = consumer(isolation)) {
            for (int p = 0; p < partitions; p++) {
                TopicPartition partition = new TopicPartition(topic, p);
                long end = end(consumer, partition);
                consumer.assign(Collections.singleton(partition));
                consumer.seek(partition, 0);
                while (consumer.position(partition) < end) {
                    for (ConsumerRecord<String, String> record : Clients.poll(consumer, 500)) {
                        values.add(record.value());
                    }
                }
            }
        }
        return values;
    }

    private static void commitAndAbort() throws Exception {
        String topic = topic("ends", 1);
        try (KafkaProducer<String, String> producer = producer("ends")) {
            for (String round : Arrays.asList("a", "b", "c")) {
                producer.beginTransaction();
                producer.send(new ProducerRecord<>(topic, round + "1"));
                producer.send(new ProducerRecord<>(topic, round + "2"));
                if (round.equals("b")) {
                    producer.flush();
                    producer.abortTransaction();
                } else {
                    producer.commitTransaction();
                }
            }
            producer.beginTransaction();
            producer.commitTransaction();
        }
        Check.eventually("committed", Arrays.asList("a1", "a2", "c1", "c2"), () -> values("read_committed", topic, 1));
        Check.equal("all", Arrays.asList("a1", "a2", "b1", "b2", "c1", "c2"), values("read_uncommitted", topic, 1));
    }

    private static void openTransaction() throws Exception {
        String topic = topic("open", 1);
        TopicPartition partition = new TopicPartition(topic, 0);
        try (KafkaProducer<String, String> producer = producer("open");
                KafkaProducer<String, String> plain = Clients.producer(bootstrap);
                KafkaConsumer<String, String> committed = consumer("read_committed");
                KafkaConsumer<String, String> all = consumer("read_uncommitted")) {
            plain.send(new ProducerRecord<>(topic, "before")).get();
            producer.beginTransaction();
            producer.send(new ProducerRecord<>(topic, "open")).get();
            plain.send(new ProducerRecord<>(topic, "after")).get();
            Check.equal("stable end", 1L, end(committed, partition));
            Check.equal("end", 3L, end(all, partition));
            Check.equal("committed", Arrays.asList("before"), values("read_committed", topic, 1));
            producer.commitTransaction();
            Check.eventually("stable end", 4L, () -> end(committed, partition));
            Check.equal("committed", Arrays.asList("before", "open", "after"), values("read_committed", topic, 1));
        }
    }

    private static void fencing() throws Exception {
        String topic = topic("fence", 1);
        KafkaProducer<String, String> old = producer("fence");
        old.beginTransaction();
        old.send(new ProducerRecord<>(topic, "old")).get();
        try (KafkaProducer<String, String> fresh = producer("fence")) {
            fresh.beginTransaction();
            fresh.send(new ProducerRecord<>(topic, "new")).get();
            Check.fails("ProducerFencedException", () -> {
                old.commitTransaction();
                return null;
            });
            fresh.commitTransaction();
        }
        old.close();
        Check.eventually("committed", Arrays.asList("new"), () -> values("read_committed", topic, 1));
    }

    private static void timeout() throws Exception {
        String topic = topic("timeout", 1);
        TopicPartition partition = new TopicPartition(topic, 0);
        try (KafkaProducer<String, String> producer = producer("timeout", "transaction.timeout.ms", "1000");
                KafkaConsumer<String, String> committed = consumer("read_committed")) {
            producer.beginTransaction();
            producer.send(new ProducerRecord<>(topic, "late")).get();
            Check.eventually("stable end", 2L, () -> end(committed, partition));
            boolean fenced = false;
            try {
                producer.commitTransaction();
            } catch (org.apache.kafka.common.KafkaException expected) {
                fenced = true;
            }
            Check.isTrue("the commit fails", fenced);
        }
        Check.equal("committed", Collections.emptyList(), values("read_committed", topic, 1));
    }

    private static void many() throws Exception {
        int partitions = 6;
        String topic = topic("many", partitions);
        List<String> expected = new ArrayList<>();
        try (KafkaProducer<String, String> producer = producer("many", "linger.ms", "0")) {
            for (int t = 0; t < 100; t++) {
                producer.beginTransaction();
                for (int p = 0; p < partitions; p++) {
                    producer.send(new ProducerRecord<>(topic, p, null, t + "-" + p));
                }
                if (t % 3 == 2) {
                    producer.flush();
                    producer.abortTransaction();
                } else {
                    producer.commitTransaction();
                    for (int p = 0; p < partitions; p++) {
                        expected.add(t + "-" + p);
                    }
                }
            }
        }
        Collections.sort(expected);
        Check.eventually("committed", expected, () -> {
            List<String> values = values("read_committed", topic, partitions);
            Collections.sort(values);
            return values;
        });
    }

    /** The group's metadata since 2.5, its name before: then the group cannot tell. */
    private static Object member(KafkaConsumer<String, String> consumer, String group) throws Exception {
        try {
            return KafkaConsumer.class.getMethod("groupMetadata").invoke(consumer);
        } catch (NoSuchMethodException e) {
            return group;
        }
    }

    private static void sendOffsets(KafkaProducer<String, String> producer, Map<TopicPartition, OffsetAndMetadata> offsets,
            Object member) throws Exception {
        for (Method method : KafkaProducer.class.getMethods()) {
            if (method.getName().equals("sendOffsetsToTransaction") && method.getParameterTypes()[1].isInstance(member)) {
                try {
                    method.invoke(producer, offsets, member);
                    return;
                } catch (java.lang.reflect.InvocationTargetException e) {
                    throw (Exception) e.getCause();
                }
            }
        }
        throw new NoSuchMethodException("sendOffsetsToTransaction");
    }

    private static void staleMember() throws Exception {
        String topic = topic("stale", 1);
        String group = "tx-" + version + "-stale-" + word;
        TopicPartition partition = new TopicPartition(topic, 0);
        try (KafkaProducer<String, String> plain = Clients.producer(bootstrap)) {
            plain.send(new ProducerRecord<>(topic, "in")).get();
        }
        Object member;
        try (KafkaConsumer<String, String> consumer = consumer("read_committed", "group.id", group)) {
            consumer.subscribe(Collections.singleton(topic));
            while (Clients.poll(consumer, 500).isEmpty()) {
            }
            member = member(consumer, group);
        }
        if (member.equals(group)) {
            return;
        }
        try (KafkaProducer<String, String> producer = producer("stale")) {
            producer.beginTransaction();
            Check.fails("CommitFailedException", () -> {
                sendOffsets(producer, Collections.singletonMap(partition, new OffsetAndMetadata(1)), member);
                return null;
            });
            producer.abortTransaction();
        }
        try (KafkaConsumer<String, String> consumer = consumer("read_committed", "group.id", group)) {
            consumer.assign(Collections.singleton(partition));
            Check.equal("position", 0L, consumer.position(partition));
        }
    }

    private static void readProcessWrite(String kind) throws Exception {
        String input = topic(kind + "-in", 3);
        String output = topic(kind + "-out", 2);
        List<String> expected = new ArrayList<>();
        try (KafkaProducer<String, String> producer = Clients.producer(bootstrap)) {
            for (int i = 0; i < INPUTS; i++) {
                producer.send(new ProducerRecord<>(input, i % 3, null, "v" + i));
                expected.add("V" + i);
            }
        }
        int processed = 0;
        for (int deaths = 1; processed < INPUTS; deaths++) {
            processed += process(kind, input, output, processed, kind.equals("deaths") && deaths < 5);
        }
        Collections.sort(expected);
        Check.eventually("outputs", expected, () -> {
            List<String> values = values("read_committed", output, 2);
            Collections.sort(values);
            return values;
        });
    }

    /** Processes all inputs, or dies in the middle of a transaction; or the broker does, twice. */
    private static int process(String kind, String input, String output, int before, boolean dies) throws Exception {
        String group = "tx-" + version + "-" + kind + "-" + word;
        List<String> signals = new ArrayList<>(kind.equals("broker") ? Arrays.asList("KILL", "TERM") : Arrays.asList());
        int processed = 0;
        KafkaProducer<String, String> producer = producer(group);
        try (KafkaConsumer<String, String> consumer =
                consumer("read_committed", "group.id", group, "max.poll.records", "10", "session.timeout.ms", "10000")) {
            consumer.subscribe(Collections.singleton(input));
            long until = System.nanoTime() + 240_000_000_000L;
            while (before + processed < INPUTS) {
                Check.isTrue("in time", System.nanoTime() < until);
                Map<TopicPartition, OffsetAndMetadata> offsets = new HashMap<>();
                int records = 0;
                for (ConsumerRecord<String, String> record : Clients.poll(consumer, 500)) {
                    if (records++ == 0) {
                        producer.beginTransaction();
                    }
                    producer.send(new ProducerRecord<>(output, record.partition() % 2, null, record.value().toUpperCase()));
                    offsets.put(new TopicPartition(input, record.partition()), new OffsetAndMetadata(record.offset() + 1));
                }
                if (records == 0) {
                    continue;
                }
                sendOffsets(producer, offsets, member(consumer, group));
                if (dies && processed > 20) {
                    producer.flush();
                    return processed;
                }
                if (!signals.isEmpty() && processed > 80) {
                    System.out.println("restart " + signals.remove(0));
                    System.in.read();
                }
                producer.commitTransaction();
                processed += records;
            }
            producer.close();
            return processed;
        }
    }
}
