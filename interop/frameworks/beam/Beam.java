import java.util.*;
import org.apache.beam.sdk.Pipeline;
import org.apache.beam.sdk.io.kafka.KafkaIO;
import org.apache.beam.sdk.options.PipelineOptionsFactory;
import org.apache.beam.sdk.transforms.*;
import org.apache.beam.sdk.values.*;
import org.apache.kafka.clients.consumer.*;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.*;
import org.apache.beam.sdk.io.GenerateSequence;
import org.joda.time.Instant;

/**
 * Apache Beam's KafkaIO on the direct runner: a sequence at a pace into a topic, from there with offsets committed when a bundle is done
 * into another one; what is there at the end is read by a bounded pipeline and counted.
 */
public class Beam {
    static long count(String servers, String topic, Set<String> seen) {
        long all = 0;
        Map<String, Object> settings = Map.of("bootstrap.servers", servers, "auto.offset.reset", "earliest");
        try (KafkaConsumer<String, String> check = new KafkaConsumer<>(settings, new StringDeserializer(), new StringDeserializer())) {
            List<TopicPartition> places = check.partitionsFor(topic).stream().map(p -> new TopicPartition(topic, p.partition())).toList();
            Map<TopicPartition, Long> ends = check.endOffsets(places);
            check.assign(places);
            check.seekToBeginning(places);
            while (places.stream().anyMatch(p -> check.position(p) < ends.get(p)))
                for (ConsumerRecord<String, String> record : check.poll(java.time.Duration.ofMillis(500))) {
                    all++;
                    seen.add(record.value());
                }
        }
        return all;
    }

    public static void main(String[] args) throws Exception {
        String servers = args[0], run = ProcessHandle.current().pid() + "-" + System.currentTimeMillis();
        int records = args.length > 1 ? Integer.parseInt(args[1]) : 2_000, pause = args.length > 2 ? Integer.parseInt(args[2]) : 2;
        String in = "beam-in-" + run, out = "beam-out-" + run;
        Pipeline write = Pipeline.create(PipelineOptionsFactory.create());
        write.apply(GenerateSequence.from(0).to(records).withRate(1, org.joda.time.Duration.millis(pause)))
            .apply(MapElements.into(TypeDescriptors.kvs(TypeDescriptors.strings(), TypeDescriptors.strings())).via(n -> KV.of("k" + n % 50, "v" + n)))
            .apply(KafkaIO.<String, String>write().withBootstrapServers(servers).withTopic(in).withKeySerializer(StringSerializer.class).withValueSerializer(StringSerializer.class));
        write.run().waitUntilFinish();
        Pipeline copy = Pipeline.create(PipelineOptionsFactory.fromArgs("--blockOnRun=false").create());
        copy.apply(KafkaIO.<String, String>read().withBootstrapServers(servers).withTopic(in).withKeyDeserializer(StringDeserializer.class).withValueDeserializer(StringDeserializer.class)
                .withConsumerConfigUpdates(Map.of("auto.offset.reset", "earliest", "group.id", "beam-" + run)).commitOffsetsInFinalize().withoutMetadata())
            .apply(KafkaIO.<String, String>write().withBootstrapServers(servers).withTopic(out).withKeySerializer(StringSerializer.class).withValueSerializer(StringSerializer.class));
        var going = copy.run();
        Set<String> seen = new HashSet<>();
        long all = 0, until = System.currentTimeMillis() + 120_000;
        while (seen.size() < records && System.currentTimeMillis() < until) {
            Thread.sleep(2000);
            try {
                seen.clear();
                all = count(servers, out, seen);
            } catch (org.apache.kafka.common.KafkaException e) { /* again */ }
        }
        going.cancel();
        if (seen.size() != records) throw new IllegalStateException("beam: " + seen.size() + " of " + records + " came");
        System.out.println("beam: " + records + " records through two topics; " + (all - records) + " came again");
        System.exit(0);
    }
}
