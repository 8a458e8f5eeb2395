import java.lang.reflect.Method;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Properties;
import java.util.concurrent.Future;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.TopicPartition;

/** Producers and consumers over what changed between 0.10.2 and 4.1. */
final class Clients {
    static KafkaProducer<String, String> producer(String bootstrap, String... settings) {
        Properties properties = settings(bootstrap, settings);
        properties.put("key.serializer", "org.apache.kafka.common.serialization.StringSerializer");
        properties.put("value.serializer", "org.apache.kafka.common.serialization.StringSerializer");
        return new KafkaProducer<>(properties);
    }

    static KafkaConsumer<String, String> consumer(String bootstrap, String... settings) {
        Properties properties = settings(bootstrap, settings);
        properties.put("key.deserializer", "org.apache.kafka.common.serialization.StringDeserializer");
        properties.put("value.deserializer", "org.apache.kafka.common.serialization.StringDeserializer");
        properties.put("enable.auto.commit", "false");
        return new KafkaConsumer<>(properties);
    }

    private static Properties settings(String bootstrap, String... settings) {
        Properties properties = new Properties();
        properties.put("bootstrap.servers", bootstrap);
        for (int i = 0; i < settings.length; i += 2) {
            properties.put(settings[i], settings[i + 1]);
        }
        return properties;
    }

    /** poll(Duration) since 2.0, poll(long) before and gone in 4.0. */
    @SuppressWarnings("unchecked")
    static ConsumerRecords<String, String> poll(KafkaConsumer<String, String> consumer, long ms) throws Exception {
        Method poll;
        Object wait;
        try {
            poll = KafkaConsumer.class.getMethod("poll", Duration.class);
            wait = Duration.ofMillis(ms);
        } catch (NoSuchMethodException e) {
            poll = KafkaConsumer.class.getMethod("poll", long.class);
            wait = ms;
        }
        try {
            return (ConsumerRecords<String, String>) poll.invoke(consumer, wait);
        } catch (java.lang.reflect.InvocationTargetException e) {
            throw (Exception) e.getCause();
        }
    }

    /** Headers exist since 0.11. */
    static void addHeader(ProducerRecord<String, String> record, String key, String value) throws Exception {
        Object headers = ProducerRecord.class.getMethod("headers").invoke(record);
        Method add = Class.forName("org.apache.kafka.common.header.Headers").getMethod("add", String.class, byte[].class);
        add.invoke(headers, key, value.getBytes("UTF-8"));
    }

    static String header(ConsumerRecord<String, String> record, String key) throws Exception {
        Object headers = ConsumerRecord.class.getMethod("headers").invoke(record);
        Method last = Class.forName("org.apache.kafka.common.header.Headers").getMethod("lastHeader", String.class);
        Object header = last.invoke(headers, key);
        Method value = Class.forName("org.apache.kafka.common.header.Header").getMethod("value");
        return new String((byte[]) value.invoke(header), "UTF-8");
    }

    /** Sends all, then waits for all acknowledgements. */
    static List<RecordMetadata> sendAll(KafkaProducer<String, String> producer,
            List<ProducerRecord<String, String>> records) throws Exception {
        List<Future<RecordMetadata>> pending = new ArrayList<>();
        for (ProducerRecord<String, String> record : records) {
            pending.add(producer.send(record));
        }
        producer.flush();
        List<RecordMetadata> acknowledged = new ArrayList<>();
        for (Future<RecordMetadata> future : pending) {
            acknowledged.add(future.get());
        }
        return acknowledged;
    }

    /** Reads count records of one partition from an offset, by assignment, without a group. */
    static List<ConsumerRecord<String, String>> read(KafkaConsumer<String, String> consumer, TopicPartition partition,
            long offset, int count) throws Exception {
        consumer.assign(Arrays.asList(partition));
        consumer.seek(partition, offset);
        List<ConsumerRecord<String, String>> read = new ArrayList<>();
        long until = System.nanoTime() + 30_000_000_000L;
        while (read.size() < count) {
            if (System.nanoTime() > until) {
                throw new AssertionError("read " + read.size() + " of " + count + " records of " + partition);
            }
            for (ConsumerRecord<String, String> record : poll(consumer, 500)) {
                read.add(record);
            }
        }
        Check.equal("records read", count, read.size());
        return read;
    }

    private Clients() {}
}
