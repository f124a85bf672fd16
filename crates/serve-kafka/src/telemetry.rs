//! Metrics that clients push (KIP-714): the last values of each client's, for as long as it goes on pushing, and who may ask and push
//! now. They are no state of the cluster: each node has what was pushed to it, and forgets it with its end.
//!
//! A series is named as Prometheus wants it: `org.apache.kafka.producer.connection.creation.total` is
//! `flotilla_client_producer_connection_creation_total`, and what a name says to be in milliseconds is in seconds.

pub(crate) mod otlp;

use base::{Mono, Uuid};
use otlp::{Point, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

/// Series that a node keeps of all its clients.
const SERIES_MAX: usize = 10_000;
/// Clients that a node knows the times of.
const CLIENTS_MAX: usize = 10_000;
/// Intervals without a push after which a client's series go.
const SILENT_INTERVALS: u32 = 3;
/// Labels of one series beside those that say which client it is of.
const LABELS_MAX: usize = 8;
/// Longest name of a metric, and longest value of a label.
const TEXT_BYTES_MAX: usize = 200;
/// What Kafka's clients put in front of every name.
const KAFKAS: &str = "org.apache.kafka.";
/// Kinds of metrics, which no name may have in it.
const KINDS: [&str; 5] = ["counter", "gauge", "histogram", "summary", "untyped"];
/// Endings that only counters, or only histograms have.
const ENDINGS: [&str; 4] = ["_total", "_sum", "_count", "_bucket"];

/// What one series is told apart by: its name, and its labels.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Series {
    /// The name, as Prometheus wants it.
    pub name: String,
    /// It only grows. Names of those that do end otherwise than all other names.
    pub counts: bool,
    /// What sets it apart from its siblings.
    pub labels: Vec<(String, String)>,
    /// The name, as the client has it.
    pub origin: String,
}

/// Who pushes.
#[derive(Clone, Debug)]
pub(crate) struct Pusher<'a> {
    pub(crate) instance: Uuid,
    pub(crate) client: &'a str,
    pub(crate) software: &'a str,
}

/// What is kept of one client.
#[derive(Debug, Default)]
struct Client {
    asked: Option<Mono>,
    pushed: Option<Mono>,
    interval: Duration,
    /// It said that this is its last push.
    ended: bool,
    /// It was told to ask again, so it may do so at once.
    may_ask: bool,
    series: BTreeMap<Series, f64>,
}

impl Client {
    fn heard(&self) -> Option<Mono> {
        self.asked.max(self.pushed)
    }
}

#[derive(Debug, Default)]
struct Clients {
    known: BTreeMap<Uuid, Client>,
    series: usize,
    dropped: u64,
}

/// What clients pushed to this node.
#[derive(Debug, Default)]
pub struct Telemetry(Mutex<Clients>);

impl Telemetry {
    fn lock(&self) -> MutexGuard<'_, Clients> {
        self.0
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// A client asks what it is to push. False if it asked or pushed a moment ago.
    pub(crate) fn ask(&self, now: Mono, instance: Uuid, interval: Duration) -> bool {
        let mut clients = self.lock();
        let client = clients.client(now, instance);
        let is_due = client
            .heard()
            .is_none_or(|at| now.since(at) >= client.interval);
        if !is_due && !client.may_ask {
            return false;
        }
        (client.asked, client.interval, client.may_ask) = (Some(now), interval, false);
        true
    }

    /// A client pushes, perhaps for the last time. False if it did so a moment ago, or had said that it was the last time.
    pub(crate) fn may_push(&self, now: Mono, instance: Uuid, is_last: bool) -> bool {
        let mut clients = self.lock();
        let client = clients.client(now, instance);
        let is_due = client.pushed.is_none_or(|at| {
            now.since(at) >= client.interval || client.asked.is_some_and(|asked| asked > at)
        });
        if client.ended || !is_due && !is_last {
            return false;
        }
        (client.pushed, client.ended) = (Some(now), is_last);
        true
    }

    /// A client is told to ask again.
    pub(crate) fn ask_again(&self, now: Mono, instance: Uuid) {
        self.lock().client(now, instance).may_ask = true;
    }

    /// Keeps what a client pushed.
    pub(crate) fn keep(&self, now: Mono, pusher: &Pusher<'_>, points: &[Point]) {
        let mut clients = self.lock();
        clients.client(now, pusher.instance);
        for point in points {
            clients.put(pusher, point);
        }
    }

    /// The series of all clients that still push, in order.
    pub fn series(&self, now: Mono) -> Vec<(Series, f64)> {
        let mut clients = self.lock();
        clients.forget(now);
        let all = clients.known.values().flat_map(|client| &client.series);
        let mut all: Vec<(Series, f64)> = all.map(|(s, value)| (s.clone(), *value)).collect();
        all.sort_by(|(a, _), (b, _)| a.cmp(b));
        all
    }

    /// Values that weren't kept: there were too many series, or what they are isn't known.
    pub fn dropped(&self) -> u64 {
        self.lock().dropped
    }
}

impl Clients {
    fn client(&mut self, now: Mono, instance: Uuid) -> &mut Client {
        if !self.known.contains_key(&instance) && self.known.len() >= CLIENTS_MAX {
            self.forget(now);
            let longest = self.known.iter().min_by_key(|(_, client)| client.heard());
            if let Some(silent) = longest.map(|(instance, _)| *instance)
                && self.known.len() >= CLIENTS_MAX
            {
                self.remove(silent);
            }
        }
        self.known.entry(instance).or_default()
    }

    fn remove(&mut self, instance: Uuid) {
        if let Some(client) = self.known.remove(&instance) {
            self.series -= client.series.len();
        }
    }

    /// Those go that were silent for too long.
    fn forget(&mut self, now: Mono) {
        let is_silent = |client: &Client| {
            let heard = client.heard().unwrap_or_default();
            now.since(heard) > client.interval * SILENT_INTERVALS
        };
        let silent = self.known.iter().filter(|(_, client)| is_silent(client));
        for instance in silent.map(|(instance, _)| *instance).collect::<Vec<_>>() {
            self.remove(instance);
        }
    }

    fn put(&mut self, pusher: &Pusher<'_>, point: &Point) {
        let counts = matches!(point.value, Value::Delta(_) | Value::Sum(_));
        let Some((name, unit)) = named(&point.name, counts) else {
            self.dropped += 1;
            return;
        };
        let series = Series {
            name,
            origin: cut(&point.name),
            counts,
            labels: labels(pusher, &point.attributes),
        };
        let has_room = self.series < SERIES_MAX;
        let Some(client) = self.known.get_mut(&pusher.instance) else {
            return;
        };
        if !has_room && !client.series.contains_key(&series) {
            self.dropped += 1;
            return;
        }
        let before = client.series.len();
        let value = client.series.entry(series).or_default();
        match point.value {
            Value::Delta(more) => *value += more * unit,
            Value::Sum(all) | Value::Gauge(all) => *value = all * unit,
        }
        self.series += client.series.len() - before;
    }
}

/// A metric's name as Prometheus wants it, and what its values are to be multiplied with to be in the unit that it names.
fn named(origin: &str, counts: bool) -> Option<(String, f64)> {
    let short = origin.strip_prefix(KAFKAS).unwrap_or(origin);
    let mut unit = 1.0;
    let mut name = "flotilla_client".to_owned();
    let plain = plain(short);
    if origin.len() > TEXT_BYTES_MAX || plain.trim_matches('_').is_empty() {
        return None;
    }
    for part in plain.split('_').filter(|part| !part.is_empty()) {
        let (part, factor) = match part {
            "ns" | "nanoseconds" => ("seconds", 1e-9),
            "us" | "microseconds" => ("seconds", 1e-6),
            "ms" | "milliseconds" => ("seconds", 1e-3),
            other => (other, 1.0),
        };
        unit *= factor;
        name.push('_');
        name.push_str(part);
        if KINDS.contains(&part) {
            name.push('s');
        }
    }
    let has_ending = ENDINGS.iter().any(|ending| name.ends_with(ending));
    match counts {
        true if !name.ends_with("_total") => name.push_str("_total"),
        false if has_ending => name.push_str("_now"),
        _ => {}
    }
    Some((name, unit))
}

/// Small letters, digits and underscores.
fn plain(text: &str) -> String {
    let one = |c: char| match c {
        c if c.is_ascii_alphanumeric() => c.to_ascii_lowercase(),
        _ => '_',
    };
    text.chars().map(one).collect()
}

fn cut(text: &str) -> String {
    text.chars().take(TEXT_BYTES_MAX / 4).collect()
}

fn labels(pusher: &Pusher<'_>, attributes: &[(String, String)]) -> Vec<(String, String)> {
    let instance = pusher.instance.to_string();
    let own = [
        ("client_id", pusher.client),
        ("client_instance_id", &instance),
        ("client_software_name", pusher.software),
    ];
    let mut labels: Vec<(String, String)> = own
        .iter()
        .map(|(name, value)| ((*name).to_owned(), cut(value)))
        .collect();
    let mut seen: BTreeSet<String> = labels.iter().map(|(name, _)| name.clone()).collect();
    for (name, value) in attributes {
        let name = cut(plain(name).trim_start_matches(|c: char| !c.is_ascii_lowercase()));
        let reserved = name.is_empty() || name == "le" || name == "quantile";
        if labels.len() < own.len() + LABELS_MAX && !reserved && seen.insert(name.clone()) {
            labels.push((name, cut(value)));
        }
    }
    labels
}

#[cfg(test)]
mod tests;
