//! One step of a member from what it holds to what it is to hold. A pure function.
//!
//! The order is what keeps a partition from having two holders: a member first gives up what
//! isn't in its target (*unrevoked*, and it keeps its epoch until it says that it did), then it
//! moves to the target's epoch and takes what is free; what others still hold it waits for
//! (*unreleased*).

use super::state::{Current, Holding, Stage};
use crate::assign::Assignment;
use crate::command::TopicPartitions;
use base::{Bug, Refusal, Uuid, planted};
use std::collections::BTreeMap;

/// What a member is led to, and what it says of itself.
pub(super) struct Goal<'a> {
    /// The epoch of the target.
    pub(super) epoch: i32,
    /// What it is to hold.
    pub(super) target: &'a Assignment,
    /// Its wishes changed with this very request.
    pub(super) changed: bool,
    /// What it says it holds; `None` if it doesn't say.
    pub(super) owned: Option<&'a [TopicPartitions]>,
    /// True if it wants the topic.
    pub(super) wanted: &'a dyn Fn(&Uuid) -> bool,
    /// True if somebody else holds the partition.
    pub(super) taken: &'a dyn Fn(&Uuid, i32) -> bool,
}

/// What the member holds after this step. Who can't move stays as it is, also in its previous
/// epoch, so that waiting writes nothing.
pub(super) fn step(current: &Current, goal: &Goal<'_>) -> Result<Current, Refusal> {
    let after = moved(current, goal)?;
    let before = Current {
        previous_epoch: after.previous_epoch,
        ..current.clone()
    };
    Ok(if after == before {
        current.clone()
    } else {
        after
    })
}

fn moved(current: &Current, goal: &Goal<'_>) -> Result<Current, Refusal> {
    match current.stage {
        Stage::Stable if current.epoch != goal.epoch => Ok(next(current, goal, current.epoch)),
        Stage::Stable => Ok(after_wishes(current, goal)),
        Stage::Unrevoked if still_holds(goal.owned, &current.revoking) => {
            Ok(after_wishes(current, goal))
        }
        Stage::Unrevoked | Stage::Unreleased => Ok(next(current, goal, current.epoch)),
        // A newer version wrote this stage. Who holds nothing can begin anew.
        Stage::Unknown if goal.owned.is_some_and(<[_]>::is_empty) => {
            Ok(next(current, goal, goal.epoch))
        }
        Stage::Unknown => Err(Refusal::FencedMemberEpoch(
            "The consumer group member is in an unknown state. The member must abandon all its \
             partitions and rejoin."
                .to_owned(),
        )),
    }
}

/// True unless the member says what it holds and none of these partitions is among it.
fn still_holds(owned: Option<&[TopicPartitions]>, these: &Holding) -> bool {
    let Some(owned) = owned else {
        return true;
    };
    owned.iter().any(|part| {
        let these = these.get(&part.topic);
        these.is_some_and(|these| part.partitions.iter().any(|p| these.contains_key(p)))
    })
}

/// What a new target asks of the member.
struct Difference {
    kept: Holding,
    revoked: Holding,
    free: BTreeMap<Uuid, Vec<i32>>,
    unreleased: bool,
}

fn difference(current: &Current, goal: &Goal<'_>) -> Difference {
    let mut difference = Difference {
        kept: Holding::new(),
        revoked: Holding::new(),
        free: BTreeMap::new(),
        unreleased: false,
    };
    let target = |topic: &Uuid| -> &[i32] {
        let target = goal.target.get(topic).filter(|_| (goal.wanted)(topic));
        target.map_or(&[], Vec::as_slice)
    };
    for (topic, partitions) in &current.assigned {
        let target = target(topic);
        for (partition, since) in partitions {
            let side = match target.binary_search(partition) {
                Ok(_) => &mut difference.kept,
                Err(_) => &mut difference.revoked,
            };
            side.entry(*topic).or_default().insert(*partition, *since);
        }
    }
    for topic in goal.target.keys() {
        let assigned = current.assigned.get(topic);
        for partition in target(topic) {
            if assigned.is_some_and(|assigned| assigned.contains_key(partition)) {
                continue;
            }
            if (goal.taken)(topic, *partition) && !planted(Bug::GivenBeforeReleased) {
                difference.unreleased = true;
            } else {
                difference.free.entry(*topic).or_default().push(*partition);
            }
        }
    }
    difference
}

fn next(current: &Current, goal: &Goal<'_>, epoch: i32) -> Current {
    let Difference {
        kept,
        revoked,
        free,
        unreleased,
    } = difference(current, goal);
    if !revoked.is_empty() && still_holds(goal.owned, &revoked) {
        return Current {
            epoch,
            previous_epoch: current.epoch,
            stage: Stage::Unrevoked,
            assigned: kept,
            revoking: revoked,
        };
    }
    let mut assigned = kept;
    for (topic, partitions) in free {
        let held = assigned.entry(topic).or_default();
        held.extend(
            partitions
                .into_iter()
                .map(|partition| (partition, goal.epoch)),
        );
    }
    Current {
        epoch: goal.epoch,
        previous_epoch: current.epoch,
        stage: if unreleased {
            Stage::Unreleased
        } else {
            Stage::Stable
        },
        assigned,
        revoking: Holding::new(),
    }
}

/// The target hasn't changed, or can't be gone for yet; but topics that the member doesn't want
/// any more it gives up at once.
fn after_wishes(current: &Current, goal: &Goal<'_>) -> Current {
    let unwanted = |topic: &&Uuid| !(goal.wanted)(topic);
    let dropped: Vec<Uuid> = current.assigned.keys().filter(unwanted).copied().collect();
    if !goal.changed || dropped.is_empty() {
        return current.clone();
    }
    let mut after = current.clone();
    after.previous_epoch = current.epoch;
    for topic in dropped {
        let partitions = after.assigned.remove(&topic).unwrap_or_default();
        after.revoking.entry(topic).or_default().extend(partitions);
    }
    if still_holds(goal.owned, &after.revoking) {
        after.stage = Stage::Unrevoked;
    } else {
        after.revoking.clone_from(&current.revoking);
    }
    after
}
