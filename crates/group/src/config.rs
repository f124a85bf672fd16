//! The keys of the configuration that groups obey, with Kafka's names and defaults. Bounds are
//! checked by who reads the configuration, not here.

use std::collections::BTreeMap;
use std::sync::Arc;

/// Whether a group may change between the two protocols while it lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MigrationPolicy {
    /// Not at all.
    Disabled,
    /// From classic to consumer only.
    Upgrade,
    /// From consumer to classic only.
    Downgrade,
    /// Both ways.
    Bidirectional,
}

impl MigrationPolicy {
    /// True if a classic group may become a consumer group.
    pub fn upgrades(self) -> bool {
        matches!(
            self,
            MigrationPolicy::Upgrade | MigrationPolicy::Bidirectional
        )
    }

    /// True if a consumer group may become a classic group.
    pub fn downgrades(self) -> bool {
        matches!(
            self,
            MigrationPolicy::Downgrade | MigrationPolicy::Bidirectional
        )
    }
}

/// What one group's own configuration overrides.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    /// `consumer.session.timeout.ms`
    pub session_timeout_ms: Option<i32>,
    /// `consumer.heartbeat.interval.ms`
    pub heartbeat_interval_ms: Option<i32>,
    /// `consumer.assignment.interval.ms`
    pub assignment_interval_ms: Option<i32>,
}

/// The configuration of a node, as far as groups are concerned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// `group.min.session.timeout.ms`
    pub session_timeout_min_ms: i32,
    /// `group.max.session.timeout.ms`
    pub session_timeout_max_ms: i32,
    /// `group.initial.rebalance.delay.ms`
    pub initial_rebalance_delay_ms: i32,
    /// `group.max.size`
    pub size_max: i32,
    /// `offset.metadata.max.bytes`
    pub offset_metadata_bytes_max: i32,
    /// `offsets.retention.minutes`
    pub offsets_retention_minutes: i32,
    /// `offsets.retention.check.interval.ms`
    pub offsets_retention_check_interval_ms: i64,
    /// Most bytes of one record; what is larger would not fit a batch of `__consumer_offsets`.
    pub record_bytes_max: u32,
    /// `group.consumer.session.timeout.ms`
    pub consumer_session_timeout_ms: i32,
    /// `group.consumer.min.session.timeout.ms`
    pub consumer_session_timeout_min_ms: i32,
    /// `group.consumer.max.session.timeout.ms`
    pub consumer_session_timeout_max_ms: i32,
    /// `group.consumer.heartbeat.interval.ms`
    pub consumer_heartbeat_interval_ms: i32,
    /// `group.consumer.min.heartbeat.interval.ms`
    pub consumer_heartbeat_interval_min_ms: i32,
    /// `group.consumer.max.heartbeat.interval.ms`
    pub consumer_heartbeat_interval_max_ms: i32,
    /// `group.consumer.max.size`
    pub consumer_size_max: i32,
    /// `group.consumer.assignors`, the default first.
    pub consumer_assignors: Vec<String>,
    /// `group.consumer.migration.policy`
    pub consumer_migration_policy: MigrationPolicy,
    /// `group.consumer.regex.refresh.interval.ms`
    pub consumer_regex_refresh_interval_ms: i32,
    /// `group.consumer.assignment.interval.ms`
    pub consumer_assignment_interval_ms: i32,
    /// The same, if it was changed while the node runs.
    pub consumer_assignment_interval_changed_ms: Option<i32>,
    /// `group.consumer.min.assignment.interval.ms`
    pub consumer_assignment_interval_min_ms: i32,
    /// `group.consumer.max.assignment.interval.ms`
    pub consumer_assignment_interval_max_ms: i32,
    /// Groups with a configuration of their own.
    pub overrides: BTreeMap<Arc<str>, Overrides>,
}

impl Config {
    /// How long targets of this group stay at least.
    pub fn assignment_interval_ms(&self, group: &str) -> i32 {
        let own = self.overrides.get(group);
        own.and_then(|own| own.assignment_interval_ms)
            .or(self.consumer_assignment_interval_changed_ms)
            .unwrap_or(self.consumer_assignment_interval_ms)
    }
}

impl Default for Config {
    fn default() -> Config {
        Config {
            session_timeout_min_ms: 6_000,
            session_timeout_max_ms: 1_800_000,
            initial_rebalance_delay_ms: 3_000,
            size_max: i32::MAX,
            offset_metadata_bytes_max: 4_096,
            offsets_retention_minutes: 10_080,
            offsets_retention_check_interval_ms: 600_000,
            record_bytes_max: base::limits::BATCH_BYTES_DEFAULT,
            consumer_session_timeout_ms: 45_000,
            consumer_session_timeout_min_ms: 45_000,
            consumer_session_timeout_max_ms: 60_000,
            consumer_heartbeat_interval_ms: 5_000,
            consumer_heartbeat_interval_min_ms: 5_000,
            consumer_heartbeat_interval_max_ms: 15_000,
            consumer_size_max: i32::MAX,
            consumer_assignors: vec!["uniform".to_owned(), "range".to_owned()],
            consumer_migration_policy: MigrationPolicy::Bidirectional,
            consumer_regex_refresh_interval_ms: 600_000,
            consumer_assignment_interval_ms: 1_000,
            consumer_assignment_interval_changed_ms: None,
            consumer_assignment_interval_min_ms: 0,
            consumer_assignment_interval_max_ms: 15_000,
            overrides: BTreeMap::new(),
        }
    }
}
