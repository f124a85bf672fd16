//! What the node says about itself: whether it serves and why not, and its figures.

use crate::engine::mailbox::Mailbox;
use crate::engine::readers::Readers;
use crate::engine::storage::{Counters, Orders};
use crate::kafka::Door;
use crate::peers::{Peers, Standing};
use base::Mono;
use broker::Broker;
use meta::NodeInfo;
use serve_http::metrics::{Family, Kind};
use serve_http::{Asked, Probe};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

/// The node, as its health is asked for. Parts appear as the start goes on.
#[derive(Default)]
pub struct Health {
    /// How far forming the cluster is.
    pub standing: OnceLock<Arc<Standing>>,
    /// The running node.
    pub running: OnceLock<Running>,
    /// Somebody is asked to take this node in; with what came of asking those that were asked last.
    pub joining: Mutex<Option<Vec<String>>>,
    /// The process is about to stop.
    pub stopping: AtomicBool,
    /// How old what groups have yet to read is.
    pub ages: Arc<crate::survey::Ages>,
    /// Free bytes of the data directory at the last look, if there was one that told.
    pub disk_free: Mutex<Option<u64>>,
}

/// What there is once the node runs.
pub struct Running {
    /// Until then it is waited for what was committed before this start.
    pub known_by: Mono,
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
    /// What reads for the shard.
    pub jobs: Readers,
    /// The shard's figures.
    pub shard: Arc<Mutex<shard::Stats>>,
}

impl Running {
    /// Why clients can't be served yet; none if they can.
    pub fn not_ready(&self) -> Option<String> {
        if self.broker.controller().is_none() {
            let unreached = self.peers.standing().unreached();
            return Some(format!(
                "no node is known to lead the controller's group{unreached}"
            ));
        }
        let me = self.broker.node();
        if self.broker.image().nodes.get(&me) != Some(&self.info) {
            return Some("this node is not registered with the controller yet".to_owned());
        }
        if !self.broker.is_current() && os::clock::mono() < self.known_by {
            return Some("what was committed last is not known again yet".to_owned());
        }
        None
    }

    /// A client that asks for the cluster's nodes is told of one at least.
    pub fn names_a_node(&self) -> bool {
        let image = self.broker.image();
        image.nodes.keys().any(|node| self.broker.hears(*node))
    }
}

impl Probe for Health {
    fn not_ready(&self) -> Option<String> {
        if self.stopping.load(Ordering::Relaxed) {
            return Some("the node is stopping".to_owned());
        }
        if let Some(running) = self.running.get() {
            if running.storage.full.is_so() {
                return Some("the disk is full".to_owned());
            }
            return running.not_ready();
        }
        let waits = self
            .standing
            .get()
            .and_then(|standing| standing.waits_for());
        let joining = self.joining.lock().expect("nobody panics while joining");
        Some(match (waits, joining.as_deref()) {
            (Some(why), _) => why,
            (None, Some(asked)) => {
                let asked = match asked {
                    [] => String::new(),
                    asked => format!(" ({})", asked.join("; ")),
                };
                format!("waiting for a member of the cluster to take this node in{asked}")
            }
            (None, None) => "the data directory is being recovered".to_owned(),
        })
    }

    fn families(&self) -> Asked<'_> {
        Box::pin(async {
            let mut families = self.process();
            if let Some(running) = self.running.get() {
                crate::figures::of(running, &mut families);
                families.extend(
                    crate::survey::families(&running.broker, &running.readers, &self.ages).await,
                );
            }
            families
        })
    }
}

impl Health {
    /// So many bytes of the data directory are free, or nobody knows.
    pub fn tell_disk_free(&self, free: Option<u64>) {
        *self.disk_free.lock().expect("nobody panics while copying") = free;
    }

    /// What is known before anything runs.
    fn process(&self) -> Vec<Family> {
        let ready = Probe::not_ready(self).is_none();
        let usage = os::process::usage();
        let mut families = vec![
            Family::gauge("flotilla_ready", "1 while clients are served.", ready),
            version(),
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
        ];
        // A node that doesn't run yet, or whose disk doesn't tell, is none without room.
        let free = *self.disk_free.lock().expect("nobody panics while copying");
        families.extend(free.map(|free| {
            Family::gauge(
                "flotilla_disk_free_bytes",
                "Bytes that can still be written to the data directory.",
                free,
            )
        }));
        families
    }
}

fn version() -> Family {
    let mut family = Family::empty("flotilla_build_info", "1, with the version.", Kind::Gauge);
    family.push(&[("version", env!("CARGO_PKG_VERSION"))], 1u64);
    family
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_told_once_it_was_measured() {
        let health = Health::default();
        let told = || {
            health
                .process()
                .into_iter()
                .any(|f| f.name == "flotilla_disk_free_bytes")
        };
        assert!(!told());
        health.tell_disk_free(Some(7));
        assert!(told());
        health.tell_disk_free(None);
        assert!(!told());
    }
}
