//! Collecting what Raft made of a turn's events: the log is cut and appended, state is recorded,
//! messages go out, commits move the high watermark. And hearing back from storage.

use crate::Shard;
use crate::caught_up::CaughtUp;
use crate::operation::elect::Cause;
use crate::replica::Replica;
use base::{Bug, GroupId, Mark, Member, RaftIndex, Refusal, limits, mark, planted};
use consensus::{Body, Item, Led, Message, Ready};
use log::HardState;
use std::collections::BTreeSet;

/// A ready that isn't reported as durable yet, and the messages that wait for that.
pub(crate) struct InFlight {
    group: GroupId,
    number: u64,
    after: Vec<Message>,
}

impl Shard {
    /// Collects from all replicas that were touched, until none has anything left.
    pub(crate) fn collect(&mut self) {
        while let Some(group) = self.dirty.pop() {
            self.begin_confirmation(group, false);
            let Some(mut replica) = self.replicas.remove(&group) else {
                continue;
            };
            replica.dirty = false;
            while let Some(ready) = replica.group.ready() {
                self.take_ready(&mut replica, ready);
            }
            debug_assert_eq!(
                replica.group.begins_at(),
                replica.log.first_index(),
                "a snapshot of group {group} would be of another beginning than its log's"
            );
            self.discard_imported(&mut replica);
            replica.rouse(&mut self.restless);
            self.replicas.insert(group, replica);
            self.request_cold(group);
            self.after_change(group);
        }
    }

    fn take_ready(&mut self, replica: &mut Replica, ready: Ready) {
        if let (Some(round), Some(coordinator)) = (ready.confirmed, &mut replica.coordinator) {
            coordinator.confirmed(round);
        }
        if let Some(install) = &ready.install {
            self.install(replica, install);
        }
        if let Some(from) = ready.truncate_from {
            mark(Mark::Truncated);
            self.stats.truncations += 1;
            replica.log.truncate(&mut self.turn, from);
            replica.producers.truncated(from);
            self.unsettle(replica, from);
        }
        let (appended, mut bytes_appended) = (!ready.entries.is_empty(), 0);
        if let Some(first) = ready.entries.first().filter(|_| !replica.group.is_leader()) {
            // What this replica proposed in this turn, before it was deposed in it, never was.
            replica.producers.truncated(first.index);
        }
        for entry in ready.entries {
            match &entry.body {
                Body::Batch(batch) => {
                    replica
                        .log
                        .append_batch(&mut self.turn, entry.index, entry.term, batch);
                    replica.producers.appended(entry.index, &batch.header());
                    let bytes = batch.len() as u64 + limits::HOT_BATCH_OVERHEAD;
                    self.hot.push_back((replica.id, entry.index, bytes));
                    self.hot_bytes += bytes;
                    bytes_appended += bytes;
                }
                Body::Internal(data) => {
                    let data = data.clone();
                    replica
                        .log
                        .append_internal(&mut self.turn, entry.index, entry.term, data);
                }
            }
        }
        if appended {
            let last = replica.log.last_index();
            self.unsettled.wrote(replica.id, last, bytes_appended);
        }
        if ready.must_sync {
            self.record_state(replica);
        }
        let silent = replica.suspect.is_some();
        for mut message in ready.now.into_iter().filter(|_| !silent) {
            if self.fill_snapshot(replica, &mut message) {
                self.send(replica.id, message);
            }
        }
        self.opened.push(InFlight {
            group: replica.id,
            number: ready.number,
            after: ready.after,
        });
    }

    /// What was cut and is written again settles with its own turn, not with the old one.
    pub(crate) fn unsettle(&mut self, replica: &mut Replica, from: RaftIndex) {
        replica.settled = replica.settled.min(from.prev());
        self.unsettled.cut(replica.id, from);
    }

    /// Records term, vote and commit, if the write-ahead log doesn't have them.
    pub(crate) fn record_state(&mut self, replica: &mut Replica) {
        let group = &replica.group;
        let commit = group.committed().min(replica.log.last_index());
        let state = HardState {
            term: group.term(),
            vote: group.vote(),
            commit,
        };
        if state != replica.recorded {
            replica.recorded = state;
            self.turn.state(replica.id, state);
        }
    }

    fn send(&mut self, group: GroupId, message: Message) {
        if let Some(peer) = self.peers.get_mut(&message.to().node) {
            peer.outbox.push(Item::Raft(group, message));
        }
    }

    /// Role, commit and leader after a replica was touched.
    fn after_change(&mut self, group: GroupId) {
        let Some(replica) = self.replicas.get_mut(&group) else {
            return;
        };
        let leads = replica.group.is_leader();
        self.stop_if_deposed(group);
        let Some(replica) = self.replicas.get_mut(&group) else {
            return;
        };
        if leads != replica.was_leader {
            replica.was_leader = leads;
            if leads {
                self.on_elected(group)
            } else {
                self.on_deposed(group)
            }
        }
        self.advance_high_watermark(group);
        self.publish_leader(group);
        self.answer_appends(group);
        self.release_held(group);
        self.follow(group);
    }

    fn on_elected(&mut self, group: GroupId) {
        let now = self.now.mono;
        let Some(replica) = self.replicas.get_mut(&group) else {
            return;
        };
        replica.next_offset = replica.log.end_offset();
        if planted(Bug::OffsetsFromCommit) {
            replica.next_offset = replica.high.1;
        }
        if planted(Bug::NewLeaderGuessesHighWatermark) {
            replica.high.1 = replica.log.end_offset();
        }
        // Who lacked something when the leader before spoke of it last has yet to show that it has all. A
        // lost node is looked at once it is heard.
        let (last, me) = (replica.log.last_index(), replica.group.me());
        replica.behind.retain(|node| *node != me.node);
        let begins = |member: Member| match replica.behind.contains(&member.node) {
            true => CaughtUp::with_nothing(last, self.beats),
            false => CaughtUp::with_all(last, now, self.beats),
        };
        let electors = replica.group.configuration().electors();
        replica.caught_up = electors.map(|member| (member, begins(member))).collect();
        replica.elect_at = None;
        replica.sealed = None;
        replica.rest = crate::replica::Rest::Active(0);
        replica.aside.clear();
        self.say_led(group);
        self.stats.elections_won += 1;
        self.controller.led_changed |= group == GroupId::META;
    }

    fn on_deposed(&mut self, group: GroupId) {
        mark(Mark::SteppedDown);
        self.led.set(group, Led::Gone);
        self.controller.led_changed |= group == GroupId::META;
        let Some(mut replica) = self.replicas.remove(&group) else {
            return;
        };
        if planted(Bug::HighWatermarkGoesBack) {
            replica.high.1 = base::Offset((replica.high.1.0 - 1).max(0));
        }
        let refusal = Refusal::NotLeader {
            leader: replica.leader(),
        };
        let lost = self.give_up_appends(&mut replica);
        self.refuse_deletions(&mut replica, &refusal);
        replica.snapshots.clear();
        replica.untaken.clear();
        self.woken.extend(replica.parked.iter());
        self.replicas.insert(group, replica);
        for held in lost {
            self.hold(group, held);
        }
        self.schedule_election(group, Cause::Leaderless);
    }

    fn publish_leader(&mut self, group: GroupId) {
        let Some(replica) = self.replicas.get_mut(&group) else {
            return;
        };
        let news = (replica.group.term(), replica.group.leader());
        if replica.published == Some(news) {
            return;
        }
        replica.published = Some(news);
        // A read that waits learns who leads now.
        self.woken.extend(replica.parked.iter());
        if let Some(leader) = news.1 {
            let peer = self.peers.get(&leader);
            replica.contact = peer.map(|peer| peer.contact(self.now.mono));
            replica.campaigns = 0;
            replica.terms_in_vain = 0;
        }
        if news.1.is_none() {
            self.schedule_election(group, Cause::Leaderless);
        }
        self.effects.leaders.push((group, news.0, news.1));
        self.controller.led_changed |= group == GroupId::META;
    }

    /// The high watermark follows the commit: it doesn't wait for this node's own fsync once a
    /// majority has the entry.
    fn advance_high_watermark(&mut self, group: GroupId) {
        let Some(replica) = self.replicas.get_mut(&group) else {
            return;
        };
        let committed = replica.group.committed().min(replica.log.last_index());
        if committed <= replica.high.0 {
            return;
        }
        let offset = replica.log.next_offset_of(committed);
        let offset = offset.expect("the offset after an entry that was not committed is known");
        let start = replica.log.start_offset();
        let compaction = replica.log.compaction();
        let start_unknown = replica.log.start_is_pending();
        replica.note_configurations(committed);
        replica.log.commit(&mut self.turn, committed);
        let compacts = replica.log.compaction() != compaction;
        let start_moved = replica.log.start_offset() > start;
        replica.group.begin_at(replica.log.first_index());
        replica.producers.committed(committed);
        if start_unknown && !replica.log.start_is_pending() {
            // As long as it was, reads found nothing, whatever there is.
            self.woken.extend(replica.parked.iter());
        }
        let before = replica.high.1;
        replica.high = (committed, offset);
        while replica
            .uncommitted
            .front()
            .is_some_and(|(i, _)| *i <= committed)
        {
            let (_, bytes) = replica.uncommitted.pop_front().expect("looked at just now");
            replica.uncommitted_bytes -= bytes;
            self.uncommitted_bytes -= bytes;
        }
        if offset > before {
            self.count_for_reads(group, before);
        }
        if compacts {
            self.queue_rewrite(group);
        }
        if start_moved {
            self.stats.starts_moved += 1;
            self.start_moved(group);
        }
        if group == GroupId::META {
            self.apply_metadata();
        }
    }

    /// Ends the turn for storage: what was written gets a number, readies wait for it.
    pub(crate) fn close_turn(&mut self) {
        if self.checkpoint_due {
            self.checkpoint_due = false;
            self.shorten_metadata();
            self.write_checkpoint();
        }
        let opened = std::mem::take(&mut self.opened);
        if self.turn.is_empty() {
            match self.in_flight.back_mut() {
                Some((_, readies)) => readies.extend(opened),
                None if opened.is_empty() => {}
                None => {
                    // Nothing was written before or now, so nothing is waited for.
                    self.report_durable(opened);
                    self.collect();
                    self.close_turn();
                }
            }
            return;
        }
        let next = log::Turn::new(self.turn.number + 1);
        let turn = std::mem::replace(&mut self.turn, next);
        let number = turn.number;
        self.disk_free = self.disk_free.saturating_sub(self.unsettled.close(number));
        self.effects.turn = Some(turn);
        if planted(Bug::PersistBeforeFsync) {
            self.report_durable(opened);
            self.in_flight.push_back((number, Vec::new()));
        } else {
            self.in_flight.push_back((number, opened));
        }
    }

    /// Drops what is under way for replicas that ended.
    pub(crate) fn forget_under_way(&mut self, ended: &BTreeSet<GroupId>) {
        let readies = self.in_flight.iter_mut().map(|(_, readies)| readies);
        for readies in readies.chain([&mut self.opened]) {
            readies.retain(|ready| !ended.contains(&ready.group));
        }
        self.unsettled.forget(ended);
        self.cold
            .retain(|_, request| !ended.contains(&request.group()));
        self.lent.retain(|_, lent| !ended.contains(&lent.group));
        self.coordinators.jobs.retain(|_, of| !ended.contains(of));
        self.forget_checks(ended);
        for group in ended {
            self.compactions.forget(*group);
        }
    }

    fn report_durable(&mut self, readies: Vec<InFlight>) {
        for ready in readies {
            if let Some(replica) = self.replicas.get_mut(&ready.group) {
                replica.group.persisted(ready.number);
                let silent = replica.suspect.is_some();
                for message in ready.after.into_iter().filter(|_| !silent) {
                    self.send(ready.group, message);
                }
                self.touch(ready.group);
            }
        }
    }

    pub(crate) fn on_persisted(&mut self, turn: u64) {
        while self
            .in_flight
            .front()
            .is_some_and(|(number, _)| *number <= turn)
        {
            let (_, readies) = self.in_flight.pop_front().expect("looked at just now");
            self.report_durable(readies);
        }
    }

    pub(crate) fn on_settled(&mut self, turn: u64) {
        self.settled_turn = self.settled_turn.max(turn);
        for (group, index) in self.unsettled.settled(turn) {
            if let Some(replica) = self.replicas.get_mut(&group) {
                replica.settled = replica.settled.max(index);
                replica.log.settled(replica.settled);
            }
        }
        self.answer_deferred(turn);
    }

    /// Drops the oldest batches from memory while there are too many of them. Those that must stay
    /// (not committed, or not readable from segments) are looked at again at the next beat.
    pub(crate) fn evict_hot(&mut self) {
        while self.hot_bytes > self.settings.hot_tail_bytes {
            let Some((group, index, bytes)) = self.hot.pop_front() else {
                break;
            };
            if let Some(replica) = self.replicas.get_mut(&group) {
                let cut_off = index > replica.log.last_index();
                if index > replica.settled.min(replica.high.0) && !cut_off {
                    self.hot_held.push((group, index, bytes));
                    continue;
                }
                if !cut_off {
                    replica.group.evict(index);
                }
            }
            self.hot_bytes -= bytes;
        }
    }

    /// Puts what had to stay in memory back at its place, the oldest first.
    pub(crate) fn review_held(&mut self) {
        for held in std::mem::take(&mut self.hot_held).into_iter().rev() {
            self.hot.push_front(held);
        }
    }

    fn write_checkpoint(&mut self) {
        let mut replicas = std::mem::take(&mut self.replicas);
        let live: Vec<_> = replicas
            .values_mut()
            .map(|r| {
                let app = self.keep(r);
                let state = HardState {
                    commit: r.high.0,
                    ..r.recorded
                };
                (&r.log, state, app, r.producers.as_of())
            })
            .collect();
        let stored = self.stored.values().map(|s| {
            let app = s.kept();
            (&s.log, s.state, app, s.producers.as_of())
        });
        let body = log::checkpoint(live.into_iter().chain(stored), &[]);
        self.turn.checkpoint = Some(body);
        self.replicas = replicas;
    }
}
