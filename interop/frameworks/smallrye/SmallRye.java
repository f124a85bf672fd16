import io.smallrye.reactive.messaging.kafka.KafkaRecord;
import jakarta.enterprise.context.ApplicationScoped;
import jakarta.enterprise.inject.se.*;
import jakarta.inject.Inject;
import java.time.Duration;
import java.util.*;
import java.util.concurrent.*;
import java.util.concurrent.atomic.AtomicInteger;
import org.eclipse.microprofile.reactive.messaging.*;
import org.apache.kafka.clients.consumer.*;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.*;

/**
 * SmallRye Reactive Messaging, which Quarkus stands on: an emitter, a processor from one topic to another with throttled commits, whose
 * handler fails now and then and sends those to a dead letter topic, and a consumer of what came. Everything is in one of the two at the end.
 */
public class SmallRye {
    static final AtomicInteger FAILED = new AtomicInteger();

    @ApplicationScoped
    public static class Application {
        @Inject @Channel("numbers-out") Emitter<String> emitter;

        public CompletableFuture<Void> send(String text) {
            return emitter.send(text).toCompletableFuture();
        }

        @Incoming("numbers") @Outgoing("copied")
        @Acknowledgment(Acknowledgment.Strategy.POST_PROCESSING)
        public Message<String> copy(Message<String> message) {
            if (message.getPayload().endsWith("77")) {
                FAILED.incrementAndGet();
                throw new IllegalStateException("not this one");
            }
            return message;
        }
    }

    static void read(String servers, String topic, Set<String> seen, int[] all) {
        Map<String, Object> settings = Map.of("bootstrap.servers", servers, "auto.offset.reset", "earliest");
        try (KafkaConsumer<String, String> check = new KafkaConsumer<>(settings, new StringDeserializer(), new StringDeserializer())) {
            List<TopicPartition> places = check.partitionsFor(topic).stream().map(p -> new TopicPartition(topic, p.partition())).toList();
            Map<TopicPartition, Long> ends = check.endOffsets(places);
            check.assign(places);
            check.seekToBeginning(places);
            while (places.stream().anyMatch(p -> check.position(p) < ends.get(p)))
                for (ConsumerRecord<String, String> record : check.poll(Duration.ofMillis(500))) {
                    all[0]++;
                    seen.add(record.value());
                }
        }
    }

    public static void main(String[] args) throws Exception {
        String servers = args[0], run = ProcessHandle.current().pid() + "-" + System.currentTimeMillis();
        int records = args.length > 1 ? Integer.parseInt(args[1]) : 5_000, pause = args.length > 2 ? Integer.parseInt(args[2]) : 2;
        String in = "smallrye-in-" + run, out = "smallrye-out-" + run, dead = "smallrye-dead-" + run;
        Map<String, String> config = new HashMap<>();
        config.put("mp.messaging.connector.smallrye-kafka.bootstrap.servers", servers);
        for (String channel : new String[] {"outgoing.numbers-out", "incoming.numbers", "outgoing.copied"}) config.put("mp.messaging." + channel + ".connector", "smallrye-kafka");
        config.put("mp.messaging.outgoing.numbers-out.topic", in);
        config.put("mp.messaging.incoming.numbers.topic", in);
        config.put("mp.messaging.outgoing.copied.topic", out);
        for (String channel : new String[] {"outgoing.numbers-out", "outgoing.copied"}) config.put("mp.messaging." + channel + ".value.serializer", StringSerializer.class.getName());
        config.put("mp.messaging.incoming.numbers.value.deserializer", StringDeserializer.class.getName());
        config.put("mp.messaging.incoming.numbers.group.id", "smallrye-" + run);
        config.put("mp.messaging.incoming.numbers.auto.offset.reset", "earliest");
        config.put("mp.messaging.incoming.numbers.failure-strategy", "dead-letter-queue");
        config.put("mp.messaging.incoming.numbers.dead-letter-queue.topic", dead);
        config.forEach(System::setProperty);
        SeContainer container = SeContainerInitializer.newInstance().addBeanClasses(Application.class).initialize();
        Application application = container.select(Application.class).get();
        List<CompletableFuture<Void>> sent = new ArrayList<>();
        for (int n = 1; n <= records; n++) {
            sent.add(application.send("v" + n));
            Thread.sleep(pause);
        }
        CompletableFuture.allOf(sent.toArray(new CompletableFuture[0])).get(300, TimeUnit.SECONDS);
        Set<String> seen = new HashSet<>();
        int[] all = {0};
        for (long until = System.currentTimeMillis() + 90_000; seen.size() < records && System.currentTimeMillis() < until; ) {
            Thread.sleep(1000);
            seen.clear();
            all[0] = 0;
            try {
                read(servers, out, seen, all);
                read(servers, dead, seen, all);
            } catch (org.apache.kafka.common.KafkaException e) { /* again */ }
        }
        if (seen.size() != records) { System.err.println("smallrye: " + seen.size() + " of " + records + " came"); System.exit(1); }
        System.out.println("smallrye: " + records + " records copied, " + FAILED + " of them to the dead letters; " + (all[0] - records) + " came again");
        System.exit(0);
    }
}
