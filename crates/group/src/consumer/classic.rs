//! Members that speak the classic protocol in a consumer group, while a group is moved from one
//! protocol to the other. To them their epoch is a generation, a step towards their target is a
//! rebalance: a heartbeat tells them to join again when there is something to do, joining tells
//! what they hold and makes the step, syncing tells what they hold now. Nobody waits for others.

use super::draft::{Draft, in_ms};
use super::embedded::{self, Subscription};
use super::soft::Deadlines;
use super::state::{Group, Member, Stage};
use super::who::{self, Claim};
use super::{heartbeat, leave, migrate, target, wishes};
use crate::classic::{CONSUMER, bytes_of, too_large};
use crate::command::{Heartbeat, JoinGroup, LeaveGroup, Protocol, SyncGroup};
use crate::config::MigrationPolicy;
use crate::record::consumer::ClassicMember;
use crate::reply::{Join, Joined, Left, Reply, Synced};
use crate::{Caller, Context, Decision, Groups};
use base::{Mono, Refusal};
use bytes::Bytes;
use std::collections::BTreeSet;
use std::sync::Arc;

impl Groups {
    /// JoinGroup to a group that has members.
    pub(crate) fn consumer_join(
        &self,
        soft: &mut crate::Soft,
        ctx: &Context<'_>,
        caller: Caller,
        join: JoinGroup,
        out: &mut Decision,
    ) {
        let drawn = ctx.drawn.to_string();
        let member = match join.member.as_str() {
            "" => &drawn,
            known => known,
        };
        let Some(group) = self.consumer_group(&join.group) else {
            return;
        };
        let outcome = may_join(group, &join, ctx, member)
            .and_then(|()| enter(group, &join, member, soft, ctx, out));
        let member = match &outcome {
            Ok(_) | Err(Refusal::MemberIdRequired) => member.to_owned(),
            Err(_) => join.member.clone(),
        };
        let answer = Reply::JoinGroup(Join { member, outcome });
        out.replies.push((caller, answer));
    }

    pub(crate) fn consumer_sync(
        &self,
        soft: &mut crate::Soft,
        ctx: &Context<'_>,
        caller: Caller,
        sync: SyncGroup,
        out: &mut Decision,
    ) {
        let answer = self
            .classic_member(&sync.group, &sync.member, sync.instance.as_deref())
            .and_then(|(group, member)| {
                check_generation(member, sync.generation)?;
                check_protocol(member, &sync)?;
                synced(group, member, &sync, soft, ctx)
            });
        out.replies.push((caller, Reply::SyncGroup(answer)));
    }

    pub(crate) fn consumer_classic_heartbeat(
        &self,
        soft: &mut crate::Soft,
        ctx: &Context<'_>,
        caller: Caller,
        beat: Heartbeat,
        out: &mut Decision,
    ) {
        let answer = self
            .classic_member(&beat.group, &beat.member, beat.instance.as_deref())
            .and_then(|(group, member)| {
                check_generation(member, beat.generation)?;
                let again = has_to_join_again(&beat.group, group, &beat.member, ctx);
                renew(&beat.group, &beat.member, member, again, soft, ctx);
                match again {
                    true => Err(Refusal::RebalanceInProgress),
                    false => Ok(()),
                }
            });
        out.replies.push((caller, Reply::Heartbeat(answer)));
    }

    pub(crate) fn consumer_leave(
        &self,
        soft: &mut crate::Soft,
        ctx: &Context<'_>,
        caller: Caller,
        leave: LeaveGroup,
        out: &mut Decision,
    ) {
        let Some(group) = self.consumer_group(&leave.group) else {
            return;
        };
        let mut gone: BTreeSet<Arc<str>> = BTreeSet::new();
        let mut parts = Vec::with_capacity(leave.members.len());
        for leaver in leave.members {
            let found = match (&leaver.instance, leaver.member.as_str()) {
                // An operator knows the static name only.
                (Some(instance), "") => group
                    .behind(instance)
                    .map(|(id, _)| id)
                    .ok_or_else(|| who::unknown_instance(instance)),
                (instance, member) => leave::find(&leave.group, group, member, instance.as_deref()),
            };
            parts.push(Left {
                member: leaver.member,
                instance: leaver.instance,
                outcome: found.map(|id| {
                    gone.insert(id.clone());
                }),
            });
        }
        leave::fence(&leave.group, group, &gone, soft, ctx, out);
        out.replies.push((caller, Reply::LeaveGroup(Ok(parts))));
    }

    fn classic_member(
        &self,
        name: &str,
        member: &str,
        instance: Option<&str>,
    ) -> Result<(&Group, &Member), Refusal> {
        let group = self
            .consumer_group(name)
            .ok_or_else(|| who::unknown(name, member))?;
        let id = leave::find(name, group, member, instance)?;
        let member = &group.members[id];
        if !member.is_classic() {
            let text = format!("Member {id} does not use the classic protocol.");
            return Err(Refusal::UnknownMember(text));
        }
        Ok((group, member))
    }
}

fn may_join(
    group: &Group,
    join: &JoinGroup,
    ctx: &Context<'_>,
    member: &str,
) -> Result<(), Refusal> {
    if ctx.config.consumer_migration_policy == MigrationPolicy::Disabled {
        return Err(Refusal::InconsistentGroupProtocol);
    }
    let max = usize::try_from(ctx.config.consumer_size_max).unwrap_or(0);
    if group.members.len() >= max && !group.members.contains_key(member) {
        return Err(Refusal::GroupMaxSize(format!(
            "The consumer group has reached its maximum capacity of {max} members."
        )));
    }
    if join.protocol_type != CONSUMER || !shares_a_protocol(group, &join.protocols) {
        return Err(Refusal::InconsistentGroupProtocol);
    }
    // One record holds all that a member offers.
    if bytes_of(&join.protocols) > ctx.config.record_bytes_max as usize {
        return Err(too_large());
    }
    if join.requires_known_id && join.member.is_empty() && join.instance.is_none() {
        return Err(Refusal::MemberIdRequired);
    }
    Ok(())
}

/// True if all classic members offer one of these too.
fn shares_a_protocol(group: &Group, protocols: &[Protocol]) -> bool {
    let classics = || (group.members.values()).filter_map(|m| m.wishes.classic.as_ref());
    let offers = |own: &ClassicMember, name: &str| own.protocols.iter().any(|p| p.name == name);
    protocols
        .iter()
        .any(|protocol| classics().all(|own| offers(own, &protocol.name)))
}

/// The member joins, or joins again, and is told its generation at once.
fn enter(
    group: &Group,
    join: &JoinGroup,
    member: &str,
    soft: &mut crate::Soft,
    ctx: &Context<'_>,
    out: &mut Decision,
) -> Result<Joined, Refusal> {
    let first = join.protocols.first();
    let first = first.ok_or(Refusal::InconsistentGroupProtocol)?;
    let said = Subscription::decode(&first.metadata)
        .ok_or_else(|| Refusal::Unexpected("the member's subscription can't be read".to_owned()))?;
    let claim = Claim {
        id: member,
        instance: join.instance.as_deref(),
        epoch: None,
        owned: None,
        joins: join.instance.is_none() || join.member.is_empty(),
    };
    let mut draft = who::find(&join.group, group, &claim)?;
    update(&mut draft, join, &said);
    let changed = wishes::settle(&mut draft, &mut soft.consumer, ctx, false)?;
    let downgraded = migrate::downgraded_by(&draft, ctx);
    let stale = draft.target_epoch < draft.epoch;
    if downgraded.is_none() {
        target::renew(&mut draft, ctx);
    }
    if !(downgraded.is_some() && stale) {
        let owned = said.owned(ctx.topics);
        heartbeat::step(&mut draft, ctx, changed, Some(&owned))?;
    }
    let joined = Joined {
        generation: draft.member.current.epoch,
        protocol_type: Some(CONSUMER.to_owned()),
        protocol: Some(first.name.clone()),
        leader: String::new(),
        skip_assignment: false,
        members: Vec::new(),
    };
    if let Some(live) = downgraded {
        migrate::downgrade_with(&draft, live, stale, soft, ctx, out);
    } else {
        let session = in_ms(ctx, join.session_timeout_ms);
        let sync = in_ms(ctx, join.rebalance_timeout_ms);
        soft.consumer.set(&join.group, member, |deadlines| {
            (deadlines.session, deadlines.sync) = (Some(session), Some(sync));
            (deadlines.join, deadlines.rebalance) = (None, None);
        });
        out.records.append(&mut draft.records);
    }
    Ok(joined)
}

fn update(draft: &mut Draft<'_>, join: &JoinGroup, said: &Subscription) {
    let wishes = &mut draft.member.wishes;
    if join.instance.is_some() {
        wishes.instance.clone_from(&join.instance);
    }
    if said.rack.is_some() {
        wishes.rack.clone_from(&said.rack);
    }
    if join.rebalance_timeout_ms != -1 {
        wishes.rebalance_timeout_ms = join.rebalance_timeout_ms;
    }
    wishes.topics.clone_from(&said.topics);
    wishes.topics.sort_unstable();
    wishes.topics.dedup();
    // The classic protocol has no regular expressions that the coordinator knows of.
    wishes.regex = Some(String::new());
    wishes.client_id.clone_from(&join.client.id);
    wishes.client_host.clone_from(&join.client.host);
    wishes.classic = Some(ClassicMember {
        session_timeout_ms: join.session_timeout_ms,
        protocols: own(&join.protocols),
    });
}

/// Copies, so that the request's frame isn't kept in memory.
fn own(protocols: &[Protocol]) -> Vec<Protocol> {
    let copy = |protocol: &Protocol| Protocol {
        name: protocol.name.clone(),
        metadata: Bytes::copy_from_slice(&protocol.metadata),
    };
    protocols.iter().map(copy).collect()
}

fn check_generation(member: &Member, generation: i32) -> Result<(), Refusal> {
    match member.current.epoch == generation {
        true => Ok(()),
        false => Err(Refusal::IllegalGeneration),
    }
}

fn check_protocol(member: &Member, sync: &SyncGroup) -> Result<(), Refusal> {
    let own = member.wishes.classic.as_ref();
    let name = own
        .and_then(|own| own.protocols.first())
        .map(|p| p.name.as_str());
    let same_type = sync
        .protocol_type
        .as_deref()
        .is_none_or(|said| said == CONSUMER);
    let same_name = sync
        .protocol
        .as_deref()
        .is_none_or(|said| Some(said) == name);
    match same_type && same_name {
        true => Ok(()),
        false => Err(Refusal::InconsistentGroupProtocol),
    }
}

/// The member is told what it holds, unless there is a newer target: then it joins again first. A
/// member that has to give something up has joined already and gives up first.
fn synced(
    group: &Group,
    member: &Member,
    sync: &SyncGroup,
    soft: &mut crate::Soft,
    ctx: &Context<'_>,
) -> Result<Synced, Refusal> {
    let behind = group.target_epoch > member.current.epoch;
    if behind && member.current.stage != Stage::Unrevoked {
        let join = in_ms(ctx, member.wishes.rebalance_timeout_ms);
        soft.consumer.set(&sync.group, &sync.member, |deadlines| {
            deadlines.join.get_or_insert(join);
        });
        return Err(Refusal::RebalanceInProgress);
    }
    let own = member.wishes.classic.as_ref();
    let metadata = own.and_then(|own| own.protocols.first());
    let version = metadata.map_or(0, |protocol| embedded::version(&protocol.metadata));
    let session = session(member, ctx);
    soft.consumer.set(&sync.group, &sync.member, |deadlines| {
        deadlines.sync = None;
        deadlines.session = Some(session);
    });
    Ok(Synced {
        protocol_type: sync.protocol_type.clone(),
        protocol: sync.protocol.clone(),
        assignment: embedded::encode(
            &embedded::held(&member.current.assigned),
            version,
            ctx.topics,
        ),
    })
}

/// There is a newer target; or something to give up; or what it waited for is free. Targets are
/// made when somebody joins or a member of KIP-848 is heard of; where there is none of those, the
/// classic ones join for it, once the last target is old enough.
fn has_to_join_again(name: &str, group: &Group, id: &str, ctx: &Context<'_>) -> bool {
    let Some(member) = group.members.get(id) else {
        return false;
    };
    let current = &member.current;
    let waits = || {
        let target = group.targets.get(id).into_iter().flatten();
        let mut places = target.flat_map(|(t, ps)| ps.iter().map(move |p| (*t, *p)));
        places.any(|(topic, partition)| {
            let holder = group.holders.get(&(topic, partition));
            holder.is_some_and(|holder| **holder != *id)
        })
    };
    current.epoch < group.target_epoch
        || group.target_epoch < group.epoch
            && group.classics == group.members.len()
            && target::old_enough(name, group, ctx)
        || current.stage == Stage::Unrevoked
        || current.stage == Stage::Unreleased && !waits()
}

fn session(member: &Member, ctx: &Context<'_>) -> Mono {
    let own = member.wishes.classic.as_ref();
    in_ms(ctx, own.map_or(0, |own| own.session_timeout_ms))
}

fn renew(
    name: &str,
    id: &str,
    member: &Member,
    again: bool,
    soft: &mut crate::Soft,
    ctx: &Context<'_>,
) {
    let session = session(member, ctx);
    let join = in_ms(ctx, member.wishes.rebalance_timeout_ms);
    soft.consumer.set(name, id, |deadlines: &mut Deadlines| {
        deadlines.session = Some(session);
        if again {
            deadlines.join.get_or_insert(join);
        }
    });
}
