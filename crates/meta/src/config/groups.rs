//! What a group may have configured for itself: Kafka's keys, with the node key that says what
//! holds for all other groups. That a value lies within the node's bounds is the broker's to say.

use super::{Key, Kind, Rule, row};
use std::collections::BTreeMap;

/// Keys of groups, sorted by name.
pub const KEYS: &[Key] = &[
    row(
        "consumer.assignment.interval.ms",
        Kind::Int,
        "1000",
        Rule::AtLeast(0),
        "group.consumer.assignment.interval.ms",
        "Shortest time between two assignments of a consumer group.",
    ),
    row(
        "consumer.heartbeat.interval.ms",
        Kind::Int,
        "5000",
        Rule::AtLeast(1),
        "group.consumer.heartbeat.interval.ms",
        "How often members of a consumer group are to report.",
    ),
    row(
        "consumer.session.timeout.ms",
        Kind::Int,
        "45000",
        Rule::AtLeast(1),
        "group.consumer.session.timeout.ms",
        "A member of a consumer group that is silent for this long is gone.",
    ),
    row(
        "share.assignment.interval.ms",
        Kind::Int,
        "1000",
        Rule::AtLeast(0),
        "group.share.assignment.interval.ms",
        "Accepted for compatibility: there are no share groups yet.",
    ),
    row(
        "share.auto.offset.reset",
        Kind::Text,
        "latest",
        Rule::Any,
        "",
        "Accepted for compatibility: there are no share groups yet.",
    ),
    row(
        "share.delivery.count.limit",
        Kind::Int,
        "5",
        Rule::AtLeast(2),
        "group.share.delivery.count.limit",
        "Accepted for compatibility: there are no share groups yet.",
    ),
    row(
        "share.heartbeat.interval.ms",
        Kind::Int,
        "5000",
        Rule::AtLeast(1),
        "group.share.heartbeat.interval.ms",
        "Accepted for compatibility: there are no share groups yet.",
    ),
    row(
        "share.isolation.level",
        Kind::Text,
        "read_uncommitted",
        Rule::OneOf(&["read_committed", "read_uncommitted"]),
        "",
        "Accepted for compatibility: there are no share groups yet.",
    ),
    row(
        "share.partition.max.record.locks",
        Kind::Int,
        "2000",
        Rule::AtLeast(100),
        "group.share.partition.max.record.locks",
        "Accepted for compatibility: there are no share groups yet.",
    ),
    row(
        "share.record.lock.duration.ms",
        Kind::Int,
        "30000",
        Rule::AtLeast(1000),
        "group.share.record.lock.duration.ms",
        "Accepted for compatibility: there are no share groups yet.",
    ),
    row(
        "share.renew.acknowledge.enable",
        Kind::Boolean,
        "true",
        Rule::Any,
        "",
        "Accepted for compatibility: there are no share groups yet.",
    ),
    row(
        "share.session.timeout.ms",
        Kind::Int,
        "45000",
        Rule::AtLeast(1),
        "group.share.session.timeout.ms",
        "Accepted for compatibility: there are no share groups yet.",
    ),
    row(
        "streams.assignment.interval.ms",
        Kind::Int,
        "1000",
        Rule::AtLeast(0),
        "group.streams.assignment.interval.ms",
        "Accepted for compatibility: there are no streams groups yet.",
    ),
    row(
        "streams.heartbeat.interval.ms",
        Kind::Int,
        "5000",
        Rule::AtLeast(1),
        "group.streams.heartbeat.interval.ms",
        "Accepted for compatibility: there are no streams groups yet.",
    ),
    row(
        "streams.initial.rebalance.delay.ms",
        Kind::Int,
        "3000",
        Rule::AtLeast(0),
        "group.streams.initial.rebalance.delay.ms",
        "Accepted for compatibility: there are no streams groups yet.",
    ),
    row(
        "streams.num.standby.replicas",
        Kind::Int,
        "0",
        Rule::AtLeast(0),
        "group.streams.num.standby.replicas",
        "Accepted for compatibility: there are no streams groups yet.",
    ),
    row(
        "streams.session.timeout.ms",
        Kind::Int,
        "45000",
        Rule::AtLeast(1),
        "group.streams.session.timeout.ms",
        "Accepted for compatibility: there are no streams groups yet.",
    ),
];

/// Checks a group's configuration.
pub fn validate(configs: &BTreeMap<String, String>) -> Result<(), String> {
    for (name, value) in configs {
        match KEYS.iter().find(|key| key.name == name) {
            Some(key) => key.check(value)?,
            None => return Err(format!("Unknown group config name: {name}")),
        }
    }
    Ok(())
}
