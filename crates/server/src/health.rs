//! What the node says about itself: whether it serves and why not, and its figures.

use crate::engine::mailbox::Mailbox;
use crate::engine::readers::Readers;
use crate::engine::storage::{Counters, Orders};
use crate::kafka::Door;
use crate::peers::{Peers, Standing};
use broker::{Broker, Verb};
use meta::NodeInfo;
use serve_http::Probe;
use serve_http::metrics::Family;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

/// The node, as its health is asked for. Parts appear as the start goes on.
#[derive(Default)]
pub struct Health {
    /// How far forming the cluster is.
    pub standing: OnceLock<Arc<Standing>>,
    /// The running node.
    pub running: OnceLock<Running>,
    /// The process is about to stop.
    pub stopping: AtomicBool,
    /// Free bytes of the data directory at the last look.
    pub disk_free: AtomicU64,
}

/// What there is once the node runs.
pub struct Running {
    /// How clients are to reach this node.
    pub info: NodeInfo,
    /// The core.
    pub broker: Broker,
    /// Kafka's clients.
    pub door: Arc<Door>,
    /// Other nodes.
    pub peers: Peers,
    /// The shard's letters.
    pub mailbox: Arc<Mailbox>,
    /// The storage thread's work.
    pub orders: Orders,
    /// What it did.
    pub storage: Arc<Counters>,
    /// Cold reads.
    pub readers: Readers,
    /// The shard's figures.
    pub shard: Arc<Mutex<shard::Stats>>,
}

impl Running {
    /// Why clients can't be served yet; none if they can.
    pub fn not_ready(&self) -> Option<String> {
        if self.broker.controller().is_none() {
            return Some("no node is known to lead the controller's group".to_owned());
        }
        let me = self.broker.node();
        if self.broker.image().nodes.get(&me) != Some(&self.info) {
            return Some("this node is not registered with the controller yet".to_owned());
        }
        None
    }
}

impl Probe for Health {
    fn not_ready(&self) -> Option<String> {
        if self.stopping.load(Ordering::Relaxed) {
            return Some("the node is stopping".to_owned());
        }
        if let Some(running) = self.running.get() {
            if running.storage.full.load(Ordering::Relaxed) {
                return Some("the disk is full".to_owned());
            }
            return running.not_ready();
        }
        let waits = self
            .standing
            .get()
            .and_then(|standing| standing.waits_for());
        Some(match waits {
            Some(what) => format!("waiting for {what}"),
            None => "the data directory is being recovered".to_owned(),
        })
    }

    fn families(&self) -> Vec<Family> {
        let ready = Probe::not_ready(self).is_none();
        let usage = os::process::usage();
        let mut families = vec![
            Family::gauge("flotilla_ready", "1 while clients are served.", ready),
            Family::gauge(
                "process_resident_memory_bytes",
                "Memory held in RAM.",
                usage.resident_bytes,
            ),
            Family::counter(
                "process_cpu_seconds_total",
                "Processor time used.",
                usage.cpu,
            ),
            Family::gauge("process_open_fds", "Open descriptors.", usage.open_files),
            Family::gauge("process_threads", "Threads.", usage.threads),
            Family::gauge(
                "flotilla_disk_free_bytes",
                "Bytes that can still be written to the data directory.",
                self.disk_free.load(Ordering::Relaxed),
            ),
        ];
        if let Some(running) = self.running.get() {
            clients(running, &mut families);
            shard(running, &mut families);
            storage(running, &mut families);
        }
        families
    }
}

fn clients(running: &Running, families: &mut Vec<Family>) {
    let (door, broker) = (&running.door, &running.broker);
    let counts = door.counters().counts();
    let budget = broker.budget();
    let calls = Verb::ALL
        .iter()
        .map(|verb| (verb.name(), broker.stats().calls(*verb)));
    let refused = Verb::ALL
        .iter()
        .map(|verb| (verb.name(), broker.stats().refusals(*verb)));
    let requests = "Requests by API.";
    families.extend([
        Family::gauge(
            "flotilla_connections",
            "Connections of Kafka clients.",
            door.open(),
        ),
        Family::counter(
            "flotilla_connections_total",
            "Connections let in.",
            door.accepted(),
        ),
        Family::counter(
            "flotilla_connections_turned_away_total",
            "Connections turned away because there were too many.",
            door.turned_away(),
        ),
        Family::counter(
            "flotilla_connections_closed_total",
            "Connections closed because of what the client sent.",
            door.counters().closed_connections(),
        ),
        Family::counters(
            "flotilla_requests_total",
            requests,
            "api",
            counts.iter().map(|c| (c.api, c.requests)),
        ),
        Family::counters(
            "flotilla_request_bytes_total",
            "Bytes of requests by API.",
            "api",
            counts.iter().map(|c| (c.api, c.request_bytes)),
        ),
        Family::counters(
            "flotilla_answers_total",
            "Answers by API.",
            "api",
            counts.iter().map(|c| (c.api, c.answers)),
        ),
        Family::counters(
            "flotilla_answer_bytes_total",
            "Bytes of answers by API.",
            "api",
            counts.iter().map(|c| (c.api, c.answer_bytes)),
        ),
        Family::counters(
            "flotilla_request_seconds_total",
            "Time from a request to its answer by API, summed.",
            "api",
            counts.iter().map(|c| (c.api, c.waited)),
        ),
        Family::counters(
            "flotilla_calls_total",
            "Calls of the broker by verb.",
            "verb",
            calls,
        ),
        Family::counters(
            "flotilla_refusals_total",
            "Parts of calls refused before they reached the shard, by verb.",
            "verb",
            refused,
        ),
        Family::gauge(
            "flotilla_requests_in_flight_bytes",
            "Bytes of requests in flight.",
            budget.used(),
        ),
    ]);
}

fn shard(running: &Running, families: &mut Vec<Family>) {
    let stats = running
        .shard
        .lock()
        .expect("nobody panics while copying figures")
        .clone();
    families.extend([
        Family::gauge(
            "flotilla_replicas",
            "Replicas on this node.",
            stats.replicas,
        ),
        Family::gauge(
            "flotilla_led_groups",
            "Groups that this node leads.",
            stats.led,
        ),
        Family::gauge(
            "flotilla_leaderless_groups",
            "Groups of this node without a known leader.",
            stats.leaderless,
        ),
        Family::counter(
            "flotilla_appended_batches_total",
            "Batches appended as leader.",
            stats.batches_appended,
        ),
        Family::counter(
            "flotilla_appended_bytes_total",
            "Bytes appended as leader.",
            stats.bytes_appended,
        ),
        Family::counter(
            "flotilla_campaigns_total",
            "Elections started.",
            stats.campaigns,
        ),
        Family::counter(
            "flotilla_elections_won_total",
            "Elections won.",
            stats.elections_won,
        ),
        Family::counter(
            "flotilla_truncations_total",
            "Logs cut after a conflict.",
            stats.truncations,
        ),
        Family::gauge(
            "flotilla_hot_bytes",
            "Bytes of batches in memory.",
            stats.hot_bytes,
        ),
        Family::gauge(
            "flotilla_uncommitted_bytes",
            "Bytes appended and not committed.",
            stats.uncommitted_bytes,
        ),
        Family::gauge(
            "flotilla_waiting_appends",
            "Appends that wait for their commit.",
            stats.appends_waiting,
        ),
        Family::gauge(
            "flotilla_waiting_reads",
            "Reads that wait for data.",
            stats.reads_waiting,
        ),
        Family::gauge(
            "flotilla_mailbox_events",
            "Events that wait.",
            running.mailbox.len(),
        ),
        Family::gauge(
            "flotilla_peers_connected",
            "Reachable peers.",
            running.peers.connected(),
        ),
        Family::counter(
            "flotilla_peer_frames_dropped_total",
            "Frames dropped because a peer was too slow.",
            running.peers.dropped_frames(),
        ),
    ]);
}

fn storage(running: &Running, families: &mut Vec<Family>) {
    let read = |value: &AtomicU64| value.load(Ordering::Relaxed);
    let seconds = |micros: &AtomicU64| std::time::Duration::from_micros(read(micros));
    let counters = &running.storage;
    families.extend([
        Family::counter(
            "flotilla_turns_total",
            "Turns made durable.",
            read(&counters.turns),
        ),
        Family::counter(
            "flotilla_syncs_total",
            "Writes to the log, each with a sync over all that waited.",
            read(&counters.writes),
        ),
        Family::counter(
            "flotilla_sync_seconds_total",
            "Time in writes to the log and their syncs.",
            seconds(&counters.write_micros),
        ),
        Family::gauge(
            "flotilla_sync_seconds_max",
            "The longest write and sync since the start.",
            seconds(&counters.write_micros_max),
        ),
        Family::counter(
            "flotilla_log_flushes_total",
            "Flushes that let the write-ahead log be reused.",
            read(&counters.flushes),
        ),
        Family::gauge(
            "flotilla_turns_waiting",
            "Turns that wait.",
            running.orders.len(),
        ),
        Family::gauge(
            "flotilla_reads_queued",
            "Cold reads that wait.",
            running.readers.waiting(),
        ),
        Family::gauge(
            "flotilla_disk_full",
            "1 while writing waits for room.",
            counters.full.load(Ordering::Relaxed),
        ),
    ]);
}
