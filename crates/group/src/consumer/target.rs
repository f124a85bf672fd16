//! A new target assignment for the whole group, when its epoch has gone ahead of the last one's.

use super::draft::Draft;
use super::state::{Group, Member, listed};
use crate::assign::{self, Assignment, Assignor};
use crate::record::Key;
use crate::record::consumer::{Target, TargetMember};
use crate::{Config, Context};
use base::{Uuid, WallMs};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// Makes a new target if one is due: the epoch was raised, and the last target is old enough, so
/// that many members who come at once cost few assignments.
pub(super) fn renew(draft: &mut Draft<'_>, ctx: &Context<'_>) {
    if draft.target_epoch >= draft.epoch || !old_enough(draft.name, draft.base, ctx) {
        return;
    }
    let assignor = chosen(draft, ctx.config);
    let made = assign(draft, ctx, assignor);
    put(draft, made, ctx.now.wall);
}

/// True if the group's target may be followed by another one. One from the future was made by a clock that ran ahead:
/// nobody waits for it.
pub(super) fn old_enough(name: &str, base: &Group, ctx: &Context<'_>) -> bool {
    let interval_ms = ctx.config.assignment_interval_ms(name);
    let since = ctx.now.wall.0.saturating_sub(base.target_ms);
    base.target_ms == 0 || since < 0 || since >= i64::from(interval_ms)
}

/// The assignor that most members want; the configuration's order decides a draw, and its first
/// one is for groups that don't want any.
pub(super) fn preferred<'a>(counts: &BTreeMap<&str, usize>, config: &'a Config) -> &'a str {
    let mut best: Option<(&str, usize)> = None;
    for name in &config.consumer_assignors {
        let count = counts.get(name.as_str()).copied().unwrap_or(0);
        if count > best.map_or(0, |(_, most)| most) {
            best = Some((name, count));
        }
    }
    let first = config.consumer_assignors.first().map(String::as_str);
    best.map(|(name, _)| name).or(first).unwrap_or("uniform")
}

fn chosen(draft: &Draft<'_>, config: &Config) -> Assignor {
    let counts = draft.counted(&draft.base.by_assignor, |member: &Member| {
        member.wishes.assignor.as_deref()
    });
    Assignor::named(preferred(&counts, config)).unwrap_or(Assignor::Uniform)
}

/// The new target of each member, in the order of [`Draft::members`].
fn assign(draft: &Draft<'_>, ctx: &Context<'_>, assignor: Assignor) -> Vec<(String, Assignment)> {
    let members = draft.members();
    let (topics, places) = wanted(draft, ctx, &members);
    let mut lists: BTreeMap<Wish<'_>, Vec<usize>> = BTreeMap::new();
    for (_, member) in &members {
        let wish = (&member.wishes.topics[..], member.regex());
        lists
            .entry(wish)
            .or_insert_with(|| list(draft, member, &places));
    }
    let nothing = Assignment::new();
    let specs: Vec<assign::Member<'_>> = members
        .iter()
        .map(|(id, member)| assign::Member {
            id,
            instance: member.wishes.instance.as_deref(),
            rack: member.wishes.rack.as_deref(),
            topics: &lists[&(&member.wishes.topics[..], member.regex())],
            before: before(draft, id).unwrap_or(&nothing),
        })
        .collect();
    let made = assignor.assign(&specs, &topics);
    let ids = members.iter().map(|(id, _)| (*id).to_owned());
    ids.zip(made).collect()
}

/// What a member wants: names and a regular expression. Members with the same wishes share the
/// list that is made of them.
type Wish<'a> = (&'a [String], Option<&'a str>);

/// The topics that somebody wants and that exist, in the order of their ids, and the place of
/// each by its name.
fn wanted<'a>(
    draft: &'a Draft<'_>,
    ctx: &Context<'_>,
    members: &[(&str, &Member)],
) -> (Vec<assign::Topic>, BTreeMap<&'a str, usize>) {
    let racked = members
        .iter()
        .any(|(_, member)| member.wishes.rack.is_some());
    let mut found: Vec<(Uuid, &str, u32)> = draft
        .topics()
        .into_iter()
        .filter_map(|name| {
            let facts = ctx.topics.topic(name)?;
            Some((facts.id, name, facts.partitions))
        })
        .collect();
    found.sort_unstable();
    let places = found
        .iter()
        .enumerate()
        .map(|(at, (_, name, _))| (*name, at));
    let places = places.collect();
    let topic = |(id, name, partitions): &(Uuid, &str, u32)| assign::Topic {
        id: *id,
        partitions: *partitions,
        racks: if racked {
            ctx.topics.racks(name)
        } else {
            Vec::new()
        },
    };
    (found.iter().map(topic).collect(), places)
}

/// The places of the topics that the member wants.
fn list(draft: &Draft<'_>, member: &Member, places: &BTreeMap<&str, usize>) -> Vec<usize> {
    let regex = member.regex().and_then(|regex| draft.regex(regex));
    let by_regex = regex.into_iter().flat_map(|regex| &regex.topics);
    let names = member.wishes.topics.iter().chain(by_regex);
    let mut list: Vec<usize> = names
        .filter_map(|name| places.get(name.as_str()).copied())
        .collect();
    list.sort_unstable();
    list.dedup();
    list
}

/// A member's target so far; who replaces another takes over the other's.
fn before<'d>(draft: &'d Draft<'_>, id: &str) -> Option<&'d Assignment> {
    match draft.before {
        Some((before, _)) if *id == *draft.id => draft.base.targets.get(before),
        _ => draft.base.targets.get(id),
    }
}

fn put(draft: &mut Draft<'_>, made: Vec<(String, Assignment)>, now: WallMs) {
    for (id, target) in made {
        if draft.base.targets.get(&*id) != Some(&target) {
            let value = TargetMember {
                partitions: listed(&target),
            };
            draft.put(Key::ConsumerTargetMember(draft.name, &id), value.encode());
        }
        if *id == *draft.id {
            draft.target = Cow::Owned(target);
        }
    }
    let value = Target {
        epoch: draft.epoch,
        assigned_ms: now.0,
    };
    draft.put(Key::ConsumerTarget(draft.name), value.encode());
    draft.target_epoch = draft.epoch;
}
