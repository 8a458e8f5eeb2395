import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Properties;
import java.util.concurrent.CountDownLatch;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.KStream;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;

/**
 * Word counts by Kafka Streams, one application for each processing guarantee, until SIGTERM. Without a cache, so that
 * every count goes out once: 1, 2, 3... of each word. Arguments: BOOTSTRAP INPUT STATE_DIR GUARANTEE...; the output of
 * each goes to INPUT-GUARANTEE.
 */
public final class WordCount {
    private WordCount() {}

    public static void main(String[] args) throws Exception {
        List<KafkaStreams> applications = new ArrayList<>();
        for (String guarantee : Arrays.asList(args).subList(3, args.length)) {
            applications.add(new KafkaStreams(topology(args[1], args[1] + "-" + guarantee).build(),
                    settings(args[0], args[1] + "-" + guarantee, guarantee, args[2])));
        }
        CountDownLatch ended = new CountDownLatch(1);
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            boolean closed = true;
            for (KafkaStreams streams : applications) {
                closed &= streams.close(Duration.ofSeconds(30));
            }
            System.out.println(closed ? "closed" : "not closed in time");
            ended.countDown();
        }));
        for (KafkaStreams streams : applications) {
            streams.setStateListener((now, before) -> {
                if (applications.stream().allMatch(all -> all.state() == KafkaStreams.State.RUNNING)) {
                    System.out.println("running");
                }
                if (now == KafkaStreams.State.ERROR) {
                    System.out.println("FAILED an application is in state ERROR");
                    Runtime.getRuntime().halt(1);
                }
            });
            streams.start();
        }
        ended.await();
    }

    private static StreamsBuilder topology(String input, String output) {
        StreamsBuilder builder = new StreamsBuilder();
        KStream<String, String> lines = builder.stream(input);
        lines.flatMapValues(line -> Arrays.asList(line.toLowerCase(Locale.ROOT).split(" ")))
                .groupBy((key, word) -> word, Grouped.as("words"))
                .count(Materialized.as("counts"))
                .toStream()
                .to(output, Produced.with(Serdes.String(), Serdes.Long()));
        return builder;
    }

    private static Properties settings(String bootstrap, String id, String guarantee, String stateDir) {
        Properties settings = new Properties();
        settings.put("bootstrap.servers", bootstrap);
        settings.put("application.id", id);
        settings.put("processing.guarantee", guarantee);
        settings.put("state.dir", stateDir);
        settings.put("default.key.serde", Serdes.StringSerde.class.getName());
        settings.put("default.value.serde", Serdes.StringSerde.class.getName());
        settings.put("num.stream.threads", "2");
        settings.put("cache.max.bytes.buffering", "0");
        settings.put("commit.interval.ms", "200");
        settings.put("consumer.session.timeout.ms", "15000");
        settings.put("consumer.heartbeat.interval.ms", "1000");
        // A killed broker may be away for minutes where the machine is slow, and a commit may take its time.
        settings.put("producer.transaction.timeout.ms", "30000");
        settings.put("producer.delivery.timeout.ms", "600000");
        settings.put("producer.max.block.ms", "600000");
        settings.put("consumer.default.api.timeout.ms", "600000");
        settings.put("task.timeout.ms", "600000");
        return settings;
    }
}
