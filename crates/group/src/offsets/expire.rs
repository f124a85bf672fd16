//! Offsets that are too old (KIP-211), and groups of which nothing is left.
//!
//! A group in use keeps the offsets of what it reads. What it doesn't read any more goes after
//! `offsets.retention.minutes`, counted from the commit; when the last member has left, all
//! goes after that time, counted from then. A group without members and offsets goes too.
//!
//! The search goes through the groups part by part, a few at a time, once per
//! `offsets.retention.check.interval.ms`. A part ends early when it has written enough for one
//! turn; the group that it ended in is looked at again.

use super::{PAUSE, Room, id_of, same_topic, tombstone};
use crate::classic::State;
use crate::groups::Group;
use crate::record::offset::Offset;
use crate::soft::Timer;
use crate::{Config, Context, Decision, Groups, Soft};
use base::Now;
use std::collections::BTreeSet;
use std::ops::Bound::{Excluded, Unbounded};
use std::sync::Arc;
use std::time::Duration;

/// Groups that one part of the search looks at.
const GROUPS_PER_PART: usize = 200;

/// How far the search has come.
#[derive(Debug, Default)]
pub(crate) struct Sweep {
    /// The last group that was done with; `None` between two searches.
    after: Option<Arc<str>>,
}

/// From when on an offset grows old.
enum Age {
    /// Since it was committed.
    Commit,
    /// Since the group is empty.
    Since(i64),
}

impl Groups {
    /// The first search comes after one interval.
    pub(crate) fn begin_sweeps(&self, soft: &mut Soft, now: Now, config: &Config) {
        soft.timers
            .arm(now.mono.after(interval(config)), Timer::Sweep);
    }

    /// Looks at the next groups.
    pub(crate) fn sweep(&self, soft: &mut Soft, ctx: &Context<'_>, out: &mut Decision) {
        let names = self.names_after(soft);
        let mut more = names.len() == GROUPS_PER_PART;
        let mut room = Room::of_one_turn(ctx.config);
        for name in names {
            if !self.expire(soft, ctx, &name, &mut room, out) {
                more = true;
                break;
            }
            soft.sweep.after = Some(name);
        }
        if !more {
            soft.sweep.after = None;
        }
        let pause = if more { PAUSE } else { interval(ctx.config) };
        soft.timers.arm(ctx.now.mono.after(pause), Timer::Sweep);
    }

    /// Also groups of which only the leader's view is left, or was ever there.
    fn names_after(&self, soft: &Soft) -> Vec<Arc<str>> {
        let after = soft.sweep.after.as_ref();
        let from = || after.map_or(Unbounded, |name| Excluded(name.clone()));
        let groups = self.groups.range::<Arc<str>, _>((from(), Unbounded));
        let offsets = self.offsets.range::<Arc<str>, _>((from(), Unbounded));
        let mut names: BTreeSet<&Arc<str>> = groups.map(|(n, _)| n).take(GROUPS_PER_PART).collect();
        names.extend(offsets.map(|(name, _)| name).take(GROUPS_PER_PART));
        let live = soft.classic.range::<Arc<str>, _>((from(), Unbounded));
        names.extend(live.map(|(name, _)| name).take(GROUPS_PER_PART));
        names.into_iter().take(GROUPS_PER_PART).cloned().collect()
    }

    /// False if there is more to write than there is room.
    fn expire(
        &self,
        soft: &mut Soft,
        ctx: &Context<'_>,
        name: &str,
        room: &mut Room,
        out: &mut Decision,
    ) -> bool {
        let Some(age) = self.age(soft, name) else {
            return true;
        };
        let mut left = false;
        for (topic, partitions) in self.offsets.get(name).into_iter().flatten() {
            let consumed = self.consumes(soft, name, topic);
            let id = id_of(topic, ctx.topics);
            for (partition, offset) in partitions {
                let consumed = consumed && same_topic(&offset.topic_id, &id);
                if consumed || !expired(offset, &age, ctx) {
                    left = true;
                } else if room.is_used_up() {
                    return false;
                } else {
                    room.put(tombstone(name, topic, *partition), &mut out.records);
                }
            }
        }
        let pending = soft
            .classic
            .get(name)
            .is_some_and(|l| !l.pending.is_empty());
        if !left && !pending && !self.in_use(soft, name) {
            self.tombstone_group(soft, name, &mut out.records);
        }
        true
    }

    /// `None` while nothing may go.
    fn age(&self, soft: &Soft, name: &str) -> Option<Age> {
        let since = |since_ms: i64| match since_ms {
            -1 => Age::Commit,
            since_ms => Age::Since(since_ms),
        };
        if let Some(live) = soft.classic.get(name) {
            return match (&live.protocol_type, live.state) {
                (None, _) => Some(Age::Commit),
                (Some(_), State::Empty) => Some(since(live.since_ms)),
                (Some(_), State::Stable) if live.is_consumer() && live.topics.is_some() => {
                    Some(Age::Commit)
                }
                _ => None,
            };
        }
        match self.groups.get(name) {
            Some(Group::Classic(saved)) if saved.protocol_type.is_some() => {
                Some(since(saved.since_ms))
            }
            _ => Some(Age::Commit),
        }
    }
}

fn interval(config: &Config) -> Duration {
    let ms = u64::try_from(config.offsets_retention_check_interval_ms).unwrap_or(1);
    Duration::from_millis(ms.max(1))
}

/// Clients of old versions said themselves how long an offset stays.
fn expired(offset: &Offset, age: &Age, ctx: &Context<'_>) -> bool {
    let now_ms = ctx.now.wall.0;
    if let Some(expires_ms) = offset.expires_ms {
        return now_ms >= expires_ms;
    }
    let from_ms = match age {
        Age::Commit => offset.committed_ms,
        Age::Since(since_ms) => *since_ms,
    };
    let keep_ms = i64::from(ctx.config.offsets_retention_minutes).saturating_mul(60_000);
    now_ms.saturating_sub(from_ms) >= keep_ms
}
