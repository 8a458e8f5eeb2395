import java.util.Arrays;
import java.util.Collection;
import java.util.Set;
import java.util.TreeSet;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;

/** A member of a group until SIGTERM, for clients since 0.9; see groups.sh. Arguments: BOOTSTRAP GROUP TOPIC ASSIGNOR. */
public final class GroupMember implements ConsumerRebalanceListener {
    private static volatile boolean stopped;

    private final KafkaConsumer<String, String> consumer;
    private final Set<Integer> owned = new TreeSet<>();
    private boolean committed = true;

    private GroupMember(KafkaConsumer<String, String> consumer) {
        this.consumer = consumer;
    }

    public static void main(String[] args) throws Exception {
        Thread main = Thread.currentThread();
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            stopped = true;
            try {
                main.join();
            } catch (InterruptedException ignored) {
            }
        }));
        String assignors = "";
        for (String name : args[3].split(",")) {
            assignors += (assignors.isEmpty() ? "" : ",") + assignor(name);
        }
        try (KafkaConsumer<String, String> consumer = Clients.consumer(args[0], "group.id", args[1],
                "partition.assignment.strategy", assignors, "auto.offset.reset", "earliest",
                "session.timeout.ms", "10000", "heartbeat.interval.ms", "300", "metadata.max.age.ms", "5000")) {
            new GroupMember(consumer).run(args[2]);
        }
        System.out.println("left");
    }

    private static String assignor(String name) {
        String prefix = "org.apache.kafka.clients.consumer.";
        switch (name) {
            case "range": return prefix + "RangeAssignor";
            case "roundrobin": return prefix + "RoundRobinAssignor";
            case "sticky": return prefix + "StickyAssignor";
            default: return prefix + "CooperativeStickyAssignor";
        }
    }

    private void run(String topic) throws Exception {
        consumer.subscribe(Arrays.asList(topic), this);
        while (!stopped) {
            ConsumerRecords<String, String> records = Clients.poll(consumer, 200);
            for (ConsumerRecord<String, String> record : records) {
                System.out.println("read " + record.partition() + " " + record.offset() + " " + record.value());
            }
            if (!records.isEmpty() || !committed) {
                commit();
            }
        }
    }

    /** What cannot be committed while members change is so after the next poll, or read again by the next owner. */
    private void commit() {
        committed = false;
        try {
            consumer.commitSync();
            committed = true;
        } catch (KafkaException e) {
            System.out.println("not committed: " + e);
        }
    }

    @Override
    public void onPartitionsRevoked(Collection<TopicPartition> partitions) {
        commit();
        for (TopicPartition partition : partitions) {
            owned.remove(partition.partition());
        }
        say();
    }

    @Override
    public void onPartitionsAssigned(Collection<TopicPartition> partitions) {
        for (TopicPartition partition : partitions) {
            owned.add(partition.partition());
        }
        say();
    }

    private void say() {
        StringBuilder line = new StringBuilder("owns");
        for (int partition : owned) {
            line.append(' ').append(partition);
        }
        System.out.println(line);
    }
}
