//! A process of a node: the server's parts without its threads. The storage thread is a small
//! state machine here, whose steps are those between which a real one can be killed.

use super::inbox::{Answers, Inbox, Mail};
use crate::checkers::kept::Found;
use crate::disk::SimDisk;
use crate::net::Place;
use crate::plan::Plan;
use crate::plan::fleet::Change;
use crate::scheduler::Micros;
use base::{NodeId, Now, Random, Uuid};
use broker::Broker;
use log::{Fault, Files, Flush, Storage, StorageSettings, Turn};
use shard::{Event, Shard};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// What the storage thread does next.
#[derive(Debug)]
pub(crate) enum Step {
    /// Nothing: it waits for turns.
    Wait,
    /// Write these turns.
    Write(Vec<Turn>),
    /// Write again what found no room.
    Retry,
    /// Make what was written readable.
    Settle,
    /// The queue is empty: leave the marker.
    Idle,
}

/// Bytes that may wait for the way to their segments while there is more to write.
const UNSETTLED_BYTES: u64 = 16 * 1024;
/// What may wait for a slow disk, in so many times what is kept in memory anyway.
const UNSETTLED_FOR_HOT: u64 = 4;

/// A running process.
pub(crate) struct Process {
    pub(crate) shard: Shard,
    pub(crate) storage: Storage,
    pub(crate) files: Arc<Files>,
    pub(crate) broker: Broker,
    pub(crate) mail: Arc<Mail>,
    pub(crate) answers: Arc<Answers>,
    /// Turns that wait for the storage thread.
    pub(crate) turns: VecDeque<Turn>,
    pub(crate) step: Step,
    /// The storage thread's next step is on its way.
    pub(crate) storage_runs: bool,
    /// The newest turn handed to the current write.
    pub(crate) writing: u64,
    pub(crate) asked_for_checkpoint: bool,
    pub(crate) flush: Option<Flush>,
    /// A flush that was run and that storage doesn't know of yet.
    pub(crate) flushed: Option<Flush>,
    /// When the shard is to run next.
    pub(crate) wake_at: Option<Micros>,
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
            storage,
            files,
            broker,
            mail,
            answers: Arc::default(),
            turns: VecDeque::new(),
            step: Step::Wait,
            storage_runs: false,
            writing: 0,
            asked_for_checkpoint: false,
            flush: None,
            flushed: None,
            wake_at: None,
        };
        Ok((process, found, report))
    }

    /// True if all turns are on the disk and readable.
    pub(crate) fn is_settled(&self) -> bool {
        let done = matches!(self.step, Step::Wait | Step::Idle) && self.turns.is_empty();
        done && self.mail.is_empty()
    }

    /// A connection's way for answers.
    pub(crate) fn inbox(&self, connection: u64) -> Arc<Inbox> {
        Arc::new(Inbox {
            connection,
            answers: self.answers.clone(),
        })
    }

    /// One step of the storage thread, whose time has come. Says what the shard is to be told.
    pub(crate) fn storage_step(&mut self) -> Result<Option<Event>, Fault> {
        if let Some(flush) = self.flushed.take() {
            self.asked_for_checkpoint = false;
            match self.storage.flushed(flush) {
                // No room for a fresh file: the ones there are do.
                Ok(()) | Err(Fault::Full { .. }) => {}
                Err(fault) => return Err(fault),
            }
        }
        let turn = self.writing;
        match std::mem::replace(&mut self.step, Step::Wait) {
            Step::Wait => Ok(None),
            Step::Write(turns) => {
                let written = self.storage.write(turns);
                self.written(written, turn)
            }
            Step::Retry => {
                let written = self.storage.retry();
                self.written(written, turn)
            }
            Step::Settle if self.may_settle_later() => Ok(None),
            Step::Settle => match self.storage.settle_some() {
                Ok(true) => {
                    let empty = self.turns.is_empty();
                    self.step = if empty { Step::Idle } else { Step::Wait };
                    Ok(Some(Event::Settled { turn }))
                }
                // As the server's: turns that wait needn't wait for a large topic, and may make room.
                Ok(false) | Err(Fault::Full { .. }) => {
                    let empty = self.turns.is_empty();
                    self.step = if empty { Step::Settle } else { Step::Wait };
                    Ok(None)
                }
                Err(fault) => Err(fault),
            },
            Step::Idle => match self.storage.idle() {
                Ok(()) => Ok(None),
                Err(Fault::Full { .. }) => {
                    self.step = Step::Idle;
                    Ok(None)
                }
                Err(fault) => Err(fault),
            },
        }
    }

    /// As the server's storage thread does: what waits to be written goes first, within a bound.
    fn may_settle_later(&self) -> bool {
        !self.turns.is_empty()
            && !self.storage.flush_waits()
            && self.storage.unsettled_bytes() < UNSETTLED_BYTES
    }

    fn written(&mut self, result: Result<(), Fault>, turn: u64) -> Result<Option<Event>, Fault> {
        match result {
            Ok(()) => {
                self.step = Step::Settle;
                Ok(Some(Event::Persisted { turn }))
            }
            Err(Fault::Full { .. }) => {
                self.step = Step::Retry;
                Ok(None)
            }
            Err(fault) => Err(fault),
        }
    }

    /// Takes what waits if the storage thread is free; true if there is something to do.
    pub(crate) fn take_turns(&mut self) -> bool {
        if !matches!(self.step, Step::Wait) {
            return true;
        }
        let turns: Vec<Turn> = self.turns.drain(..).collect();
        let Some(last) = turns.last() else {
            return false;
        };
        self.writing = last.number;
        self.step = Step::Write(turns);
        true
    }
}
