import java.nio.file.*;
import java.time.Duration;
import java.util.*;
import org.apache.kafka.clients.admin.*;
import org.apache.kafka.common.TopicPartition;
import org.apache.spark.sql.*;
import org.apache.spark.sql.streaming.*;

/**
 * Spark Structured Streaming over a cluster, local mode: batches are written and read from, to and between offsets and times; a stream copies
 * a topic, is stopped in the middle, and goes on from its checkpoint over more partitions; one counts in windows with a state store; one
 * takes a pattern of topics, and all that is available; one meets records that were deleted.
 *
 *   java -cp 'jars/*:classes' Spark BOOTSTRAP
 */
public class Spark {
    static final int RECORDS = 40_000;
    static final String RUN = ProcessHandle.current().pid() + "-" + System.currentTimeMillis() % 100000;
    static String bootstrap;
    static SparkSession spark;

    interface Check { boolean holds() throws Exception; }

    static void await(String what, Check check) throws Exception {
        for (long end = System.nanoTime() + Duration.ofSeconds(180).toNanos(); !check.holds(); Thread.sleep(200))
            if (System.nanoTime() > end) throw new Exception("waited in vain: " + what);
        System.out.println("spark: " + what);
    }

    static void equal(String what, long wanted, long found) throws Exception {
        if (wanted != found) throw new Exception(what + ": " + found + " instead of " + wanted);
        System.out.println("spark: " + what);
    }

    static void fill(String topic, int from, int to) {
        spark.range(from, to).selectExpr("'" + topic + "' AS topic", "CONCAT('k', id % 100) AS key", "CONCAT('v', id) AS value", "ARRAY(NAMED_STRUCT('key', 'n', 'value', CAST(CAST(id AS STRING) AS BINARY))) AS headers")
            .write().format("kafka").option("kafka.bootstrap.servers", bootstrap).option("includeHeaders", true).save();
    }

    static Dataset<Row> batch(String... options) {
        var reader = spark.read().format("kafka").option("kafka.bootstrap.servers", bootstrap);
        for (int i = 0; i < options.length; i += 2) reader = reader.option(options[i], options[i + 1]);
        return reader.load();
    }

    static Dataset<Row> stream(String... options) {
        var reader = spark.readStream().format("kafka").option("kafka.bootstrap.servers", bootstrap).option("startingOffsets", "earliest");
        for (int i = 0; i < options.length; i += 2) reader = reader.option(options[i], options[i + 1]);
        return reader.load();
    }

    static StreamingQuery into(Dataset<Row> rows, String topic, Path checkpoint, Trigger trigger, String mode) throws Exception {
        return rows.writeStream().format("kafka").option("kafka.bootstrap.servers", bootstrap).option("topic", topic)
            .option("checkpointLocation", checkpoint.toString()).outputMode(mode).trigger(trigger).start();
    }

    static long distinct(String topic) { return batch("subscribe", topic).selectExpr("CAST(value AS STRING) v").distinct().count(); }

    static void batches(String topic) throws Exception {
        fill(topic, 0, RECORDS);
        equal("a batch was written and read", RECORDS, distinct(topic));
        equal("with its headers", RECORDS, batch("subscribe", topic, "includeHeaders", "true").where("CONCAT('v', CAST(headers[0].value AS STRING)) = CAST(value AS STRING)").count());
        equal("in ten pieces", RECORDS, batch("subscribe", topic, "minPartitions", "10").count());
        String from = "{\"" + topic + "\":{\"0\":10,\"1\":-2,\"2\":7,\"3\":8}}", to = "{\"" + topic + "\":{\"0\":110,\"1\":200,\"2\":7,\"3\":8}}";
        equal("between offsets", 300, batch("subscribe", topic, "startingOffsets", from, "endingOffsets", to).count());
        equal("of a named partition", 50, batch("assign", "{\"" + topic + "\":[2]}", "endingOffsets", "{\"" + topic + "\":{\"2\":50}}").count());
        var times = batch("subscribe", topic).selectExpr("CAST(MAX(timestamp) AS DOUBLE) * 1000").first();
        String middle = String.valueOf(Math.round(times.getDouble(0)) - 20);
        long early = batch("subscribe", topic, "endingTimestamp", middle).count();
        long late = batch("subscribe", topic, "startingTimestamp", middle, "startingOffsetsByTimestampStrategy", "latest").count();
        equal("before and from a time", RECORDS, early + late);
        equal("nothing from a time that is to come", 0, batch("subscribe", topic, "startingTimestamp", "" + Long.MAX_VALUE / 1000, "startingOffsetsByTimestampStrategy", "latest").count());
    }

    static void copies(Admin admin, String in, String out) throws Exception {
        Path checkpoint = Files.createTempDirectory("spark");
        var rows = stream("subscribe", in, "maxOffsetsPerTrigger", "2500").selectExpr("key", "value");
        var query = into(rows, out, checkpoint, Trigger.ProcessingTime(100), "append");
        await("a stream copies", () -> distinct(out) >= RECORDS / 4 || !query.isActive());
        query.stop();
        admin.createPartitions(Map.of(in, NewPartitions.increaseTo(7))).all().get();
        fill(in, RECORDS, RECORDS * 3 / 2);
        var again = into(rows, out, checkpoint, Trigger.ProcessingTime(100), "append");
        await("it went on from its checkpoint, over seven partitions", () -> distinct(out) == RECORDS * 3 / 2 || !again.isActive());
        again.stop();
        if (again.exception().isDefined()) throw again.exception().get();
        equal("all of it is there", RECORDS * 3 / 2, distinct(out));
        System.out.println("spark: " + (batch("subscribe", out).count() - RECORDS * 3 / 2) + " records came twice, as at-least-once may");
        var old = stream("subscribePattern", "spark-(in|none)-" + RUN, "minPartitions", "9").selectExpr("value");
        into(old, out + "-all", Files.createTempDirectory("spark"), Trigger.AvailableNow(), "append").awaitTermination();
        equal("all that is available of a pattern of topics", RECORDS * 3 / 2, distinct(out + "-all"));
    }

    static void windows(String in, String out) throws Exception {
        var counts = stream("subscribe", in).selectExpr("CAST(key AS STRING) AS key", "timestamp").withWatermark("timestamp", "1 minute")
            .groupBy(functions.col("key")).count().selectExpr("key", "CAST(count AS STRING) AS value");
        var query = into(counts, out, Files.createTempDirectory("spark"), Trigger.AvailableNow(), "update");
        query.awaitTermination();
        equal("each key was counted", 100, batch("subscribe", out).groupBy("key").agg(functions.expr("MAX(CAST(CAST(value AS STRING) AS INT)) AS n")).where("n = " + RECORDS * 3 / 200).count());
    }

    static void losses(Admin admin, String topic) throws Exception {
        fill(topic, 0, 10_000);
        Path careful = Files.createTempDirectory("spark"), careless = Files.createTempDirectory("spark");
        for (Path one : List.of(careful, careless))
            into(stream("subscribe", topic).selectExpr("value"), topic + "-" + (one == careful) , one, Trigger.AvailableNow(), "append").awaitTermination();
        fill(topic, 10_000, 20_000);
        admin.deleteRecords(Map.of(new TopicPartition(topic, 0), RecordsToDelete.beforeOffset(-1))).all().get();
        fill(topic, 20_000, 20_100);
        into(stream("subscribe", topic, "failOnDataLoss", "false").selectExpr("value"), topic + "-false", careless, Trigger.AvailableNow(), "append").awaitTermination();
        equal("a careless stream goes on after records were deleted", distinct(topic + "-false"), 10_000 + batch("subscribe", topic).where("CAST(SUBSTR(CAST(value AS STRING), 2) AS INT) >= 10000").count());
        try {
            into(stream("subscribe", topic).selectExpr("value"), topic + "-true", careful, Trigger.AvailableNow(), "append").awaitTermination();
            throw new Exception("a careful stream noticed nothing");
        } catch (StreamingQueryException e) {
            System.out.println("spark: a careful one ends");
        }
    }

    public static void main(String[] args) throws Exception {
        bootstrap = args[0];
        spark = SparkSession.builder().master("local[2]").appName("spark").config("spark.ui.enabled", false).config("spark.sql.shuffle.partitions", 2)
            .config("spark.driver.host", "127.0.0.1").config("spark.driver.bindAddress", "127.0.0.1").config("spark.sql.warehouse.dir", Files.createTempDirectory("spark").toString()).getOrCreate();
        String in = "spark-in-" + RUN, out = "spark-out-" + RUN, lost = "spark-lost-" + RUN;
        try (var admin = Admin.create(Map.of("bootstrap.servers", bootstrap))) {
            admin.createTopics(java.util.stream.Stream.of(in, out, lost).map(name -> new NewTopic(name, 4, (short) -1)).toList()).all().get();
            batches(in);
            copies(admin, in, out);
            windows(in, "spark-counts-" + RUN);
            losses(admin, lost);
            spark.conf().set("spark.sql.streaming.kafka.useDeprecatedOffsetFetching", "true");
            equal("offsets were asked for by a consumer", RECORDS * 3 / 2, distinct(in));
        }
        spark.stop();
        System.out.println("spark: ok");
        System.exit(0);
    }
}
