//! Levelling within one class: while somebody who has a partition of the class has two partitions
//! more than somebody who wants the class, one goes over. Each move takes from the most laden and
//! gives to the least laden, so no move is made twice and none is undone.

use super::Plan;
use std::collections::{BTreeMap, BTreeSet};

/// Levels the class; true if anything moved.
pub(super) fn level(plan: &mut Plan<'_>, class: usize) -> bool {
    let wanting = &plan.classes[class].wanting;
    let loads = |member: &u32| plan.loads[*member as usize];
    let (Some(most), Some(least)) = (
        wanting.iter().map(loads).max(),
        wanting.iter().map(loads).min(),
    ) else {
        return false;
    };
    if most < least + 2 {
        return false;
    }
    let mut spare = spare(plan, class);
    let mut givers: BTreeSet<(u32, u32)> = spare.keys().map(|m| (loads(m), *m)).collect();
    let mut takers: BTreeSet<(u32, u32)> = wanting.iter().map(|m| (loads(m), *m)).collect();
    let mut moved = false;
    while let (Some((most, giver)), Some((least, taker))) =
        (givers.last().copied(), takers.first().copied())
    {
        if most < least + 2 {
            break;
        }
        givers.remove(&(most, giver));
        let Some(partition) = spare.get_mut(&giver).and_then(Vec::pop) else {
            continue;
        };
        plan.give(partition, taker);
        givers.insert((most - 1, giver));
        takers.remove(&(most, giver));
        takers.insert((most - 1, giver));
        takers.remove(&(least, taker));
        takers.insert((least + 1, taker));
        if givers.remove(&(least, taker)) {
            givers.insert((least + 1, taker));
        }
        moved = true;
    }
    moved
}

/// What each member has of the class; what it gives away most easily comes last.
fn spare(plan: &Plan<'_>, class: usize) -> BTreeMap<u32, Vec<u32>> {
    let mut spare: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for partition in &plan.classes[class].partitions {
        let owner = plan.owners[*partition as usize];
        spare.entry(owner).or_default().push(*partition);
    }
    for (member, partitions) in &mut spare {
        partitions.sort_by_key(|partition| {
            let (kept, near) = plan.attachment(*member, *partition);
            (!kept, !near, *partition)
        });
    }
    spare
}
