import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.Future;
import kafka.api.FetchRequestBuilder;
import kafka.api.PartitionOffsetRequestInfo;
import kafka.common.TopicAndPartition;
import kafka.javaapi.FetchResponse;
import kafka.javaapi.OffsetRequest;
import kafka.javaapi.OffsetResponse;
import kafka.javaapi.TopicMetadata;
import kafka.javaapi.TopicMetadataRequest;
import kafka.javaapi.consumer.SimpleConsumer;
import kafka.javaapi.producer.Producer;
import kafka.message.MessageAndOffset;
import kafka.producer.KeyedMessage;
import kafka.producer.ProducerConfig;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;

/** Kafka 0.8.2.2: both producers and SimpleConsumer (versions 0 of everything). Arguments as DataScenario. */
public final class SimpleScenario {
    private static final int COUNT = 60;

    private final String bootstrap;
    private final String prefix;
    private final String host;
    private final int port;

    private SimpleScenario(String bootstrap, String version, String word) {
        this.bootstrap = bootstrap;
        this.prefix = "simple-" + version + "-" + word;
        this.host = bootstrap.split(":")[0];
        this.port = Integer.parseInt(bootstrap.split(":")[1]);
    }

    public static void main(String[] args) {
        new SimpleScenario(args[0], args[1], args[2]).run();
    }

    private void run() {
        for (String acks : new String[] {"0", "1", "-1"}) {
            for (String codec : new String[] {"none", "gzip", "snappy"}) {
                Check.step("Java producer and SimpleConsumer, acks=" + acks + " " + codec, () -> javaProducer(acks, codec));
                Check.step("Scala producer and SimpleConsumer, acks=" + acks + " " + codec, () -> scalaProducer(acks, codec));
            }
        }
        Check.step("metadata", this::metadata);
        Check.step("offsets before a time", this::offsets);
        Check.step("fetch beyond the end is error 1", this::outOfRange);
        Check.finish();
    }

    private void javaProducer(String acks, String codec) throws Exception {
        String topic = prefix + "-java" + acks + "-" + codec;
        Properties properties = new Properties();
        properties.put("bootstrap.servers", bootstrap);
        properties.put("acks", acks);
        properties.put("compression.type", codec);
        properties.put("linger.ms", "5");
        properties.put("batch.size", "600");
        properties.put("key.serializer", "org.apache.kafka.common.serialization.StringSerializer");
        properties.put("value.serializer", "org.apache.kafka.common.serialization.StringSerializer");
        KafkaProducer<String, String> producer = new KafkaProducer<>(properties);
        List<Future<RecordMetadata>> pending = new ArrayList<>();
        for (int i = 0; i < COUNT; i++) {
            pending.add(producer.send(new ProducerRecord<>(topic, 0, "k" + i, "v" + i)));
        }
        for (int i = 0; i < COUNT; i++) {
            RecordMetadata metadata = pending.get(i).get();
            if (!acks.equals("0")) {
                Check.equal("offset of record " + i, (long) i, metadata.offset());
            }
        }
        producer.close();
        check(topic);
    }

    private void scalaProducer(String acks, String codec) throws Exception {
        String topic = prefix + "-scala" + acks + "-" + codec;
        createByMetadata(topic);
        Properties properties = new Properties();
        properties.put("metadata.broker.list", bootstrap);
        properties.put("request.required.acks", acks);
        properties.put("compression.codec", codec);
        properties.put("serializer.class", "kafka.serializer.StringEncoder");
        properties.put("partitioner.class", "SimpleScenario$FirstPartition");
        Producer<String, String> producer = new Producer<>(new ProducerConfig(properties));
        for (int start = 0; start < COUNT; start += 20) {
            List<KeyedMessage<String, String>> messages = new ArrayList<>();
            for (int i = start; i < start + 20; i++) {
                messages.add(new KeyedMessage<>(topic, "k" + i, "v" + i));
            }
            producer.send(messages);
        }
        producer.close();
        check(topic);
    }

    /** All messages go to partition 0. */
    public static final class FirstPartition implements kafka.producer.Partitioner {
        public FirstPartition(kafka.utils.VerifiableProperties ignored) {}

        @Override
        public int partition(Object key, int partitions) {
            return 0;
        }
    }

    private void createByMetadata(String topic) throws Exception {
        Check.eventually("topic " + topic + " created by asking for it", (short) 0,
            () -> ask(topic).errorCode() != 0 ? ask(topic).errorCode()
                : ask(topic).partitionsMetadata().get(0).errorCode());
    }

    private TopicMetadata ask(String topic) {
        SimpleConsumer consumer = consumer();
        try {
            return consumer.send(new TopicMetadataRequest(Collections.singletonList(topic))).topicsMetadata().get(0);
        } finally {
            consumer.close();
        }
    }

    private SimpleConsumer consumer() {
        return new SimpleConsumer(host, port, 30000, 65536, "simple");
    }

    private void check(String topic) throws Exception {
        SimpleConsumer consumer = consumer();
        long offset = 0;
        long until = System.nanoTime() + 20_000_000_000L;
        while (offset < COUNT) {
            Check.isTrue("only " + offset + " of " + COUNT + " messages came", System.nanoTime() < until);
            FetchResponse response = consumer.fetch(
                new FetchRequestBuilder().clientId("simple").maxWait(500).minBytes(1).addFetch(topic, 0, offset, 700).build());
            Check.equal("error", (short) 0, response.errorCode(topic, 0));
            for (MessageAndOffset found : response.messageSet(topic, 0)) {
                if (found.offset() < offset) {
                    continue; // the beginning of a compressed message
                }
                Check.equal("offset", offset, found.offset());
                Check.equal("key", "k" + offset, text(found.message().key()));
                Check.equal("value", "v" + offset, text(found.message().payload()));
                offset++;
            }
        }
        Check.equal("high watermark", (long) COUNT, consumer.fetch(
            new FetchRequestBuilder().addFetch(topic, 0, offset, 700).build()).highWatermark(topic, 0));
        consumer.close();
    }

    private static String text(ByteBuffer buffer) throws Exception {
        byte[] bytes = new byte[buffer.remaining()];
        buffer.get(bytes);
        return new String(bytes, "UTF-8");
    }

    private void metadata() throws Exception {
        TopicMetadata found = ask(prefix + "-java1-none");
        Check.equal("error", (short) 0, found.errorCode());
        Check.equal("partitions", 3, found.partitionsMetadata().size());
        Check.equal("leader's port", port, found.partitionsMetadata().get(0).leader().port());
    }

    private void offsets() throws Exception {
        TopicAndPartition partition = new TopicAndPartition(prefix + "-java1-none", 0);
        Check.equal("latest", Arrays.asList((long) COUNT, 0L), offsets(partition, -1, 10));
        Check.equal("one of the latest", Arrays.asList((long) COUNT), offsets(partition, -1, 1));
        Check.equal("earliest", Arrays.asList(0L), offsets(partition, -2, 10));
    }

    private List<Long> offsets(TopicAndPartition partition, long time, int count) {
        SimpleConsumer consumer = consumer();
        Map<TopicAndPartition, PartitionOffsetRequestInfo> asked = new HashMap<>();
        asked.put(partition, new PartitionOffsetRequestInfo(time, count));
        OffsetResponse response = consumer.getOffsetsBefore(new OffsetRequest(asked, (short) 0, "simple"));
        Check.equal("error", (short) 0, response.errorCode(partition.topic(), partition.partition()));
        List<Long> offsets = new ArrayList<>();
        for (long offset : response.offsets(partition.topic(), partition.partition())) {
            offsets.add(offset);
        }
        consumer.close();
        return offsets;
    }

    private void outOfRange() throws Exception {
        SimpleConsumer consumer = consumer();
        String topic = prefix + "-java1-none";
        FetchResponse response = consumer.fetch(new FetchRequestBuilder().addFetch(topic, 0, 9999, 700).build());
        Check.equal("error", (short) 1, response.errorCode(topic, 0));
        consumer.close();
    }
}
