import java.lang.reflect.Method;
import java.util.Arrays;
import java.util.Collection;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import org.apache.kafka.clients.admin.AdminClient;
import org.apache.kafka.clients.admin.Config;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.CreateTopicsOptions;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.RecordsToDelete;
import org.apache.kafka.clients.admin.TopicDescription;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.KafkaFuture;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;

/** The admin client, 1.1 to 4.1, against a cluster of one broker. Arguments as DataScenario. */
public final class AdminScenario {
    private final String bootstrap;
    private final String topic;
    private final AdminClient admin;

    private AdminScenario(String bootstrap, String version, String word) {
        this.bootstrap = bootstrap;
        this.topic = "admin-" + version + "-" + word;
        Properties properties = new Properties();
        properties.put("bootstrap.servers", bootstrap);
        this.admin = AdminClient.create(properties);
    }

    public static void main(String[] args) {
        new AdminScenario(args[0], args[1], args[2]).run();
    }

    private void run() {
        Check.step("describeCluster", this::describeCluster);
        Check.step("createTopics", this::create);
        Check.step("createTopics refuses what Kafka refuses", this::createWrong);
        Check.step("describeTopics", this::describe);
        Check.step("describeConfigs of a topic", this::topicConfigs);
        Check.step("describeConfigs of a broker", this::brokerConfigs);
        Check.step("alter configs", this::alterConfigs);
        Check.step("createPartitions", this::createPartitions);
        Check.step("deleteRecords", this::deleteRecords);
        Check.step("describeLogDirs", this::logDirs);
        Check.step("deleteTopics", this::deleteTopics);
        admin.close();
        Check.finish();
    }

    private void describeCluster() throws Exception {
        Check.equal("nodes", 1, admin.describeCluster().nodes().get().size());
        int id = admin.describeCluster().nodes().get().iterator().next().id();
        Check.equal("controller", id, admin.describeCluster().controller().get().id());
        Check.equal("length of the cluster id", 22, admin.describeCluster().clusterId().get().length());
    }

    private void create() throws Exception {
        Map<String, String> configs = new HashMap<>();
        configs.put("retention.ms", "3600000");
        configs.put("cleanup.policy", "compact,delete");
        NewTopic plain = new NewTopic(topic, 3, (short) 1).configs(configs);
        admin.createTopics(Collections.singleton(plain)).all().get();
        int broker = admin.describeCluster().nodes().get().iterator().next().id();
        Map<Integer, List<Integer>> assignment = new HashMap<>();
        assignment.put(0, Arrays.asList(broker));
        assignment.put(1, Arrays.asList(broker));
        admin.createTopics(Collections.singleton(new NewTopic(topic + "-assigned", assignment))).all().get();
        CreateTopicsOptions dry = new CreateTopicsOptions().validateOnly(true);
        admin.createTopics(Collections.singleton(new NewTopic(topic + "-dry", 1, (short) 1)), dry).all().get();
        Set<String> names = admin.listTopics().names().get();
        Check.isTrue("created topics are listed", names.contains(topic) && names.contains(topic + "-assigned"));
        Check.isTrue("a validated topic is not created", !names.contains(topic + "-dry"));
    }

    private void createWrong() throws Exception {
        wrong("TopicExistsException", new NewTopic(topic, 1, (short) 1));
        wrong("InvalidTopicException", new NewTopic("no/slash", 1, (short) 1));
        wrong("InvalidPartitionsException", new NewTopic(topic + "-x", 0, (short) 1));
        wrong("InvalidReplicationFactorException", new NewTopic(topic + "-x", 1, (short) 9));
        wrong("InvalidConfigurationException",
            new NewTopic(topic + "-x", 1, (short) 1).configs(Collections.singletonMap("retention.ms", "long")));
        wrong("InvalidConfigurationException",
            new NewTopic(topic + "-x", 1, (short) 1).configs(Collections.singletonMap("no.such.key", "1")));
    }

    private void wrong(String exception, NewTopic wrong) throws Exception {
        Check.fails(exception, () -> admin.createTopics(Collections.singleton(wrong)).all().get());
    }

    private TopicDescription description(String name) throws Exception {
        Object result = admin.describeTopics(Collections.singleton(name));
        Method all;
        try {
            all = result.getClass().getMethod("allTopicNames"); // since 3.1; all() is gone in 4.0
        } catch (NoSuchMethodException e) {
            all = result.getClass().getMethod("all");
        }
        return ((KafkaFuture<Map<String, TopicDescription>>) all.invoke(result)).get().get(name);
    }

    private void describe() throws Exception {
        TopicDescription found = description(topic);
        Check.equal("partitions", 3, found.partitions().size());
        Check.equal("internal", false, found.isInternal());
        for (int p = 0; p < 3; p++) {
            Check.equal("partition", p, found.partitions().get(p).partition());
            Check.equal("replicas", 1, found.partitions().get(p).replicas().size());
            Check.equal("in-sync replicas", found.partitions().get(p).replicas(), found.partitions().get(p).isr());
            Check.isTrue("leader", found.partitions().get(p).leader() != null);
        }
        Check.equal("partitions of the assigned topic", 2, description(topic + "-assigned").partitions().size());
        Check.fails("UnknownTopicOrPartitionException", () -> description(topic + "-absent"));
    }

    private Config configs(ConfigResource.Type type, String name) throws Exception {
        ConfigResource resource = new ConfigResource(type, name);
        return admin.describeConfigs(Collections.singleton(resource)).all().get().get(resource);
    }

    private void topicConfigs() throws Exception {
        Config found = configs(ConfigResource.Type.TOPIC, topic);
        entry(found, "retention.ms", "3600000", false);
        entry(found, "cleanup.policy", "compact,delete", false);
        entry(found, "segment.bytes", "1073741824", true);
        entry(found, "min.insync.replicas", "1", true);
        Check.isTrue("all topic keys", found.entries().size() >= 24);
        Check.fails("UnknownTopicOrPartitionException", () -> configs(ConfigResource.Type.TOPIC, topic + "-absent"));
    }

    private void entry(Config config, String key, String value, boolean isDefault) {
        ConfigEntry entry = config.get(key);
        Check.isTrue(key + " is described", entry != null);
        Check.equal(key, value, entry.value());
        Check.equal(key + " is default", isDefault, entry.isDefault());
    }

    private void brokerConfigs() throws Exception {
        String id = admin.describeCluster().nodes().get().iterator().next().idString();
        Config found = configs(ConfigResource.Type.BROKER, id);
        Check.equal("broker.id", id, found.get("broker.id").value());
        Check.isTrue("broker.id is read only", found.get("broker.id").isReadOnly());
        Check.equal("num.partitions", "3", found.get("num.partitions").value());
        entry(found, "log.roll.hours", "168", true);
        Check.isTrue("nearly all keys", found.entries().size() > 150);
    }

    private void alterConfigs() throws Exception {
        ConfigResource resource = new ConfigResource(ConfigResource.Type.TOPIC, topic);
        Object incremental = incremental(resource, "segment.bytes", "20000000");
        if (incremental != null) {
            Check.eventually("segment.bytes", "20000000",
                () -> configs(ConfigResource.Type.TOPIC, topic).get("segment.bytes").value());
            entry(configs(ConfigResource.Type.TOPIC, topic), "retention.ms", "3600000", false);
            // Kafka 2.8 answers so here, and InvalidConfigurationException when a topic is created.
            Check.fails("InvalidRequestException", () -> incremental(resource, "segment.bytes", "one"));
        } else {
            Config replaced = new Config(Arrays.asList(new ConfigEntry("segment.bytes", "20000000")));
            Method alter = AdminClient.class.getMethod("alterConfigs", Map.class);
            Object result = alter.invoke(admin, Collections.singletonMap(resource, replaced));
            ((KafkaFuture<?>) result.getClass().getMethod("all").invoke(result)).get();
            Check.eventually("segment.bytes", "20000000",
                () -> configs(ConfigResource.Type.TOPIC, topic).get("segment.bytes").value());
            // alterConfigs replaces all that was set.
            entry(configs(ConfigResource.Type.TOPIC, topic), "retention.ms", "604800000", true);
        }
    }

    /** incrementalAlterConfigs, since 2.3; null where the client has none. */
    private Object incremental(ConfigResource resource, String key, String value) throws Exception {
        Class<?> operation;
        try {
            operation = Class.forName("org.apache.kafka.clients.admin.AlterConfigOp");
        } catch (ClassNotFoundException e) {
            return null;
        }
        Class<?> type = Class.forName("org.apache.kafka.clients.admin.AlterConfigOp$OpType");
        Object set = type.getField("SET").get(null);
        Object op = operation.getConstructor(ConfigEntry.class, type).newInstance(new ConfigEntry(key, value), set);
        Map<ConfigResource, Collection<Object>> change = Collections.singletonMap(resource, Collections.singleton(op));
        Object result = AdminClient.class.getMethod("incrementalAlterConfigs", Map.class).invoke(admin, change);
        Method all = Class.forName("org.apache.kafka.clients.admin.AlterConfigsResult").getMethod("all");
        ((KafkaFuture<?>) all.invoke(result)).get();
        return result;
    }

    private void createPartitions() throws Exception {
        admin.createPartitions(Collections.singletonMap(topic, NewPartitions.increaseTo(5))).all().get();
        Check.eventually("partitions", 5, () -> description(topic).partitions().size());
        Check.fails("InvalidPartitionsException", () -> admin.createPartitions(
            Collections.singletonMap(topic, NewPartitions.increaseTo(2))).all().get());
    }

    private void deleteRecords() throws Exception {
        TopicPartition partition = new TopicPartition(topic + "-assigned", 1);
        try (KafkaProducer<String, String> producer = Clients.producer(bootstrap, "acks", "all")) {
            for (int i = 0; i < 80; i++) {
                producer.send(new ProducerRecord<>(partition.topic(), 1, "k", "v" + i));
            }
            producer.flush();
        }
        long low = admin.deleteRecords(Collections.singletonMap(partition, RecordsToDelete.beforeOffset(50)))
            .lowWatermarks().get(partition).get().lowWatermark();
        Check.equal("low watermark", 50L, low);
        Check.fails("OffsetOutOfRangeException", () -> admin.deleteRecords(
            Collections.singletonMap(partition, RecordsToDelete.beforeOffset(500))).lowWatermarks().get(partition).get());
        try (KafkaConsumer<String, String> consumer = Clients.consumer(bootstrap)) {
            List<TopicPartition> all = Collections.singletonList(partition);
            Check.equal("beginning", 50L, consumer.beginningOffsets(all).get(partition));
            Check.equal("end", 80L, consumer.endOffsets(all).get(partition));
            ConsumerRecord<String, String> first = Clients.read(consumer, partition, 50, 30).get(0);
            Check.equal("first value", "v50", first.value());
        }
    }

    private void logDirs() throws Exception {
        int id = admin.describeCluster().nodes().get().iterator().next().id();
        Object result = admin.describeLogDirs(Collections.singleton(id));
        Method all;
        try {
            all = result.getClass().getMethod("allDescriptions"); // since 2.7; all() is gone in 4.0
        } catch (NoSuchMethodException e) {
            all = result.getClass().getMethod("all");
        }
        Map<?, Map<?, ?>> found = ((KafkaFuture<Map<?, Map<?, ?>>>) all.invoke(result)).get();
        Check.equal("directories", 1, found.get(id).size());
        Object dir = found.get(id).values().iterator().next();
        Map<TopicPartition, ?> replicas;
        try {
            replicas = (Map<TopicPartition, ?>) dir.getClass().getMethod("replicaInfos").invoke(dir);
        } catch (NoSuchMethodException e) {
            replicas = (Map<TopicPartition, ?>) dir.getClass().getField("replicaInfos").get(dir);
        }
        Check.isTrue("our partition is listed", replicas.containsKey(new TopicPartition(topic + "-assigned", 1)));
    }

    private void deleteTopics() throws Exception {
        admin.deleteTopics(Arrays.asList(topic, topic + "-assigned")).all().get();
        Check.eventually("gone from the list", false, () -> admin.listTopics().names().get().contains(topic));
        Check.eventually("describe", "UnknownTopicOrPartitionException", () -> description(topic));
        Check.fails("UnknownTopicOrPartitionException",
            () -> admin.deleteTopics(Collections.singleton(topic + "-absent")).all().get());
        // The name can be used again, and the new topic is empty.
        Check.eventually("created again", true, () -> {
            admin.createTopics(Collections.singleton(new NewTopic(topic, 1, (short) 1))).all().get();
            return true;
        });
        try (KafkaConsumer<String, String> consumer = Clients.consumer(bootstrap)) {
            TopicPartition partition = new TopicPartition(topic, 0);
            Check.equal("end of the new topic", 0L,
                consumer.endOffsets(Collections.singletonList(partition)).get(partition));
        }
    }
}
