//! Appending: admit, stamp, propose; and answer when there are enough copies.

use crate::Shard;
use crate::api::{Acks, AppendPart, Appended, ReplyTo};
use crate::caught_up::CaughtUp;
use crate::operation::Held;
use crate::producers::Admission;
use crate::replica::{AppendWait, Replica, Rest};
use base::{Batch, Bug, GroupId, Mark, Mono, Refusal, WallMs, limits, mark, planted};

/// What became of a part at once.
enum Placed {
    /// It waits for copies of this entry.
    Waits(AppendWait),
    /// It is answered.
    Done(Result<Appended, Refusal>),
}

impl Shard {
    pub(crate) fn append(
        &mut self,
        acks: Acks,
        deadline: Mono,
        parts: Vec<AppendPart>,
        to: ReplyTo,
    ) {
        let call = self.calls.open(to, parts.len(), deadline);
        for (part, append) in parts.into_iter().enumerate() {
            let group = append.group;
            match self.replicas.get(&group) {
                Some(replica) if replica.holds_appends() => {
                    let held = Held::Append {
                        acks,
                        call,
                        part,
                        append,
                    };
                    self.hold(group, held);
                }
                _ => self.append_part(acks, call, part, append),
            }
        }
    }

    pub(crate) fn append_part(&mut self, acks: Acks, call: u64, part: usize, append: AppendPart) {
        let group = append.group;
        let placed = match self.admit(acks, &append) {
            Err(refusal) => Placed::Done(Err(refusal)),
            Ok(admission) => self.place(acks, admission, append),
        };
        match placed {
            Placed::Done(result) => self.calls.answer(call, part, result),
            Placed::Waits(wait) => {
                let wait = AppendWait { call, part, ..wait };
                let replica = self.replicas.get_mut(&group).expect("it was admitted");
                match acks {
                    Acks::None => self.calls.answer(call, part, Ok(wait.appended)),
                    Acks::Leader => push_in_order(&mut replica.waits_leader, wait),
                    Acks::All => push_in_order(&mut replica.waits_all, wait),
                }
            }
        }
    }

    /// Checks everything that may keep a batch out.
    fn admit(&mut self, acks: Acks, append: &AppendPart) -> Result<Admission, Refusal> {
        let group = append.group;
        let Some(replica) = self.replicas.get(&group) else {
            return Err(Refusal::NotLeader { leader: None });
        };
        // Elected in this very turn: the end of the log is known when the turn is collected.
        if !replica.group.is_leader() || !replica.was_leader {
            return Err(Refusal::NotLeader {
                leader: replica.leader(),
            });
        }
        if replica.coordinator.is_some() {
            // Its coordinator would not know of what others write.
            let why = "only its coordinator appends to this topic";
            return Err(Refusal::InvalidTopic(why.to_owned()));
        }
        if self.is_disk_full() && group != GroupId::META {
            mark(Mark::DiskFullRefused);
            return Err(Refusal::Storage(format!(
                "{}; make room, writes resume by themselves",
                self.lack_of_room()
            )));
        }
        self.refuse_without_takers(replica)?;
        let bytes = append.batch.len() as u64;
        // A batch that is larger than a bound is let in alone: waiting would not make it smaller.
        let is_over = |waiting: u64, most: u64| waiting > 0 && waiting + bytes > most;
        if is_over(replica.uncommitted_bytes, limits::UNCOMMITTED_GROUP_BYTES)
            || is_over(self.uncommitted_bytes, limits::UNCOMMITTED_NODE_BYTES)
        {
            return Err(Refusal::Busy("too many bytes wait for their commit".into()));
        }
        // The others may commit without this node's disk.
        if self.unsettled.bytes() > self.settings.unsettled_bytes_max {
            return Err(Refusal::Busy(
                "too many bytes wait for this node's disk".into(),
            ));
        }
        if acks == Acks::All {
            replica.has_copies_wanted(self.now.mono, self.settings.replica_lag_max)?;
        }
        let admission = replica.producers.admit(&append.batch.header());
        if matches!(admission, Err(Refusal::OutOfOrderSequence(_))) {
            mark(Mark::SequenceRefused);
        }
        admission
    }

    fn place(&mut self, acks: Acks, admission: Admission, append: AppendPart) -> Placed {
        match admission {
            Admission::New => {
                self.touch(append.group);
                self.propose(append.group, append.batch)
            }
            Admission::Duplicate { base_offset, index } => {
                let replica = &self.replicas[&append.group];
                let appended = Appended {
                    base_offset,
                    append_time: None,
                    start_offset: replica.log.start_offset(),
                };
                if acks == Acks::None || planted(Bug::DuplicateBeforeCommit) {
                    return Placed::Done(Ok(appended));
                }
                let waits = index > replica.high.0;
                mark(if waits {
                    Mark::DuplicateWaited
                } else {
                    Mark::DuplicateAnswered
                });
                // It is answered as its first was: when there are enough copies.
                self.touch(append.group);
                Placed::Waits(AppendWait {
                    index,
                    call: 0,
                    part: 0,
                    appended,
                })
            }
        }
    }

    /// Stamps and proposes a batch on a group that this node leads. It leaves when the group is
    /// touched.
    fn propose(&mut self, group: GroupId, mut batch: Batch) -> Placed {
        let replica = self.replicas.get_mut(&group).expect("it was admitted");
        let append_time = replica.policy.log_append_time.then_some(self.now.wall);
        if let Some(WallMs(ms)) = append_time {
            batch.stamp_append_time(ms);
        }
        let base_offset = replica.next_offset;
        batch.stamp(base_offset, replica.group.term());
        let header = batch.header();
        let bytes = batch.len() as u64;
        let Ok(index) = replica.group.propose_batch(batch) else {
            return Placed::Done(Err(Refusal::NotLeader {
                leader: replica.leader(),
            }));
        };
        replica.next_offset = header.next_offset();
        replica.producers.appended(index, &header);
        replica.uncommitted.push_back((index, bytes));
        replica.uncommitted_bytes += bytes;
        self.uncommitted_bytes += bytes;
        let start_offset = replica.log.start_offset();
        let appended = Appended {
            base_offset,
            append_time,
            start_offset,
        };
        self.stats.batches_appended += 1;
        self.stats.bytes_appended += bytes;
        self.wake_group(group);
        if planted(Bug::AckBeforeFsync) {
            return Placed::Done(Ok(appended));
        }
        Placed::Waits(AppendWait {
            index,
            call: 0,
            part: 0,
            appended,
        })
    }

    /// Appends records of a machine that lives in a group this node leads. None if it doesn't.
    pub(crate) fn append_records(
        &mut self,
        group: GroupId,
        records: &[bytes::Bytes],
    ) -> Option<base::RaftIndex> {
        let wall = self.now.wall.0;
        let mut batch = base::record::Builder::new(wall);
        for record in records {
            batch.push(wall, None, Some(record), &[]);
        }
        self.touch(group);
        self.append_machine_batch(group, batch.build())
    }

    /// Appends the batch of a machine that lives in a group this node leads; it leaves when the
    /// group is touched. None if it doesn't lead.
    pub(crate) fn append_machine_batch(
        &mut self,
        group: GroupId,
        batch: Batch,
    ) -> Option<base::RaftIndex> {
        match self.propose(group, batch) {
            Placed::Waits(wait) => Some(wait.index),
            Placed::Done(Ok(_)) => Some(self.replicas[&group].group.last_index()),
            Placed::Done(Err(_)) => None,
        }
    }

    /// A group has something to do: its followers are spoken to again.
    pub(crate) fn wake_group(&mut self, group: GroupId) {
        let Some(replica) = self.replicas.get_mut(&group) else {
            return;
        };
        let announced = matches!(replica.rest, Rest::Announced(_) | Rest::Quiet);
        if replica.rest == Rest::Quiet {
            // Who isn't behind had everything as long as it was quiet.
            let members = replica.group.configuration().members();
            let there = members.filter(|member| !replica.behind.contains(&member.node));
            let all = CaughtUp::with_all(replica.group.last_index(), self.now.mono, self.beats);
            replica.caught_up.extend(there.map(|member| (member, all)));
        }
        replica.rest = Rest::Active(0);
        replica.rouse(&mut self.restless);
        if announced && replica.group.is_leader() {
            self.say_led(group);
            mark(Mark::Woken);
        }
    }

    /// Answers the appends of a replica that have their copies.
    pub(crate) fn answer_appends(&mut self, group: GroupId) {
        let Some(replica) = self.replicas.get_mut(&group) else {
            return;
        };
        if replica.waits_leader.is_empty() && replica.waits_all.is_empty() {
            return;
        }
        let durable_here = replica.group.persisted_index();
        answer_upto(&mut replica.waits_leader, durable_here, &mut self.calls);
        let mut safe = replica.acknowledged();
        if planted(Bug::QuorumTooSmall) {
            safe = durable_here;
        }
        answer_upto(&mut replica.waits_all, safe, &mut self.calls);
    }

    /// This node doesn't lead the group any more: what waits may or may not become committed, so
    /// the callers must find out from the new leader, once it is known.
    pub(crate) fn give_up_appends(&mut self, replica: &mut Replica) -> Vec<Held> {
        self.uncommitted_bytes -= replica.uncommitted_bytes;
        replica.uncommitted_bytes = 0;
        replica.uncommitted.clear();
        let leader = std::mem::take(&mut replica.waits_leader);
        let all = std::mem::take(&mut replica.waits_all);
        let lost = |AppendWait { call, part, .. }| Held::Lost { call, part };
        leader.into_iter().chain(all).map(lost).collect()
    }

    /// The group is gone.
    pub(crate) fn refuse_appends(&mut self, replica: &mut Replica, refusal: &Refusal) {
        let held = std::mem::take(&mut replica.held);
        for held in self.give_up_appends(replica).into_iter().chain(held) {
            let (Held::Append { call, part, .. } | Held::Lost { call, part }) = held;
            self.calls.answer(call, part, Err(refusal.clone()));
        }
    }
}

/// A duplicate may wait for an entry before the last one.
fn push_in_order(waits: &mut std::collections::VecDeque<AppendWait>, wait: AppendWait) {
    let at = waits.partition_point(|w| w.index <= wait.index);
    waits.insert(at, wait);
}

fn answer_upto(
    waits: &mut std::collections::VecDeque<AppendWait>,
    upto: base::RaftIndex,
    calls: &mut crate::calls::Calls<Appended>,
) {
    while waits.front().is_some_and(|w| w.index <= upto) {
        let wait = waits.pop_front().expect("looked at just now");
        calls.answer(wait.call, wait.part, Ok(wait.appended));
    }
}
