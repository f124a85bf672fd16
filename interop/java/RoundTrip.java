// The stock Java client against a running node: create a topic, write with every compression,
// read everything back and compare. Arguments: bootstrap address, topic, records.

import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Future;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

public class RoundTrip {
    static final String[] COMPRESSIONS = {"none", "gzip", "snappy", "lz4", "zstd"};
    static final int PARTITIONS = 3;

    public static void main(String[] args) throws Exception {
        String bootstrap = args[0], topic = args[1];
        int records = Integer.parseInt(args[2]);
        create(bootstrap, topic);
        Map<String, String> written = write(bootstrap, topic, records);
        Map<String, String> read = read(bootstrap, topic, written.size());
        if (!read.equals(written)) {
            throw new AssertionError("what was read differs from what was written");
        }
        System.out.println("java: " + written.size() + " records there and back");
    }

    static void create(String bootstrap, String topic) throws Exception {
        try (Admin admin = Admin.create(Map.of("bootstrap.servers", bootstrap))) {
            admin.createTopics(List.of(new NewTopic(topic, PARTITIONS, (short) -1))).all().get();
            if (!admin.listTopics().names().get().contains(topic)) {
                throw new AssertionError("the topic that was created isn't listed");
            }
            int nodes = admin.describeCluster().nodes().get().size();
            if (nodes < 1) {
                throw new AssertionError("the cluster has no node");
            }
        }
    }

    /** Gives "partition/offset" to "key=value/header". */
    static Map<String, String> write(String bootstrap, String topic, int records) throws Exception {
        Map<String, String> written = new HashMap<>();
        for (String compression : COMPRESSIONS) {
            Map<String, Object> config = new HashMap<>();
            config.put("bootstrap.servers", bootstrap);
            config.put("compression.type", compression);
            config.put("acks", "all");
            config.put("enable.idempotence", "true");
            try (var producer = new KafkaProducer<>(config, new StringSerializer(), new StringSerializer())) {
                List<Future<RecordMetadata>> futures = new ArrayList<>();
                List<String> sent = new ArrayList<>();
                for (int i = 0; i < records; i++) {
                    var record = new ProducerRecord<>(topic, "key-" + i, compression + "-" + i);
                    record.headers().add("from", "java".getBytes(StandardCharsets.UTF_8));
                    futures.add(producer.send(record));
                    sent.add(record.key() + "=" + record.value() + "/java");
                }
                for (int i = 0; i < records; i++) {
                    RecordMetadata place = futures.get(i).get();
                    written.put(place.partition() + "/" + place.offset(), sent.get(i));
                }
            }
        }
        return written;
    }

    static Map<String, String> read(String bootstrap, String topic, int expected) {
        Map<String, Object> config = new HashMap<>();
        config.put("bootstrap.servers", bootstrap);
        config.put("enable.auto.commit", "false");
        config.put("auto.offset.reset", "earliest");
        Map<String, String> read = new HashMap<>();
        try (var consumer = new KafkaConsumer<>(config, new StringDeserializer(), new StringDeserializer())) {
            List<TopicPartition> partitions = new ArrayList<>();
            for (int p = 0; p < PARTITIONS; p++) {
                partitions.add(new TopicPartition(topic, p));
            }
            consumer.assign(partitions);
            consumer.seekToBeginning(partitions);
            long end = System.nanoTime() + Duration.ofSeconds(30).toNanos();
            while (read.size() < expected && System.nanoTime() < end) {
                for (ConsumerRecord<String, String> r : consumer.poll(Duration.ofMillis(200))) {
                    String header = new String(r.headers().lastHeader("from").value(), StandardCharsets.UTF_8);
                    read.put(r.partition() + "/" + r.offset(), r.key() + "=" + r.value() + "/" + header);
                }
            }
            long total = consumer.endOffsets(partitions).values().stream().mapToLong(Long::longValue).sum();
            if (total != expected) {
                throw new AssertionError("the end offsets add up to " + total + ", not " + expected);
            }
        }
        return read;
    }
}
