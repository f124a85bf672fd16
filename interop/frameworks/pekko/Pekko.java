import java.time.Duration;
import java.util.*;
import java.util.concurrent.*;
import org.apache.kafka.clients.consumer.*;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.*;
import org.apache.pekko.Done;
import org.apache.pekko.actor.ActorSystem;
import org.apache.pekko.kafka.*;
import org.apache.pekko.kafka.javadsl.Committer;
import org.apache.pekko.kafka.javadsl.Producer;
import org.apache.pekko.stream.RestartSettings;
import org.apache.pekko.stream.javadsl.*;

/**
 * Pekko Connectors Kafka: a paced source into a topic, two members that copy it to another one and commit with what they wrote, one of
 * them partition by partition, stopped and started again on the way. Everything is in the second topic at the end.
 */
public class Pekko {
    public static void main(String[] args) throws Exception {
        String servers = args[0], run = ProcessHandle.current().pid() + "-" + System.currentTimeMillis();
        int records = args.length > 1 ? Integer.parseInt(args[1]) : 5_000, pause = args.length > 2 ? Integer.parseInt(args[2]) : 2;
        String in = "pekko-in-" + run, out = "pekko-out-" + run, group = "pekko-" + run;
        ActorSystem system = ActorSystem.create("pekko");
        ConsumerSettings<String, String> reads = ConsumerSettings.create(system, new StringDeserializer(), new StringDeserializer())
            .withBootstrapServers(servers).withGroupId(group).withProperty(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG, "earliest")
            .withStopTimeout(Duration.ofSeconds(5));
        ProducerSettings<String, String> writes = ProducerSettings.create(system, new StringSerializer(), new StringSerializer())
            .withBootstrapServers(servers).withProperty("enable.idempotence", "true").withProperty("acks", "all");
        CompletionStage<Done> written = Source.range(1, records).throttle(1, Duration.ofMillis(pause))
            .map(n -> new ProducerRecord<>(in, "k" + n % 100, "v" + n)).runWith(Producer.plainSink(writes), system);
        RestartSettings again = RestartSettings.create(Duration.ofMillis(200), Duration.ofSeconds(2), 0.1);
        CommitterSettings commits = CommitterSettings.create(system).withMaxBatch(50);
        List<org.apache.pekko.kafka.javadsl.Consumer.Control> controls = new CopyOnWriteArrayList<>();
        Callable<org.apache.pekko.stream.KillSwitch> plain = () -> RestartSource.onFailuresWithBackoff(again, () ->
                org.apache.pekko.kafka.javadsl.Consumer.committableSource(reads, Subscriptions.topics(in))
                    .map(m -> ProducerMessage.single(new ProducerRecord<>(out, m.record().key(), m.record().value()), (ConsumerMessage.Committable) m.committableOffset()))
                    .via(Producer.flexiFlow(writes)).map(ProducerMessage.Results::passThrough).via(Committer.flow(commits)))
            .viaMat(org.apache.pekko.stream.KillSwitches.<Done>single(), Keep.right()).to(Sink.ignore()).run(system);
        Callable<org.apache.pekko.stream.KillSwitch> parts = () -> RestartSource.onFailuresWithBackoff(again, () ->
                org.apache.pekko.kafka.javadsl.Consumer.committablePartitionedSource(reads, Subscriptions.topics(in))
                    .flatMapMerge(16, pair -> pair.second()
                        .map(m -> ProducerMessage.single(new ProducerRecord<>(out, m.record().key(), m.record().value()), (ConsumerMessage.Committable) m.committableOffset()))
                        .via(Producer.flexiFlow(writes)).map(ProducerMessage.Results::passThrough)).via(Committer.flow(commits)))
            .viaMat(org.apache.pekko.stream.KillSwitches.<Done>single(), Keep.right()).to(Sink.ignore()).run(system);
        org.apache.pekko.stream.KillSwitch first = plain.call(), second = parts.call();
        for (int n = 0; n < 3; n++) {
            Thread.sleep(Math.max(2000, (long) records * pause / 4));
            second.shutdown();
            Thread.sleep(1000);
            second = parts.call();
        }
        written.toCompletableFuture().get(300, TimeUnit.SECONDS);
        Set<String> seen = new HashSet<>();
        long all = 0, until = System.currentTimeMillis() + 90_000;
        try (KafkaConsumer<String, String> check = new KafkaConsumer<>(Map.of("bootstrap.servers", servers, "auto.offset.reset", "earliest"), new StringDeserializer(), new StringDeserializer())) {
            List<TopicPartition> places = check.partitionsFor(out).stream().map(p -> new TopicPartition(out, p.partition())).toList();
            check.assign(places);
            check.seekToBeginning(places);
            while (seen.size() < records && System.currentTimeMillis() < until)
                for (ConsumerRecord<String, String> record : check.poll(Duration.ofMillis(500))) {
                    all++;
                    seen.add(record.value());
                }
        }
        first.shutdown();
        second.shutdown();
        system.terminate();
        if (seen.size() != records) throw new IllegalStateException("pekko: " + seen.size() + " of " + records + " came");
        System.out.println("pekko: " + records + " records copied by two members, one started again three times; " + (all - records) + " came again");
        System.exit(0);
    }
}
