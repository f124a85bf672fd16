//! What a live group waits for, and until when: sessions, ids that aren't used yet, phases of
//! joining and syncing. Each has one entry among the timers and takes it out when the wait is
//! over, so timers never hold more than there is to wait for.

use super::live::{JoinEnd, Live};
use super::{Member, Work};
use crate::soft::{Timer, Timers};
use std::sync::Arc;

/// Ids of one group that may wait to be used. Each is somebody who comes right back; more than
/// that is somebody who doesn't listen.
pub(crate) const PENDING_MAX: usize = 10_000;

impl Live {
    fn session_of(&self, id: &Arc<str>) -> Timer {
        Timer::Session {
            group: self.name.clone(),
            member: id.clone(),
        }
    }

    /// A member has shown that it is alive; it has to do so again within `wait_ms`. Its entry is
    /// left where it is, unless that is too late.
    pub(crate) fn renew(&mut self, id: &str, wait_ms: i32, work: &mut Work<'_, '_>) {
        let Some(member) = self.members.get_mut(id) else {
            return;
        };
        let deadline = work.in_ms(wait_ms);
        member.deadline = deadline;
        if member.armed.is_some_and(|at| at <= deadline) {
            return;
        }
        let old = member.armed.replace(deadline);
        let id = member.id.clone();
        let timer = self.session_of(&id);
        work.timers.move_to(old, deadline, timer);
    }

    /// The same with the session time-out that the member asked for.
    pub(crate) fn renew_session(&mut self, id: &str, work: &mut Work<'_, '_>) {
        if let Some(member) = self.members.get(id) {
            let wait_ms = member.session_timeout_ms;
            self.renew(id, wait_ms, work);
        }
    }

    /// An id was given; it is good for a while.
    pub(crate) fn expect(&mut self, id: Arc<str>, wait_ms: i32, work: &mut Work<'_, '_>) {
        let until = work.in_ms(wait_ms);
        let timer = self.session_of(&id);
        let old = self.pending.insert(id, until);
        work.timers.move_to(old, until, timer);
    }

    /// An id is used, or won't be.
    pub(crate) fn expect_no_more(&mut self, id: &str, timers: &mut Timers) {
        if let Some((id, until)) = self.pending.remove_entry(id) {
            timers.disarm(until, self.session_of(&id));
        }
    }

    /// Takes a member, or an id that waits to be used, out of the group.
    pub(crate) fn expel(&mut self, id: &str, work: &mut Work<'_, '_>) -> Option<Member> {
        self.expect_no_more(id, work.timers);
        let member = self.remove(id)?;
        if let Some(at) = member.armed {
            work.timers.disarm(at, self.session_of(&member.id));
        }
        Some(member)
    }

    pub(crate) fn end_joining_in(&mut self, wait_ms: i32, end: JoinEnd, work: &mut Work<'_, '_>) {
        let at = work.in_ms(wait_ms);
        let old = self.join_end.replace((at, end)).map(|(at, _)| at);
        work.timers.move_to(old, at, Timer::Join(self.name.clone()));
    }

    pub(crate) fn end_syncing_in(&mut self, wait_ms: i32, work: &mut Work<'_, '_>) {
        let at = work.in_ms(wait_ms);
        let old = self.sync_end.replace(at);
        work.timers.move_to(old, at, Timer::Sync(self.name.clone()));
    }

    pub(crate) fn stop_joining_wait(&mut self, timers: &mut Timers) {
        if let Some((at, _)) = self.join_end.take() {
            timers.disarm(at, Timer::Join(self.name.clone()));
        }
    }

    pub(crate) fn stop_syncing_wait(&mut self, timers: &mut Timers) {
        if let Some(at) = self.sync_end.take() {
            timers.disarm(at, Timer::Sync(self.name.clone()));
        }
    }

    /// The group goes: nothing is waited for any more.
    pub(crate) fn stop_waits(&mut self, timers: &mut Timers) {
        self.stop_joining_wait(timers);
        self.stop_syncing_wait(timers);
        let ids: Vec<Arc<str>> = self.pending.keys().cloned().collect();
        for id in ids {
            self.expect_no_more(&id, timers);
        }
        let sessions = self
            .members
            .values()
            .filter_map(|m| Some((m.armed?, &m.id)));
        for (at, id) in sessions {
            timers.disarm(at, self.session_of(id));
        }
        for member in self.members.values_mut() {
            member.armed = None;
        }
    }
}
