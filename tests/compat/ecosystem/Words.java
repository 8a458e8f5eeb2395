import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Random;
import java.util.TreeMap;
import java.util.concurrent.Future;
import org.apache.kafka.clients.admin.AdminClient;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.TopicPartition;

/**
 * Words to be counted, and a check of the counts.
 *
 *   topics BOOTSTRAP PARTITIONS TOPIC...
 *   produce BOOTSTRAP INPUT SEED STOP TOTALS  writes lines until the file STOP exists; adds what was written to TOTALS
 *   check BOOTSTRAP OUTPUT TOTALS once|least  waits until all counts are there; "once": each count of each word once
 */
public final class Words {
    private static final int PARTITIONS_MAX = 16;

    private Words() {}

    public static void main(String[] args) throws Exception {
        switch (args[0]) {
            case "topics":
                topics(args[1], Integer.parseInt(args[2]), Arrays.asList(args).subList(3, args.length));
                break;
            case "produce":
                produce(args[1], args[2], Long.parseLong(args[3]), Paths.get(args[4]), Paths.get(args[5]));
                break;
            case "check":
                Check.step("counts in " + args[2] + (args[4].equals("once") ? ", each once" : ", none missing"),
                        () -> check(args[1], args[2], Paths.get(args[3]), args[4].equals("once")));
                break;
            default:
                throw new IllegalArgumentException(args[0]);
        }
        System.exit(0);
    }

    private static void topics(String bootstrap, int partitions, List<String> names) throws Exception {
        Properties properties = new Properties();
        properties.put("bootstrap.servers", bootstrap);
        try (AdminClient admin = AdminClient.create(properties)) {
            List<NewTopic> topics = new ArrayList<>();
            names.forEach(name -> topics.add(new NewTopic(name, partitions, (short) 1)));
            admin.createTopics(topics).all().get();
        }
    }

    private static Map<String, Long> totals(Path file) throws Exception {
        Map<String, Long> totals = new TreeMap<>();
        if (Files.exists(file)) {
            for (String line : Files.readAllLines(file)) {
                String[] parts = line.split(" ");
                totals.put(parts[0], Long.parseLong(parts[1]));
            }
        }
        return totals;
    }

    /** Some words come often, most seldom. */
    private static String word(Random random) {
        return "word" + (int) (120 * Math.pow(random.nextDouble(), 3));
    }

    private static void produce(String bootstrap, String input, long seed, Path stop, Path file) throws Exception {
        Random random = new Random(seed);
        Map<String, Long> totals = totals(file);
        List<Future<RecordMetadata>> sent = new ArrayList<>();
        try (KafkaProducer<String, String> producer = Clients.producer(bootstrap, "enable.idempotence", "true",
                "acks", "all", "delivery.timeout.ms", "300000", "linger.ms", "5")) {
            while (!Files.exists(stop)) {
                for (int i = 0; i < 10; i++) {
                    StringBuilder line = new StringBuilder();
                    int words = 1 + random.nextInt(8);
                    for (int w = 0; w < words; w++) {
                        String word = word(random);
                        totals.merge(word, 1L, Long::sum);
                        line.append(w == 0 ? "" : " ").append(word);
                    }
                    sent.add(producer.send(new ProducerRecord<>(input, null, line.toString())));
                }
                Thread.sleep(50);
            }
            producer.flush();
        }
        for (Future<RecordMetadata> future : sent) {
            future.get();
        }
        List<String> lines = new ArrayList<>();
        totals.forEach((word, count) -> lines.add(word + " " + count));
        Files.write(file, lines);
        System.out.println("wrote " + sent.size() + " lines");
    }

    private static void check(String bootstrap, String output, Path file, boolean once) throws Exception {
        Map<String, Long> totals = totals(file);
        Map<String, Long> last = new HashMap<>();
        long until = System.nanoTime() + 240_000_000_000L;
        long quietSince = 0;
        try (KafkaConsumer<String, Long> consumer = consumer(bootstrap)) {
            List<TopicPartition> partitions = new ArrayList<>();
            consumer.partitionsFor(output).forEach(p -> partitions.add(new TopicPartition(output, p.partition())));
            Check.isTrue("few partitions", partitions.size() <= PARTITIONS_MAX);
            consumer.assign(partitions);
            consumer.seekToBeginning(partitions);
            // Some time more than needed: a count too many would come late.
            while (!(isComplete(totals, last) && System.nanoTime() - quietSince > 2_000_000_000L)) {
                Check.isTrue("counts are missing: expected " + totals + ", got " + new TreeMap<>(last),
                        System.nanoTime() < until);
                for (ConsumerRecord<String, Long> record : consumer.poll(Duration.ofMillis(200))) {
                    quietSince = System.nanoTime();
                    Long before = last.put(record.key(), once ? record.value() : (Long) Math.max(record.value(),
                            last.getOrDefault(record.key(), 0L)));
                    if (once) {
                        Check.equal("count of " + record.key() + " at " + record.partition() + "/" + record.offset(),
                                before == null ? 1L : before + 1, record.value());
                    }
                }
            }
        }
        if (once) {
            Check.equal("counts", totals, new TreeMap<>(last));
        }
    }

    private static boolean isComplete(Map<String, Long> totals, Map<String, Long> last) {
        return totals.entrySet().stream().allMatch(e -> last.getOrDefault(e.getKey(), 0L) >= e.getValue());
    }

    private static KafkaConsumer<String, Long> consumer(String bootstrap) {
        Properties properties = new Properties();
        properties.put("bootstrap.servers", bootstrap);
        properties.put("isolation.level", "read_committed");
        properties.put("enable.auto.commit", "false");
        properties.put("key.deserializer", "org.apache.kafka.common.serialization.StringDeserializer");
        properties.put("value.deserializer", "org.apache.kafka.common.serialization.LongDeserializer");
        return new KafkaConsumer<>(properties);
    }
}
