import java.util.*;
import java.util.concurrent.*;
import java.util.concurrent.atomic.*;
import org.apache.kafka.clients.admin.*;
import org.apache.kafka.clients.producer.*;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * The load of `cargo xtask bench care`.
 *
 *   java -cp 'jars/*' Care.java BOOTSTRAP topic NAME PARTITIONS KEY=VALUE ..
 *   java -cp 'jars/*' Care.java BOOTSTRAP keys TOPIC RECORDS KEYS VALUE_BYTES     records under keys 0, 1, .. KEYS - 1, 0, 1, ..
 *   java -cp 'jars/*' Care.java BOOTSTRAP probe TOPIC RECORDS RATE BUSY           a steady producer; RATE records a second go to BUSY beside it
 *   java -cp 'jars/*' Care.java BOOTSTRAP most TOPIC RECORDS                  records of 1,000 bytes as fast as they go
 *
 * `most` prints how many records a second were acknowledged, `probe` how long answers to the steady producer took: `p50_ms p99_ms p999_ms`.
 */
public class Care {
    static Map<String, Object> properties(String bootstrap, Object... more) {
        Map<String, Object> p = new HashMap<>(Map.of("bootstrap.servers", bootstrap, "acks", "all"));
        for (int i = 0; i < more.length; i += 2) p.put((String) more[i], more[i + 1]);
        return p;
    }

    static KafkaProducer<byte[], byte[]> producer(String bootstrap, Object... more) {
        return new KafkaProducer<>(properties(bootstrap, more), new ByteArraySerializer(), new ByteArraySerializer());
    }

    static byte[] key(long n) { return java.nio.ByteBuffer.allocate(8).putLong(n).array(); }

    /** Random bytes don't compress, neither on the disk. */
    static byte[] value(int bytes) {
        byte[] value = new byte[bytes];
        new Random(bytes).nextBytes(value);
        return value;
    }

    static void topic(String bootstrap, String name, int partitions, String[] configs) throws Exception {
        Map<String, String> set = new HashMap<>();
        for (String config : configs) set.put(config.substring(0, config.indexOf('=')), config.substring(config.indexOf('=') + 1));
        try (Admin admin = Admin.create(properties(bootstrap))) {
            admin.createTopics(List.of(new NewTopic(name, partitions, (short) 1).configs(set))).all().get();
        }
    }

    static void keys(String bootstrap, String topic, long records, long keys, int bytes) {
        AtomicReference<Exception> wrong = new AtomicReference<>();
        byte[] value = value(bytes);
        try (KafkaProducer<byte[], byte[]> producer = producer(bootstrap, "linger.ms", 20, "batch.size", 500_000, "buffer.memory", 64L << 20)) {
            for (long n = 0; n < records && wrong.get() == null; n++)
                producer.send(new ProducerRecord<>(topic, key(n % keys), value), (m, e) -> { if (e != null) wrong.set(e); });
        }
        if (wrong.get() != null) throw new RuntimeException(wrong.get());
    }

    static void most(String bootstrap, String topic, int records) throws Exception {
        AtomicReference<Exception> wrong = new AtomicReference<>();
        byte[] value = value(1000);
        long began = 0;
        try (KafkaProducer<byte[], byte[]> producer = producer(bootstrap)) {
            // What comes first warms the machine up.
            for (int n = 0; n < records && wrong.get() == null; n++) {
                if (n == records / 5) began = System.nanoTime();
                producer.send(new ProducerRecord<>(topic, key(n), value), (m, e) -> { if (e != null) wrong.set(e); });
            }
        }
        if (wrong.get() != null) throw wrong.get();
        System.out.printf(Locale.ROOT, "%.0f%n", (records - records / 5) * 1e9 / (System.nanoTime() - began));
    }

    static void probe(String bootstrap, String topic, int records, int rate, String busy) throws Exception {
        AtomicBoolean done = new AtomicBoolean();
        Thread beside = new Thread(() -> {
            byte[] value = value(1000);
            try (KafkaProducer<byte[], byte[]> producer = producer(bootstrap, "linger.ms", 10)) {
                long began = System.nanoTime();
                for (long n = 0; !done.get(); n++) {
                    producer.send(new ProducerRecord<>(busy, key(n % 10_000), value));
                    long ahead = began + n * 1_000_000_000L / rate - System.nanoTime();
                    if (ahead > 1_000_000) Thread.sleep(ahead / 1_000_000);
                }
            } catch (InterruptedException e) { /* nobody does */ }
        });
        beside.start();
        double[] took = new double[records];
        AtomicInteger answered = new AtomicInteger(), failed = new AtomicInteger();
        byte[] value = value(1000);
        try (KafkaProducer<byte[], byte[]> producer = producer(bootstrap, "linger.ms", 0)) {
            producer.partitionsFor(topic);
            long began = System.nanoTime();
            for (int n = 0; n < records; n++) {
                // A thousand a second, whatever the answers do.
                long due = began + n * 1_000_000L;
                while (System.nanoTime() < due) java.util.concurrent.locks.LockSupport.parkNanos(100_000);
                producer.send(new ProducerRecord<>(topic, null, value), (m, e) -> {
                    if (e != null) failed.incrementAndGet();
                    else took[answered.getAndIncrement()] = (System.nanoTime() - due) / 1e6;
                });
            }
        }
        done.set(true);
        beside.join();
        if (failed.get() > 0) throw new Exception(failed + " records failed");
        // What comes first warms the machine up.
        double[] counted = Arrays.copyOfRange(took, records / 5, records);
        Arrays.sort(counted);
        System.out.printf(Locale.ROOT, "%.2f %.2f %.2f%n", counted[counted.length / 2], counted[counted.length * 99 / 100], counted[counted.length * 999 / 1000]);
    }

    public static void main(String[] args) throws Exception {
        switch (args[1]) {
            case "topic" -> topic(args[0], args[2], Integer.parseInt(args[3]), Arrays.copyOfRange(args, 4, args.length));
            case "keys" -> keys(args[0], args[2], Long.parseLong(args[3]), Long.parseLong(args[4]), Integer.parseInt(args[5]));
            case "most" -> most(args[0], args[2], Integer.parseInt(args[3]));
            case "probe" -> probe(args[0], args[2], Integer.parseInt(args[3]), Integer.parseInt(args[4]), args[5]);
            default -> throw new IllegalArgumentException(args[1]);
        }
    }
}
