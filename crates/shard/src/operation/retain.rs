//! Retention: at a fixed period the leader of each group looks which segments are too old or too
//! many, and asks for a later start (`start.rs`). As in Kafka, whole segments go, and the time of
//! a segment is its largest timestamp.

use super::start::floor;
use crate::Shard;
use crate::replica::Policy;
use base::{GroupId, Mark, Offset, WallMs, mark};
use log::{GroupLog, SegmentFacts};
use std::collections::VecDeque;

/// Groups looked at in one turn at most, so that a round over many doesn't hold the loop up.
const GROUPS_PER_TURN: usize = 256;

/// A round over the groups that this node leads.
#[derive(Debug, Default)]
pub(crate) struct Round {
    left: VecDeque<GroupId>,
    /// Bytes that could go, but for replicas that lack them.
    held: u64,
}

impl Round {
    pub(crate) fn is_under_way(&self) -> bool {
        !self.left.is_empty()
    }
}

impl Shard {
    /// Begins a round if it is time, and goes on with the one under way.
    pub(crate) fn retain_if_due(&mut self) {
        if self.now.mono >= self.next_retention {
            self.next_retention = self.now.mono.after(self.between_retentions());
            let led = self.replicas.values().filter(|r| r.was_leader);
            let partitions = led.map(|r| r.id).filter(|id| *id != GroupId::META);
            self.retention.left = partitions.collect();
            self.retention.held = 0;
            if self.retention.left.is_empty() {
                self.end_round();
            }
        }
        for _ in 0..GROUPS_PER_TURN {
            let Some(group) = self.retention.left.pop_front() else {
                return;
            };
            self.retain(group);
            if self.retention.left.is_empty() {
                self.end_round();
            }
        }
    }

    fn retain(&mut self, group: GroupId) {
        let Some(replica) = self.replicas.get(&group) else {
            return;
        };
        if !replica.was_leader || !replica.group.committed_in_term() {
            return;
        }
        let (log, high) = (&replica.log, replica.high.1);
        let start = retained_from(log, &replica.policy, self.now.wall, high);
        let floor = floor(
            replica,
            start,
            self.settings.removal_held_bytes,
            self.now.mono,
        );
        if start > log.start_offset() {
            mark(Mark::Retained);
            self.ask_for_start(group, start);
            return;
        }
        // What lies before the start already may go once all have it, or there is too much of it.
        let below = |facts: &SegmentFacts| facts.end_offset <= start;
        let waiting: Vec<_> = log.segments().take_while(below).collect();
        let goes = waiting.first().is_some_and(|s| s.last_index <= floor);
        let bytes: u64 = waiting.iter().map(|s| s.bytes).sum();
        if goes {
            self.ask_for_start(group, start);
            return;
        }
        if bytes > 0 {
            mark(Mark::HeldByReplica);
            self.retention.held += bytes;
        }
    }

    fn end_round(&mut self) {
        self.stats.held_bytes = std::mem::take(&mut self.retention.held);
    }
}

/// Where a log should start by its topic's policy: at `start_offset` or later, never above the high
/// watermark.
pub(crate) fn retained_from(log: &GroupLog, policy: &Policy, now: WallMs, high: Offset) -> Offset {
    let start = log.start_offset();
    if !policy.delete {
        return start;
    }
    let kept = || log.segments().skip_while(move |s| s.end_offset <= start);
    let whole = || kept().take_while(move |s| s.end_offset <= high);
    let by_time = match policy.retention_ms {
        0.. => too_old(whole(), now, policy.retention_ms),
        _ => None,
    };
    let by_size = match u64::try_from(policy.retention_bytes) {
        Ok(most) => too_many(whole(), kept().map(|s| s.bytes).sum(), most),
        Err(_) => None,
    };
    start
        .max(by_time.unwrap_or(start))
        .max(by_size.unwrap_or(start))
}

/// The end of the last segment at the front that is too old. One without times (no producer gave
/// any) goes with the next one that has them.
fn too_old(
    segments: impl Iterator<Item = SegmentFacts>,
    now: WallMs,
    retention_ms: i64,
) -> Option<Offset> {
    let old = |time: i64| now.0.saturating_sub(time) > retention_ms;
    let old = segments.take_while(|s| s.max_timestamp < 0 || old(s.max_timestamp));
    let timed = old.filter(|s| s.max_timestamp >= 0);
    timed.last().map(|s| s.end_offset)
}

/// The end of the last segment at the front without which there are still `most` bytes.
fn too_many(segments: impl Iterator<Item = SegmentFacts>, bytes: u64, most: u64) -> Option<Offset> {
    let mut beyond = bytes.checked_sub(most)?;
    let fits = |s: &SegmentFacts| match beyond.checked_sub(s.bytes) {
        Some(left) => {
            beyond = left;
            true
        }
        None => false,
    };
    segments.take_while(fits).last().map(|s| s.end_offset)
}

#[cfg(test)]
mod tests;
