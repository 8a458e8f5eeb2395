import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;

/** Three transactions on one partition, the second of which is aborted. Arguments: BOOTSTRAP TOPIC WORD. */
public final class Transactions {
    private Transactions() {}

    public static void main(String[] args) {
        Check.step("transactions on " + args[1], () -> run(args[0], args[1], args[2]));
        Check.finish();
    }

    private static void run(String bootstrap, String topic, String word) throws Exception {
        try (KafkaProducer<String, String> producer =
                Clients.producer(bootstrap, "transactional.id", "takeover", "compression.type", "gzip")) {
            producer.initTransactions();
            for (int i = 0; i < 3; i++) {
                producer.beginTransaction();
                for (int r = 0; r < 5; r++) {
                    String value = word + " transaction " + i + " record " + r;
                    producer.send(new ProducerRecord<>(topic, 0, "k" + r, value)).get();
                }
                if (i == 1) {
                    producer.abortTransaction();
                } else {
                    producer.commitTransaction();
                }
            }
        }
    }
}
