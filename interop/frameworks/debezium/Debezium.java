import io.debezium.config.Configuration;
import io.debezium.document.DocumentReader;
import io.debezium.relational.*;
import io.debezium.relational.ddl.DdlParser;
import io.debezium.relational.history.*;
import io.debezium.storage.kafka.history.KafkaSchemaHistory;
import java.net.ServerSocket;
import java.net.URI;
import java.net.http.*;
import java.nio.file.*;
import java.sql.*;
import java.time.Duration;
import java.util.*;
import java.util.stream.*;
import org.apache.kafka.clients.admin.*;
import org.apache.kafka.clients.consumer.*;
import org.apache.kafka.clients.producer.*;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.*;
import org.apache.kafka.connect.cli.ConnectDistributed;

/**
 * Debezium over a cluster: a distributed worker of Kafka Connect carries a table of PostgreSQL into a compacted topic, first what stands in it
 * and then what changes, also while the worker was away; a second snapshot is asked for over a topic of signals, and the notification of
 * it read from another; and a history of schemas is written to its topic and recovered.
 *
 *   java -cp 'jars/*:classes' Debezium BOOTSTRAP
 */
public class Debezium {
    static final int ROWS = 20_000;
    static final String RUN = ProcessHandle.current().pid() + "-" + System.currentTimeMillis() % 100000;
    static String bootstrap;

    interface Check { boolean holds() throws Exception; }

    static void await(String what, Check check) throws Exception {
        for (long end = System.nanoTime() + Duration.ofSeconds(120).toNanos(); !check.holds(); Thread.sleep(100))
            if (System.nanoTime() > end) throw new Exception("waited in vain: " + what);
        System.out.println("debezium: " + what);
    }

    static int freePort() throws Exception {
        try (var socket = new ServerSocket(0)) { return socket.getLocalPort(); }
    }

    /** A PostgreSQL of its own, as the installed one's user where we are root, who may not run it. */
    static class Postgres implements AutoCloseable {
        final Path programs, data = Files.createTempDirectory("postgres");
        final int port = freePort();

        Postgres() throws Exception {
            try (var versions = Files.list(Path.of("/usr/lib/postgresql"))) { programs = versions.max(Comparator.naturalOrder()).orElseThrow().resolve("bin"); }
            if (System.getProperty("user.name").equals("root")) run("chown", "postgres", data.toString());
            run(asUser(programs + "/initdb", "-D", data + "/db", "-U", "postgres", "-A", "trust"));
            run(asUser(programs + "/pg_ctl", "-D", data + "/db", "-w", "-l", data + "/log", "-o", "-p " + port + " -c wal_level=logical -c listen_addresses=127.0.0.1 -k " + data, "start"));
        }

        static String[] asUser(String... command) {
            if (!System.getProperty("user.name").equals("root")) return command;
            return Stream.concat(Stream.of("runuser", "-u", "postgres", "--"), Arrays.stream(command)).toArray(String[]::new);
        }

        static void run(String... command) throws Exception {
            int code = new ProcessBuilder(command).directory(new java.io.File("/")).redirectErrorStream(true).redirectOutput(ProcessBuilder.Redirect.DISCARD).start().waitFor();
            if (code != 0) throw new Exception(String.join(" ", command) + " ended with " + code);
        }

        void sql(String... statements) throws Exception {
            try (var connection = DriverManager.getConnection("jdbc:postgresql://127.0.0.1:" + port + "/postgres?user=postgres"); var statement = connection.createStatement()) {
                for (String one : statements) statement.execute(one);
            }
        }

        Map<Integer, String> rows() throws Exception {
            try (var connection = DriverManager.getConnection("jdbc:postgresql://127.0.0.1:" + port + "/postgres?user=postgres"); var statement = connection.createStatement()) {
                Map<Integer, String> rows = new HashMap<>();
                for (var found = statement.executeQuery("SELECT id, what FROM orders"); found.next(); ) rows.put(found.getInt(1), found.getString(2));
                return rows;
            }
        }

        @Override public void close() throws Exception {
            run(asUser(programs + "/pg_ctl", "-D", data + "/db", "-m", "immediate", "stop"));
        }
    }

    record Worker(org.apache.kafka.connect.runtime.Connect<?> connect, int port) {
        static Worker start() throws Exception {
            int port = freePort();
            Map<String, String> p = new HashMap<>(Map.of("bootstrap.servers", bootstrap, "group.id", "workers-" + RUN, "listeners", "http://127.0.0.1:" + port, "plugin.discovery", "only_scan",
                "key.converter", "org.apache.kafka.connect.json.JsonConverter", "value.converter", "org.apache.kafka.connect.json.JsonConverter",
                "key.converter.schemas.enable", "false", "value.converter.schemas.enable", "false", "offset.flush.interval.ms", "500"));
            for (String what : List.of("offset", "config", "status")) {
                p.put(what + ".storage.topic", "debezium-" + what + "-" + RUN);
                p.put(what + ".storage.replication.factor", "-1");
            }
            return new Worker(new ConnectDistributed(new String[0]).startConnect(p), port);
        }

        String ask(String method, String path, String body) throws Exception {
            var request = HttpRequest.newBuilder(URI.create("http://127.0.0.1:" + port + path)).header("Content-Type", "application/json")
                .method(method, HttpRequest.BodyPublishers.ofString(body)).build();
            return HttpClient.newHttpClient().send(request, HttpResponse.BodyHandlers.ofString()).body();
        }

        void stop() {
            connect.stop();
            connect.awaitStop();
        }
    }

    /** All records up to the ends of a topic's partitions. */
    static List<ConsumerRecord<String, String>> records(String topic) {
        try (var consumer = new KafkaConsumer<>(Map.of("bootstrap.servers", bootstrap), new StringDeserializer(), new StringDeserializer())) {
            var parts = consumer.partitionsFor(topic).stream().map(p -> new TopicPartition(topic, p.partition())).toList();
            consumer.assign(parts);
            consumer.seekToBeginning(parts);
            var ends = consumer.endOffsets(parts);
            List<ConsumerRecord<String, String>> records = new ArrayList<>();
            while (parts.stream().anyMatch(p -> consumer.position(p) < ends.get(p))) consumer.poll(Duration.ofMillis(200)).forEach(records::add);
            return records;
        }
    }

    /** The table as its topic tells it. */
    static Map<Integer, String> table(String topic) {
        Map<Integer, String> rows = new HashMap<>();
        for (var one : records(topic)) {
            int id = Integer.parseInt(one.key().replaceAll("\\D", ""));
            if (one.value() == null) rows.remove(id);
            else if (!one.value().contains("\"after\":null")) rows.put(id, one.value().replaceAll(".*\"after\":\\{[^}]*\"what\":\"([^\"]*)\".*", "$1"));
        }
        return rows;
    }

    static void changes(Admin admin, Postgres postgres) throws Exception {
        String prefix = "db" + RUN.replace("-", ""), topic = prefix + ".public.orders", signals = prefix + ".signals", notes = prefix + ".notes";
        admin.createTopics(List.of(new NewTopic(signals, 1, (short) -1), new NewTopic(notes, 1, (short) -1))).all().get();
        postgres.sql("CREATE TABLE orders (id INT PRIMARY KEY, what TEXT)", "ALTER TABLE orders REPLICA IDENTITY FULL", "INSERT INTO orders SELECT n, 'first ' || n FROM generate_series(1, " + ROWS + ") n");
        String config = ("{'connector.class':'io.debezium.connector.postgresql.PostgresConnector','plugin.name':'pgoutput','database.hostname':'127.0.0.1','database.port':'" + postgres.port
            + "','database.user':'postgres','database.dbname':'postgres','topic.prefix':'" + prefix + "','table.include.list':'public.orders','topic.creation.default.replication.factor':'-1',"
            + "'topic.creation.default.partitions':'3','topic.creation.default.cleanup.policy':'compact','heartbeat.interval.ms':'500','read.only':'true','signal.enabled.channels':'kafka',"
            + "'signal.kafka.topic':'" + signals + "','signal.kafka.bootstrap.servers':'" + bootstrap + "','notification.enabled.channels':'sink','notification.sink.topic.name':'" + notes + "'}").replace('\'', '"');
        var worker = Worker.start();
        var first = worker;
        await("a worker runs the connector", () -> {
            first.ask("PUT", "/connectors/orders/config", config);
            return first.ask("GET", "/connectors/orders/status", "").matches(".*\"tasks\":\\[\\{\"id\":0,\"state\":\"RUNNING\".*");
        });
        await("what stood in the table is in the topic", () -> table(topic).size() == ROWS);
        postgres.sql("UPDATE orders SET what = 'second ' || id WHERE id % 3 = 0", "DELETE FROM orders WHERE id % 7 = 0", "INSERT INTO orders SELECT n, 'new' FROM generate_series(" + ROWS + " + 1, " + ROWS + " * 2) n");
        await("so is what changed", () -> table(topic).equals(postgres.rows()));
        worker.stop();
        postgres.sql("UPDATE orders SET what = 'away ' || id WHERE id % 5 = 0", "DELETE FROM orders WHERE id % 11 = 0");
        int before = records(topic).size();
        worker = Worker.start();
        await("and what changed while the worker was away", () -> table(topic).equals(postgres.rows()));
        int again = records(topic).size() - before;
        System.out.println("debezium: " + again + " records came since");
        try (var producer = new KafkaProducer<>(Map.of("bootstrap.servers", bootstrap), new StringSerializer(), new StringSerializer())) {
            String signal = "{'type':'execute-snapshot','data':{'data-collections':['public.orders'],'type':'INCREMENTAL'}}".replace('\'', '"');
            producer.send(new ProducerRecord<>(signals, prefix, signal)).get();
        }
        await("a snapshot was asked for and notified", () -> records(notes).stream().anyMatch(r -> r.value().contains("Incremental Snapshot") && r.value().contains("COMPLETED")));
        int rows = postgres.rows().size();
        await("it read every row", () -> records(topic).stream().filter(r -> r.value() != null && r.value().contains("\"op\":\"r\"")).count() >= ROWS + rows && table(topic).equals(postgres.rows()));
        await("heartbeats come", () -> records("__debezium-heartbeat." + prefix).size() > 3);
        worker.stop();
    }

    static void history() throws Exception {
        var config = Configuration.create().with(KafkaSchemaHistory.BOOTSTRAP_SERVERS, bootstrap).with(KafkaSchemaHistory.TOPIC, "debezium-history-" + RUN)
            .with(SchemaHistory.NAME, "history").with("schema.history.internal.connector.class", "io.debezium.connector.postgresql.PostgresConnector").with("schema.history.internal.connector.id", "1").build();
        for (int life = 0; life < 2; life++) {
            var history = new KafkaSchemaHistory();
            history.configure(config, null, SchemaHistoryListener.NOOP, true);
            if (life == 0) {
                if (history.storageExists()) throw new Exception("there is a history already");
                history.initializeStorage();
            }
            history.checkStorageSettings();
            history.start();
            if (history.exists() != (life == 1)) throw new Exception("there is a history: " + history.exists());
            for (int n = 0; life == 0 && n < 500; n++) history.record(Map.of("server", "one"), Map.of("at", n), "db", "CREATE TABLE t" + n + " (id INT)");
            if (life == 1) {
                List<String> found = new ArrayList<>();
                var recover = KafkaSchemaHistory.class.getDeclaredMethod("recoverRecords", java.util.function.Consumer.class);
                recover.setAccessible(true);
                java.util.function.Consumer<HistoryRecord> take = record -> found.add(record.document().getString("ddl"));
                recover.invoke(history, take);
                var wanted = IntStream.range(0, 500).mapToObj(n -> "CREATE TABLE t" + n + " (id INT)").toList();
                if (!found.equals(wanted)) throw new Exception(found.size() + " were recovered");
            }
            history.stop();
        }
        System.out.println("debezium: a history of schemas was recovered");
    }

    public static void main(String[] args) throws Exception {
        bootstrap = args[0];
        history();
        try (var admin = Admin.create(Map.of("bootstrap.servers", bootstrap)); var postgres = new Postgres()) {
            changes(admin, postgres);
        }
        System.out.println("debezium: ok");
        System.exit(0);
    }
}
