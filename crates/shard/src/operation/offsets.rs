//! Questions about offsets: first, last, by time; where an epoch ended; where replicas stand.

use crate::Shard;
use crate::api::{EpochPart, OffsetAnswer, OffsetPart, OffsetQuery, ReplicaStatus, Reply, ReplyTo};
use crate::replica::Replica;
use base::{GroupId, Mono, Offset, Refusal, WallMs, limits};
use log::TimeQuery;
use std::time::Duration;

/// How often it is looked whether a turn has settled, while a call waits for that; after a heartbeat it
/// is looked with each of those only.
const SETTLE_POLL: Duration = Duration::from_millis(1);

/// A question that waits until what is committed is in segments.
pub(crate) struct Deferred {
    /// The last turn that was written when it came.
    turn: u64,
    since: Mono,
    parts: Vec<OffsetPart>,
    to: ReplyTo,
}

impl Shard {
    pub(crate) fn offsets(&mut self, parts: Vec<OffsetPart>, to: ReplyTo) {
        if parts.iter().any(|part| self.must_settle_first(part)) {
            self.deferred.push_back(Deferred {
                turn: self.unsettled.last_turn().unwrap_or_default(),
                since: self.now.mono,
                parts,
                to,
            });
            return;
        }
        self.answer_offsets(&parts, &to);
    }

    fn answer_offsets(&self, parts: &[OffsetPart], to: &ReplyTo) {
        let answers = parts.iter().map(|part| self.offset(part)).collect();
        to.sink.reply(to.ticket, Reply::Offsets(answers));
    }

    /// A search by time looks in segments only, so what is committed must be there first.
    fn must_settle_first(&self, part: &OffsetPart) -> bool {
        let by_time = matches!(
            part.query,
            OffsetQuery::AtTime(_) | OffsetQuery::MaxTimestamp
        );
        let replica = self.replicas.get(&part.group);
        by_time
            && self.unsettled.last_turn().is_some()
            && replica.is_some_and(|r| r.settled < r.high.0)
    }

    /// Answers the questions whose time has come: all that was committed when they came is in
    /// segments now.
    pub(crate) fn answer_deferred(&mut self, settled: u64) {
        while let Some(question) = self.deferred.pop_front_if(|q| q.turn <= settled) {
            self.answer_offsets(&question.parts, &question.to);
        }
    }

    /// Answers the questions that waited for too long: the disk takes nothing.
    pub(crate) fn expire_deferred(&mut self) {
        let now = self.now.mono;
        let over = |q: &mut Deferred| q.since.after(limits::SEARCHABLE_WAIT) <= now;
        while let Some(Deferred { parts, to, .. }) = self.deferred.pop_front_if(over) {
            let answer = |part| match self.must_settle_first(part) {
                true => Err(Refusal::OffsetNotAvailable),
                false => self.offset(part),
            };
            let answers = parts.iter().map(answer).collect();
            to.sink.reply(to.ticket, Reply::Offsets(answers));
        }
    }

    /// When it is to be looked at them again.
    pub(crate) fn deferred_deadline(&self) -> Option<Mono> {
        let (first, last) = (self.deferred.front()?, self.deferred.back()?);
        // Reports of settled turns come without a knock.
        match self.now.mono.since(last.since) < limits::NODE_HEARTBEAT {
            true => Some(self.now.mono.after(SETTLE_POLL)),
            false => Some(first.since.after(limits::SEARCHABLE_WAIT)),
        }
    }

    fn offset(&self, part: &OffsetPart) -> Result<OffsetAnswer, Refusal> {
        let replica = self.led_replica(part.group, part.leader_epoch)?;
        let epoch_of = |offset| replica.log.epoch_of(offset).map_or(-1, |t| t.epoch());
        let known = |offset: Offset, leader_epoch| {
            Ok(OffsetAnswer::Known {
                offset,
                timestamp: -1,
                leader_epoch,
            })
        };
        let start = replica.log.start_offset();
        let high = replica.high.1;
        match part.query {
            // A start that was answered for may be in its log, not known as committed yet.
            OffsetQuery::Earliest if !replica.knows_start() => Err(Refusal::OffsetNotAvailable),
            OffsetQuery::Earliest => known(start, epoch_of(start)),
            // A new leader doesn't know the group's commit before its own term's first.
            _ if !replica.group.committed_in_term() => Err(Refusal::OffsetNotAvailable),
            OffsetQuery::Latest => known(high, replica.group.term().epoch()),
            OffsetQuery::AtTime(_) | OffsetQuery::MaxTimestamp if start == high => {
                known(Offset(-1), -1)
            }
            OffsetQuery::AtTime(at) => Ok(OffsetAnswer::Search {
                plan: replica.log.plan_time(TimeQuery::At(at), high),
                leader_epoch: replica.group.term().epoch(),
            }),
            OffsetQuery::MaxTimestamp => Ok(OffsetAnswer::Search {
                plan: replica.log.plan_time(TimeQuery::Max, high),
                leader_epoch: replica.group.term().epoch(),
            }),
            OffsetQuery::Segments { .. } if !replica.knows_start() => {
                Err(Refusal::OffsetNotAvailable)
            }
            OffsetQuery::Segments { until, most } => {
                let begins = segments_until(replica, until, self.now.wall);
                let newest_first = begins.into_iter().rev().take(most).collect();
                Ok(OffsetAnswer::Segments(newest_first))
            }
        }
    }

    pub(crate) fn epoch_ends(&mut self, parts: &[EpochPart], to: &ReplyTo) {
        let answer = |part: &EpochPart| {
            let replica = self.led_replica(part.group, part.current_epoch)?;
            if part.epoch > replica.group.term().epoch() {
                // The asker has seen what this group has not: it must not take our end for its.
                return Ok((-1, Offset(-1)));
            }
            Ok(replica.log.epoch_end(part.epoch))
        };
        let answers = parts.iter().map(answer).collect();
        to.sink.reply(to.ticket, Reply::EpochEnds(answers));
    }

    pub(crate) fn report_replicas(&mut self, groups: &[GroupId], to: &ReplyTo) {
        let known = groups.iter().filter_map(|g| self.replica_status(*g));
        to.sink.reply(to.ticket, Reply::Replicas(known.collect()));
    }

    pub(crate) fn report_producers(&self, groups: &[GroupId], to: &ReplyTo) {
        let one = |group: &GroupId| match self.replicas.get(group) {
            Some(replica) => Ok(replica.producers.list().collect()),
            None => Err(Refusal::NotLeader { leader: None }),
        };
        let answers = groups.iter().map(one).collect();
        to.sink.reply(to.ticket, Reply::Producers(answers));
    }

    /// Where this node's replica of a group stands.
    pub fn replica_status(&self, group: GroupId) -> Option<ReplicaStatus> {
        let replica = self.replicas.get(&group)?;
        let leads = replica.group.is_leader();
        Some(ReplicaStatus {
            group,
            member: replica.group.me(),
            leader: replica.leader(),
            in_sync: if leads { replica.in_sync() } else { Vec::new() },
            end_offset: replica.log.end_offset(),
            high_watermark: replica.high.1,
            start_offset: replica.log.start_offset(),
            log_bytes: replica.log.segments().map(|s| s.bytes).sum(),
            last_index: replica.log.last_index(),
            suspect: replica.suspect.clone(),
        })
    }
}

/// Where segments begin whose records were written by then, oldest first; then the high watermark
/// unless that lies in the past.
fn segments_until(replica: &Replica, until: i64, now: WallMs) -> Vec<Offset> {
    let (start, high) = (replica.log.start_offset(), replica.high.1);
    let mut begins = Vec::new();
    let mut begin = start;
    for segment in replica.log.segments() {
        if segment.end_offset > start && begin < high {
            begins.push((begin, segment.max_timestamp));
            begin = segment.end_offset;
        }
    }
    begins.push((high, now.0));
    let written = begins.iter().rposition(|(_, time)| *time <= until);
    begins.truncate(written.map_or(0, |last| last + 1));
    begins.into_iter().map(|(begin, _)| begin).collect()
}
