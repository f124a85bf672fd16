// Runs Kafka's command line tools one after the other in one process, as a file of cases says,
// and writes what each printed and the code it ended with. Starting a Java process for each
// of them would take longer than everything else.
//
//   java -cp JARS Tools.java BOOTSTRAP < cases > results
//
// A case is a line `tool arguments...`; BOOTSTRAP in it stands for the address. Lines that are
// empty or begin with # are copied. A line `wait N` waits N milliseconds; `join GROUP classic|consumer
// TOPIC` makes a member of a group, which `leave GROUP` ends. `say TEXT` is what the next tool reads;
// what stands for ends of lines and tabs in Java does so in it.

import java.io.BufferedReader;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.lang.reflect.InvocationTargetException;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.utils.Exit;

public class Tools {
    private static final Map<String, String> CLASSES = Map.ofEntries(
        Map.entry("kafka-topics", "org.apache.kafka.tools.TopicCommand"),
        Map.entry("kafka-configs", "kafka.admin.ConfigCommand"),
        Map.entry("kafka-log-dirs", "org.apache.kafka.tools.LogDirsCommand"),
        Map.entry("kafka-leader-election", "org.apache.kafka.tools.LeaderElectionCommand"),
        Map.entry("kafka-features", "org.apache.kafka.tools.FeatureCommand"),
        Map.entry("kafka-cluster", "org.apache.kafka.tools.ClusterTool"),
        Map.entry("kafka-metadata-quorum", "org.apache.kafka.tools.MetadataQuorumCommand"),
        Map.entry("kafka-broker-api-versions", "org.apache.kafka.tools.BrokerApiVersionsCommand"),
        Map.entry("kafka-reassign-partitions",
            "org.apache.kafka.tools.reassign.ReassignPartitionsCommand"),
        Map.entry("kafka-transactions", "org.apache.kafka.tools.TransactionsCommand"),
        Map.entry("kafka-client-metrics", "org.apache.kafka.tools.ClientMetricsCommand"),
        Map.entry("kafka-get-offsets", "org.apache.kafka.tools.GetOffsetShell"),
        Map.entry("kafka-delete-records", "org.apache.kafka.tools.DeleteRecordsCommand"),
        Map.entry("kafka-consumer-groups",
            "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand"),
        Map.entry("kafka-acls", "org.apache.kafka.tools.AclCommand"),
        Map.entry("kafka-console-producer", "org.apache.kafka.tools.ConsoleProducer"),
        Map.entry("kafka-groups", "org.apache.kafka.tools.GroupsCommand"),
        Map.entry("kafka-console-consumer",
            "org.apache.kafka.tools.consumer.ConsoleConsumer"),
        Map.entry("kafka-verifiable-producer", "org.apache.kafka.tools.VerifiableProducer"),
        Map.entry("kafka-verifiable-consumer", "org.apache.kafka.tools.VerifiableConsumer"),
        Map.entry("kafka-consumer-perf-test", "org.apache.kafka.tools.ConsumerPerformance"),
        Map.entry("kafka-producer-perf-test", "org.apache.kafka.tools.ProducerPerformance"));

    private static final long CHANGE_SHOWS_MS = 200;

    /** Ends a tool in place of the process. */
    private static final class Ended extends Error {
    }

    /** What the tool printed so far, and until it ended. */
    private static ByteArrayOutputStream printed;
    private static String text;
    private static Integer code;

    /** Some tools catch what ends them and end again: the first time counts. */
    private static void end(int with) {
        if (code == null) {
            code = with;
            text = printed.toString(StandardCharsets.UTF_8);
        }
        throw new Ended();
    }

    public static void main(String[] args) throws Exception {
        Exit.setExitProcedure((with, why) -> end(with));
        Exit.setHaltProcedure((with, why) -> end(with));
        PrintStream results = System.out;
        BufferedReader cases = new BufferedReader(new InputStreamReader(System.in));
        String line;
        while ((line = cases.readLine()) != null) {
            if (line.isBlank() || line.startsWith("#")) {
                continue;
            }
            if (line.startsWith("wait ")) {
                Thread.sleep(Long.parseLong(line.substring(5)));
                continue;
            }
            if (line.startsWith("say ")) {
                said = line.substring(4).replace("\\n", "\n").replace("\\t", "\t") + "\n";
                continue;
            }
            if (line.startsWith("join ")) {
                String[] words = line.split(" ");
                members.put(words[1], new Member(args[0], words[1], words[2], words[3]));
                continue;
            }
            if (line.startsWith("leave ")) {
                members.remove(line.substring(6)).leave();
                continue;
            }
            run(line, args[0], results);
        }
        results.flush();
        Runtime.getRuntime().halt(0);
    }

    /** What the next tool reads. */
    private static String said = "";

    private static final Map<String, Member> members = new HashMap<>();

    /** A consumer that is there while tools look at its group. */
    private static final class Member {
        private final KafkaConsumer<byte[], byte[]> consumer;
        private final Thread thread;
        private volatile boolean stays = true;

        Member(String bootstrap, String group, String protocol, String topic) throws Exception {
            consumer = new KafkaConsumer<>(Map.of("bootstrap.servers", bootstrap, "group.id", group,
                "group.protocol", protocol, "client.id", "member", "enable.auto.commit", "false",
                "auto.offset.reset", "earliest"), new ByteArrayDeserializer(), new ByteArrayDeserializer());
            consumer.subscribe(List.of(topic));
            CountDownLatch assigned = new CountDownLatch(1);
            thread = new Thread(() -> {
                while (stays) {
                    consumer.poll(Duration.ofMillis(100));
                    if (!consumer.assignment().isEmpty()) {
                        assigned.countDown();
                    }
                }
                consumer.close();
            });
            thread.start();
            if (!assigned.await(30, TimeUnit.SECONDS)) {
                throw new IllegalStateException(group + " gives its member nothing");
            }
        }

        void leave() throws InterruptedException {
            stays = false;
            thread.join();
        }
    }

    private static void run(String line, String bootstrap, PrintStream results)
            throws InterruptedException {
        List<String> words = words(line.replace("BOOTSTRAP", bootstrap));
        String[] arguments = words.subList(1, words.size()).toArray(new String[0]);
        text = null;
        printed = new ByteArrayOutputStream();
        code = null;
        PrintStream out = new PrintStream(printed, true, StandardCharsets.UTF_8);
        try {
            Class<?> tool = Class.forName(CLASSES.get(words.get(0)));
            System.setOut(out);
            System.setErr(out);
            System.setIn(new ByteArrayInputStream(said.getBytes(StandardCharsets.UTF_8)));
            said = "";
            // Console.out is what tools written in Scala print to.
            scala.Console.withOut(out, () -> scala.Console.withErr(out, () -> {
                try {
                    tool.getMethod("main", String[].class).invoke(null, (Object) arguments);
                } catch (InvocationTargetException ended) {
                    throw sneaky(ended.getCause());
                } catch (ReflectiveOperationException other) {
                    throw new IllegalStateException(other);
                }
                return null;
            }));
        } catch (Throwable other) {
            if (code == null) {
                other.printStackTrace(out);
                code = 1;
            }
        } finally {
            System.setOut(results);
        }
        if (text == null) {
            text = printed.toString(StandardCharsets.UTF_8);
        }
        results.println("$ " + line);
        results.print(text);
        if (!text.isEmpty() && !text.endsWith("\n")) {
            results.println();
        }
        results.println("= " + (code == null ? 0 : code));
        results.flush();
        if (words.contains("--alter") || words.contains("--create") || words.contains("--delete")) {
            // Real Kafka shows a change a moment after it has confirmed it.
            Thread.sleep(CHANGE_SHOWS_MS);
        }
    }

    @SuppressWarnings("unchecked")
    private static <T extends Throwable> RuntimeException sneaky(Throwable cause) throws T {
        throw (T) cause;
    }

    /** Words between blanks; what stands in double quotes is one. */
    private static List<String> words(String line) {
        List<String> words = new ArrayList<>();
        StringBuilder word = new StringBuilder();
        boolean quoted = false;
        boolean begun = false;
        for (char c : line.toCharArray()) {
            if (c == '"') {
                quoted = !quoted;
                begun = true;
            } else if (c == ' ' && !quoted) {
                if (begun) {
                    words.add(word.toString());
                }
                word.setLength(0);
                begun = false;
            } else {
                word.append(c);
                begun = true;
            }
        }
        if (begun) {
            words.add(word.toString());
        }
        return words;
    }
}
