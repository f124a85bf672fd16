//! Time passes, and leadership begins: members whose time is up are fenced off.

use super::draft::{in_ms, session_timeout_ms};
use super::leave;
use super::soft::{Deadlines, Soft};
use super::state::{Group, Member, Stage};
use crate::context::NoTopics;
use crate::{Config, Context, Decision, Groups, groups};
use base::{Mono, Now, Uuid};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Most members one tick fences off; the rest comes with the next one, which is due at once.
const MEMBERS_PER_TICK_MAX: usize = 500;
/// A member that was fenced off and is still there, because that was never written, is fenced off
/// again after so long.
const AGAIN_MS: i32 = 1_000;

impl Groups {
    /// Does what is due. Each group is dealt with once, because a second decision would have to
    /// know the first one's records.
    pub(crate) fn consumer_tick(
        &self,
        soft: &mut crate::Soft,
        ctx: &Context<'_>,
        out: &mut Decision,
    ) {
        let mut expired: BTreeMap<Arc<str>, BTreeSet<Arc<str>>> = BTreeMap::new();
        for _ in 0..MEMBERS_PER_TICK_MAX {
            let Some((name, id, deadlines)) = soft.consumer.pop(ctx.now.mono) else {
                break;
            };
            let Some(group) = self.consumer_group(&name) else {
                soft.consumer.forget(&name);
                continue;
            };
            let Some(member) = group.members.get(&id) else {
                if group.is_empty() {
                    soft.consumer.forget(&name);
                }
                continue;
            };
            let over = is_over(&deadlines, member, ctx.now.mono);
            soft.consumer.set(&name, &id, |known| {
                if over {
                    known.session = Some(in_ms(ctx, AGAIN_MS));
                } else {
                    // It has left the epoch that it was to leave.
                    *known = deadlines;
                    known.rebalance = None;
                }
            });
            if over {
                expired.entry(name).or_default().insert(id);
            }
        }
        for (name, gone) in &expired {
            if let Some(group) = self.consumer_group(name) {
                leave::fence(name, group, gone, soft, ctx, out);
            }
        }
    }

    /// All members have their whole time again.
    pub(crate) fn consumer_elected(&self, now: Now, config: &Config) -> Soft {
        let ctx = Context {
            now,
            config,
            topics: &NoTopics,
            drawn: Uuid::ZERO,
        };
        let mut soft = Soft::default();
        for (name, group) in &self.groups {
            if let groups::Group::Consumer(group) = group {
                welcome(name, group, &mut soft, &ctx);
            }
        }
        soft
    }
}

/// True if a deadline is over that the member hasn't met.
fn is_over(deadlines: &Deadlines, member: &Member, now: Mono) -> bool {
    let over = |at: Option<Mono>| at.is_some_and(|at| at <= now);
    let stuck = deadlines
        .rebalance
        .is_some_and(|(at, epoch)| at <= now && member.current.epoch == epoch);
    over(deadlines.session) || over(deadlines.join) || over(deadlines.sync) || stuck
}

/// Sets the deadlines of all members of a group as if they had just been heard of.
pub(super) fn welcome(name: &str, group: &Group, soft: &mut Soft, ctx: &Context<'_>) {
    for (id, member) in &group.members {
        let wishes = &member.wishes;
        let own = wishes.classic.as_ref().map(|own| own.session_timeout_ms);
        let wait_ms = own.unwrap_or_else(|| session_timeout_ms(ctx.config, name));
        let stuck = member.current.stage == Stage::Unrevoked && !member.is_classic();
        let rebalance = stuck.then(|| {
            let at = in_ms(ctx, wishes.rebalance_timeout_ms);
            (at, member.current.epoch)
        });
        soft.set(name, id, |deadlines| {
            deadlines.session = Some(in_ms(ctx, wait_ms));
            deadlines.rebalance = rebalance;
        });
    }
}
