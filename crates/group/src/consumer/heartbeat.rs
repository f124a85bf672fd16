//! ConsumerGroupHeartbeat: a member says that it is alive, joins, or changes what it wants, and is
//! told its epoch and what it may hold.
//!
//! A heartbeat that says nothing new, in a group where nothing is new, costs a few look-ups and
//! moves a deadline (`steady`). Everything else goes through a draft: the wishes, then the
//! group's epoch, then its target, then the member's own step towards its target. Leaving is in
//! `leave`.

use super::draft::{Draft, heartbeat_interval_ms, in_ms, session_timeout_ms};
use super::reconcile::{self, Goal};
use super::soft::Soft;
use super::state::{Group, Member, Stage, listed_holding};
use super::who::{self, AWAY, Claim};
use super::{migrate, target, wishes};
use crate::classic::too_large;
use crate::command::{ConsumerHeartbeat, TopicPartitions};
use crate::record::consumer as wire;
use crate::reply::{ConsumerBeat, Reply};
use crate::{Caller, Config, Context, Decision, Groups, groups};
use base::Refusal;
use std::borrow::Cow;

impl Groups {
    pub(crate) fn consumer_heartbeat(
        &self,
        soft: &mut crate::Soft,
        ctx: &Context<'_>,
        caller: Caller,
        beat: ConsumerHeartbeat,
        out: &mut Decision,
    ) {
        let answer = check(&beat, ctx.config).and_then(|()| {
            if beat.epoch < 0 {
                self.consumer_member_leaves(soft, ctx, &beat, out)
            } else if let Some(member) = self.steady(&soft.consumer, ctx, &beat) {
                Ok(self.steady_beat(soft, ctx, &beat, member))
            } else {
                self.changing_beat(soft, ctx, &beat, out)
            }
        });
        out.replies.push((caller, Reply::ConsumerHeartbeat(answer)));
    }

    /// The member, if neither it nor its group has anything to change.
    fn steady(&self, soft: &Soft, ctx: &Context<'_>, beat: &ConsumerHeartbeat) -> Option<&Member> {
        let Some(groups::Group::Consumer(group)) = self.groups.get(beat.group.as_str()) else {
            return None;
        };
        let member = group.members.get(beat.member.as_str())?;
        let watch = soft.watched(&beat.group)?;
        let steady = beat.epoch > 0
            && beat.epoch == member.current.epoch
            && member.current.arrived_at(group.target_epoch)
            && group.target_epoch >= group.epoch
            && !group.old_metadata
            && wishes::up_to_date(watch, !group.by_regex.is_empty(), ctx)
            && says_nothing_new(&member.wishes, beat);
        steady.then_some(member)
    }

    fn steady_beat(
        &self,
        soft: &mut crate::Soft,
        ctx: &Context<'_>,
        beat: &ConsumerHeartbeat,
        member: &Member,
    ) -> ConsumerBeat {
        let until = in_ms(ctx, session_timeout_ms(ctx.config, &beat.group));
        soft.consumer.set(&beat.group, &beat.member, |deadlines| {
            deadlines.session = Some(until);
        });
        answer(ctx.config, beat, &beat.member, member, is_full(beat))
    }

    fn changing_beat(
        &self,
        soft: &mut crate::Soft,
        ctx: &Context<'_>,
        beat: &ConsumerHeartbeat,
        out: &mut Decision,
    ) -> Result<ConsumerBeat, Refusal> {
        let (base, upgrade) = self.base(soft, ctx, beat)?;
        let drawn = ctx.drawn.to_string();
        let claim = claim(beat, &drawn);
        let mut draft = who::find(&beat.group, &base, &claim)?;
        check_room(&draft, ctx.config)?;
        update(&mut draft.member.wishes, beat);
        let was = draft.before.map(|(_, member)| &member.current);
        // Who comes with an older epoch has missed an answer, and with it perhaps what it holds.
        let missed = was.is_some_and(|was| was.epoch != beat.epoch);
        let held_before = was.map(|was| &was.assigned);
        let unsettled = upgrade.as_ref().is_some_and(|upgrade| upgrade.unsettled);
        let changed = wishes::settle(&mut draft, &mut soft.consumer, ctx, unsettled)?;
        target::renew(&mut draft, ctx);
        let before = draft.member.current.clone();
        step(&mut draft, ctx, changed, beat.owned.as_deref())?;
        set_deadlines(&draft, soft, ctx, beat, before != draft.member.current);
        let new_holding = held_before != Some(&draft.member.current.assigned);
        let tell = beat.epoch == 0 || is_full(beat) || new_holding || missed;
        let answer = answer(ctx.config, beat, &draft.id, &draft.member, tell);
        let records = std::mem::take(&mut draft.records);
        if let Some(upgrade) = upgrade {
            upgrade.carry_out(&beat.group, soft, ctx, out);
        }
        out.records.extend(records);
        Ok(answer)
    }

    /// The group as it is; an empty one if there is none; what a classic one becomes.
    fn base(
        &self,
        soft: &mut crate::Soft,
        ctx: &Context<'_>,
        beat: &ConsumerHeartbeat,
    ) -> Result<(Cow<'_, Group>, Option<migrate::Upgrade>), Refusal> {
        let name = beat.group.as_str();
        if let Some(groups::Group::Consumer(group)) = self.groups.get(name) {
            return Ok((Cow::Borrowed(&**group), None));
        }
        let joins = beat.epoch == 0;
        match self.live(&mut soft.classic, name) {
            Some(_) if !joins => Err(not_a_consumer_group(name)),
            Some(live) => {
                let on_record = self.groups.contains_key(name);
                let (group, upgrade) = migrate::upgrade(live, on_record, ctx)?;
                Ok((Cow::Owned(group), Some(upgrade)))
            }
            None if joins => Ok((Cow::Owned(Group::default()), None)),
            None => {
                let text = format!("Consumer group {name} not found.");
                Err(Refusal::GroupIdNotFound(text))
            }
        }
    }
}

pub(super) fn not_a_consumer_group(name: &str) -> Refusal {
    Refusal::GroupIdNotFound(format!("Group {name} is not a consumer group."))
}

fn claim<'a>(beat: &'a ConsumerHeartbeat, drawn: &'a str) -> Claim<'a> {
    Claim {
        id: match beat.member.as_str() {
            "" => drawn,
            known => known,
        },
        instance: beat.instance.as_deref(),
        epoch: Some(beat.epoch),
        owned: beat.owned.as_deref(),
        joins: beat.epoch == 0,
    }
}

/// What is wrong with the request itself.
fn check(beat: &ConsumerHeartbeat, config: &Config) -> Result<(), Refusal> {
    let blank = |text: &str| text.trim().is_empty();
    let blank_option = |text: &Option<String>| text.as_deref().is_some_and(blank);
    let wrong = if beat.epoch != 0 && beat.epoch != AWAY && blank(&beat.member) {
        "MemberId can't be empty."
    } else if blank(&beat.group) {
        "GroupId can't be empty."
    } else if blank_option(&beat.instance) {
        "InstanceId can't be empty."
    } else if blank_option(&beat.rack) {
        "RackId can't be empty."
    } else if beat.epoch == 0 && beat.rebalance_timeout_ms == -1 {
        "RebalanceTimeoutMs must be provided in first request."
    } else if beat.epoch == 0 && beat.owned.as_ref().is_none_or(|owned| !owned.is_empty()) {
        "TopicPartitions must be empty when (re-)joining."
    } else if beat.epoch == 0 && beat.topics.is_none() && beat.regex.is_none() {
        "Either SubscribedTopicNames or SubscribedTopicRegex must be non-null when (re-)joining."
    } else if beat.epoch == AWAY && beat.instance.is_none() {
        "InstanceId can't be null."
    } else if beat.epoch < AWAY {
        "MemberEpoch is invalid."
    } else if said_bytes(beat) > config.record_bytes_max as usize {
        return Err(too_large());
    } else {
        return check_assignor(beat, config);
    };
    Err(Refusal::InvalidRequest(wrong.to_owned()))
}

/// Bytes that what it says of itself takes in a record, about: each topic has its length in front.
fn said_bytes(beat: &ConsumerHeartbeat) -> usize {
    let options = [&beat.instance, &beat.rack, &beat.regex, &beat.assignor];
    let options = options.into_iter().flatten().map(String::len);
    let topics = beat.topics.iter().flatten().map(|topic| topic.len() + 1);
    let client = [beat.client.id.len(), beat.client.host.len()];
    options.chain(topics).chain(client).sum()
}

fn check_assignor(beat: &ConsumerHeartbeat, config: &Config) -> Result<(), Refusal> {
    match &beat.assignor {
        Some(name) if !config.consumer_assignors.contains(name) => {
            Err(Refusal::UnsupportedAssignor(format!(
                "ServerAssignor {name} is not supported. Supported assignors: {}.",
                config.consumer_assignors.join(", ")
            )))
        }
        _ => Ok(()),
    }
}

pub(super) fn check_room(draft: &Draft<'_>, config: &Config) -> Result<(), Refusal> {
    let max = config.consumer_size_max;
    let full = draft.base.members.len() >= usize::try_from(max).unwrap_or(0);
    if draft.before.is_none() && full {
        return Err(Refusal::GroupMaxSize(format!(
            "The consumer group has reached its maximum capacity of {max} members."
        )));
    }
    Ok(())
}

/// A request that says everything wants to be told everything.
fn is_full(beat: &ConsumerHeartbeat) -> bool {
    beat.rebalance_timeout_ms != -1
        && (beat.topics.is_some() || beat.regex.is_some())
        && beat.owned.is_some()
}

fn says_nothing_new(wishes: &wire::Member, beat: &ConsumerHeartbeat) -> bool {
    fn same(said: &Option<String>, known: &Option<String>) -> bool {
        said.is_none() || said == known
    }
    wishes.client_id == beat.client.id
        && wishes.client_host == beat.client.host
        && wishes.classic.is_none()
        && same(&beat.instance, &wishes.instance)
        && same(&beat.rack, &wishes.rack)
        && same(&beat.regex, &wishes.regex)
        && same(&beat.assignor, &wishes.assignor)
        && [-1, wishes.rebalance_timeout_ms].contains(&beat.rebalance_timeout_ms)
        && (beat.topics.as_ref()).is_none_or(|topics| in_order(topics) == wishes.topics)
}

fn in_order(topics: &[String]) -> Vec<String> {
    let mut topics = topics.to_vec();
    topics.sort_unstable();
    topics.dedup();
    topics
}

/// What the request leaves out stays as it was.
fn update(wishes: &mut wire::Member, beat: &ConsumerHeartbeat) {
    fn set(known: &mut Option<String>, said: &Option<String>) {
        if said.is_some() {
            known.clone_from(said);
        }
    }
    set(&mut wishes.instance, &beat.instance);
    set(&mut wishes.rack, &beat.rack);
    set(&mut wishes.regex, &beat.regex);
    set(&mut wishes.assignor, &beat.assignor);
    if beat.rebalance_timeout_ms != -1 {
        wishes.rebalance_timeout_ms = beat.rebalance_timeout_ms;
    }
    if let Some(topics) = &beat.topics {
        wishes.topics = in_order(topics);
    }
    wishes.client_id.clone_from(&beat.client.id);
    wishes.client_host.clone_from(&beat.client.host);
    wishes.classic = None;
}

/// Leads the member towards its target.
pub(super) fn step(
    draft: &mut Draft<'_>,
    ctx: &Context<'_>,
    changed: bool,
    owned: Option<&[TopicPartitions]>,
) -> Result<(), Refusal> {
    if !changed && draft.member.current.arrived_at(draft.target_epoch) {
        return Ok(());
    }
    let mine = [Some(&draft.id), draft.replaced()];
    let goal = Goal {
        epoch: draft.target_epoch,
        target: &draft.target,
        changed,
        owned,
        wanted: &|topic| draft.wants(topic, ctx.topics),
        taken: &|topic, partition| {
            let holder = draft.base.holders.get(&(*topic, partition));
            holder.is_some() && !mine.contains(&holder)
        },
    };
    let next = reconcile::step(&draft.member.current, &goal)?;
    if next != draft.member.current {
        draft.member.current = next;
        draft.put_current();
    }
    Ok(())
}

/// The session begins anew, and giving up partitions has a deadline of its own.
fn set_deadlines(
    draft: &Draft<'_>,
    soft: &mut crate::Soft,
    ctx: &Context<'_>,
    beat: &ConsumerHeartbeat,
    moved: bool,
) {
    let session = in_ms(ctx, session_timeout_ms(ctx.config, draft.name));
    let current = &draft.member.current;
    let rebalance = (current.stage == Stage::Unrevoked).then(|| {
        let wait_ms = draft.member.wishes.rebalance_timeout_ms;
        (in_ms(ctx, wait_ms), current.epoch)
    });
    soft.consumer.set(draft.name, &draft.id, |deadlines| {
        deadlines.session = Some(session);
        if moved || beat.epoch == 0 {
            deadlines.rebalance = rebalance;
        }
        deadlines.join = None;
        deadlines.sync = None;
    });
}

fn answer(
    config: &Config,
    beat: &ConsumerHeartbeat,
    id: &str,
    member: &Member,
    tell: bool,
) -> ConsumerBeat {
    ConsumerBeat {
        member: id.to_owned(),
        epoch: member.current.epoch,
        heartbeat_interval_ms: heartbeat_interval_ms(config, &beat.group),
        assignment: tell.then(|| listed_holding(&member.current.assigned)),
    }
}
