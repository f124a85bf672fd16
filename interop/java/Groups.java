// Consumer groups of the stock Java client against a running node that has the topic written by
// RoundTrip: in each way of sharing, two members share its partitions, one leaves, the other has
// all of them, and what was committed is there afterwards. Arguments: bootstrap address, topic,
// records with each compression.

import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.BooleanSupplier;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.GroupState;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.StringDeserializer;

public class Groups {
    static final int PARTITIONS = 3;
    static final Map<String, Map<String, Object>> WAYS = Map.of(
        "eager", Map.of("partition.assignment.strategy", "org.apache.kafka.clients.consumer.RangeAssignor"),
        "cooperative", Map.of("partition.assignment.strategy", "org.apache.kafka.clients.consumer.CooperativeStickyAssignor"),
        "consumer", Map.of("group.protocol", "consumer"),
        "consumer-range", Map.of("group.protocol", "consumer", "group.remote.assignor", "range"));

    static String bootstrap, topic;
    static int expected;

    public static void main(String[] args) throws Exception {
        bootstrap = args[0];
        topic = args[1];
        expected = Integer.parseInt(args[2]) * 5;
        for (String way : WAYS.keySet()) {
            share(way);
            keepPlace(way);
        }
        System.out.println("java: groups in " + WAYS.size() + " ways, each with and without static members");
    }

    static void check(boolean holds, String what) {
        if (!holds) throw new AssertionError(what);
    }

    static class Member implements ConsumerRebalanceListener {
        final KafkaConsumer<String, String> consumer;
        final Set<String> seen;
        int revoked, assigned;

        Member(String group, String way, String instance, Set<String> seen) {
            Map<String, Object> config = new HashMap<>(WAYS.get(way));
            config.put("bootstrap.servers", bootstrap);
            config.put("group.id", group);
            config.put("auto.offset.reset", "earliest");
            config.put("enable.auto.commit", "false");
            if (!way.startsWith("consumer")) config.put("heartbeat.interval.ms", "500");
            if (instance != null) config.put("group.instance.id", instance);
            this.consumer = new KafkaConsumer<>(config, new StringDeserializer(), new StringDeserializer());
            this.seen = seen;
            consumer.subscribe(List.of(topic), this);
        }

        public void onPartitionsRevoked(Collection<TopicPartition> partitions) {
            if (!partitions.isEmpty()) revoked++;
            consumer.commitSync();
        }

        public void onPartitionsAssigned(Collection<TopicPartition> partitions) {
            assigned++;
        }

        void poll() {
            for (ConsumerRecord<String, String> r : consumer.poll(Duration.ofMillis(100))) {
                seen.add(r.partition() + "/" + r.offset());
            }
        }

        Set<TopicPartition> parts() {
            return consumer.assignment();
        }
    }

    static void until(String what, BooleanSupplier done, Member... members) {
        long end = System.nanoTime() + Duration.ofSeconds(60).toNanos();
        while (!done.getAsBoolean()) {
            check(System.nanoTime() < end, "not in time: " + what);
            for (Member member : members) member.poll();
        }
    }

    static boolean shared(Member a, Member b) {
        Set<TopicPartition> all = new HashSet<>(a.parts());
        all.addAll(b.parts());
        return !a.parts().isEmpty() && !b.parts().isEmpty() && all.size() == PARTITIONS
            && a.parts().size() + b.parts().size() == PARTITIONS;
    }

    static void share(String way) throws Exception {
        String group = topic + "-" + way;
        Set<String> seen = new HashSet<>();
        Member a = new Member(group, way, null, seen);
        until(way + ": the first member has all", () -> a.parts().size() == PARTITIONS, a);
        Member b = new Member(group, way, null, seen);
        until(way + ": two members share", () -> shared(a, b), a, b);
        until(way + ": everything is read", () -> seen.size() == expected, a, b);
        a.consumer.commitSync();
        b.consumer.commitSync();
        try (Admin admin = Admin.create(Map.of("bootstrap.servers", bootstrap))) {
            var described = admin.describeConsumerGroups(List.of(group)).describedGroups().get(group).get();
            check(described.members().size() == 2 && described.groupState() == GroupState.STABLE, "described as " + described);
            a.consumer.close();
            until(way + ": who stays has all", () -> b.parts().size() == PARTITIONS, b);
            b.consumer.close();
            var offsets = admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata().get();
            long total = offsets.values().stream().mapToLong(OffsetAndMetadata::offset).sum();
            check(total == expected, way + ": " + total + " records are committed, not " + expected);
            // Who comes later goes on behind what was committed.
            Member late = new Member(group, way, null, new HashSet<>());
            until(way + ": a later member has all", () -> late.parts().size() == PARTITIONS, late);
            for (TopicPartition part : late.parts()) {
                check(late.consumer.position(part) == offsets.get(part).offset(), way + ": " + part + " goes on elsewhere");
            }
            late.consumer.close();
            admin.deleteConsumerGroups(List.of(group)).all().get();
            check(admin.listGroups().all().get().stream().noneMatch(g -> g.groupId().equals(group)), group + " is still listed");
        }
    }

    /** A static member that comes again within its session has what it had, and nobody is bothered. */
    static void keepPlace(String way) throws Exception {
        String group = topic + "-" + way + "-static";
        Member a = new Member(group, way, "one", new HashSet<>());
        Member b = new Member(group, way, "two", new HashSet<>());
        until(way + ": static members share", () -> shared(a, b), a, b);
        Set<TopicPartition> before = new HashSet<>(a.parts());
        int revoked = b.revoked;
        a.consumer.close();
        Member again = new Member(group, way, "one", new HashSet<>());
        until(way + ": it has what it had", () -> again.parts().equals(before), again, b);
        check(b.revoked == revoked, way + ": the other member was rebalanced");
        again.consumer.close();
        b.consumer.close();
        try (Admin admin = Admin.create(Map.of("bootstrap.servers", bootstrap))) {
            var left = new org.apache.kafka.clients.admin.RemoveMembersFromConsumerGroupOptions();
            if (!way.startsWith("consumer")) {
                admin.removeMembersFromConsumerGroup(group, left).all().get();
                admin.deleteConsumerGroups(List.of(group)).all().get();
            }
        }
    }
}
