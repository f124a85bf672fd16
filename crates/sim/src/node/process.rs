//! A process of a node: the server's parts without its threads. The storage thread's work is the same
//! [`log::Worker`]; between two of its steps, and within one, the process can be killed.

use super::inbox::{Answers, Inbox, Mail};
use crate::checkers::kept::Found;
use crate::disk::SimDisk;
use crate::net::Place;
use crate::plan::Plan;
use crate::plan::fleet::Change;
use crate::scheduler::Micros;
use base::{Mono, NodeId, Now, Random, Uuid};
use broker::Broker;
use log::{Bounds, Fault, Files, Flush, Storage, StorageSettings, Turn, Worker};
use shard::Shard;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

/// Bytes that may wait for the way to their segments while there is more to write.
const UNSETTLED_BYTES: u64 = 16 * 1024;
/// What may wait for a slow disk, in so many times what is kept in memory anyway.
const UNSETTLED_FOR_HOT: u64 = 4;

/// A running process.
pub(crate) struct Process {
    pub(crate) shard: Shard,
    pub(crate) worker: Worker,
    pub(crate) files: Arc<Files>,
    pub(crate) broker: Broker,
    pub(crate) mail: Arc<Mail>,
    pub(crate) answers: Arc<Answers>,
    /// Turns that wait for the storage thread.
    pub(crate) turns: VecDeque<Turn>,
    /// The storage thread is at a step, or waits for a moment.
    pub(crate) storage_runs: bool,
    pub(crate) flush: Option<Flush>,
    /// A flush that was run and that storage doesn't know of yet.
    pub(crate) flushed: Option<Flush>,
    /// When the shard is to run next.
    pub(crate) wake_at: Option<Micros>,
}

fn bounds() -> Bounds {
    Bounds {
        unsettled_bytes: UNSETTLED_BYTES,
        full_pause: Duration::from_millis(100),
        drops_wait: Duration::from_millis(500),
        ..Bounds::default()
    }
}

/// Name of a node to its clients.
pub(crate) fn node_id(place: Place) -> NodeId {
    NodeId(place as u32 + 1)
}

pub(crate) fn storage_settings(plan: &Plan) -> StorageSettings {
    StorageSettings {
        wal_file_bytes: plan.wal_file_bytes,
        wal_files_max: plan.wal_files_max,
        open_files: plan.open_files,
        direct_batch_bytes: plan.direct_batch_bytes,
        created_at_once: 1,
    }
}

/// The nodes that form the cluster.
fn founders(plan: &Plan) -> Vec<NodeId> {
    let joins = |place: &Place| {
        let mut changes = plan.fleet.iter();
        changes.any(|(_, later, change)| later == place && *change == Change::Join)
    };
    let places = (0..plan.nodes).filter(|place| !joins(place));
    places.map(node_id).collect()
}

pub(crate) fn shard_settings(
    plan: &Plan,
    place: Place,
    home: meta::Home,
    random: &mut Random,
) -> shard::Settings {
    let topic = BTreeMap::from([(
        "internal.segment.bytes".to_string(),
        plan.segment_bytes.to_string(),
    )]);
    shard::Settings {
        node: node_id(place),
        voters: founders(plan),
        boot: random.next(),
        seed: random.next(),
        info: meta::NodeInfo::new(&format!("node-{place}"), 9092, None),
        home: Some(home),
        alone: false,
        metadata_segment_bytes: plan.metadata_segment_bytes,
        hot_tail_bytes: plan.hot_tail_bytes,
        unsettled_bytes_max: UNSETTLED_FOR_HOT * plan.hot_tail_bytes,
        disk_reserve_bytes: 20_000,
        defaults: meta::Defaults {
            partitions: 1,
            replicas: None,
            topic,
            node: Some(node_id(place)),
        },
        replica_lag_max: std::time::Duration::from_secs(5),
        retention_check: std::time::Duration::from_millis(700),
        catch_up_bytes_per_second: plan.catch_up_bytes_per_second,
        removal_held_bytes: plan.removal_held_bytes,
        balancing: plan.balancing,
        checking: plan.checking,
        producers: shard::Expiration {
            expiration: std::time::Duration::from_secs(86_400),
            check: std::time::Duration::from_secs(1),
        },
        compaction: shard::Compaction {
            check: std::time::Duration::from_millis(500),
            bytes_per_second: 4 * 1024 * 1024,
            keys_bytes: 2 * 1024,
            codec: serve_kafka::CODEC,
        },
        groups: group::Config {
            session_timeout_min_ms: 1_000,
            initial_rebalance_delay_ms: plan.groups.initial_delay_ms,
            consumer_session_timeout_ms: plan.groups.session_ms,
            consumer_heartbeat_interval_ms: 500,
            ..group::Config::default()
        },
    }
}

fn broker_settings(plan: &Plan, place: Place) -> broker::Settings {
    let id = node_id(place).to_string();
    let partitions = plan.groups.partitions.to_string();
    let replicas = plan.groups.replicas.to_string();
    let pairs = [
        ("node.id", id.as_str()),
        ("auto.create.topics.enable", "false"),
        ("offsets.topic.num.partitions", &partitions),
        ("offsets.topic.replication.factor", &replicas),
    ];
    let mut settings = broker::Settings::parse(&pairs).expect("these keys exist");
    settings.requests_in_flight_bytes = plan.requests_in_flight_bytes;
    settings
}

impl Process {
    /// Opens the data directory and starts; what was found there comes along, and the report.
    pub(crate) fn start(
        plan: &Plan,
        place: Place,
        (disk, home): (SimDisk, meta::Home),
        now: Now,
        random: &mut Random,
    ) -> Result<(Process, Found, Vec<String>), Fault> {
        let (storage, recovered) = Storage::open(Arc::new(disk), storage_settings(plan))?;
        let found = Found::new(&recovered);
        let mut report = recovered.report.clone();
        for group in &recovered.groups {
            if let Some(why) = &group.suspect {
                report.push(format!("group {} is suspect: {why}", group.log.group()));
            }
        }
        let shard = Shard::new(shard_settings(plan, place, home, random), recovered, now);
        let files = storage.files();
        let mail = Arc::new(Mail::new(plan.calls_max));
        let broker = Broker::new(
            node_id(place),
            Uuid::from_random(plan.seed, 1),
            broker_settings(plan, place),
            files.clone(),
            mail.clone(),
            random.next(),
        );
        let process = Process {
            shard,
            worker: Worker::new(storage, bounds()),
            files,
            broker,
            mail,
            answers: Arc::default(),
            turns: VecDeque::new(),
            storage_runs: false,
            flush: None,
            flushed: None,
            wake_at: None,
        };
        Ok((process, found, report))
    }

    /// True if all turns are on the disk and readable.
    pub(crate) fn is_settled(&self) -> bool {
        self.turns.is_empty() && self.worker.is_settled() && self.mail.is_empty()
    }

    /// A connection's way for answers.
    pub(crate) fn inbox(&self, connection: u64) -> Arc<Inbox> {
        Arc::new(Inbox {
            connection,
            answers: self.answers.clone(),
        })
    }

    /// The storage thread takes what waits for it.
    pub(crate) fn take_orders(&mut self, mono: Mono) -> Result<(), Fault> {
        for turn in self.turns.drain(..) {
            self.worker.turn(turn);
        }
        match self.flushed.take() {
            Some(flush) => self.worker.flushed(flush, mono),
            None => Ok(()),
        }
    }
}
