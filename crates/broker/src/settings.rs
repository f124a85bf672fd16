//! A node's configuration: one table of keys, Kafka's names where the meaning is Kafka's. Every
//! key is declared once; reading, showing and the reference all follow from the table. A node
//! doesn't start with a key that it doesn't know or a value that it can't use.

mod foreign;
mod keys;
mod listeners;
mod nearest;
mod parse;
mod reference;

pub use foreign::kept_names;
pub use keys::{Key, Standing, key, keys, keys_of_listeners, of_listener, standing};
pub use listeners::{HostPort, Listener, Peer};
pub use nearest::nearest;
pub use parse::{Coarser, coarser_keys};
pub use reference::reference;

use base::NodeId;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

/// A node's configuration, checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// `node.id`.
    pub node: NodeId,
    /// `data.dir`.
    pub data_dir: String,
    /// `broker.rack`.
    pub rack: Option<String>,
    /// `listeners` with what is advertised for them; at least one.
    pub listeners: Vec<Listener>,
    /// `http.listener`; none: no HTTP.
    pub http: Option<HostPort>,
    /// `peer.listener`, or this node's own place in `peers`; none on a single node.
    pub peer_listener: Option<HostPort>,
    /// `peers`: all nodes that form the cluster, this one among them; empty on a single node.
    pub peers: Vec<Peer>,
    /// `join`: nodes of a running cluster to ask; empty for one that forms its cluster.
    pub join: Vec<HostPort>,
    /// `auto.create.topics.enable`.
    pub auto_create_topics: bool,
    /// `delete.topic.enable`.
    pub delete_topics: bool,
    /// `replica.lag.time.max.ms`.
    pub replica_lag_max: Duration,
    /// `log.retention.check.interval.ms`.
    pub retention_check: Duration,
    /// `producer.id.expiration.ms` and `producer.id.expiration.check.interval.ms`.
    pub producers: shard::Expiration,
    /// `log.cleaner.backoff.ms`.
    pub compaction_check: Duration,
    /// `log.cleaner.io.max.bytes.per.second`.
    pub compaction_bytes_per_second: u64,
    /// Memory for the keys of a compaction (`log.cleaner.dedupe.buffer.size`).
    pub compaction_keys_bytes: u64,
    /// `auto.leader.rebalance.enable` and how; none: never.
    pub balancing: Option<shard::Balancing>,
    /// `replica.catch.up.bytes.per.second`.
    pub catch_up_bytes_per_second: u64,
    /// `replica.check.bytes.per.second` and `replica.check.interval.ms`; none: never.
    pub checking: Option<shard::Checking>,
    /// `socket.request.max.bytes`.
    pub request_bytes_max: u32,
    /// `connections.max.idle.ms`; none: no bound.
    pub connections_idle_max: Option<Duration>,
    /// How many connections clients may have.
    pub connections: Connections,
    /// `queued.max.request.bytes`.
    pub requests_in_flight_bytes: u64,
    /// `wal.file.bytes`.
    pub wal_file_bytes: u64,
    /// `wal.files.max`.
    pub wal_files_max: usize,
    /// `hot.tail.bytes`.
    pub hot_tail_bytes: u64,
    /// `disk.reserve.bytes`.
    pub disk_reserve_bytes: u64,
    /// `direct.batch.bytes`.
    pub direct_batch_bytes: u32,
    /// `open.files.max`.
    pub open_files: usize,
    /// `reader.threads`.
    pub reader_threads: usize,
    /// `mailbox.events.max`.
    pub mailbox_events: usize,
    /// What coordinators of groups obey.
    pub groups: Groups,
    /// Where the node's own messages go.
    pub logging: Logging,
    /// One line for each given key that has no meaning here.
    pub warnings: Vec<String>,
    topic_defaults: meta::Defaults,
    given: BTreeMap<&'static str, String>,
    /// What was given of single listeners, by the whole names of their keys.
    of_listeners: BTreeMap<String, String>,
}

/// How many connections clients may have at a time, and how many of them may come in a second.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connections {
    /// `max.connections`.
    pub max: usize,
    /// `max.connections.per.ip`.
    pub each: usize,
    /// `max.connections.per.ip.overrides`.
    pub named: BTreeMap<IpAddr, u32>,
    /// `max.connection.creation.rate`.
    pub a_second: u32,
}

/// Where the node's own messages go, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logging {
    /// `logging.file`; none: standard error.
    pub file: Option<String>,
    /// `logging.format` is `json`.
    pub json: bool,
    /// `logging.file.bytes`.
    pub file_bytes: u64,
    /// `logging.file.hours`.
    pub file_time: Duration,
    /// `logging.files.max`.
    pub files_max: usize,
}

/// What is configured of groups.
#[derive(Clone, Debug, PartialEq)]
pub struct Groups {
    /// What a coordinator decides by.
    pub config: group::Config,
    /// `offsets.commit.timeout.ms`.
    pub commit_wait: Duration,
    /// `offsets.topic.num.partitions`.
    pub offsets_partitions: u32,
    /// `offsets.topic.replication.factor`.
    pub offsets_replicas: u32,
    /// Somebody said so: then it is kept even while there are too few nodes.
    pub offsets_replicas_given: bool,
    /// `offsets.topic.segment.bytes`.
    pub offsets_segment_bytes: u32,
}

/// Why a configuration can't be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingsError {
    /// The key.
    pub key: String,
    /// Its value.
    pub value: String,
    /// What is wrong.
    pub why: String,
    /// What would be right.
    pub allowed: Option<String>,
    /// The known key that looks most like it.
    pub nearest: Option<&'static str>,
}

impl std::fmt::Display for SettingsError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} = '{}': {}", self.key, self.value, self.why)?;
        if let Some(allowed) = &self.allowed {
            write!(f, "; allowed: {allowed}")?;
        }
        if let Some(nearest) = self.nearest {
            write!(f, "; did you mean '{nearest}'?")?;
        }
        Ok(())
    }
}

impl std::error::Error for SettingsError {}

impl Default for Settings {
    fn default() -> Settings {
        Settings::parse::<&str, &str>(&[]).expect("the defaults of the table are valid")
    }
}

impl Settings {
    /// Reads keys and values; of two values for one key the later wins.
    pub fn parse<K: AsRef<str>, V: AsRef<str>>(
        pairs: &[(K, V)],
    ) -> Result<Settings, SettingsError> {
        parse::parse(
            pairs
                .iter()
                .map(|(key, value)| (key.as_ref(), value.as_ref())),
        )
    }

    /// What this node says about topics whose makers don't say it.
    pub fn topic_defaults(&self) -> &meta::Defaults {
        &self.topic_defaults
    }

    /// The value that was given for a key of the table, or for one in a coarser unit.
    pub fn given(&self, name: &str) -> Option<&str> {
        self.given.get(name).map(String::as_str)
    }

    /// The keys of single listeners that were given (`listener.name.NAME.KEY`) with their values.
    pub fn of_listeners(&self) -> &BTreeMap<String, String> {
        &self.of_listeners
    }
}

#[cfg(test)]
mod tests;
