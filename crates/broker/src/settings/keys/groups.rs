//! The keys that coordinators of groups obey, with Kafka's bounds and defaults.

use super::{Key, dynamic, row};
use meta::config::{Kind, Rule};

const fn ms(name: &'static str, default: &'static str, doc: &'static str) -> Key {
    row(name, Kind::Int, Some(default), Rule::AtLeast(1), doc)
}

pub(super) const KEYS: &[Key] = &[
    dynamic(
        "group.consumer.assignment.interval.ms",
        Kind::Int,
        Some("1000"),
        Rule::AtLeast(0),
        "Least time between two new assignments of a consumer group.",
    ),
    row(
        "group.consumer.assignors",
        Kind::List,
        Some("uniform,range"),
        Rule::OneOf(&["uniform", "range"]),
        "Assignors of consumer groups, the default first.",
    ),
    ms(
        "group.consumer.heartbeat.interval.ms",
        "5000",
        "How often members of consumer groups are to be heard.",
    ),
    row(
        "group.consumer.max.assignment.interval.ms",
        Kind::Int,
        Some("15000"),
        Rule::AtLeast(0),
        "Longest time between two new assignments that a consumer group may set for itself.",
    ),
    ms(
        "group.consumer.max.heartbeat.interval.ms",
        "15000",
        "Largest heartbeat interval that a consumer group may set for itself.",
    ),
    ms(
        "group.consumer.max.session.timeout.ms",
        "60000",
        "Largest session time-out that a consumer group may set for itself.",
    ),
    row(
        "group.consumer.max.size",
        Kind::Int,
        Some("2147483647"),
        Rule::AtLeast(1),
        "Members that a consumer group may have.",
    ),
    row(
        "group.consumer.migration.policy",
        Kind::Text,
        Some("bidirectional"),
        Rule::OneOf(&["disabled", "downgrade", "upgrade", "bidirectional"]),
        "Which way a group may change between the classic and the consumer protocol.",
    ),
    row(
        "group.consumer.min.assignment.interval.ms",
        Kind::Int,
        Some("0"),
        Rule::AtLeast(0),
        "Shortest time between two new assignments that a consumer group may set for itself.",
    ),
    ms(
        "group.consumer.min.heartbeat.interval.ms",
        "5000",
        "Smallest heartbeat interval that a consumer group may set for itself.",
    ),
    ms(
        "group.consumer.min.session.timeout.ms",
        "45000",
        "Smallest session time-out that a consumer group may set for itself.",
    ),
    row(
        "group.consumer.regex.refresh.interval.ms",
        Kind::Int,
        Some("600000"),
        Rule::AtLeast(10_000),
        "How often regular expressions of consumer groups are matched with new topics.",
    ),
    ms(
        "group.consumer.session.timeout.ms",
        "45000",
        "Members of consumer groups that are silent for this long are out.",
    ),
    row(
        "group.initial.rebalance.delay.ms",
        Kind::Int,
        Some("3000"),
        Rule::AtLeast(0),
        "How long an empty group waits for more members before it begins; 60 ms at least, so that those who start together come together.",
    ),
    ms(
        "group.max.session.timeout.ms",
        "1800000",
        "Largest session time-out that a classic member may ask for.",
    ),
    row(
        "group.max.size",
        Kind::Int,
        Some("2147483647"),
        Rule::AtLeast(1),
        "Members that a classic group may have.",
    ),
    ms(
        "group.min.session.timeout.ms",
        "6000",
        "Smallest session time-out that a classic member may ask for.",
    ),
    row(
        "offset.metadata.max.bytes",
        Kind::Int,
        Some("4096"),
        Rule::AtLeast(0),
        "Longest text beside a committed offset.",
    ),
    ms(
        "offsets.commit.timeout.ms",
        "5000",
        "How long a coordinator waits for copies of what it decided.",
    ),
    row(
        "offsets.retention.check.interval.ms",
        Kind::Long,
        Some("600000"),
        Rule::AtLeast(1),
        "How often old offsets are looked for.",
    ),
    row(
        "offsets.retention.minutes",
        Kind::Int,
        Some("10080"),
        Rule::AtLeast(1),
        "How long the offsets of a group without members are kept.",
    ),
    row(
        "offsets.topic.num.partitions",
        Kind::Int,
        Some("50"),
        Rule::Between(1, base::limits::PARTITIONS_PER_TOPIC_MAX as i64),
        "Partitions of __consumer_offsets; read when the topic is made.",
    ),
    row(
        "offsets.topic.replication.factor",
        Kind::Int,
        Some("3"),
        Rule::Between(1, i16::MAX as i64),
        "Replicas of __consumer_offsets; unless given, no more than there are nodes.",
    ),
    row(
        "offsets.topic.segment.bytes",
        Kind::Int,
        Some("104857600"),
        Rule::AtLeast(1024 * 1024),
        "Size of segments of __consumer_offsets.",
    ),
];
