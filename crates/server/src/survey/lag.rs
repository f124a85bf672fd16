//! How far groups are behind: in records, and in time - how old the oldest record is that a group
//! hasn't read. Of partitions that this node has a replica of.
//!
//! The age of a record is in its batch, which may be in a file. So a scrape looks up a bounded
//! number of batches, in the readers' pool and never twice: a group that stands still costs
//! nothing from the second scrape on, and groups that share an offset share a look-up.

use super::{Committed, PARTITIONS_PER_CALL, PATIENCE, Round};
use crate::engine::readers::Readers;
use base::{BatchHeader, GroupId, Offset, WallMs};
use broker::Broker;
use group::reply::Listed;
use log::{Files, ReadPlan};
use serve_http::metrics::{Family, Kind};
use shard::{ReplicaStatus, Reply, Stamp};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};
use tokio::time::timeout;

/// Partitions of groups that are told; those beyond are counted only.
const PARTITIONS_MAX: usize = 50_000;
/// Batches that one scrape looks up. Who is left out comes first the next time.
const LOOK_UPS_MAX: usize = 1000;
/// Batches that a reader looks up at a stretch, so that clients' reads don't wait for all of them.
const READS_PER_CHORE: usize = 32;

/// A batch: the partition's Raft group, and an offset in it.
type Place = (GroupId, Offset);

/// When the batches were written that groups have yet to read, as far as it was looked up.
#[derive(Default)]
pub struct Ages {
    known: Mutex<Known>,
    /// Held while files are read, also when the scrape is over: one at a time does.
    reading: Arc<tokio::sync::Mutex<()>>,
}

#[derive(Default)]
struct Known {
    written: BTreeMap<Place, WallMs>,
    /// The last place that was looked up.
    last: Option<Place>,
}

impl Known {
    /// Forgets what nobody waits for any more, and says what to look up for the others.
    fn next(&mut self, places: &BTreeSet<Place>) -> Vec<Place> {
        self.written.retain(|place, _| places.contains(place));
        let unknown = |place: &&Place| !self.written.contains_key(place);
        let is_later = |place: &&Place| self.last.is_none_or(|last| **place > last);
        let later = places.iter().filter(is_later);
        let earlier = places.iter().filter(|place| !is_later(place));
        let all = later.chain(earlier).filter(unknown);
        let next: Vec<Place> = all.take(LOOK_UPS_MAX).copied().collect();
        self.last = next.last().copied().or(self.last);
        next
    }
}

impl Ages {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().expect("nobody panics while looking")
    }

    /// Looks up what isn't known yet, as much as one scrape may.
    async fn look(self: &Arc<Ages>, broker: &Broker, readers: &Readers, places: &BTreeSet<Place>) {
        let Ok(reading) = Arc::clone(&self.reading).try_lock_owned() else {
            return;
        };
        let next = self.known().next(places);
        let mut round = Round::new();
        for some in next.chunks(PARTITIONS_PER_CALL) {
            broker.stamps(some.to_vec(), round.ask());
        }
        let answers = round.answers().await;
        let mut plans = Vec::new();
        for (chunk, reply) in answers {
            let Reply::Stamps(stamps) = reply else {
                continue;
            };
            let asked = next.iter().skip(chunk as usize * PARTITIONS_PER_CALL);
            for (place, stamp) in asked.zip(stamps) {
                match stamp {
                    Some(Stamp::Known(at)) => {
                        self.known().written.insert(*place, at);
                    }
                    Some(Stamp::InFiles(plan)) => plans.push((*place, plan)),
                    None => {}
                }
            }
        }
        let (hold, mut ends) = tokio::sync::mpsc::channel::<()>(1);
        let hold = Arc::new((reading, hold));
        for some in plans.chunks(READS_PER_CHORE) {
            let (some, hold) = (some.to_vec(), Arc::clone(&hold));
            let (ages, files) = (Arc::clone(self), Arc::clone(broker.files()));
            readers.run(move || {
                for (place, plan) in some {
                    ages.read(&files, place, &plan);
                }
                drop(hold);
            });
        }
        drop(hold);
        // What comes later is there for the next scrape.
        let _ = timeout(PATIENCE, ends.recv()).await;
    }

    /// Who can't read it has no age; whoever serves the record will say why.
    fn read(&self, files: &Files, place: Place, plan: &ReadPlan) {
        let pieces = plan.run(files, true).ok().flatten();
        let header = pieces.and_then(|pieces| BatchHeader::parse(pieces.first()?).ok());
        if let Some(header) = header {
            self.known().written.insert(place, header.written());
        }
    }
}

/// One partition that a group has an offset for.
struct Row<'a> {
    group: &'a str,
    topic: &'a str,
    partition: String,
    committed: i64,
    /// What this node knows of the partition, if it has a replica.
    lag: Option<Lag>,
}

struct Lag {
    records: i64,
    /// The oldest record that isn't read, if there is one.
    oldest: Option<Place>,
}

/// Committed offsets, and lag in both kinds.
pub async fn families(
    broker: &Broker,
    readers: &Readers,
    ages: &Arc<Ages>,
    replicas: &BTreeMap<GroupId, ReplicaStatus>,
    listed: &[Listed],
    offsets: &[Committed],
) -> [Family; 4] {
    let (rows, left_out) = rows(broker, replicas, listed, offsets);
    let lags = rows.iter().filter_map(|row| row.lag.as_ref());
    let places = lags.filter_map(|lag| lag.oldest).collect();
    ages.look(broker, readers, &places).await;
    told(&rows, left_out, &ages.known(), os::clock::now().wall)
}

fn told(rows: &[Row<'_>], left_out: usize, known: &Known, now: WallMs) -> [Family; 4] {
    let gauge = |name, help| Family::empty(name, help, Kind::Gauge);
    let mut committed = gauge(
        "flotilla_group_committed_offset",
        "The next record that a group is to read.",
    );
    let mut records = gauge(
        "flotilla_group_lag_records",
        "Committed records that a group hasn't read; of partitions that this node has a replica of.",
    );
    let mut seconds = gauge(
        "flotilla_group_lag_seconds",
        "Age of the oldest committed record that a group hasn't read; of partitions that this node has a replica of.",
    );
    for row in rows {
        let labels = [
            ("group", row.group),
            ("topic", row.topic),
            ("partition", &row.partition),
        ];
        committed.push(&labels, row.committed);
        let Some(lag) = &row.lag else { continue };
        records.push(&labels, lag.records);
        let age = match lag.oldest {
            None => Some(0),
            Some(place) => {
                let written = known.written.get(&place);
                written.map(|written| (now.0 - written.0).max(0))
            }
        };
        if let Some(ms) = age {
            seconds.push(&labels, ms as f64 / 1000.0);
        }
    }
    let beyond = Family::gauge(
        "flotilla_group_partitions_left_out",
        "Partitions of groups whose offsets and lag aren't told, because there are too many.",
        left_out,
    );
    [committed, records, seconds, beyond]
}

/// What to tell, and how much is too much.
fn rows<'a>(
    broker: &Broker,
    replicas: &BTreeMap<GroupId, ReplicaStatus>,
    listed: &'a [Listed],
    offsets: &'a [Committed],
) -> (Vec<Row<'a>>, usize) {
    let image = broker.image();
    let (mut rows, mut left_out) = (Vec::new(), 0);
    for (group, topics) in listed.iter().zip(offsets) {
        for topic in topics.iter().flatten() {
            let info = image.topic(&topic.name);
            for part in &topic.partitions {
                let Ok(Some(fetched)) = &part.offset else {
                    continue;
                };
                if rows.len() == PARTITIONS_MAX {
                    left_out += 1;
                    continue;
                }
                let place = usize::try_from(part.partition).ok();
                let known = info.and_then(|topic| topic.partitions.get(place?));
                let replica = known.and_then(|known| replicas.get(&known.group));
                rows.push(Row {
                    group: &group.group,
                    topic: &topic.name,
                    partition: part.partition.to_string(),
                    committed: fetched.offset,
                    lag: replica.map(|replica| lag(replica, Offset(fetched.offset))),
                });
            }
        }
    }
    (rows, left_out)
}

/// Records between what was read and the high watermark, as Kafka's tools count them; the oldest
/// of them that is still there.
fn lag(replica: &ReplicaStatus, committed: Offset) -> Lag {
    let records = (replica.high_watermark.0 - committed.0).max(0);
    let oldest = committed.max(replica.start_offset);
    Lag {
        records,
        oldest: (oldest < replica.high_watermark).then_some((replica.group, oldest)),
    }
}

#[cfg(test)]
mod tests;
