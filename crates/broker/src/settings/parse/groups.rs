//! What the keys of groups come to.

use super::Values;
use crate::settings::{Groups, SettingsError};
use base::limits::FIRST_JOINS_WAIT;
use group::{Config, MigrationPolicy};
use std::time::Duration;

impl Values {
    pub(super) fn groups(&self) -> Result<Groups, SettingsError> {
        self.check_order(
            "group.min.session.timeout.ms",
            "group.max.session.timeout.ms",
        )?;
        for (name, least, most) in [
            (
                "group.consumer.session.timeout.ms",
                "group.consumer.min.session.timeout.ms",
                "group.consumer.max.session.timeout.ms",
            ),
            (
                "group.consumer.heartbeat.interval.ms",
                "group.consumer.min.heartbeat.interval.ms",
                "group.consumer.max.heartbeat.interval.ms",
            ),
            (
                "group.consumer.assignment.interval.ms",
                "group.consumer.min.assignment.interval.ms",
                "group.consumer.max.assignment.interval.ms",
            ),
        ] {
            self.check_order(least, name)?;
            self.check_order(name, most)?;
        }
        let replicas = "offsets.topic.replication.factor";
        Ok(Groups {
            config: self.group_config(),
            commit_wait: Duration::from_millis(self.count("offsets.commit.timeout.ms")),
            offsets_partitions: self.count("offsets.topic.num.partitions"),
            offsets_replicas: self.count(replicas),
            offsets_replicas_given: self.0.contains_key(replicas),
            offsets_segment_bytes: self.count("offsets.topic.segment.bytes"),
        })
    }

    /// As in Kafka, whose nodes don't start with a smallest value above the largest.
    fn check_order(&self, less: &'static str, more: &'static str) -> Result<(), SettingsError> {
        if self.number(less) <= self.number(more) {
            return Ok(());
        }
        let why = format!("larger than {more} = {}", self.number(more));
        Err(self.wrong(less, (why, Some(format!("at most {more}")))))
    }

    fn group_config(&self) -> Config {
        let listed = self.text("group.consumer.assignors").split(',');
        let policy = self.text("group.consumer.migration.policy");
        let delay_ms: i32 = self.count("group.initial.rebalance.delay.ms");
        Config {
            session_timeout_min_ms: self.count("group.min.session.timeout.ms"),
            session_timeout_max_ms: self.count("group.max.session.timeout.ms"),
            initial_rebalance_delay_ms: delay_ms.max(FIRST_JOINS_WAIT.as_millis() as i32),
            size_max: self.count("group.max.size"),
            offset_metadata_bytes_max: self.count("offset.metadata.max.bytes"),
            offsets_retention_minutes: self.count("offsets.retention.minutes"),
            offsets_retention_check_interval_ms: self.count("offsets.retention.check.interval.ms"),
            consumer_session_timeout_ms: self.count("group.consumer.session.timeout.ms"),
            consumer_session_timeout_min_ms: self.count("group.consumer.min.session.timeout.ms"),
            consumer_session_timeout_max_ms: self.count("group.consumer.max.session.timeout.ms"),
            consumer_heartbeat_interval_ms: self.count("group.consumer.heartbeat.interval.ms"),
            consumer_heartbeat_interval_min_ms: self
                .count("group.consumer.min.heartbeat.interval.ms"),
            consumer_heartbeat_interval_max_ms: self
                .count("group.consumer.max.heartbeat.interval.ms"),
            consumer_size_max: self.count("group.consumer.max.size"),
            consumer_assignors: listed.map(|name| name.trim().to_owned()).collect(),
            consumer_migration_policy: match policy {
                "disabled" => MigrationPolicy::Disabled,
                "upgrade" => MigrationPolicy::Upgrade,
                "downgrade" => MigrationPolicy::Downgrade,
                _ => MigrationPolicy::Bidirectional,
            },
            consumer_regex_refresh_interval_ms: self
                .count("group.consumer.regex.refresh.interval.ms"),
            consumer_assignment_interval_ms: self.count("group.consumer.assignment.interval.ms"),
            consumer_assignment_interval_min_ms: self
                .count("group.consumer.min.assignment.interval.ms"),
            consumer_assignment_interval_max_ms: self
                .count("group.consumer.max.assignment.interval.ms"),
            ..Config::default()
        }
    }
}
