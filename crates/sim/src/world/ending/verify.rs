//! The logs on the disks are held against all that was ever answered.

use crate::checkers::replicas::{self, Replica};
use crate::checkers::{
    Checked, Checkers, Part, Seen, Violation, contiguous, raw, read_batches, settled, twice,
    violation,
};
use crate::net::Place;
use crate::scheduler::Micros;
use crate::world::World;
use base::{GroupId, Offset};
use std::collections::BTreeSet;

/// So far can the clocks of nodes and clients be apart at the start, and a client's records be dated ahead.
const CLOCKS_APART: Micros = 100_000;

impl World {
    /// Is everything right that has converged?
    pub(super) fn verify(&mut self) -> Checked {
        for (place, node) in self.nodes.iter().enumerate() {
            let Some(process) = &node.process else {
                continue;
            };
            if self.is_given_up(place) {
                continue;
            }
            let names: BTreeSet<String> = process.broker.image().topics.keys().cloned().collect();
            if self.nodes_differ().is_none() {
                self.checkers.topics.verify(place as u32 + 1, &names)?;
            }
        }
        for part in self.expected_parts() {
            if self.unwell_part(part).is_none() {
                self.verify_part(part)?;
            }
        }
        Ok(())
    }

    fn verify_part(&mut self, part: Part) -> Checked {
        let (group, places) = self.placed(part).expect("it has converged");
        let mut logs: Vec<(Place, Vec<Seen>)> = Vec::new();
        let (mut start, mut end) = (0, 0);
        let mut producers = Vec::new();
        for place in places {
            if self.is_given_up(place) {
                continue;
            }
            let status = self.status(place, group).expect("it has converged");
            (start, end) = (status.start_offset.0, status.end_offset.0);
            let log = match self.log_on_disk(place, group, start) {
                // Nobody has read there since bits flipped.
                Err(_) if self.is_excused(place) && self.plan.checking.is_none() => continue,
                log => log?,
            };
            producers.push((place, self.producers_of(place, group)));
            match self.book.compacted(part) {
                Some(markers_ms) => {
                    self.verify_compacted(part, place, (start, &log), markers_ms)?
                }
                None => contiguous::log(part, place as u32 + 1, start, &log)?,
            }
            logs.push((place, log));
        }
        settled::same_producers(part, &producers)?;
        self.checkers.committed.verify(part, end)?;
        self.checkers.starts.verify(part, start)?;
        let reached = logs.first().and_then(|(_, log)| log.last());
        let reached = reached.map_or(start, |batch| batch.next);
        if reached != end && !logs.is_empty() {
            let what = format!("{part}: read up to {reached} of {end} on the disks");
            return Err(violation("a replica's log can be read", what));
        }
        self.verify_logs(part, start, &logs)
    }

    /// What the logs of all replicas of a partition have in common. Where it is compacted each replica has
    /// done as much of that as it got round to.
    fn verify_logs(&mut self, part: Part, start: i64, logs: &[(Place, Vec<Seen>)]) -> Checked {
        let compacted = self.book.compacted(part).is_some();
        for (_, log) in logs {
            twice::records(part, log)?;
            twice::sequences(part, log, compacted)?;
            self.checkers.order.verify(part, log)?;
        }
        let compared: Vec<Replica<'_>> = logs
            .iter()
            .map(|(place, batches)| Replica {
                node: *place as u32 + 1,
                batches,
                high_watermark: i64::MAX,
            })
            .collect();
        if let (false, Some((group, _))) = (compacted, self.placed(part)) {
            for (place, log) in logs.iter().filter(|(place, _)| !self.is_excused(*place)) {
                let files = self.nodes[*place].disk.segments(group);
                raw::same(part, *place as u32 + 1, &files, log)?;
            }
        }
        if compacted {
            return replicas::alike(part, &compared);
        }
        replicas::equal(part, &compared, true)?;
        let Some((place, log)) = logs.first() else {
            return Ok(());
        };
        let who = format!("the disk of node {}", place + 1);
        for batch in log {
            self.checkers.saw(part, batch, &who)?;
        }
        let Checkers { acked, eras, .. } = &self.checkers;
        acked.verify(part, start, log, eras)
    }

    /// As is looked at again in the end, when nobody remembers any.
    pub(super) fn same_producers_everywhere(&mut self) -> Checked {
        for part in self.expected_parts() {
            if self.unwell_part(part).is_some() {
                continue;
            }
            let (group, places) = self.placed(part).expect("it has converged");
            let bound = places.into_iter().filter(|place| !self.is_given_up(*place));
            let known = bound.map(|place| (place, self.producers_of(place, group)));
            settled::same_producers(part, &known.collect::<Vec<_>>())?;
        }
        Ok(())
    }

    /// What a replica would judge producers by.
    fn producers_of(&self, place: Place, group: u64) -> Vec<u8> {
        let process = self.nodes[place].process.as_ref();
        let known = process.and_then(|p| p.shard.producers_state(GroupId(group)));
        known.expect("it has converged")
    }

    /// Each replica has compacted as much as it got round to, so they need not be equal.
    fn verify_compacted(
        &mut self,
        part: Part,
        place: Place,
        log: (i64, &[Seen]),
        markers_ms: u64,
    ) -> Checked {
        let who = format!("the disk of node {}", place + 1);
        // A marker is as old as the clocks of its leaders make it.
        let latest = self.scheduler.now() + self.clocks_moved + CLOCKS_APART;
        let times = (latest, markers_ms * 1_000);
        let Checkers {
            compacted, acked, ..
        } = &mut self.checkers;
        compacted.verify(part, log, acked, times, &who)
    }

    /// The batches of a replica from its start on, as the node reads them from its disk.
    fn log_on_disk(&self, place: Place, group: u64, start: i64) -> Result<Vec<Seen>, Violation> {
        let process = self.nodes[place]
            .process
            .as_ref()
            .expect("it has converged");
        let wrong = |what: String| {
            let what = format!("node {}, group {group}: {what}", place + 1);
            violation("a replica's log can be read", what)
        };
        let mut batches: Vec<Seen> = Vec::new();
        loop {
            let from = Offset(batches.last().map_or(start, |batch| batch.next));
            let Some(plan) = process.shard.plan_replica(GroupId(group), from) else {
                return Ok(batches);
            };
            let pieces = plan
                .run(&process.files, true)
                .map_err(|e| wrong(e.to_string()))?;
            let bytes = pieces.unwrap_or_default().concat();
            if bytes.is_empty() {
                return Err(wrong(format!("nothing at offset {from}")));
            }
            batches.extend(read_batches(bytes.into(), false)?);
        }
    }
}
