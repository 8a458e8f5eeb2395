import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.Future;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import kafka.common.OffsetAndMetadata;
import kafka.common.OffsetMetadataAndError;
import kafka.common.TopicAndPartition;
import kafka.consumer.Consumer;
import kafka.consumer.ConsumerConfig;
import kafka.consumer.ConsumerIterator;
import kafka.javaapi.consumer.ConsumerConnector;
import kafka.message.MessageAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.zookeeper.ZooKeeper;

/**
 * The Scala consumers of Kafka 0.8.2.2 and 1.1.1: they share partitions and keep offsets through ZooKeeper. Arguments:
 * broker, ZooKeeper, version, word.
 */
public final class OldConsumers {
    private static final int PARTITIONS = 3;

    private final String bootstrap;
    private final String zookeeper;
    private final String topic;
    private final String group;
    private final KafkaProducer<String, String> producer;
    private final ZooKeeper nodes;
    private int sent;

    private OldConsumers(String[] args) throws Exception {
        bootstrap = args[0];
        zookeeper = args[1];
        topic = "old-" + args[2] + "-" + args[3];
        group = "group-" + topic;
        Properties properties = new Properties();
        properties.put("bootstrap.servers", bootstrap);
        properties.put("acks", "all");
        properties.put("key.serializer", "org.apache.kafka.common.serialization.StringSerializer");
        properties.put("value.serializer", "org.apache.kafka.common.serialization.StringSerializer");
        producer = new KafkaProducer<>(properties);
        nodes = new ZooKeeper(zookeeper, 30000, event -> {});
    }

    public static void main(String[] args) throws Exception {
        OldConsumers scenario = new OldConsumers(args);
        scenario.run();
    }

    /** A member, and what it has received. */
    private final class Member {
        final ConsumerConnector connector;
        final BlockingQueue<String> received = new LinkedBlockingQueue<>();
        final Thread thread;

        Member(String group, String... settings) {
            Properties properties = new Properties();
            properties.put("zookeeper.connect", zookeeper);
            properties.put("group.id", group);
            properties.put("auto.offset.reset", "smallest");
            properties.put("auto.commit.interval.ms", "200");
            properties.put("rebalance.backoff.ms", "500");
            properties.put("rebalance.max.retries", "20");
            properties.put("zookeeper.connection.timeout.ms", "20000");
            for (int i = 0; i < settings.length; i += 2) {
                properties.put(settings[i], settings[i + 1]);
            }
            connector = Consumer.createJavaConsumerConnector(new ConsumerConfig(properties));
            ConsumerIterator<byte[], byte[]> iterator = connector
                .createMessageStreams(Collections.singletonMap(topic, 1)).get(topic).get(0).iterator();
            thread = new Thread(() -> {
                while (iterator.hasNext()) {
                    MessageAndMetadata<byte[], byte[]> message = iterator.next();
                    received.add(new String(message.message()));
                }
            });
            thread.start();
        }

        /** The next values, in any order. */
        List<String> take(int count) throws Exception {
            List<String> taken = new ArrayList<>();
            for (int i = 0; i < count; i++) {
                String value = received.poll(30, TimeUnit.SECONDS);
                Check.isTrue("only " + taken.size() + " of " + count + " messages came", value != null);
                taken.add(value);
            }
            return taken;
        }

        void leave() throws Exception {
            connector.shutdown();
            thread.join();
        }
    }

    private void run() throws Exception {
        Check.step("one member reads everything from the smallest offset", this::one);
        Check.step("a second member takes a share, and each message comes once", this::two);
        Check.step("who stays takes over from who leaves", this::leave);
        Check.step("offsets are plain numbers, and the next member goes on there", this::goOn);
        Check.step("a reset by hand is what the next member starts from", this::reset);
        Check.step("two members with round robin over offsets kept by the broker", this::inKafka);
        Check.step("offsets committed to the broker by version 0 are those of ZooKeeper", this::versionZero);
        Check.finish();
    }

    private Member first;
    private Member second;

    private void one() throws Exception {
        Set<String> expected = send(30);
        first = new Member(group);
        Check.equal("received", expected, new TreeSet<>(first.take(30)));
    }

    private void two() throws Exception {
        second = new Member(group);
        Check.eventually("owners", 2, () -> owners(group).size());
        eventuallyQuiet(group);
        Set<String> expected = send(60);
        Set<String> got = new TreeSet<>();
        long until = System.nanoTime() + 30_000_000_000L;
        int count = 0;
        int ofSecond = 0;
        while (count < 60) {
            Check.isTrue("only " + count + " of 60 messages came", System.nanoTime() < until);
            String value = first.received.poll(20, TimeUnit.MILLISECONDS);
            if (value == null) {
                value = second.received.poll(20, TimeUnit.MILLISECONDS);
                ofSecond += value == null ? 0 : 1;
            }
            if (value != null) {
                count++;
                got.add(value);
            }
        }
        Check.equal("received", expected, got);
        Check.isTrue("both get some: " + ofSecond, ofSecond > 0 && ofSecond < 60);
        Check.equal("one more", null, first.received.poll(300, TimeUnit.MILLISECONDS));
    }

    private void leave() throws Exception {
        first.leave();
        Check.eventually("owners", 1, () -> owners(group).size());
        Set<String> expected = send(30);
        Check.equal("received", expected, new TreeSet<>(second.take(30)));
        second.leave();
        Check.equal("owners", 0, owners(group).size());
        Check.equal("members", 0, nodes.getChildren("/consumers/" + group + "/ids", false).size());
    }

    private void goOn() throws Exception {
        Check.equal("committed in all", (long) sent, committed(group));
        Set<String> expected = send(6);
        Member next = new Member(group);
        Check.equal("received", expected, new TreeSet<>(next.take(6)));
        Check.equal("one more", null, next.received.poll(300, TimeUnit.MILLISECONDS));
        next.leave();
        Check.equal("committed in all", (long) sent, committed(group));
    }

    private void reset() throws Exception {
        nodes.setData("/consumers/" + group + "/offsets/" + topic + "/1", "0".getBytes(), -1);
        Member next = new Member(group);
        int again = sent / PARTITIONS;
        for (String value : next.take(again)) {
            Check.isTrue(value + " is of partition 1", Integer.parseInt(value.substring(1)) % PARTITIONS == 1);
        }
        Check.equal("one more", null, next.received.poll(300, TimeUnit.MILLISECONDS));
        next.leave();
    }

    private void inKafka() throws Exception {
        String[] settings = {"offsets.storage", "kafka", "dual.commit.enabled", "false", "partition.assignment.strategy", "roundrobin"};
        String other = group + "-k";
        Member a = new Member(other, settings);
        a.take(sent);
        Member b = new Member(other, settings);
        Check.eventually("owners", 2, () -> owners(other).size());
        eventuallyQuiet(other);
        Set<String> expected = send(30);
        long until = System.nanoTime() + 30_000_000_000L;
        Set<String> got = new TreeSet<>();
        while (got.size() < 30) {
            Check.isTrue("only " + got.size() + " of 30 messages came", System.nanoTime() < until);
            for (Member member : new Member[] {a, b}) {
                String value = member.received.poll(20, TimeUnit.MILLISECONDS);
                if (value != null) {
                    got.add(value);
                }
            }
        }
        Check.equal("received", expected, got);
        a.leave();
        b.leave();
        expected = send(3);
        Member next = new Member(other, settings);
        Check.equal("received", expected, new TreeSet<>(next.take(3)));
        Check.equal("one more", null, next.received.poll(300, TimeUnit.MILLISECONDS));
        next.leave();
    }

    private void versionZero() throws Exception {
        String other = group + "-0";
        TopicAndPartition partition = new TopicAndPartition(topic, 2);
        kafka.javaapi.consumer.SimpleConsumer consumer = new kafka.javaapi.consumer.SimpleConsumer(
            bootstrap.split(":")[0], Integer.parseInt(bootstrap.split(":")[1]), 30000, 65536, "old");
        Map<TopicAndPartition, OffsetAndMetadata> offsets = new HashMap<>();
        offsets.put(partition, OffsetAndMetadata.apply(17L, "", -1L));
        kafka.javaapi.OffsetCommitResponse answer =
            consumer.commitOffsets(new kafka.javaapi.OffsetCommitRequest(other, offsets, 1, "old", (short) 0));
        Check.isTrue("errors: " + answer.errors(), !answer.hasError());
        Check.equal("node", "17", text("/consumers/" + other + "/offsets/" + topic + "/2"));
        nodes.setData("/consumers/" + other + "/offsets/" + topic + "/2", "5".getBytes(), -1);
        OffsetMetadataAndError found = consumer.fetchOffsets(new kafka.javaapi.OffsetFetchRequest(
            other, Collections.singletonList(partition), (short) 0, 2, "old")).offsets().get(partition);
        Check.equal("offset", 5L, found.offset());
        consumer.close();
    }

    /** Sends messages in turn to the partitions; their values. */
    private Set<String> send(int count) throws Exception {
        Set<String> values = new TreeSet<>();
        List<Future<RecordMetadata>> pending = new ArrayList<>();
        for (int i = 0; i < count; i++, sent++) {
            String value = "v" + sent;
            values.add(value);
            pending.add(producer.send(new ProducerRecord<>(topic, sent % PARTITIONS, "k", value)));
        }
        for (Future<RecordMetadata> one : pending) {
            one.get();
        }
        return values;
    }

    /** Which consumers own partitions. */
    private Set<String> owners(String group) throws Exception {
        Set<String> owners = new HashSet<>();
        for (int partition = 0; partition < PARTITIONS; partition++) {
            String path = "/consumers/" + group + "/owners/" + topic + "/" + partition;
            if (nodes.exists(path, false) != null) {
                owners.add(text(path));
            }
        }
        return owners;
    }

    /** Until every partition has the same owner for a while: the rebalance is over on all sides. */
    private void eventuallyQuiet(String group) throws Exception {
        String before = "";
        for (int same = 0; same < 10;) {
            StringBuilder now = new StringBuilder();
            for (int partition = 0; partition < PARTITIONS; partition++) {
                String path = "/consumers/" + group + "/owners/" + topic + "/" + partition;
                now.append(nodes.exists(path, false) == null ? "none" : nodes.exists(path, false).getCzxid() + "").append(' ');
            }
            boolean whole = !now.toString().contains("none");
            same = whole && now.toString().equals(before) ? same + 1 : 0;
            before = now.toString();
            Thread.sleep(100);
        }
    }

    private long committed(String group) throws Exception {
        long sum = 0;
        for (int partition = 0; partition < PARTITIONS; partition++) {
            sum += Long.parseLong(text("/consumers/" + group + "/offsets/" + topic + "/" + partition));
        }
        return sum;
    }

    private String text(String path) throws Exception {
        return new String(nodes.getData(path, false, null));
    }
}
