//! Which member a request speaks of, and whether it may: dynamic members by their id, static ones
//! by their static name too. A static member that comes back under a new id takes the place of
//! the old one.

use super::draft::{Draft, member_tombstones};
use super::state::{Group, Holding, Member, listed};
use crate::command::TopicPartitions;
use crate::record::consumer::TargetMember;
use crate::record::{Key, Record};
use base::Refusal;
use std::sync::Arc;

/// The epoch of a static member that left for a while.
pub(super) const AWAY: i32 = -2;

/// What a request says of the member that it speaks of.
pub(super) struct Claim<'a> {
    pub(super) id: &'a str,
    pub(super) instance: Option<&'a str>,
    /// Its epoch; 0 joins. `None`: it speaks the classic protocol and has no epoch here.
    pub(super) epoch: Option<i32>,
    pub(super) owned: Option<&'a [TopicPartitions]>,
    /// A member that isn't there is made.
    pub(super) joins: bool,
}

/// The draft of a change to the claimed member.
pub(super) fn find<'a>(
    name: &'a str,
    base: &'a Group,
    claim: &Claim<'_>,
) -> Result<Draft<'a>, Refusal> {
    let behind = claim.instance.and_then(|instance| base.behind(instance));
    match (claim.instance, behind) {
        (Some(instance), Some((id, member))) if claim.joins => {
            rejoin(name, base, claim, instance, (id, member))
        }
        (Some(instance), None) if !claim.joins => Err(unknown_instance(instance)),
        (Some(instance), Some((id, member))) => {
            check_instance(id, claim.id, instance)?;
            check_epoch(member, claim)?;
            Ok(Draft::new(name, base, id.clone(), Some((id, member))))
        }
        _ => by_id(name, base, claim),
    }
}

fn by_id<'a>(name: &'a str, base: &'a Group, claim: &Claim<'_>) -> Result<Draft<'a>, Refusal> {
    match base.members.get_key_value(claim.id) {
        Some((id, member)) => {
            check_epoch(member, claim)?;
            Ok(Draft::new(name, base, id.clone(), Some((id, member))))
        }
        None if claim.joins => Ok(Draft::new(name, base, Arc::from(claim.id), None)),
        None => Err(unknown(name, claim.id)),
    }
}

/// The static name is known already. Under the same id it is a join whose answer got lost, or a
/// member that comes back; under another one it takes over, if the old one left or speaks the
/// other protocol.
fn rejoin<'a>(
    name: &'a str,
    base: &'a Group,
    claim: &Claim<'_>,
    instance: &str,
    (old_id, old): (&'a Arc<str>, &'a Member),
) -> Result<Draft<'a>, Refusal> {
    let same = **old_id == *claim.id;
    if !same && claim.epoch.is_some() && !old.is_classic() && old.current.epoch != AWAY {
        return Err(Refusal::UnreleasedInstance(format!(
            "Static member {} with instance id {instance} cannot join the group because the \
             instance id is owned by {old_id} member.",
            claim.id
        )));
    }
    let mut draft = Draft::new(name, base, Arc::from(claim.id), Some((old_id, old)));
    if !same || old.current.epoch == AWAY {
        draft.member.current.epoch = 0;
        draft.member.current.previous_epoch = 0;
    }
    if !same {
        replace(&mut draft, old_id);
    }
    Ok(draft)
}

/// The old member's records go, the new one begins with what the old one had.
fn replace(draft: &mut Draft<'_>, old: &str) {
    member_tombstones(draft.name, old, &mut draft.records);
    let target = TargetMember {
        partitions: listed(&draft.target),
    };
    let key = Key::ConsumerTargetMember(draft.name, &draft.id);
    let record = Record::new(key, target.encode());
    draft.records.push(record);
    draft.put_current();
}

pub(super) fn unknown(group: &str, member: &str) -> Refusal {
    Refusal::UnknownMember(format!("Member {member} is not a member of group {group}."))
}

pub(super) fn unknown_instance(instance: &str) -> Refusal {
    Refusal::UnknownMember(format!("Instance id {instance} is unknown."))
}

/// Refuses a member that another one has replaced.
pub(super) fn check_instance(holder: &str, claimed: &str, instance: &str) -> Result<(), Refusal> {
    if holder == claimed {
        return Ok(());
    }
    Err(Refusal::FencedInstance(format!(
        "Static member {claimed} with instance id {instance} was fenced by member {holder}."
    )))
}

/// Refuses an epoch that isn't the member's. The one before is let through if the member holds
/// nothing that it wasn't given: then the answer that told it the new one got lost.
fn check_epoch(member: &Member, claim: &Claim<'_>) -> Result<(), Refusal> {
    let (Some(claimed), known) = (claim.epoch, member.current.epoch) else {
        return Ok(());
    };
    if claimed == 0 || claimed == known {
        return Ok(());
    }
    let side = if claimed > known {
        "greater"
    } else {
        "smaller"
    };
    let lost = claimed < known
        && claimed == member.current.previous_epoch
        && within(claim.owned, &member.current.assigned);
    if lost {
        return Ok(());
    }
    Err(Refusal::FencedMemberEpoch(format!(
        "The consumer group member has a {side} member epoch ({claimed}) than the one known by \
         the group coordinator ({known}). The member must abandon all its partitions and rejoin."
    )))
}

fn within(owned: Option<&[TopicPartitions]>, assigned: &Holding) -> bool {
    owned.is_some_and(|owned| {
        owned.iter().all(|part| {
            let held = assigned.get(&part.topic);
            held.is_some_and(|held| part.partitions.iter().all(|p| held.contains_key(p)))
        })
    })
}
