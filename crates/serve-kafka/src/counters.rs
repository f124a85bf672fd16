//! What a door counts, per API. Shared by all connections of a node, read as plain data.

use crate::handlers;
use crate::sessions;
use crate::telemetry::Telemetry;
use base::{Distribution, Histogram};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

/// The counters.
#[derive(Debug)]
pub struct Counters {
    apis: Vec<Counter>,
    closed: AtomicU64,
    session_partitions: AtomicUsize,
    telemetry: Arc<Telemetry>,
}

#[derive(Debug, Default)]
struct Counter {
    requests: AtomicU64,
    request_bytes: AtomicU64,
    answer_bytes: AtomicU64,
    waits: Histogram,
}

/// What was counted of one API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiCount {
    /// Its name.
    pub api: &'static str,
    /// Requests that came.
    pub requests: u64,
    /// Their bytes.
    pub request_bytes: u64,
    /// Bytes of the answers that left.
    pub answer_bytes: u64,
    /// From a request's arrival to its answer; fewer than requests where nothing is answered
    /// (acks 0).
    pub waits: Distribution,
}

impl Default for Counters {
    fn default() -> Counters {
        let apis = handlers::APIS.iter().map(|_| Counter::default()).collect();
        Counters {
            apis,
            closed: AtomicU64::new(0),
            session_partitions: AtomicUsize::new(0),
            telemetry: Arc::default(),
        }
    }
}

impl Counters {
    /// A fetch session grows or shrinks. False if there is no room for it to grow.
    pub(crate) fn resize_sessions(&self, from: usize, to: usize) -> bool {
        let resized = |all: usize| {
            let all = all - from + to;
            (to <= from || all <= sessions::PARTITIONS_MAX).then_some(all)
        };
        self.session_partitions
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, resized)
            .is_ok()
    }

    /// By how many partitions fetch sessions may still grow.
    pub(crate) fn session_room(&self) -> usize {
        sessions::PARTITIONS_MAX.saturating_sub(self.session_partitions())
    }

    /// What clients pushed of their own metrics.
    pub fn telemetry(&self) -> &Arc<Telemetry> {
        &self.telemetry
    }

    /// Partitions in fetch sessions.
    pub fn session_partitions(&self) -> usize {
        self.session_partitions.load(Ordering::Relaxed)
    }

    pub(crate) fn asked(&self, api: usize, bytes: usize) {
        self.apis[api].requests.fetch_add(1, Ordering::Relaxed);
        self.apis[api]
            .request_bytes
            .fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(crate) fn answered(&self, api: usize, bytes: usize, waited: Duration) {
        self.apis[api]
            .answer_bytes
            .fetch_add(bytes as u64, Ordering::Relaxed);
        self.apis[api].waits.count(waited);
    }

    pub(crate) fn closed(&self) {
        self.closed.fetch_add(1, Ordering::Relaxed);
    }

    /// Connections that were closed because of what the client sent.
    pub fn closed_connections(&self) -> u64 {
        self.closed.load(Ordering::Relaxed)
    }

    /// The counts of each API.
    pub fn counts(&self) -> Vec<ApiCount> {
        let read = |value: &AtomicU64| value.load(Ordering::Relaxed);
        let count = |(api, of): (&handlers::Api, &Counter)| ApiCount {
            api: api.key.name(),
            requests: read(&of.requests),
            request_bytes: read(&of.request_bytes),
            answer_bytes: read(&of.answer_bytes),
            waits: of.waits.read(),
        };
        handlers::APIS.iter().zip(&self.apis).map(count).collect()
    }
}
