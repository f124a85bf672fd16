import java.time.Duration;
import java.util.*;
import java.util.concurrent.*;
import java.util.stream.*;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.*;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.*;
import org.springframework.context.annotation.*;
import org.springframework.kafka.annotation.*;
import org.springframework.kafka.config.*;
import org.springframework.kafka.core.*;
import org.springframework.kafka.listener.*;
import org.springframework.kafka.requestreply.*;
import org.springframework.kafka.support.Acknowledgment;
import org.springframework.messaging.handler.annotation.SendTo;
import org.springframework.scheduling.TaskScheduler;
import org.springframework.scheduling.concurrent.ThreadPoolTaskScheduler;
import org.springframework.util.backoff.FixedBackOff;

/**
 * Spring Kafka over a cluster: topics by KafkaAdmin, a listener container with three threads, a batch listener that acknowledges by
 * hand, retry topics and their dead letters, a dead letter recoverer, requests with replies, a listener from a given offset, one by
 * KIP-848; and a transactional template, which is refused as not supported where transactions aren't served.
 *
 *   java -cp 'jars/*' Spring.java BOOTSTRAP
 */
public class Spring {
    static final int RECORDS = 1000;
    static String bootstrap;
    static final String RUN = ProcessHandle.current().pid() + "-" + System.currentTimeMillis() % 100000;
    static final Set<String> plain = ConcurrentHashMap.newKeySet(), batched = ConcurrentHashMap.newKeySet(), late = ConcurrentHashMap.newKeySet(), newer = ConcurrentHashMap.newKeySet();
    static final Queue<String> tried = new ConcurrentLinkedQueue<>(), dead = new ConcurrentLinkedQueue<>(), letters = new ConcurrentLinkedQueue<>();

    @Configuration
    @EnableKafka
    @EnableKafkaRetryTopic
    public static class Config {
        Map<String, Object> consumer(Object... more) {
            Map<String, Object> p = new HashMap<>(Map.of("bootstrap.servers", bootstrap, "key.deserializer", StringDeserializer.class, "value.deserializer", StringDeserializer.class, "auto.offset.reset", "earliest"));
            for (int i = 0; i < more.length; i += 2) p.put((String) more[i], more[i + 1]);
            return p;
        }

        static Map<String, Object> producer() {
            return new HashMap<>(Map.of("bootstrap.servers", bootstrap, "key.serializer", StringSerializer.class, "value.serializer", StringSerializer.class));
        }

        ConcurrentKafkaListenerContainerFactory<String, String> factory(Map<String, Object> consumer) {
            var factory = new ConcurrentKafkaListenerContainerFactory<String, String>();
            factory.setConsumerFactory(new DefaultKafkaConsumerFactory<>(consumer));
            return factory;
        }

        @Bean TaskScheduler scheduler() { return new ThreadPoolTaskScheduler(); }
        @Bean KafkaAdmin kafkaAdmin() { return new KafkaAdmin(Map.of("bootstrap.servers", bootstrap)); }
        @Bean KafkaAdmin.NewTopics topics() {
            return new KafkaAdmin.NewTopics(Stream.of("plain", "batch", "retry", "poison", "poison-dlt", "ask", "answer")
                .map(name -> TopicBuilder.name(name + RUN).partitions(6).build()).toArray(NewTopic[]::new));
        }
        @Bean ProducerFactory<String, String> producerFactory() { return new DefaultKafkaProducerFactory<>(producer()); }
        @Bean @Primary KafkaTemplate<String, String> defaultRetryTopicKafkaTemplate(ProducerFactory<String, String> factory) { return new KafkaTemplate<>(factory); }

        @Bean ConcurrentKafkaListenerContainerFactory<String, String> kafkaListenerContainerFactory(KafkaTemplate<String, String> template) {
            var factory = factory(consumer());
            factory.setConcurrency(3);
            factory.setReplyTemplate(template);
            return factory;
        }
        @Bean ConcurrentKafkaListenerContainerFactory<String, String> batchFactory() {
            var factory = factory(consumer("partition.assignment.strategy", CooperativeStickyAssignor.class.getName()));
            factory.setBatchListener(true);
            factory.getContainerProperties().setAckMode(ContainerProperties.AckMode.MANUAL);
            return factory;
        }
        @Bean ConcurrentKafkaListenerContainerFactory<String, String> newFactory() {
            return factory(consumer("group.protocol", "consumer"));
        }
        @Bean ConcurrentKafkaListenerContainerFactory<String, String> lettersFactory(KafkaTemplate<String, String> template) {
            var factory = factory(consumer());
            factory.setCommonErrorHandler(new DefaultErrorHandler(new DeadLetterPublishingRecoverer(template), new FixedBackOff(50, 2)));
            return factory;
        }
        @Bean ReplyingKafkaTemplate<String, String, String> asking(ProducerFactory<String, String> factory) {
            var properties = new ContainerProperties("answer" + RUN);
            properties.setGroupId("asking" + RUN);
            return new ReplyingKafkaTemplate<>(factory, new KafkaMessageListenerContainer<>(new DefaultKafkaConsumerFactory<>(consumer()), properties));
        }
        @Bean Listeners listeners() { return new Listeners(); }
        @Bean String run() { return RUN; }
    }

    public static class Listeners {
        @KafkaListener(id = "plain", groupId = "plain#{run}", topics = "plain#{run}")
        void plain(String value) { plain.add(value); }

        @KafkaListener(id = "newer", groupId = "newer#{run}", topics = "plain#{run}", containerFactory = "newFactory")
        void newer(String value) { newer.add(value); }

        @KafkaListener(id = "batch", groupId = "batch#{run}", topics = "batch#{run}", containerFactory = "batchFactory")
        void batch(List<String> values, Acknowledgment done) {
            batched.addAll(values);
            done.acknowledge();
        }

        @KafkaListener(id = "late", groupId = "late#{run}", topicPartitions = @org.springframework.kafka.annotation.TopicPartition(topic = "plain#{run}",
            partitionOffsets = @PartitionOffset(partition = "0", initialOffset = "-5", relativeToCurrent = "false")))
        void late(ConsumerRecord<String, String> record) { late.add(record.partition() + " " + record.offset()); }

        @RetryableTopic(attempts = "3", backOff = @BackOff(delay = 300), numPartitions = "2", replicationFactor = "-1")
        @KafkaListener(id = "retry", groupId = "retry#{run}", topics = "retry#{run}")
        void retry(String value) {
            tried.add(value);
            if (value.startsWith("bad")) throw new IllegalStateException("as it is meant");
        }

        @DltHandler
        void dead(String value) { dead.add(value); }

        @KafkaListener(id = "poison", groupId = "poison#{run}", topics = "poison#{run}", containerFactory = "lettersFactory")
        void poison(String value) { if (value.startsWith("bad")) throw new IllegalStateException("as it is meant"); }

        @KafkaListener(id = "letters", groupId = "letters#{run}", topics = "poison#{run}-dlt")
        void letters(ConsumerRecord<String, String> record) {
            letters.add(record.value() + " from " + new String(record.headers().lastHeader("kafka_dlt-original-topic").value()));
        }

        @KafkaListener(id = "ask", groupId = "ask#{run}", topics = "ask#{run}")
        @SendTo
        String ask(String question) { return "re: " + question; }
    }

    interface Check { boolean holds() throws Exception; }

    static void wait(String what, Check check) throws Exception {
        for (long end = System.nanoTime() + Duration.ofSeconds(60).toNanos(); !check.holds(); Thread.sleep(50))
            if (System.nanoTime() > end) throw new Exception("waited in vain: " + what);
        System.out.println("spring: " + what);
    }

    public static void main(String[] args) throws Exception {
        bootstrap = args[0];
        try (var context = new AnnotationConfigApplicationContext(Config.class)) {
            @SuppressWarnings("unchecked") KafkaTemplate<String, String> template = (KafkaTemplate<String, String>) context.getBean("defaultRetryTopicKafkaTemplate");
            for (int i = 0; i < RECORDS; i++) {
                template.send("plain" + RUN, "k" + i, "v" + i);
                template.send("batch" + RUN, "k" + i, "v" + i);
            }
            template.flush();
            wait("a container with three threads got all", () -> plain.size() == RECORDS);
            wait("a batch listener got all", () -> batched.size() == RECORDS);
            wait("a listener by KIP-848 got all", () -> newer.size() == RECORDS);
            wait("a listener began five before the end", () -> late.size() == 5 || late.size() > 5 && late.stream().allMatch(l -> l.startsWith("0 ")));
            template.send("retry" + RUN, "good");
            template.send("retry" + RUN, "bad one").get();
            wait("what failed was tried again and is a dead letter", () -> dead.contains("bad one") && Collections.frequency(tried, "bad one") == 3 && Collections.frequency(tried, "good") == 1);
            template.send("poison" + RUN, 3, "k", "bad two").get();
            wait("a recoverer published what failed", () -> letters.contains("bad two from poison" + RUN));
            ReplyingKafkaTemplate<String, String, String> asking = context.getBean("asking", ReplyingKafkaTemplate.class);
            asking.waitForAssignment(Duration.ofSeconds(30));
            String reply = asking.sendAndReceive(new ProducerRecord<>("ask" + RUN, "who?"), Duration.ofSeconds(30)).get().value();
            if (!reply.equals("re: who?")) throw new Exception("the reply is " + reply);
            System.out.println("spring: a question was answered");
            wait("what was acknowledged by hand is committed", () -> committed(context.getBean(KafkaAdmin.class), "batch" + RUN) == RECORDS);
        }
        var producer = Config.producer();
        producer.put("max.block.ms", 20_000);
        var factory = new DefaultKafkaProducerFactory<String, String>(producer);
        factory.setTransactionIdPrefix("tx" + RUN);
        try {
            new KafkaTemplate<>(factory).executeInTransaction(t -> t.send("plain" + RUN, "in a transaction"));
            System.out.println("spring: a transaction was committed");
        } catch (RuntimeException e) {
            Throwable cause = e;
            while (cause.getCause() != null) cause = cause.getCause();
            if (!String.valueOf(cause.getMessage()).contains("The version of API is not supported")) throw e;
            System.out.println("spring: transactions are refused as not supported: " + cause.getMessage());
        }
        factory.destroy();
        System.out.println("spring: ok");
        System.exit(0);
    }

    static long committed(KafkaAdmin admin, String group) throws Exception {
        try (var client = org.apache.kafka.clients.admin.Admin.create(admin.getConfigurationProperties())) {
            return client.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata().get().values().stream().filter(Objects::nonNull).mapToLong(OffsetAndMetadata::offset).sum();
        }
    }
}
