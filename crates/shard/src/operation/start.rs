//! Where logs start: DeleteRecords and retention ask for a later start, the leader logs it, and
//! every replica applies it when it is committed (`log::Shape`). Nothing is deleted before that.
//!
//! The entry also names the floor: segments go only up to there. What a follower lacks is kept for a
//! while, up to a bound in bytes; one that is away for longer gets a snapshot (`snapshot.rs`).

use crate::Shard;
use crate::api::{DeletePart, ReplyTo};
use crate::replica::{Replica, StartWait};
use base::{Bug, GroupId, Mark, Mono, Offset, RaftIndex, Refusal, mark, planted};
use consensus::PeerProgress;
use log::{SegmentFacts, Shape};

impl Shard {
    pub(crate) fn delete_records(&mut self, deadline: Mono, parts: Vec<DeletePart>, to: ReplyTo) {
        let call = self.deletions.open(to, parts.len(), deadline);
        for (part, delete) in parts.into_iter().enumerate() {
            match self.delete_part(&delete) {
                Err(refusal) => self.deletions.answer(call, part, Err(refusal)),
                Ok(Asked::Start(start)) => self.deletions.answer(call, part, Ok(start)),
                Ok(Asked::At(index)) => {
                    let replica = self.replicas.get_mut(&delete.group);
                    let replica = replica.expect("it was asked just now");
                    replica.waits_start.push(StartWait { index, call, part });
                }
            }
        }
    }

    fn delete_part(&mut self, delete: &DeletePart) -> Result<Asked, Refusal> {
        let replica = self.led_replica(delete.group, None)?;
        let refused = Refusal::NotLeader {
            leader: replica.leader(),
        };
        // Before that a new leader doesn't know how far the group has committed.
        if !replica.was_leader || !replica.group.committed_in_term() {
            return Err(refused);
        }
        let (start, high) = (replica.log.start_offset(), replica.high.1);
        let offset = delete.before.unwrap_or(high);
        if offset < Offset(0) || offset > high {
            return Err(Refusal::OffsetOutOfRange);
        }
        if offset <= start {
            return Ok(Asked::Start(start));
        }
        let index = self.ask_for_start(delete.group, offset).ok_or(refused)?;
        mark(Mark::RecordsDeleted);
        if planted(Bug::StartBeforeCommit) {
            return Ok(Asked::Start(offset));
        }
        Ok(Asked::At(index))
    }

    /// Logs that a group which this node leads starts at an offset, at or below its high
    /// watermark. Returns the entry that says so, which may be on its way already.
    pub(crate) fn ask_for_start(&mut self, group: GroupId, offset: Offset) -> Option<RaftIndex> {
        let now = self.now.mono;
        let replica = self.replicas.get_mut(&group)?;
        let floor = floor(replica, offset, self.settings.removal_held_bytes, now);
        if let Some((index, asked)) = replica.start_asked
            && index > replica.high.0
            && asked >= offset
        {
            return Some(index);
        }
        let data = Shape::Start { offset, floor }.encode();
        let index = replica.group.propose_internal(data).ok()?;
        replica.start_asked = Some((index, offset));
        self.wake_group(group);
        self.touch(group);
        Some(index)
    }

    /// The commit moved: who waits for a start has it, who reads below it must learn.
    pub(crate) fn start_moved(&mut self, group: GroupId) {
        let Some(replica) = self.replicas.get_mut(&group) else {
            return;
        };
        let (committed, start) = (replica.high.0, replica.log.start_offset());
        self.woken.extend(replica.parked.iter());
        let done = replica
            .waits_start
            .extract_if(.., |wait| wait.index <= committed);
        for wait in done {
            self.deletions.answer(wait.call, wait.part, Ok(start));
        }
    }

    /// This node doesn't lead the group any more: the start may move or not.
    pub(crate) fn refuse_deletions(&mut self, replica: &mut Replica, refusal: &Refusal) {
        replica.start_asked = None;
        for wait in replica.waits_start.drain(..) {
            self.deletions
                .answer(wait.call, wait.part, Err(refusal.clone()));
        }
    }
}

/// What became of a deletion at once.
enum Asked {
    /// There is nothing to delete: the log starts here or later.
    Start(Offset),
    /// This entry says so.
    At(RaftIndex),
}

/// Up to where nothing is kept for followers if the log starts at an offset: what every replica has
/// as far as this leader knows, and what comes before the last `held_max` bytes that could go.
pub(super) fn floor(replica: &Replica, start: Offset, held_max: u64, now: Mono) -> RaftIndex {
    // Who has no room is not waited for: what it lacks is of no use to it, and what takes its room may be
    // before the start as well.
    let progress = replica.group.progress();
    let waited_for = |p: &&PeerProgress| !replica.group.withheld().contains(&p.member);
    let matched = progress.iter().filter(waited_for).map(|p| p.matched).min();
    // What follows on a snapshot that is on its way will be needed.
    let held_max = match replica.lends_snapshot(now) {
        true => u64::MAX,
        false => held_max,
    };
    let below = |facts: &SegmentFacts| facts.end_offset <= start;
    let going: Vec<_> = replica.log.segments().take_while(below).collect();
    let mut kept = 0;
    let newest_first = going.iter().rev();
    let beyond = newest_first.skip_while(|facts| {
        kept = facts.bytes.saturating_add(kept);
        kept <= held_max
    });
    let given_up = beyond.map(|facts| facts.last_index).next();
    let floor = matched
        .unwrap_or_default()
        .max(given_up.unwrap_or_default());
    floor.max(replica.log.floor())
}
