import java.nio.file.*;
import java.time.Duration;
import java.util.*;
import java.util.concurrent.TimeUnit;
import java.util.stream.*;
import org.apache.flink.api.common.*;
import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.api.common.functions.MapFunction;
import org.apache.flink.api.common.serialization.SimpleStringSchema;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.connector.base.DeliveryGuarantee;
import org.apache.flink.connector.kafka.sink.*;
import org.apache.flink.connector.kafka.source.KafkaSource;
import org.apache.flink.connector.kafka.source.enumerator.initializer.OffsetsInitializer;
import org.apache.flink.core.execution.JobClient;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.table.api.*;
import org.apache.kafka.clients.admin.*;
import org.apache.kafka.clients.consumer.*;
import org.apache.kafka.clients.producer.*;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.*;

/**
 * Apache Flink over a cluster: a job that copies a topic takes checkpoints, fails in the middle and goes on from its last one; it is
 * cancelled, its topic gets more partitions, and another job goes on from the checkpoint that was retained; a source that is bounded; a
 * table that is grouped goes into a compacted topic and is read back from it; and an exactly-once sink, refused where there are no transactions.
 *
 *   java -cp 'jars/*:classes' Flink BOOTSTRAP
 */
public class Flink {
    static final int RECORDS = 40_000, FAILS_AT = 15_000;
    static final String RUN = ProcessHandle.current().pid() + "-" + System.currentTimeMillis() % 100000;
    static final java.util.concurrent.atomic.AtomicInteger copied = new java.util.concurrent.atomic.AtomicInteger();
    static String bootstrap;

    /** Passes everything on, and fails once. */
    public static class Fails implements MapFunction<String, String> {
        @Override public String map(String value) {
            if (copied.incrementAndGet() == FAILS_AT) throw new IllegalStateException("as it is meant");
            return value;
        }
    }

    interface Check { boolean holds() throws Exception; }

    static void await(String what, Check check) throws Exception {
        for (long end = System.nanoTime() + Duration.ofSeconds(120).toNanos(); !check.holds(); Thread.sleep(50))
            if (System.nanoTime() > end) throw new Exception("waited in vain: " + what);
        System.out.println("flink: " + what);
    }

    static void fill(String topic, int from, int to) throws Exception {
        try (var producer = new KafkaProducer<>(Map.of("bootstrap.servers", bootstrap, "linger.ms", 5), new StringSerializer(), new StringSerializer())) {
            for (int i = from; i < to; i++) producer.send(new ProducerRecord<>(topic, "k" + i % 1000, "v" + i));
            producer.flush();
        }
    }

    /** All values that are in a topic up to its ends. */
    static List<String> values(String topic) {
        try (var consumer = new KafkaConsumer<>(Map.of("bootstrap.servers", bootstrap), new StringDeserializer(), new StringDeserializer())) {
            var parts = consumer.partitionsFor(topic).stream().map(p -> new TopicPartition(topic, p.partition())).toList();
            consumer.assign(parts);
            consumer.seekToBeginning(parts);
            var ends = consumer.endOffsets(parts);
            List<String> values = new ArrayList<>();
            while (parts.stream().anyMatch(p -> consumer.position(p) < ends.get(p)))
                consumer.poll(Duration.ofMillis(200)).forEach(r -> values.add(r.value()));
            return values;
        }
    }

    static StreamExecutionEnvironment environment(Path checkpoints, String from) {
        var settings = new Configuration();
        settings.setString("execution.checkpointing.interval", "300 ms");
        settings.setString("execution.checkpointing.dir", checkpoints.toUri().toString());
        settings.setString("execution.checkpointing.externalized-checkpoint-retention", "RETAIN_ON_CANCELLATION");
        settings.setString("restart-strategy.type", "fixed-delay");
        settings.setString("restart-strategy.fixed-delay.attempts", "20");
        settings.setString("restart-strategy.fixed-delay.delay", "500 ms");
        if (from != null) settings.setString("execution.state-recovery.path", from);
        var environment = StreamExecutionEnvironment.getExecutionEnvironment(settings);
        environment.setParallelism(2);
        return environment;
    }

    static KafkaSource<String> source(String topic, boolean bounded) {
        var source = KafkaSource.<String>builder().setBootstrapServers(bootstrap).setTopics(topic).setGroupId("flink-" + RUN)
            .setStartingOffsets(OffsetsInitializer.earliest()).setValueOnlyDeserializer(new SimpleStringSchema())
            .setProperty("partition.discovery.interval.ms", "500");
        return (bounded ? source.setBounded(OffsetsInitializer.latest()) : source).build();
    }

    static KafkaSink<String> sink(String topic, DeliveryGuarantee guarantee) {
        return KafkaSink.<String>builder().setBootstrapServers(bootstrap).setDeliveryGuarantee(guarantee).setTransactionalIdPrefix("tx-" + RUN)
            .setRecordSerializer(KafkaRecordSerializationSchema.builder().setTopic(topic).setValueSerializationSchema(new SimpleStringSchema()).build())
            .setProperty("max.block.ms", "20000").setProperty("transaction.timeout.ms", "60000").build();
    }

    static JobClient copy(String in, String out, Path checkpoints, String from) throws Exception {
        var environment = environment(checkpoints, from);
        environment.fromSource(source(in, false), WatermarkStrategy.noWatermarks(), "in").uid("in").map(new Fails()).uid("map").sinkTo(sink(out, DeliveryGuarantee.AT_LEAST_ONCE)).uid("out");
        return environment.executeAsync("copy");
    }

    static String lastCheckpoint(Path checkpoints) throws Exception {
        try (var all = Files.walk(checkpoints)) {
            return all.filter(p -> p.endsWith("_metadata")).map(Path::getParent)
                .max(Comparator.comparing(p -> Integer.parseInt(p.getFileName().toString().substring(4)))).orElseThrow().toUri().toString();
        }
    }

    static boolean has(String topic, int records) {
        return new HashSet<>(values(topic)).equals(IntStream.range(0, records).mapToObj(i -> "v" + i).collect(Collectors.toSet()));
    }

    static void copies(Admin admin) throws Exception {
        String in = "flink-in-" + RUN, out = "flink-out-" + RUN;
        admin.createTopics(List.of(new NewTopic(in, 4, (short) -1), new NewTopic(out, 4, (short) -1))).all().get();
        Path checkpoints = Files.createTempDirectory("flink");
        fill(in, 0, RECORDS / 2);
        var job = copy(in, out, checkpoints, null);
        await("a job that failed in the middle went on from its checkpoint", () -> has(out, RECORDS / 2));
        await("what a checkpoint holds is committed", () -> committed(admin) == RECORDS / 2);
        fill(in, RECORDS / 2, RECORDS * 3 / 4);
        await("it took up what came later", () -> values(out).size() > RECORDS / 2 + 100);
        job.cancel().get(60, TimeUnit.SECONDS);
        admin.createPartitions(Map.of(in, NewPartitions.increaseTo(7))).all().get();
        fill(in, RECORDS * 3 / 4, RECORDS);
        job = copy(in, out, checkpoints, lastCheckpoint(checkpoints));
        await("another job went on from the checkpoint that was retained, over seven partitions", () -> has(out, RECORDS));
        await("all is committed", () -> committed(admin) == RECORDS);
        job.cancel().get(60, TimeUnit.SECONDS);
        System.out.println("flink: " + (values(out).size() - RECORDS) + " of " + RECORDS + " records came twice, as at-least-once may");
        var bounded = environment(checkpoints, null).fromSource(source(in, true), WatermarkStrategy.noWatermarks(), "in").executeAndCollect(RECORDS + 1);
        if (new HashSet<>(bounded).size() != RECORDS || bounded.size() != RECORDS) throw new Exception("a bounded source read " + bounded.size());
        System.out.println("flink: a bounded source read every record once");
    }

    static long committed(Admin admin) throws Exception {
        return admin.listConsumerGroupOffsets("flink-" + RUN).partitionsToOffsetAndMetadata().get().values().stream().filter(Objects::nonNull).mapToLong(OffsetAndMetadata::offset).sum();
    }

    static void tables(Admin admin) throws Exception {
        String events = "flink-events-" + RUN, counts = "flink-counts-" + RUN;
        admin.createTopics(List.of(new NewTopic(events, 4, (short) -1), new NewTopic(counts, 3, (short) -1).configs(Map.of("cleanup.policy", "compact")))).all().get();
        var tables = TableEnvironment.create(EnvironmentSettings.inStreamingMode());
        String to = "'properties.bootstrap.servers' = '" + bootstrap + "', ";
        tables.executeSql("CREATE TABLE numbers (n INT) WITH ('connector' = 'datagen', 'number-of-rows' = '20000', 'fields.n.kind' = 'sequence', 'fields.n.start' = '0', 'fields.n.end' = '19999')");
        tables.executeSql("CREATE TABLE events (word STRING, n INT, `at` TIMESTAMP_LTZ(3) METADATA FROM 'timestamp', `part` INT METADATA FROM 'partition' VIRTUAL) WITH ('connector' = 'kafka', " + to
            + "'topic' = '" + events + "', 'format' = 'json', 'scan.startup.mode' = 'earliest-offset', 'scan.bounded.mode' = 'latest-offset')");
        tables.executeSql("CREATE TABLE counts (word STRING, total BIGINT, PRIMARY KEY (word) NOT ENFORCED) WITH ('connector' = 'upsert-kafka', " + to
            + "'topic' = '" + counts + "', 'key.format' = 'json', 'value.format' = 'json', 'scan.bounded.mode' = 'latest-offset')");
        // One writer, so that times rise within each partition.
        tables.getConfig().set("parallelism.default", "1");
        tables.executeSql("INSERT INTO events SELECT CONCAT('w', CAST(MOD(n, 50) AS STRING)), n, TO_TIMESTAMP_LTZ(1700000000000 + n, 3) FROM numbers").await();
        tables.getConfig().set("parallelism.default", "2");
        tables.executeSql("INSERT INTO counts SELECT word, COUNT(*) FROM events GROUP BY word").await();
        Map<String, Long> found = new HashMap<>();
        try (var rows = tables.executeSql("SELECT word, total FROM counts").collect()) {
            rows.forEachRemaining(row -> { if (row.getKind() == org.apache.flink.types.RowKind.INSERT || row.getKind() == org.apache.flink.types.RowKind.UPDATE_AFTER) found.put((String) row.getField(0), (Long) row.getField(1)); });
        }
        if (found.size() != 50 || found.values().stream().anyMatch(total -> total != 400)) throw new Exception("counted " + found);
        System.out.println("flink: a table was counted into a compacted topic and read back");
        String late = "'scan.startup.mode' = 'timestamp', 'scan.startup.timestamp-millis' = '1700000015000', 'scan.bounded.mode' = 'timestamp', 'scan.bounded.timestamp-millis' = '1700000018000'";
        try (var rows = tables.executeSql("SELECT n FROM events /*+ OPTIONS(" + late + ") */").collect()) {
            int read = 0;
            for (; rows.hasNext(); rows.next()) read++;
            if (read != 3000) throw new Exception("between two times lie " + read);
        }
        System.out.println("flink: what lies between two times was read");
    }

    static void transactions() throws Exception {
        String out = "flink-exactly-" + RUN;
        var environment = environment(Files.createTempDirectory("flink"), null);
        environment.configure(new Configuration().set(org.apache.flink.configuration.RestartStrategyOptions.RESTART_STRATEGY, "none"));
        environment.fromSequence(0, 999).map(n -> "v" + n).returns(Types.STRING).sinkTo(sink(out, DeliveryGuarantee.EXACTLY_ONCE));
        try {
            environment.execute("exactly once");
            System.out.println("flink: an exactly-once sink committed its transactions");
        } catch (Exception e) {
            Throwable cause = e;
            while (cause.getCause() != null) cause = cause.getCause();
            if (!String.valueOf(cause.getMessage()).contains("The version of API is not supported")) throw e;
            System.out.println("flink: an exactly-once sink is refused as not supported: " + cause.getMessage());
        }
    }

    public static void main(String[] args) throws Exception {
        bootstrap = args[0];
        try (var admin = Admin.create(Map.of("bootstrap.servers", bootstrap))) {
            copies(admin);
            tables(admin);
        }
        transactions();
        System.out.println("flink: ok");
        System.exit(0);
    }
}
