//! What a change of a member's wishes, or of the cluster's topics, means for its group: regular
//! expressions are held against the topics, and the group's epoch is raised when there is
//! something to assign anew.
//!
//! The topics are looked at when their version changes, not at every heartbeat. That they were
//! looked at is noted only once nothing had to be written for it, so a record that is never
//! committed is written again.

use super::draft::Draft;
use super::soft::{Soft, Watch};
use super::{hash, pattern};
use crate::record::consumer as wire;
use crate::record::{Key, Record};
use crate::{Config, Context};
use base::Refusal;
use std::time::Duration;

/// Rounds over the regular expressions because of new topics are at least so far apart, as in
/// Kafka.
const ROUND_AFTER_MS: u64 = 10_000;
/// Expressions that one heartbeat holds against all topics at most.
const PATTERNS_PER_STEP_MAX: usize = 8;

/// Collects the records for the member's new wishes and raises the epoch if need be, in any case
/// if `unsettled`. True if the member wants other topics than before.
pub(super) fn settle(
    draft: &mut Draft<'_>,
    soft: &mut Soft,
    ctx: &Context<'_>,
    unsettled: bool,
) -> Result<bool, Refusal> {
    let before = draft.before.map(|(_, member)| &member.wishes);
    let names_before = before.map_or(&[][..], |wishes| &wishes.topics);
    let names_changed = names_before != draft.member.wishes.topics;
    if draft.replaced().is_some() || before != Some(&draft.member.wishes) {
        draft.put_wishes();
    }
    let regex_changed = change_regex(draft, ctx)?;
    let resolved = refresh(draft, soft.watch(draft.name), ctx);
    let changed = names_changed || regex_changed;
    raise(draft, soft, ctx, changed || resolved || unsettled);
    Ok(changed)
}

/// The member may have another regular expression than before. A new one is held against the
/// topics at once.
fn change_regex(draft: &mut Draft<'_>, ctx: &Context<'_>) -> Result<bool, Refusal> {
    let old = draft.before.and_then(|(_, member)| member.regex());
    let new = draft.member.regex().map(str::to_owned);
    if old == new.as_deref() {
        return Ok(false);
    }
    if let Some(new) = new
        && draft.regex(&new).is_none()
    {
        let topics = pattern::topics(&pattern::compile(&new)?, ctx.topics);
        put_regex(draft, ctx, new, topics);
    }
    if let Some(old) = old
        && draft.base.by_regex.get(old) == Some(&1)
        && draft.base.regexes.contains_key(old)
    {
        let key = Key::ConsumerRegex(draft.name, old);
        draft.records.push(Record::tombstone(key));
        draft.regexes.insert(old.to_owned(), None);
    }
    Ok(true)
}

fn put_regex(draft: &mut Draft<'_>, ctx: &Context<'_>, regex: String, topics: Vec<String>) {
    let value = wire::Regex {
        topics,
        version: i64::try_from(ctx.topics.version()).unwrap_or(i64::MAX),
        matched_ms: ctx.now.wall.0,
    };
    draft.put(Key::ConsumerRegex(draft.name, &regex), value.encode());
    draft.regexes.insert(regex, Some(value));
}

/// True if a round over the regular expressions is under way or due.
pub(super) fn round_due(watch: &Watch, ctx: &Context<'_>) -> bool {
    let Some((version, at)) = watch.round else {
        return true;
    };
    let waited = |ms: u64| ctx.now.mono >= at.after(Duration::from_millis(ms));
    !watch.left.is_empty()
        || version != ctx.topics.version() && waited(ROUND_AFTER_MS)
        || waited(refresh_ms(ctx.config))
}

fn refresh_ms(config: &Config) -> u64 {
    u64::try_from(config.consumer_regex_refresh_interval_ms).unwrap_or(0)
}

/// Holds the next few regular expressions of the round against the topics. True if one of them
/// stands for other topics now.
fn refresh(draft: &mut Draft<'_>, watch: &mut Watch, ctx: &Context<'_>) -> bool {
    if draft.base.by_regex.is_empty() && draft.member.regex().is_none() || !round_due(watch, ctx) {
        return false;
    }
    if watch.left.is_empty() {
        watch.left = draft.patterns().into_iter().map(str::to_owned).collect();
        watch.round = Some((ctx.topics.version(), ctx.now.mono));
    }
    let some: Vec<String> = watch
        .left
        .iter()
        .take(PATTERNS_PER_STEP_MAX)
        .cloned()
        .collect();
    let mut changed = false;
    for regex in some {
        let compiled = pattern::compile(&regex).ok();
        let topics = compiled.map(|compiled| pattern::topics(&compiled, ctx.topics));
        let wanted = draft.patterns().contains(&regex.as_str());
        match topics {
            Some(topics) if wanted && draft.regex(&regex).map(|r| &r.topics) != Some(&topics) => {
                put_regex(draft, ctx, regex, topics);
                changed = true;
            }
            _ => {
                watch.left.remove(&regex);
            }
        }
    }
    changed
}

/// Raises the epoch if wishes changed, or the topics that the group wants did.
fn raise(draft: &mut Draft<'_>, soft: &mut Soft, ctx: &Context<'_>, changed: bool) {
    let version = Some(ctx.topics.version());
    if !changed && soft.watch(draft.name).topics == version {
        return;
    }
    let hash = hash::of_topics(draft.topics().into_iter(), ctx.topics, soft);
    if changed || hash != draft.base.metadata_hash {
        put_epoch(draft, hash);
    } else {
        soft.watch(draft.name).topics = version;
    }
    if draft.base.old_metadata {
        let key = Key::ConsumerPartitions(draft.name);
        draft.records.push(Record::tombstone(key));
    }
}

fn put_epoch(draft: &mut Draft<'_>, metadata_hash: i64) {
    draft.epoch = draft.base.epoch.saturating_add(1);
    let value = wire::GroupEpoch {
        epoch: draft.epoch,
        metadata_hash,
    };
    draft.put(Key::ConsumerGroup(draft.name), value.encode());
}

/// True if there is nothing to look at for this group at this version of the topics.
pub(super) fn up_to_date(watch: &Watch, has_patterns: bool, ctx: &Context<'_>) -> bool {
    watch.topics == Some(ctx.topics.version()) && !(has_patterns && round_due(watch, ctx))
}
