//! Time passes: sessions end, phases of joining and syncing end.

use super::Work;
use super::live::{Live, State};
use crate::soft::Timer;
use crate::{Context, Decision, Groups, Soft};
use base::{Bug, Mono, planted};

/// Most entries one tick looks at; the rest comes with the next one, which is due at once.
const ENTRIES_PER_TICK: usize = 1_000;
/// A tick that has written this much leaves the rest to the next one, so that its batch stays
/// within what a partition takes.
const RECORD_BYTES_PER_TICK: usize = 512 * 1024;

impl Groups {
    /// Does what is due.
    pub(crate) fn classic_tick(&self, soft: &mut Soft, ctx: &Context<'_>, out: &mut Decision) {
        let mut written = 0;
        for _ in 0..ENTRIES_PER_TICK {
            let seen = out.records.len();
            let Some((at, timer)) = soft.timers.pop(ctx.now.mono) else {
                break;
            };
            self.fire(soft, ctx, at, timer, out);
            written += out.records[seen..].iter().map(|r| r.bytes()).sum::<usize>();
            if written >= RECORD_BYTES_PER_TICK {
                break;
            }
        }
    }

    fn fire(&self, soft: &mut Soft, ctx: &Context<'_>, at: Mono, timer: Timer, out: &mut Decision) {
        let group = match &timer {
            Timer::Session { group, .. } | Timer::Join(group) | Timer::Sync(group) => group,
            Timer::Sweep => return self.sweep(soft, ctx, out),
            Timer::Gone => return self.forget_gone(soft, ctx, out),
            Timer::Deletions => return self.go_on_deleting(soft, ctx, out),
        };
        // A group that has gone meanwhile leaves its entries behind.
        let Some(live) = soft.classic.get_mut(group) else {
            return;
        };
        let mut work = Work {
            ctx,
            timers: &mut soft.timers,
            out,
        };
        match &timer {
            Timer::Session { .. } if planted(Bug::SessionForgotten) => {}
            Timer::Session { member, .. } => live.session_due(member, at, &mut work),
            Timer::Join(_) => {
                if let Some((_, end)) = live.join_end.filter(|(end_at, _)| *end_at == at) {
                    live.join_end = None;
                    live.joining_ended(end, &mut work);
                }
            }
            Timer::Sync(_) => {
                if live.sync_end == Some(at) {
                    live.sync_end = None;
                    live.syncing_ended(&mut work);
                }
            }
            Timer::Sweep | Timer::Gone | Timer::Deletions => {}
        }
    }
}

impl Live {
    fn session_due(&mut self, id: &str, at: Mono, work: &mut Work<'_, '_>) {
        if let Some(until) = self.pending.get(id) {
            if *until <= work.ctx.now.mono {
                self.pending.remove(id);
                self.complete_join_without(work);
            }
            return;
        }
        let Some(member) = self.members.get_mut(id).filter(|m| m.armed == Some(at)) else {
            return;
        };
        member.armed = None;
        if member.deadline > work.ctx.now.mono {
            member.armed = Some(member.deadline);
            let timer = Timer::Session {
                group: self.name.clone(),
                member: member.id.clone(),
            };
            work.timers.arm(member.deadline, timer);
        } else if !member.excused() {
            self.drop_member(id, work);
            match self.state {
                State::Stable | State::Completing => self.prepare(work),
                State::Preparing | State::Empty => self.complete_join_without(work),
            }
        }
    }

    /// Somebody who was waited for won't come. Also a first rebalance ends when nobody else is
    /// waited for: whoever is there has come.
    fn complete_join_without(&mut self, work: &mut Work<'_, '_>) {
        if self.state == State::Preparing && self.all_joined() {
            self.complete_join(work);
        }
    }
}
