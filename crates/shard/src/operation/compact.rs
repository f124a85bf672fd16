//! Compaction: at a fixed period the leader of each group of a compacted topic looks whether it
//! pays, and logs what may go. Every replica then rewrites that part of its log when it gets round
//! to it: a job in small steps (`log::Rewrite`), one log at a time, with a pause after each step, so
//! that those who produce don't notice.
//!
//! When it pays is as in Kafka: never the last segment, nothing younger than
//! `min.compaction.lag.ms`, when the share of dirty bytes is above `min.cleanable.dirty.ratio` or
//! something is older than `max.compaction.lag.ms`. What a replica lacks is kept for a while as in
//! `start.rs`: what is compacted can't be sent entry by entry any more, only in a snapshot.

use super::start::floor;
use crate::Shard;
use crate::api::Job;
use crate::replica::Policy;
use base::{GroupId, Mark, Mono, Offset, RaftIndex, WallMs, limits, mark};
use log::{Compact, GroupLog, Kept, ReadFault, Rewrite, RewriteFault, Rewrote, SegmentFacts};
use log::{Shape, Step};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Bound;
use std::time::Duration;

/// Keys of this node that change while it runs, as Kafka names them.
const CHECK_MS: &str = "log.cleaner.backoff.ms";
const KEYS_BYTES: &str = "log.cleaner.dedupe.buffer.size";
const BYTES_PER_SECOND: &str = "log.cleaner.io.max.bytes.per.second";

/// Groups looked at in one turn at most.
const GROUPS_PER_TURN: usize = 256;

/// What is under way.
#[derive(Debug, Default)]
pub(crate) struct Compactions {
    next_round: Mono,
    /// Still to be looked at in this round.
    left: VecDeque<GroupId>,
    /// Logs to be rewritten.
    waiting: BTreeSet<GroupId>,
    running: Option<Running>,
    next_ticket: u64,
    /// The last log that was rewritten: it is the turn of those after it, so that none waits for ever.
    last: Option<GroupId>,
    /// Logs whose rewrite didn't fit on the disk, with how much must be free before it is tried again, or
    /// when it is in any case.
    lacking: BTreeMap<GroupId, (u64, Mono)>,
}

/// The rewrite of this node.
#[derive(Debug)]
struct Running {
    ticket: u64,
    group: GroupId,
    /// What it writes at most.
    bytes_max: u64,
    /// When it goes on, and itself; it is with a job otherwise.
    rests: Option<(Mono, Box<Rewrite>)>,
}

impl Compactions {
    /// When there is something to do.
    pub(crate) fn deadline(&self, now: Mono) -> Mono {
        let idle = self.running.is_none();
        if !self.left.is_empty() || (idle && !self.waiting.is_empty()) {
            return now;
        }
        let rests = self.running.as_ref().and_then(|r| r.rests.as_ref());
        rests.map_or(self.next_round, |(at, _)| self.next_round.min(*at))
    }
}

impl Compactions {
    /// Whose turn it is, taken out of the queue.
    fn next(&mut self) -> Option<GroupId> {
        let after = self.last.map_or(Bound::Unbounded, Bound::Excluded);
        let mut after = self.waiting.range((after, Bound::Unbounded));
        let next = after.next().or(self.waiting.first()).copied()?;
        self.waiting.remove(&next);
        Some(next)
    }

    /// True if there was no room for a log's rewrite, and nothing has changed that.
    fn lacks_room(&self, group: GroupId, free: u64, now: Mono) -> bool {
        let lacks = self.lacking.get(&group);
        lacks.is_some_and(|(wanted, until)| free < *wanted && now < *until)
    }

    /// A replica ends here, and its files: the rewrite that a job may still be at is of no use.
    pub(crate) fn forget(&mut self, group: GroupId) {
        self.waiting.remove(&group);
        self.lacking.remove(&group);
        self.running.take_if(|running| running.group == group);
    }
}

impl Shard {
    /// Begins a round if it is time, goes on with the one under way and with the rewrite.
    pub(crate) fn compact_if_due(&mut self) {
        if self.now.mono >= self.compactions.next_round {
            self.compactions.next_round = self.now.mono.after(self.between_rounds());
            let replicas = self.replicas.values();
            let compacted = replicas.filter(|r| r.policy.compact || r.log.compaction().is_some());
            self.compactions.left = compacted.map(|r| r.id).collect();
        }
        for _ in 0..GROUPS_PER_TURN {
            let Some(group) = self.compactions.left.pop_front() else {
                break;
            };
            self.ask_to_compact(group);
            self.queue_rewrite(group);
        }
        self.begin_rewrite();
        self.go_on_rewriting();
    }

    fn between_rounds(&self) -> Duration {
        let set = self.changed(CHECK_MS).map(Duration::from_millis);
        set.unwrap_or(self.settings.compaction.check)
    }

    /// Configurations changed: the next round may be due earlier.
    pub(crate) fn reconsider_compaction(&mut self) {
        let next = self.now.mono.after(self.between_rounds());
        self.compactions.next_round = self.compactions.next_round.min(next);
    }

    /// A number that was set for this node, or for all, while it ran.
    pub(crate) fn changed(&self, key: &str) -> Option<u64> {
        let image = self.image();
        let set = image.of_node(self.settings.node, key)?.trim();
        // A rate may be written with a fraction or an exponent.
        set.parse::<f64>().ok().map(|number| number as u64)
    }

    /// The leader logs what may go, if it pays.
    fn ask_to_compact(&mut self, group: GroupId) {
        let Some(replica) = self.replicas.get_mut(&group) else {
            return;
        };
        let leads = replica.was_leader && replica.group.committed_in_term();
        let asked = replica.compact_asked.is_some_and(|at| at > replica.high.0);
        if !leads || asked || !replica.policy.compact || replica.log.is_dirty() {
            return;
        }
        let high = replica.high.1;
        let floor = floor(
            replica,
            high,
            self.settings.removal_held_bytes,
            self.now.mono,
        );
        let limits = (high, floor);
        let compact = compactable(&replica.log, &replica.policy, self.now.wall, limits);
        let Some(compact) = compact else {
            return;
        };
        let data = Shape::Compact(compact).encode();
        let Ok(index) = replica.group.propose_internal(data) else {
            return;
        };
        replica.compact_asked = Some(index);
        self.wake_group(group);
        self.touch(group);
    }

    /// Puts a log in the queue if there is something to rewrite.
    pub(crate) fn queue_rewrite(&mut self, group: GroupId) {
        let replica = self.replicas.get(&group);
        if replica.is_some_and(|r| r.log.is_dirty() && r.suspect.is_none()) {
            self.compactions.waiting.insert(group);
        }
    }

    fn begin_rewrite(&mut self) {
        if self.compactions.running.is_some() || self.compactions.waiting.is_empty() {
            return;
        }
        if self.is_disk_full() {
            // The next round looks again. Until then nothing is due.
            self.compactions.waiting.clear();
            return;
        }
        let codec = self.settings.compaction.codec;
        let keys_bytes = self.changed(KEYS_BYTES);
        let keys_bytes = keys_bytes.unwrap_or(self.settings.compaction.keys_bytes);
        let secret = [self.settings.seed, self.settings.boot];
        while let Some(group) = self.compactions.next() {
            let (free, now) = (self.disk_free, self.now.mono);
            if self.is_replacing(group) || self.compactions.lacks_room(group, free, now) {
                continue;
            }
            let Some(replica) = self.replicas.get_mut(&group) else {
                continue;
            };
            // A follower fetches what would be rewritten. The next round looks again.
            if replica.lends_snapshot(self.now.mono) {
                mark(Mark::CompactionWaited);
                continue;
            }
            let producers = replica.producers.last_batches().collect();
            let kept = Kept {
                producers,
                codec,
                keys_bytes: usize::try_from(keys_bytes).unwrap_or(usize::MAX),
                secret,
            };
            if let Some(rewrite) = replica.log.plan_rewrite(kept) {
                let ticket = self.compactions.next_ticket;
                self.compactions.next_ticket += 1;
                self.compactions.last = Some(group);
                self.compactions.running = Some(Running {
                    ticket,
                    group,
                    bytes_max: rewrite.bytes_max(),
                    rests: Some((self.now.mono, Box::new(rewrite))),
                });
                return;
            }
        }
    }

    fn go_on_rewriting(&mut self) {
        let Some(running) = &mut self.compactions.running else {
            return;
        };
        let due = running.rests.take_if(|(at, _)| *at <= self.now.mono);
        let Some((_, rewrite)) = due else {
            return;
        };
        let (ticket, group, bytes_max) = (running.ticket, running.group, running.bytes_max);
        if !self.replicas.contains_key(&group) {
            // Its directory is gone, and what was written there.
            self.compactions.running = None;
            return;
        }
        self.stats.compaction_bytes_left = rewrite.bytes_left();
        let ahead = rewrite.bytes_left().min(bytes_max);
        let ahead = ahead.min(limits::COMPACTION_AHEAD_BYTES);
        let goes_on = self.disk_free >= self.settings.disk_reserve_bytes + ahead;
        self.effects.jobs.push(Job::Rewrite {
            ticket,
            group,
            rewrite,
            goes_on,
        });
    }

    /// What it had written is gone: records of clients had no room beside it.
    pub(crate) fn on_rewrite_given_up(&mut self, ticket: u64) {
        let running = &mut self.compactions.running;
        let Some(running) = running.take_if(|running| running.ticket == ticket) else {
            return;
        };
        let wanted = self.settings.disk_reserve_bytes + running.bytes_max;
        let until = self.now.mono.after(limits::COMPACTION_RETRY);
        self.compactions
            .lacking
            .insert(running.group, (wanted, until));
        self.stats.compaction_bytes_left = 0;
        self.note(format!(
            "compaction of group {} was given up, for the disk had too little room beside it: it is tried \
             again once {wanted} bytes are free, or in an hour",
            running.group
        ));
    }

    /// A step is done.
    pub(crate) fn on_rewritten(
        &mut self,
        ticket: u64,
        rewrite: Box<Rewrite>,
        result: Result<Step, RewriteFault>,
    ) {
        let rate = self.changed(BYTES_PER_SECOND);
        let running = self.compactions.running.as_mut();
        let Some(running) = running.filter(|running| running.ticket == ticket) else {
            return;
        };
        let group = running.group;
        match result {
            Ok(Step::More(bytes)) => {
                let rate = rate.unwrap_or(self.settings.compaction.bytes_per_second);
                let pause = Duration::from_micros(bytes.saturating_mul(1_000_000) / rate.max(1));
                running.rests = Some((self.now.mono.after(pause), rewrite));
                return;
            }
            Ok(Step::Done(rewrote)) => self.take_in(group, rewrote),
            // What it read was cut off or dropped meanwhile: the next round plans it again.
            Err(RewriteFault::Read(ReadFault::Gone)) => {}
            Err(RewriteFault::Read(fault)) => self.on_unreadable(group, &fault),
            Err(RewriteFault::Write(fault)) => self.alarm(format!(
                "compaction of group {group} was given up and will be tried again: {fault}"
            )),
        }
        self.compactions.running = None;
        self.stats.compaction_bytes_left = 0;
    }

    fn take_in(&mut self, group: GroupId, rewrote: Rewrote) {
        let Some(replica) = self.replicas.get_mut(&group) else {
            return;
        };
        self.compactions.lacking.remove(&group);
        let counts = rewrote.counts;
        if !replica.log.replace(&mut self.turn, rewrote) {
            return;
        }
        replica.group.begin_at(replica.log.first_index());
        // All have these entries; who reads them shall find what was made of them.
        let front = replica.log.first_index().prev();
        replica.group.evict(front.min(replica.settled));
        let stats = &mut self.stats;
        stats.compactions += 1;
        stats.compacted_bytes_before += counts.bytes_before;
        stats.compacted_bytes_after += counts.bytes_after;
        stats.compacted_records += counts.records_before - counts.records_after;
        // The keys may have been too many for one rewrite.
        self.queue_rewrite(group);
    }
}

/// What of a log is to be compacted, if it pays. `high` is the high watermark, `floor` up to where
/// nothing is kept for followers.
pub(crate) fn compactable(
    log: &GroupLog,
    policy: &Policy,
    now: WallMs,
    (high, floor): (Offset, RaftIndex),
) -> Option<Compact> {
    let old_enough = |s: &SegmentFacts| {
        policy.min_compaction_lag_ms == 0
            || s.max_timestamp <= now.0.saturating_sub(policy.min_compaction_lag_ms)
    };
    let may = |s: &SegmentFacts| s.end_offset <= high && s.last_index <= floor && old_enough(s);
    let all: Vec<SegmentFacts> = log.segments().collect();
    let (_, closed) = all.split_last()?;
    let closed = closed
        .iter()
        .skip_while(|s| s.end_offset <= log.start_offset());
    let closed: Vec<&SegmentFacts> = closed.take_while(|s| may(s)).collect();
    let below = closed.last()?.end_offset;
    let dirty = || closed.iter().filter(|s| s.end_offset > log.clean_offset());
    let dirty_bytes: u64 = dirty().map(|s| s.bytes).sum();
    let bytes: u64 = closed.iter().map(|s| s.bytes).sum();
    let share = u128::from(dirty_bytes) * 1_000_000;
    let pays = share > u128::from(bytes) * u128::from(policy.min_dirty_millionths);
    let oldest = dirty().map(|s| s.first_timestamp).find(|time| *time >= 0);
    let overdue =
        oldest.is_some_and(|time| now.0.saturating_sub(time) > policy.max_compaction_lag_ms);
    if dirty_bytes == 0 || !(pays || overdue) {
        return None;
    }
    mark(Mark::CompactionAsked);
    Some(Compact {
        below,
        floor,
        now: now.0,
        retention: policy.delete_retention_ms,
    })
}

#[cfg(test)]
mod tests;
