//! The coordinator of the groups in one partition of `__consumer_offsets`, as its replica hosts
//! it: the machine, how far it has replayed, and on the leader who waits for which answer. What
//! happens to it is in `operation/coordinate.rs`, `operation/follow.rs` and `operation/load.rs`.
//!
//! 1. The leader replays what it proposes at once, so its machine may be ahead of the high
//!    watermark; everybody else's replays what is committed. Whoever stops leading while ahead
//!    begins anew from the log.
//! 2. An answer waits until all that this leadership proposed before it is committed: nobody is
//!    ever told what may still be cut off. One that was written for itself waits for as many copies
//!    as `min.insync.replicas` demands; while those are missing, nothing more is written for
//!    clients, and heartbeats and questions are answered as ever.
//! 3. An answer that shows what is kept, and waits for no commit of its own, waits until a quorum
//!    has said that this node still leads: a leader that doesn't know of its successor would show
//!    what is out of date. The commit of something earlier doesn't say so: it may have been
//!    acknowledged before the question came. Heartbeats that are well are answered at once; one that is
//!    refused waits too, for its member gives up what it owns, or itself.

mod topics;

pub(crate) use topics::ImageTopics;

use crate::api::ReplyTo;
use base::{
    Batch, Bug, GroupId, Mark, Mono, Offset, RaftIndex, Refusal, Term, mark, planted, record,
};
use group::{Caller, Command, Config, Groups, Reply, Soft};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

/// Nobody waits for the answer to a timer, or to news of topics.
pub(crate) const NOBODY: Caller = 0;
/// Callers of all coordinators of a node that may wait at a time, where some of them wait for other
/// members: as long as those take, whether their client is still there or not.
const CALLERS_MAX: usize = 200_000;

/// What coordinators of a node decide leaves for the log once in this time at most: a sync, and
/// frames to the followers and back, cost for one commit of offsets what they cost for ten. Who asks
/// alone isn't held up.
const GATHER: Duration = Duration::from_millis(5);

/// Answers without a caller that are kept because dropping them means looking at all.
const UNWANTED_KEPT: usize = 64;

/// Who waits.
pub(crate) enum Asker {
    /// A client.
    Client(ReplyTo),
    /// A question to all coordinators of this node.
    Everywhere(u64),
}

/// Who is told what.
pub(crate) type Told = (Asker, Result<Reply, Refusal>);

struct Waiting {
    asker: Asker,
    deadline: Option<Mono>,
}

/// What there is while this node leads, in one term.
pub(crate) struct Leading {
    pub(crate) term: Term,
    /// When it began.
    pub(crate) since: Mono,
    pub(crate) soft: Soft,
    /// The last entry that it proposed.
    proposed: RaftIndex,
    waiting: BTreeMap<Caller, Waiting>,
    by_deadline: BTreeSet<(Mono, Caller)>,
    /// Answers that wait for the copies of their own entries, in their order.
    answers: VecDeque<(RaftIndex, Caller, Reply)>,
    /// Answers to heartbeats that wait for the commit of what came before them, in their order.
    beats: VecDeque<(RaftIndex, Caller, Reply)>,
    /// Answers that wait for a round of confirmations and for what was proposed before them, in
    /// their order.
    shows: VecDeque<(u64, RaftIndex, Caller, Reply)>,
    /// Rounds asked for, and answered by a quorum.
    round: u64,
    confirmed: u64,
    /// When the shard is to look here again; in the shard's list of timers.
    pub(crate) timer: Option<Mono>,
}

/// One replica's coordinator.
pub(crate) struct Coordinator {
    pub(crate) groups: Groups,
    /// Everything below this offset is replayed.
    pub(crate) applied: Offset,
    /// The job that reads what left memory, by its ticket.
    pub(crate) job: Option<u64>,
    /// Set while this node leads and all that is committed is replayed.
    pub(crate) leading: Option<Leading>,
}

impl Coordinator {
    /// One that has replayed nothing.
    pub(crate) fn new() -> Coordinator {
        Coordinator {
            groups: Groups::new(),
            applied: Offset(0),
            job: None,
            leading: None,
        }
    }

    /// Begins to lead: sessions begin anew.
    pub(crate) fn lead(&mut self, term: Term, now: base::Now, config: &Config) {
        self.leading = Some(Leading {
            term,
            since: now.mono,
            soft: self.groups.elected(now, config),
            proposed: RaftIndex(0),
            waiting: BTreeMap::new(),
            by_deadline: BTreeSet::new(),
            answers: VecDeque::new(),
            beats: VecDeque::new(),
            shows: VecDeque::new(),
            round: 0,
            confirmed: 0,
            timer: None,
        });
    }

    /// Replays a batch that begins where the last one ended, or later where records were
    /// compacted away. Again what was replayed already changes nothing.
    pub(crate) fn replay(&mut self, batch: &Batch) {
        let header = batch.header();
        if header.next_offset() <= self.applied {
            return;
        }
        self.applied = header.next_offset();
        if header.is_control() {
            return;
        }
        let mut at = 0;
        for _ in 0..header.records {
            let Ok(record) = record::read(batch.body(), &mut at) else {
                break;
            };
            if let Some(key) = record.key {
                self.groups.replay(key, record.value);
            }
        }
    }

    /// What was proposed may be cut off: the machine begins anew. A job under way reads in vain.
    pub(crate) fn forget(&mut self) {
        self.groups = Groups::new();
        if !planted(Bug::ForgetKeepsPosition) {
            self.applied = Offset(0);
        }
        self.job = None;
    }

    /// A quorum said that this node led when the round was begun.
    pub(crate) fn confirmed(&mut self, round: u64) {
        if let Some(leading) = &mut self.leading {
            leading.confirmed = leading.confirmed.max(round);
        }
    }

    /// When the machine or a caller wants attention.
    pub(crate) fn due(&self) -> Option<Mono> {
        let leading = self.leading.as_ref()?;
        let caller = leading.by_deadline.first().map(|(at, _)| *at);
        caller
            .into_iter()
            .chain(self.groups.due(&leading.soft))
            .min()
    }
}

impl Leading {
    /// Somebody waits from now on.
    pub(crate) fn wait(&mut self, caller: Caller, asker: Asker, deadline: Option<Mono>) {
        self.by_deadline.extend(deadline.map(|at| (at, caller)));
        self.waiting.insert(caller, Waiting { asker, deadline });
    }

    /// Whoever may wait as long as it takes for others waits for copies only so long.
    fn limit(&mut self, caller: Caller, late: Mono) {
        let waiting = self.waiting.get_mut(&caller);
        if let Some(waiting) = waiting.filter(|waiting| waiting.deadline.is_none()) {
            waiting.deadline = Some(late);
            self.by_deadline.insert((late, caller));
        }
    }

    fn take(&mut self, caller: Caller) -> Option<Asker> {
        let waiting = self.waiting.remove(&caller)?;
        if let Some(at) = waiting.deadline {
            self.by_deadline.remove(&(at, caller));
        }
        Some(waiting.asker)
    }

    /// A decision's records were proposed as this entry.
    pub(crate) fn proposed(&mut self, index: RaftIndex) {
        self.proposed = index;
    }

    /// Answers that may be given when all that was proposed so far is committed, and those that
    /// need a confirmation besides because nothing was proposed for them (`own`).
    pub(crate) fn answer(
        &mut self,
        replies: Vec<(Caller, Reply)>,
        own: bool,
        safe: RaftIndex,
        late: Mono,
    ) {
        for (caller, reply) in replies.into_iter().filter(|(caller, _)| *caller != NOBODY) {
            self.limit(caller, late);
            let offsets = matches!(reply, Reply::OffsetFetch(_));
            let uncommitted = offsets && planted(Bug::UncommittedOffsetsShown);
            if !own && shows(&reply) && !uncommitted {
                let wanted = (self.round + 1, self.proposed);
                self.shows.push_back((wanted.0, wanted.1, caller, reply));
                continue;
            }
            if self.proposed > safe {
                mark(Mark::GroupAnswerWaited);
            }
            if uncommitted {
                self.answers.push_front((safe, caller, reply));
            } else if own {
                self.answers.push_back((self.proposed, caller, reply));
            } else {
                self.beats.push_back((self.proposed, caller, reply));
            }
        }
    }

    /// True if somebody waits for a round that isn't begun.
    pub(crate) fn wants_round(&self) -> bool {
        let last = self.shows.back();
        last.is_some_and(|(wanted, ..)| *wanted > self.round)
    }

    /// The round to begin, if somebody waits for one that isn't begun, or whose messages may be
    /// lost. All who came since the last one share it.
    pub(crate) fn begin_round(&mut self, again: bool) -> Option<u64> {
        let wanted = self.wants_round() || (again && !self.shows.is_empty());
        wanted.then(|| {
            self.round += 1;
            self.round
        })
    }

    /// The answers that have their copies, whose entries are committed, or that are confirmed
    /// besides. A caller whose time was up isn't there any more.
    pub(crate) fn safe_answers(&mut self, safe: RaftIndex, committed: RaftIndex) -> Vec<Told> {
        let (safe, committed) = match planted(Bug::GroupAnswerBeforeCommit) {
            true => (RaftIndex(u64::MAX), RaftIndex(u64::MAX)),
            false => (safe, committed),
        };
        let mut told = Vec::new();
        while let Some((_, caller, reply)) = self.answers.pop_front_if(|(at, ..)| *at <= safe) {
            told.extend(self.take(caller).map(|asker| (asker, Ok(reply))));
        }
        while let Some((_, caller, reply)) = self.beats.pop_front_if(|(at, ..)| *at <= committed) {
            told.extend(self.take(caller).map(|asker| (asker, Ok(reply))));
        }
        let confirmed = self.confirmed;
        let shown = |(round, at, ..): &mut (u64, RaftIndex, Caller, Reply)| {
            *round <= confirmed && *at <= committed
        };
        while let Some((_, _, caller, reply)) = self.shows.pop_front_if(shown) {
            mark(Mark::GroupAnswerConfirmed);
            told.extend(self.take(caller).map(|asker| (asker, Ok(reply))));
        }
        told
    }

    /// Callers whose time is up: what they asked may or may not come to be.
    pub(crate) fn overdue(&mut self, now: Mono) -> Vec<Told> {
        let mut told = Vec::new();
        while let Some((_, caller)) = self
            .by_deadline
            .first()
            .filter(|(at, _)| *at <= now)
            .copied()
        {
            let late = "the group's records were not committed in time".to_owned();
            let refusal = Refusal::CoordinatorNotAvailable(late);
            told.extend(self.take(caller).map(|asker| (asker, Err(refusal))));
        }
        self.drop_unwanted();
        told
    }

    /// Drops answers whose callers don't wait any more, once they are as many as the others.
    fn drop_unwanted(&mut self) {
        let kept = self.answers.len() + self.beats.len() + self.shows.len();
        if kept > UNWANTED_KEPT + 2 * self.waiting.len() {
            let waiting = &self.waiting;
            self.answers
                .retain(|(_, caller, _)| waiting.contains_key(caller));
            self.beats
                .retain(|(_, caller, _)| waiting.contains_key(caller));
            self.shows
                .retain(|(_, _, caller, _)| waiting.contains_key(caller));
        }
    }

    /// Everybody who waits learns that it is over.
    pub(crate) fn end(self) -> Vec<Told> {
        let all = self.waiting.into_values();
        all.map(|waiting| (waiting.asker, Err(Refusal::NotCoordinator)))
            .collect()
    }
}

/// True for an answer that shows what is kept.
fn shows(reply: &Reply) -> bool {
    !matches!(
        reply,
        Reply::Heartbeat(Ok(())) | Reply::ConsumerHeartbeat(Ok(_)) | Reply::Done
    )
}

/// A question to all coordinators of a node, while answers come in.
pub(crate) struct Everywhere {
    pub(crate) to: ReplyTo,
    pub(crate) missing: usize,
    pub(crate) answer: Result<Vec<group::reply::Listed>, Refusal>,
}

/// What the coordinators of a node share.
#[derive(Default)]
pub(crate) struct Coordinators {
    /// The groups of this node's replicas that host one.
    pub(crate) hosted: BTreeSet<GroupId>,
    /// When each wants attention; one entry at most for each.
    pub(crate) timers: BTreeSet<(Mono, GroupId)>,
    /// Those that wait for a job to read for them.
    pub(crate) to_load: BTreeSet<GroupId>,
    /// Those whose last job found nothing: looked at again after a while.
    pub(crate) stalled: BTreeSet<GroupId>,
    /// Jobs under way by their ticket.
    pub(crate) jobs: BTreeMap<u64, GroupId>,
    pub(crate) next_job: u64,
    last_caller: Caller,
    /// Callers that wait, over all.
    pub(crate) waiting: usize,
    pub(crate) everywhere: BTreeMap<u64, Everywhere>,
    /// Those that decided something that hasn't left for the log yet.
    gathering: BTreeSet<GroupId>,
    /// When the last such left.
    left: Option<Mono>,
}

impl Coordinators {
    /// True if whoever asks this may wait. Only joins and syncs have no end of their own; all others
    /// are answered, or given up, in a moment, so that they don't fill the place up.
    pub(crate) fn has_room(&self, command: &Command) -> bool {
        let endless = matches!(command, Command::JoinGroup(_) | Command::SyncGroup(_));
        !endless || self.waiting < CALLERS_MAX
    }

    /// A coordinator decided something: it leaves with what the others decide meanwhile.
    pub(crate) fn gather(&mut self, group: GroupId) {
        self.gathering.insert(group);
    }

    /// Those whose decisions leave now.
    pub(crate) fn leaving(&mut self, now: Mono) -> BTreeSet<GroupId> {
        if self.leaves_at().is_none_or(|at| at > now) {
            return BTreeSet::new();
        }
        self.left = Some(now);
        std::mem::take(&mut self.gathering)
    }

    /// When what was decided leaves: at once after a pause, or if nobody else waits, so that a client
    /// that asks one thing after the other isn't held up.
    fn leaves_at(&self) -> Option<Mono> {
        let left = self.left.filter(|_| self.waiting > 1);
        let at = left.map_or(Mono(0), |left| left.after(GATHER));
        (!self.gathering.is_empty()).then_some(at)
    }

    /// A name for somebody who asks.
    pub(crate) fn caller(&mut self) -> Caller {
        self.last_caller += 1;
        self.last_caller
    }

    /// When the first of them wants attention.
    pub(crate) fn deadline(&self) -> Option<Mono> {
        let timer = self.timers.first().map(|(at, _)| *at);
        timer.into_iter().chain(self.leaves_at()).min()
    }
}

#[cfg(test)]
mod tests;
