//! From one generation to the next: members are called together, those who come form the next
//! generation, its leader assigns.
//!
//! A rebalance begins with `prepare` and ends with `complete_join`; between them joins wait.
//! Members who don't come in time are out, except static ones: they are expected to come back
//! and keep their place until their session ends.

use super::live::{JoinEnd, Live, State, refused, unknown_member};
use super::{Member, Work};
use crate::Caller;
use base::{Bug, Refusal, planted};
use bytes::Bytes;
use std::sync::Arc;

/// How long a new member's join may wait. It can't send heartbeats, as it doesn't know its id
/// yet, and a client that is gone would otherwise stay in every following rebalance.
pub(crate) const NEW_MEMBER_JOIN_MS: i32 = 5 * 60 * 1000;

impl Live {
    /// A new member is in; its join waits.
    pub(crate) fn add(&mut self, mut member: Member, caller: Caller, work: &mut Work<'_, '_>) {
        if self.state == State::Preparing && self.initial {
            self.newcomer = true;
        }
        let id = member.id.clone();
        member.join = Some(caller);
        member.new = true;
        self.insert(member);
        self.renew(&id, NEW_MEMBER_JOIN_MS, work);
        self.rebalance(work);
    }

    /// The group comes from a log: its members have their whole time again. If the bound on its
    /// size was lowered, a rebalance brings it down.
    pub(crate) fn resume(&mut self, work: &mut Work<'_, '_>) {
        let ids: Vec<Arc<str>> = self.members.keys().cloned().collect();
        for id in &ids {
            self.renew_session(id, work);
        }
        if ids.len() > usize::try_from(work.ctx.config.size_max).unwrap_or(0) {
            self.prepare(work);
        }
    }

    /// Something changed: begins a rebalance, or sees whether the one under way is complete.
    pub(crate) fn rebalance(&mut self, work: &mut Work<'_, '_>) {
        if self.state == State::Preparing {
            self.complete_join_if_all_came(work);
        } else {
            self.prepare(work);
        }
    }

    /// Calls all members together.
    pub(crate) fn prepare(&mut self, work: &mut Work<'_, '_>) {
        if self.state == State::Completing {
            self.forget_assignments();
            self.refuse_syncs(&Refusal::RebalanceInProgress, work);
        }
        self.stop_syncing_wait(work.timers);
        self.unsynced.clear();
        let initial = self.state == State::Empty;
        self.go(State::Preparing, work.ctx.now.wall);
        if initial {
            let delay_ms = work.ctx.config.initial_rebalance_delay_ms;
            let left_ms = self.rebalance_timeout_ms().saturating_sub(delay_ms).max(0);
            self.newcomer = false;
            self.end_joining_in(delay_ms, JoinEnd::Initial { delay_ms, left_ms }, work);
        } else if self.all_joined() {
            self.complete_join(work);
        } else {
            self.end_joining_in(self.rebalance_timeout_ms(), JoinEnd::Rebalance, work);
        }
    }

    /// A first rebalance takes its time in any case.
    pub(crate) fn complete_join_if_all_came(&mut self, work: &mut Work<'_, '_>) {
        if self.state == State::Preparing && !self.initial && self.all_joined() {
            self.complete_join(work);
        }
    }

    /// The time to join is up.
    pub(crate) fn joining_ended(&mut self, end: JoinEnd, work: &mut Work<'_, '_>) {
        match end {
            JoinEnd::Initial { delay_ms, left_ms } if self.newcomer && left_ms != 0 => {
                self.newcomer = false;
                let next_ms = work.ctx.config.initial_rebalance_delay_ms.min(left_ms);
                let end = JoinEnd::Initial {
                    delay_ms: next_ms,
                    left_ms: left_ms.saturating_sub(delay_ms).max(0),
                };
                self.end_joining_in(next_ms, end, work);
            }
            _ => self.complete_join(work),
        }
    }

    /// Forms the next generation of those who came.
    pub(crate) fn complete_join(&mut self, work: &mut Work<'_, '_>) {
        self.stop_joining_wait(work.timers);
        let absent = |member: &&Member| member.join.is_none() && member.instance.is_none();
        let absent: Vec<Arc<str>> = self
            .members
            .values()
            .filter(absent)
            .map(|m| m.id.clone())
            .collect();
        for id in absent {
            self.expel(&id, work);
        }
        if !self.elect_leader() && !self.members.is_empty() {
            // Nobody came, but static members are still expected: wait until their sessions end.
            self.end_joining_in(self.rebalance_timeout_ms(), JoinEnd::Rebalance, work);
            return;
        }
        if !planted(Bug::GenerationNotBumped) {
            self.generation = self.generation.checked_add(1).unwrap_or(0);
        }
        self.unsynced.clear();
        if self.members.is_empty() {
            self.protocol = None;
            self.topics = self.consumed();
            self.go(State::Empty, work.ctx.now.wall);
            work.out.records.push(self.record());
        } else {
            self.protocol = self.choose();
            self.topics = self.consumed();
            self.go(State::Completing, work.ctx.now.wall);
            self.announce(work);
        }
    }

    /// If the leader didn't come, somebody who did leads.
    fn elect_leader(&mut self) -> bool {
        let Some(leader) = &self.leader else {
            return false;
        };
        if self.members.get(leader).is_some_and(|m| m.join.is_some()) {
            return true;
        }
        let came = self.members.values().find(|m| m.join.is_some());
        match came.map(|m| m.id.clone()) {
            Some(id) => {
                self.leader = Some(id);
                true
            }
            None => false,
        }
    }

    /// Tells the members of their generation and waits for their syncs.
    fn announce(&mut self, work: &mut Work<'_, '_>) {
        let ids: Vec<Arc<str>> = self.members.keys().cloned().collect();
        for id in ids {
            let answer = self.joined(&id);
            self.answer_join(&id, answer, work.out);
            self.renew_session(&id, work);
            if let Some(member) = self.members.get_mut(&id) {
                member.new = false;
            }
            self.unsynced.insert(id);
        }
        self.end_syncing_in(self.rebalance_timeout_ms(), work);
    }

    /// The time to sync is up: who hasn't is out.
    pub(crate) fn syncing_ended(&mut self, work: &mut Work<'_, '_>) {
        let late = std::mem::take(&mut self.unsynced);
        if late.is_empty() || !matches!(self.state, State::Completing | State::Stable) {
            return;
        }
        for id in late {
            self.expel(&id, work);
        }
        self.prepare(work);
    }

    /// A member has asked for its assignment.
    pub(crate) fn has_synced(&mut self, id: &str, work: &mut Work<'_, '_>) {
        self.unsynced.remove(id);
        if self.unsynced.is_empty() {
            self.stop_syncing_wait(work.timers);
        }
    }

    pub(crate) fn forget_assignments(&mut self) {
        for member in self.members.values_mut() {
            member.assignment = Bytes::new();
        }
    }

    /// Answers all syncs that wait. Sessions begin anew: while a sync waited, its member was
    /// excused.
    pub(crate) fn refuse_syncs(&mut self, refusal: &Refusal, work: &mut Work<'_, '_>) {
        let ids: Vec<Arc<str>> = self.members.keys().cloned().collect();
        for id in ids {
            if self.answer_sync(&id, Err(refusal.clone()), work.out) {
                self.renew_session(&id, work);
            }
        }
    }

    /// A member is gone. Its join, if one waits, is told so: the client joins again if it lives.
    pub(crate) fn drop_member(&mut self, id: &str, work: &mut Work<'_, '_>) {
        self.answer_join(id, refused("", unknown_member()), work.out);
        self.answer_sync(id, Err(unknown_member()), work.out);
        self.expel(id, work);
    }
}
