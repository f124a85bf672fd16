//! A live group changes its protocol. From classic to consumer when the first member of KIP-848
//! joins; back when the last one goes, or is replaced by a classic static member. What was
//! assigned stays assigned.
//!
//! The records say all of it: tombstones of the old kind, then the group in the new kind, in one
//! batch. The leader's own knowledge follows when the decision is made.

use super::draft::Draft;
use super::embedded::{self, Subscription, Unreadable};
use super::state::{Current, FIRST_EPOCH, Group, Holding, listed};
use super::{hash, tick};
use crate::assign::Assignment;
use crate::classic::{self, CONSUMER, Live, State, Work};
use crate::record::consumer::{self as wire, ClassicMember, GroupEpoch, Target, TargetMember};
use crate::record::{Key, Record};
use crate::{Context, Decision};
use base::{Refusal, Uuid};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// An upgrade that is decided but not carried out: the member that wants it may still be refused.
pub(super) struct Upgrade {
    records: Vec<Record>,
    group: Group,
    /// The classic group was between two generations, so not everything may be assigned.
    pub(super) unsettled: bool,
}

impl Upgrade {
    /// Joins and syncs that wait are told to come again, and the members' sessions begin.
    pub(super) fn carry_out(
        self,
        name: &str,
        soft: &mut crate::Soft,
        ctx: &Context<'_>,
        out: &mut Decision,
    ) {
        if let Some(mut live) = soft.retire(name) {
            live.refuse_waiting(&Refusal::RebalanceInProgress, out);
        }
        tick::welcome(name, &self.group, &mut soft.consumer, ctx);
        out.records.extend(self.records);
    }
}

/// What the classic group becomes. `on_record`: there is a record of it.
pub(super) fn upgrade(
    live: &Live,
    on_record: bool,
    ctx: &Context<'_>,
) -> Result<(Group, Upgrade), Refusal> {
    let mut records = Vec::new();
    if on_record {
        records.push(Record::tombstone(Key::Group(&live.name)));
    }
    if !live.members.is_empty() {
        may_upgrade(live, ctx)?;
        convert(live, ctx, &mut records)?;
    }
    let mut group = Group::default();
    for record in &records {
        if let Some(key) = Key::decode(&record.key) {
            group.apply(&key, record.value.as_deref());
        }
    }
    let upgrade = Upgrade {
        records,
        group: group.clone(),
        unsettled: live.state != State::Stable,
    };
    Ok((group, upgrade))
}

fn may_upgrade(live: &Live, ctx: &Context<'_>) -> Result<(), Refusal> {
    let max = usize::try_from(ctx.config.consumer_size_max).unwrap_or(0);
    let why = if !ctx.config.consumer_migration_policy.upgrades() {
        "online upgrade is disabled"
    } else if !live.is_consumer() {
        "the group does not use the consumer embedded protocol"
    } else if live.members.len() > max {
        "the group size exceeds the consumer group maximum size"
    } else {
        return Ok(());
    };
    Err(cannot_upgrade(live, why))
}

fn cannot_upgrade(live: &Live, why: &str) -> Refusal {
    let name = &live.name;
    Refusal::GroupIdNotFound(format!(
        "Cannot upgrade classic group {name} to consumer group because {why}."
    ))
}

/// The group's records in the new kind: every member stable, holding what it was assigned last.
fn convert(live: &Live, ctx: &Context<'_>, out: &mut Vec<Record>) -> Result<(), Refusal> {
    let name = &live.name;
    let chosen = live.protocol.clone().or_else(|| live.choose());
    let protocol = chosen.unwrap_or_default();
    let epoch = live.generation.max(FIRST_EPOCH);
    let mut held: BTreeMap<&Arc<str>, Assignment> = BTreeMap::new();
    let mut topics: BTreeSet<String> = BTreeSet::new();
    for (id, member) in &live.members {
        let said = Subscription::decode(&member.metadata(&protocol))
            .ok_or_else(|| cannot_upgrade(live, "the embedded consumer protocol is malformed"))?;
        held.insert(id, assigned(live, &member.assignment, ctx)?);
        topics.extend(said.topics.iter().cloned());
        let wishes = wishes(member, said).encode();
        out.push(Record::new(Key::ConsumerMember(name, id), wishes));
    }
    let mut hashes = super::soft::Soft::default();
    let value = GroupEpoch {
        epoch,
        metadata_hash: hash::of_topics(topics.iter().map(String::as_str), ctx.topics, &mut hashes),
    };
    out.push(Record::new(Key::ConsumerGroup(name), value.encode()));
    for (id, assignment) in &held {
        let value = TargetMember {
            partitions: listed(assignment),
        };
        out.push(Record::new(
            Key::ConsumerTargetMember(name, id),
            value.encode(),
        ));
    }
    let target = Target {
        epoch,
        assigned_ms: 0,
    };
    out.push(Record::new(Key::ConsumerTarget(name), target.encode()));
    for (id, assignment) in &held {
        let value = current(epoch, assignment).encode();
        out.push(Record::new(Key::ConsumerCurrentMember(name, id), value));
    }
    Ok(())
}

fn assigned(live: &Live, bytes: &[u8], ctx: &Context<'_>) -> Result<Assignment, Refusal> {
    embedded::decode(bytes, ctx.topics).map_err(|why| match why {
        Unreadable::Malformed => {
            cannot_upgrade(live, "the embedded consumer protocol is malformed")
        }
        Unreadable::HasUserData => cannot_upgrade(
            live,
            "an unsupported custom assignor is in use. Please refer to the documentation or \
             switch to a default assignor before re-attempting the upgrade",
        ),
    })
}

fn wishes(member: &classic::Member, said: Subscription) -> wire::Member {
    let mut topics = said.topics;
    topics.sort_unstable();
    topics.dedup();
    wire::Member {
        instance: member.instance.clone(),
        rack: said.rack,
        client_id: member.client_id.clone(),
        client_host: member.client_host.clone(),
        topics,
        regex: Some(String::new()),
        rebalance_timeout_ms: member.rebalance_timeout_ms,
        assignor: None,
        classic: Some(ClassicMember {
            session_timeout_ms: member.session_timeout_ms,
            protocols: member.protocols.clone(),
        }),
    }
}

fn current(epoch: i32, assignment: &Assignment) -> Current {
    let entry = |(topic, partitions): (&Uuid, &Vec<i32>)| {
        let since = partitions.iter().map(|partition| (*partition, epoch));
        (*topic, since.collect())
    };
    Current {
        epoch,
        previous_epoch: epoch,
        assigned: assignment.iter().map(entry).collect::<Holding>(),
        ..Current::default()
    }
}

/// Members go, and only classic ones stay: the group becomes a classic one, which rebalances.
/// False if that isn't so, or one record doesn't hold all of them.
pub(super) fn downgrade_without(
    name: &str,
    group: &Group,
    gone: &BTreeSet<Arc<str>>,
    soft: &mut crate::Soft,
    ctx: &Context<'_>,
    out: &mut Decision,
) -> bool {
    let classic = |id: &Arc<str>| group.members.get(id).is_some_and(|m| m.is_classic());
    let classics_gone = gone.iter().filter(|id| classic(id)).count();
    let staying = group.members.len() - gone.len();
    if staying == 0
        || group.classics - classics_gone != staying
        || classics_gone == gone.len()
        || !may_downgrade(staying, ctx)
    {
        return false;
    }
    let mut live = empty(name, group.epoch, ctx);
    for (id, member) in &group.members {
        if !gone.contains(id) {
            live.insert(classic_member(id, &member.wishes));
        }
    }
    assign(&mut live, &group.targets, ctx);
    if !fits(&live, ctx) {
        return false;
    }
    group.tombstones(name, &mut out.records);
    begin(live, true, soft, ctx, out);
    true
}

fn may_downgrade(members: usize, ctx: &Context<'_>) -> bool {
    let max = usize::try_from(ctx.config.size_max).unwrap_or(0);
    ctx.config.consumer_migration_policy.downgrades() && members <= max
}

fn fits(live: &Live, ctx: &Context<'_>) -> bool {
    live.record().bytes() <= ctx.config.record_bytes_max as usize
}

/// What the group becomes if the draft puts a classic static member in the place of the last
/// consumer one: a classic group, if one record holds it.
pub(super) fn downgraded_by(draft: &Draft<'_>, ctx: &Context<'_>) -> Option<Live> {
    let (_, before) = draft.before?;
    let size = draft.base.members.len();
    if before.wishes.instance.is_none()
        || before.is_classic()
        || draft.base.classics + 1 != size
        || !may_downgrade(size, ctx)
    {
        return None;
    }
    let mut live = empty(draft.name, draft.epoch, ctx);
    for (id, member) in draft.members() {
        live.insert(classic_member(id, &member.wishes));
    }
    let mut targets = draft.base.targets.clone();
    targets.insert(draft.id.clone(), draft.target.clone().into_owned());
    assign(&mut live, &targets, ctx);
    fits(&live, ctx).then_some(live)
}

/// The group of the draft becomes this classic one. With a `stale` target it rebalances.
pub(super) fn downgrade_with(
    draft: &Draft<'_>,
    live: Live,
    stale: bool,
    soft: &mut crate::Soft,
    ctx: &Context<'_>,
    out: &mut Decision,
) {
    // Only what is on record has to go; the draft's own records were never written.
    draft.base.tombstones(draft.name, &mut out.records);
    begin(live, stale, soft, ctx, out);
}

fn empty(name: &str, generation: i32, ctx: &Context<'_>) -> Live {
    let mut live = Live::empty(Arc::from(name), ctx.now.wall);
    live.generation = generation;
    live.protocol_type = Some(CONSUMER.to_owned());
    live.state = State::Stable;
    live
}

fn classic_member(id: &str, wishes: &wire::Member) -> classic::Member {
    let own = wishes.classic.clone().unwrap_or_default();
    classic::Member::converted(Arc::from(id), wishes, own)
}

/// The classic group has what the consumer group's targets said.
fn assign(live: &mut Live, targets: &BTreeMap<Arc<str>, Assignment>, ctx: &Context<'_>) {
    live.protocol = live.choose();
    live.topics = live.consumed();
    let protocol = live.protocol.clone().unwrap_or_default();
    for (id, member) in &mut live.members {
        let version = embedded::version(&member.metadata(&protocol));
        let nothing = Assignment::new();
        let target = targets.get(id).unwrap_or(&nothing);
        member.assignment = embedded::encode(target, version, ctx.topics);
    }
}

/// The classic group begins where the consumer group ended.
fn begin(
    mut live: Live,
    rebalance: bool,
    soft: &mut crate::Soft,
    ctx: &Context<'_>,
    out: &mut Decision,
) {
    out.records.push(live.record());
    let mut work = Work {
        ctx,
        timers: &mut soft.timers,
        out,
    };
    let ids: Vec<Arc<str>> = live.members.keys().cloned().collect();
    for id in ids {
        live.renew_session(&id, &mut work);
    }
    if rebalance {
        live.prepare(&mut work);
    }
    soft.consumer.forget(&live.name);
    soft.classic.insert(live.name.clone(), live);
}
