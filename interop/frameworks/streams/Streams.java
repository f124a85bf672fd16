import java.nio.file.*;
import java.time.Duration;
import java.util.*;
import java.util.concurrent.*;
import org.apache.kafka.clients.admin.*;
import org.apache.kafka.clients.consumer.*;
import org.apache.kafka.clients.producer.*;
import org.apache.kafka.common.serialization.*;
import org.apache.kafka.streams.*;
import org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse;
import org.apache.kafka.streams.kstream.*;
import org.apache.kafka.streams.state.*;

/**
 * Kafka Streams over a cluster: words are counted in a state store with its changelog and repartition topics, joined with a table
 * and with a global one, counted by windows; the store is asked interactively; a second instance joins; the first one goes, loses
 * its directory and comes back. At the end every word has been counted as often as it was written, and the changelog says so too.
 *
 *   java -cp 'jars/*' Streams.java BOOTSTRAP
 */
public class Streams {
    static final int LINES = 2000;
    static final Duration PATIENCE = Duration.ofSeconds(120);
    static String bootstrap, in, out, names, joined, windows, application;

    static Topology topology() {
        StreamsBuilder builder = new StreamsBuilder();
        KStream<String, String> lines = builder.stream(in);
        KTable<String, Long> counts = lines.flatMapValues(line -> Arrays.asList(line.split(" ")))
            .groupBy((key, word) -> word).count(Materialized.as("counts"));
        counts.toStream().to(out, Produced.with(Serdes.String(), Serdes.Long()));
        GlobalKTable<String, String> known = builder.globalTable(names);
        lines.join(known, (key, line) -> line.split(" ")[0], (line, name) -> name).to(joined);
        lines.groupByKey().windowedBy(TimeWindows.ofSizeWithNoGrace(Duration.ofHours(1))).count(Materialized.as("windowed"))
            .toStream((window, count) -> window.key()).to(windows, Produced.with(Serdes.String(), Serdes.Long()));
        return builder.build();
    }

    static KafkaStreams start(Path state, Properties more) throws Exception {
        Properties p = new Properties();
        p.put("application.id", application);
        p.put("bootstrap.servers", bootstrap);
        p.put("default.key.serde", Serdes.StringSerde.class.getName());
        p.put("default.value.serde", Serdes.StringSerde.class.getName());
        p.put("state.dir", state.toString());
        p.put("commit.interval.ms", "500");
        p.put("repartition.purge.interval.ms", "500");
        p.put("num.stream.threads", "2");
        p.put("num.standby.replicas", "1");
        p.put("replication.factor", "-1");
        p.putAll(more);
        KafkaStreams streams = new KafkaStreams(topology(), p);
        streams.setUncaughtExceptionHandler(e -> { failure = e; return StreamThreadExceptionResponse.SHUTDOWN_CLIENT; });
        streams.start();
        return streams;
    }

    static volatile Throwable failure;

    interface Check { boolean holds() throws Exception; }

    static void wait(String what, Check check) throws Exception {
        for (long end = System.nanoTime() + PATIENCE.toNanos(); !check.holds(); Thread.sleep(100)) {
            if (failure != null) throw new Exception(what + ": the application failed", failure);
            if (System.nanoTime() > end) throw new Exception("waited in vain: " + what);
        }
        System.out.println("streams: " + what);
    }

    static void write(int from) throws Exception {
        Map<String, Object> p = Map.of("bootstrap.servers", bootstrap, "linger.ms", 5);
        try (KafkaProducer<String, String> producer = new KafkaProducer<>(p, new StringSerializer(), new StringSerializer())) {
            for (int i = from; i < from + LINES; i++) producer.send(new ProducerRecord<>(in, "k" + i % 50, "w" + i % 10 + " all w" + i % 7));
        }
    }

    /** The last value of each key. */
    static <V> Map<String, V> last(String topic, Deserializer<V> values) {
        Map<String, Object> p = Map.of("bootstrap.servers", bootstrap);
        Map<String, V> last = new TreeMap<>();
        try (KafkaConsumer<String, V> consumer = new KafkaConsumer<>(p, new StringDeserializer(), values)) {
            List<org.apache.kafka.common.TopicPartition> all = new ArrayList<>();
            consumer.partitionsFor(topic).forEach(i -> all.add(new org.apache.kafka.common.TopicPartition(topic, i.partition())));
            consumer.assign(all);
            consumer.seekToBeginning(all);
            Map<org.apache.kafka.common.TopicPartition, Long> ends = consumer.endOffsets(all);
            while (!all.stream().allMatch(t -> consumer.position(t) >= ends.get(t)))
                consumer.poll(Duration.ofMillis(200)).forEach(r -> last.put(r.key(), r.value()));
        }
        return last;
    }

    static Map<String, Long> wanted(int lines) {
        Map<String, Long> wanted = new TreeMap<>();
        for (int i = 0; i < lines; i++)
            for (String word : List.of("w" + i % 10, "all", "w" + i % 7)) wanted.merge(word, 1L, Long::sum);
        return wanted;
    }

    static Map<String, Long> asked(KafkaStreams... instances) {
        Map<String, Long> all = new TreeMap<>();
        for (KafkaStreams streams : instances) {
            try {
                ReadOnlyKeyValueStore<String, Long> store = streams.store(StoreQueryParameters.fromNameAndType("counts", QueryableStoreTypes.keyValueStore()));
                try (KeyValueIterator<String, Long> it = store.all()) { it.forEachRemaining(kv -> all.merge(kv.key, kv.value, Math::max)); }
            } catch (org.apache.kafka.streams.errors.InvalidStateStoreException e) { /* not now */ }
        }
        return all;
    }

    static void deleted(Path directory) throws Exception {
        if (!Files.exists(directory)) return;
        List<Path> all = new ArrayList<>(Files.walk(directory).toList());
        Collections.reverse(all);
        for (Path path : all) Files.delete(path);
    }

    public static void main(String[] args) throws Exception {
        bootstrap = args[0];
        String run = ProcessHandle.current().pid() + "-" + System.currentTimeMillis() % 100000;
        application = "counting-" + run;
        in = "lines-" + run; out = "counts-" + run; names = "names-" + run; joined = "joined-" + run; windows = "windows-" + run;
        Path one = Files.createTempDirectory("streams-one"), two = Files.createTempDirectory("streams-two");
        try (Admin admin = Admin.create(Map.of("bootstrap.servers", bootstrap))) {
            List<NewTopic> topics = new ArrayList<>();
            for (String topic : List.of(in, out, joined, windows)) topics.add(new NewTopic(topic, Optional.of(4), Optional.empty()));
            topics.add(new NewTopic(names, Optional.of(1), Optional.empty()).configs(Map.of("cleanup.policy", "compact")));
            admin.createTopics(topics).all().get();
            try (KafkaProducer<String, String> producer = new KafkaProducer<>(Map.of("bootstrap.servers", bootstrap), new StringSerializer(), new StringSerializer())) {
                for (int i = 0; i < 10; i++) producer.send(new ProducerRecord<>(names, "w" + i, "name " + i));
            }
            write(0);
            String changelog = application + "-counts-changelog", repartition = application + "-counts-repartition";
            KafkaStreams a = start(one, new Properties());
            wait("counted " + LINES + " lines", () -> wanted(LINES).equals(asked(a)));
            KafkaStreams b = start(two, new Properties());
            wait("a second instance has tasks", () -> b.metadataForLocalThreads().stream().anyMatch(t -> !t.activeTasks().isEmpty()) && b.state() == KafkaStreams.State.RUNNING && a.state() == KafkaStreams.State.RUNNING);
            write(LINES);
            wait("both counted the next lines", () -> wanted(2 * LINES).equals(asked(a, b)));
            if (a.metadataForAllStreamsClients() == null) throw new Exception("no clients");
            a.close(Duration.ofSeconds(30));
            deleted(one);
            write(2 * LINES);
            wait("the one that stayed counted on", () -> wanted(3 * LINES).equals(asked(b)));
            wait("what was repartitioned is deleted again", () -> {
                Map<org.apache.kafka.common.TopicPartition, OffsetSpec> first = new HashMap<>(), latest = new HashMap<>();
                for (int i = 0; i < 4; i++) {
                    first.put(new org.apache.kafka.common.TopicPartition(repartition, i), OffsetSpec.earliest());
                    latest.put(new org.apache.kafka.common.TopicPartition(repartition, i), OffsetSpec.latest());
                }
                var begins = admin.listOffsets(first).all().get();
                var ends = admin.listOffsets(latest).all().get();
                return ends.keySet().stream().allMatch(t -> begins.get(t).offset() == ends.get(t).offset());
            });
            b.close(Duration.ofSeconds(30));
            deleted(two);
            KafkaStreams c = start(one, new Properties());
            wait("a new one has restored the store from its changelog", () -> wanted(3 * LINES).equals(asked(c)));
            wait("the changelog holds every count", () -> wanted(3 * LINES).equals(last(changelog, new LongDeserializer())));
            wait("the topic of results holds every count", () -> wanted(3 * LINES).equals(last(out, new LongDeserializer())));
            wait("each line met its name", () -> last(joined, new StringDeserializer()).size() == 50);
            wait("windows counted", () -> last(windows, new LongDeserializer()).values().stream().mapToLong(l -> l).sum() >= 3 * LINES / 2);
            c.close(Duration.ofSeconds(30));
            org.apache.kafka.common.config.ConfigResource resource = new org.apache.kafka.common.config.ConfigResource(org.apache.kafka.common.config.ConfigResource.Type.TOPIC, changelog);
            String policy = admin.describeConfigs(List.of(resource)).all().get().get(resource).get("cleanup.policy").value();
            if (!policy.equals("compact")) throw new Exception("the changelog is " + policy);
            wait("its group is empty", () -> admin.describeConsumerGroups(List.of(application)).all().get().get(application).groupState() == org.apache.kafka.common.GroupState.EMPTY);
            int reset = new org.apache.kafka.tools.StreamsResetter().execute(new String[] {"--bootstrap-server", bootstrap, "--application-id", application, "--input-topics", in, "--force"});
            if (reset != 0) throw new Exception("the reset ended with " + reset);
            if (admin.listTopics().names().get().contains(changelog)) throw new Exception("the changelog is there after the reset");
            System.out.println("streams: reset");
            refused("exactly once", Map.of("processing.guarantee", "exactly_once_v2"), one);
            refused("the protocol for streams", Map.of("group.protocol", "streams"), one);
        } finally {
            deleted(one);
            deleted(two);
        }
        System.out.println("streams: ok");
        System.exit(0);
    }

    /** What isn't served is refused in words, and soon. Against a broker that serves it, it works. */
    static void refused(String what, Map<String, String> with, Path state) throws Exception {
        deleted(state);
        failure = null;
        application = application + "-" + what.replace(' ', '-');
        Properties more = new Properties();
        more.putAll(with);
        KafkaStreams streams = start(state, more);
        long end = System.nanoTime() + PATIENCE.toNanos();
        while (failure == null && streams.state() != KafkaStreams.State.RUNNING && System.nanoTime() < end) Thread.sleep(100);
        long until = System.nanoTime() + Duration.ofSeconds(5).toNanos();
        while (failure == null && System.nanoTime() < until) Thread.sleep(100);
        if (failure != null) {
            Throwable cause = failure;
            boolean told = false;
            for (; cause != null; cause = cause.getCause()) {
                told |= cause instanceof org.apache.kafka.common.errors.UnsupportedVersionException || String.valueOf(cause.getMessage()).contains("The version of API is not supported");
            }
            if (!told) throw new Exception(what + " is refused otherwise", failure);
            System.out.println("streams: " + what + " is refused as not supported");
        } else if (streams.state() == KafkaStreams.State.RUNNING) System.out.println("streams: " + what + " runs");
        else throw new Exception(what + ": neither refused nor running, but " + streams.state());
        streams.close(Duration.ofSeconds(30));
    }
}
