//! What a topic's configuration comes to, parsed once when the topic becomes known, so that the
//! hot path reads plain fields.

use crate::config;
use base::limits;
use std::collections::BTreeMap;

/// When a copy counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// Once it is on disk.
    Disk,
    /// Once it is in memory.
    Memory,
}

/// How batches are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// As they came.
    Producer,
    /// Plain.
    Uncompressed,
    /// gzip.
    Gzip,
    /// Snappy.
    Snappy,
    /// LZ4.
    Lz4,
    /// Zstandard.
    Zstd,
}

/// What happens to old segments. Both may hold, and neither: then all is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cleanup {
    /// They go by age and size.
    pub delete: bool,
    /// They are compacted by key.
    pub compact: bool,
}

/// A topic's configuration, parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicSettings {
    /// `min.insync.replicas`.
    pub min_insync_replicas: u32,
    /// `segment.bytes`.
    pub segment_bytes: u32,
    /// `max.message.bytes`.
    pub max_message_bytes: u32,
    /// `message.timestamp.type` is LogAppendTime.
    pub log_append_time: bool,
    /// `message.timestamp.before.max.ms`.
    pub timestamp_before_max_ms: i64,
    /// `message.timestamp.after.max.ms`.
    pub timestamp_after_max_ms: i64,
    /// `durability`.
    pub durability: Durability,
    /// `compression.type`.
    pub compression: Compression,
    /// The level of that compression, for those that have levels.
    pub compression_level: i32,
    /// `cleanup.policy`.
    pub cleanup: Cleanup,
    /// `retention.ms`; -1: no bound.
    pub retention_ms: i64,
    /// `retention.bytes`; negative: no bound.
    pub retention_bytes: i64,
    /// `segment.ms`.
    pub segment_ms: i64,
    /// `min.cleanable.dirty.ratio`, in millionths.
    pub min_dirty_millionths: u32,
    /// `min.compaction.lag.ms`.
    pub min_compaction_lag_ms: i64,
    /// `max.compaction.lag.ms`.
    pub max_compaction_lag_ms: i64,
    /// `delete.retention.ms`.
    pub delete_retention_ms: i64,
    /// `unclean.leader.election.enable`.
    pub unclean_election: bool,
}

impl Default for TopicSettings {
    fn default() -> TopicSettings {
        TopicSettings::parse(&BTreeMap::new(), &BTreeMap::new())
    }
}

impl TopicSettings {
    /// Reads a topic's configuration over a node's defaults (by topic key). Total, because replay
    /// is: what doesn't parse (refused where it was set) leaves the table's default in force.
    pub fn parse(
        configs: &BTreeMap<String, String>,
        defaults: &BTreeMap<String, String>,
    ) -> TopicSettings {
        let values = Values { configs, defaults };
        let segment_bytes = match values.text("internal.segment.bytes") {
            "" => values.count("segment.bytes"),
            _ => values.count("internal.segment.bytes"),
        };
        let compression = compression(values.text("compression.type"));
        TopicSettings {
            min_insync_replicas: values.count("min.insync.replicas"),
            segment_bytes,
            max_message_bytes: values
                .count("max.message.bytes")
                .min(limits::BATCH_BYTES_MAX),
            log_append_time: values.text("message.timestamp.type") == "LogAppendTime",
            timestamp_before_max_ms: values.number("message.timestamp.before.max.ms"),
            timestamp_after_max_ms: values.number("message.timestamp.after.max.ms"),
            durability: match values.text("durability") {
                "memory" => Durability::Memory,
                _ => Durability::Disk,
            },
            compression,
            compression_level: match compression {
                Compression::Gzip => values.level("compression.gzip.level"),
                Compression::Lz4 => values.level("compression.lz4.level"),
                _ => values.level("compression.zstd.level"),
            },
            cleanup: cleanup(values.text("cleanup.policy")),
            retention_ms: values.number("retention.ms"),
            retention_bytes: values.number("retention.bytes"),
            segment_ms: values.number("segment.ms"),
            min_dirty_millionths: values.millionths("min.cleanable.dirty.ratio"),
            min_compaction_lag_ms: values.number("min.compaction.lag.ms"),
            max_compaction_lag_ms: values.number("max.compaction.lag.ms"),
            delete_retention_ms: values.number("delete.retention.ms"),
            unclean_election: values
                .text("unclean.leader.election.enable")
                .eq_ignore_ascii_case("true"),
        }
    }
}

fn compression(name: &str) -> Compression {
    match name {
        "uncompressed" => Compression::Uncompressed,
        "gzip" => Compression::Gzip,
        "snappy" => Compression::Snappy,
        "lz4" => Compression::Lz4,
        "zstd" => Compression::Zstd,
        _ => Compression::Producer,
    }
}

fn cleanup(policy: &str) -> Cleanup {
    let has = |name: &str| policy.split(',').any(|item| item.trim() == name);
    Cleanup {
        delete: has("delete"),
        compact: has("compact"),
    }
}

struct Values<'a> {
    configs: &'a BTreeMap<String, String>,
    defaults: &'a BTreeMap<String, String>,
}

impl<'a> Values<'a> {
    /// The first of topic, node and table that holds a valid value; empty for null.
    fn text(&self, name: &str) -> &'a str {
        let key = config::key(name).expect("a setting is read from a key of the table");
        [self.configs.get(name), self.defaults.get(name)]
            .into_iter()
            .flatten()
            .map(|value| value.trim())
            .find(|value| key.check(value).is_ok())
            .or(key.default)
            .unwrap_or("")
    }

    fn number(&self, name: &str) -> i64 {
        self.text(name).parse().expect("a checked number parses")
    }

    /// A share between 0 and 1.
    fn millionths(&self, name: &str) -> u32 {
        let share: f64 = self.text(name).parse().expect("a checked number parses");
        (share * 1_000_000.0) as u32
    }

    fn level(&self, name: &str) -> i32 {
        i32::try_from(self.number(name)).expect("the table says that it is an INT")
    }

    fn count(&self, name: &str) -> u32 {
        u32::try_from(self.number(name)).expect("the table bounds it below by 0 and is an INT")
    }
}

#[cfg(test)]
mod tests;
