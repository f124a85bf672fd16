//! One owner per partition and generation, or epoch of a group of KIP-848; and while an owner may believe
//! in its session, nobody else is given its partitions by the same coordinator.
//!
//! A coordinator that doesn't know of its successor may answer a heartbeat for a while, in Kafka
//! too. So two owners at a time are told apart only where one node told both.

use super::{Checked, Part, violation};
use crate::net::Place;
use crate::scheduler::Micros;
use std::collections::BTreeMap;

/// What a member believes to own.
#[derive(Clone, Debug)]
struct Held {
    client: u64,
    node: Place,
    /// Its session lasts at least until then.
    until: Micros,
}

/// The checker.
#[derive(Default)]
pub(crate) struct Owners {
    /// Member ids by group, generation or epoch, and partition.
    given: BTreeMap<(u32, i32, Part), String>,
    /// The newest generation of a group that any member was told.
    newest: BTreeMap<u32, i32>,
    held: BTreeMap<(u32, Part), Vec<Held>>,
}

const OWNER: &str = "one owner per partition and generation";

impl Owners {
    /// The newest generation of a group that is known to be logged.
    pub(crate) fn newest(&self, group: u32) -> i32 {
        self.newest.get(&group).copied().unwrap_or(-1)
    }

    /// A member of a classic group was told what it owns; when it asked, `newest` was known.
    pub(crate) fn synced(
        &mut self,
        group: u32,
        (generation, newest): (i32, i32),
        member: &str,
        parts: &[Part],
    ) -> Checked {
        if generation < newest {
            let what = format!("group {group}: generation {generation} after {newest}");
            return Err(violation("generations don't go back", what));
        }
        let known = self.newest.entry(group).or_insert(generation);
        *known = generation.max(*known);
        self.one_owner(group, generation, member, parts)
    }

    /// A member of KIP-848 was told its epoch, and what it is to have if that was said; its epoch was `before`
    /// unless it has just joined. Who was put out, or left, joins anew, with epoch 0.
    pub(crate) fn told(
        &mut self,
        group: u32,
        (epoch, before): (i32, Option<i32>),
        member: &str,
        parts: &[Part],
    ) -> Checked {
        if let Some(before) = before.filter(|before| epoch < *before) {
            let what = format!("group {group}: {member} is told epoch {epoch} after {before}");
            return Err(violation("a member's epoch doesn't go back", what));
        }
        self.one_owner(group, epoch, member, parts)
    }

    fn one_owner(&mut self, group: u32, generation: i32, member: &str, parts: &[Part]) -> Checked {
        for part in parts {
            let owner = self.given.entry((group, generation, *part));
            let owner = owner.or_insert_with(|| member.to_string());
            if owner != member {
                let what = format!(
                    "group {group} generation {generation}: {part} is given to {owner} and {member}"
                );
                return Err(violation(OWNER, what));
            }
        }
        Ok(())
    }

    /// A client was given a partition by `node`; its session lasts until `until`.
    pub(crate) fn took(
        &mut self,
        group: u32,
        part: Part,
        client: u64,
        (node, now, until): (Place, Micros, Micros),
    ) -> Checked {
        let held = self.held.entry((group, part)).or_default();
        held.retain(|held| held.client != client && held.until > now);
        if until <= now {
            // It was told so late that it may have been put out meanwhile.
            return Ok(());
        }
        if let Some(other) = held.iter().find(|held| held.node == node) {
            let what = format!(
                "group {group}: node {} gives {part} to client {client} while client {} owns it",
                node + 1,
                other.client
            );
            return Err(violation("one owner at a time", what));
        }
        held.push(Held {
            client,
            node,
            until,
        });
        Ok(())
    }

    /// A client gives a partition up, or dies.
    pub(crate) fn dropped(&mut self, group: u32, part: Part, client: u64) {
        if let Some(held) = self.held.get_mut(&(group, part)) {
            held.retain(|held| held.client != client);
        }
    }

    /// A client's session was renewed.
    pub(crate) fn renewed(
        &mut self,
        group: u32,
        part: Part,
        client: u64,
        (node, until): (Place, Micros),
    ) {
        let held = self.held.entry((group, part)).or_default().iter_mut();
        for held in held.filter(|held| held.client == client) {
            held.node = node;
            held.until = until.max(held.until);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkers::testing::PART;

    #[test]
    fn who_is_told_after_its_session_owns_nothing() {
        let mut owners = Owners::default();
        owners.took(1, PART, 10, (3, 500, 900)).unwrap();
        owners.took(1, PART, 11, (3, 600, 600)).unwrap();
        assert!(owners.took(1, PART, 11, (3, 600, 700)).is_err());
    }

    #[test]
    fn two_owners_in_a_generation_are_caught() {
        let mut owners = Owners::default();
        owners.synced(1, (3, -1), "a", &[PART]).unwrap();
        owners.synced(1, (3, 3), "a", &[PART]).unwrap();
        owners.synced(1, (4, 3), "b", &[PART]).unwrap();
        owners.synced(2, (3, -1), "b", &[PART]).unwrap();
        let two = owners.synced(1, (4, 4), "a", &[PART]).unwrap_err();
        assert_eq!(two.checker, OWNER);
        assert!(owners.synced(1, (3, 4), "a", &[]).is_err(), "a step back");
    }

    #[test]
    fn two_owners_in_an_epoch_and_epochs_that_go_back_are_caught() {
        let mut owners = Owners::default();
        owners.told(1, (3, None), "a", &[PART]).unwrap();
        owners.told(1, (3, Some(3)), "a", &[PART]).unwrap();
        owners.told(1, (4, Some(3)), "a", &[]).unwrap();
        owners.told(1, (4, None), "b", &[PART]).unwrap();
        let two = owners.told(1, (4, Some(4)), "a", &[PART]).unwrap_err();
        assert_eq!(two.checker, OWNER);
        assert!(
            owners.told(1, (3, Some(4)), "a", &[]).is_err(),
            "a step back"
        );
        owners.told(1, (3, None), "a", &[]).unwrap();
    }

    #[test]
    fn two_owners_at_a_time_are_caught_where_one_node_told_both() {
        let mut owners = Owners::default();
        owners.took(1, PART, 7, (0, 10, 100)).unwrap();
        owners.renewed(1, PART, 7, (0, 200));
        assert!(owners.took(1, PART, 8, (0, 150, 300)).is_err());
        owners.took(1, PART, 8, (1, 150, 300)).unwrap();
        owners.dropped(1, PART, 8);
        owners.took(1, PART, 9, (0, 250, 400)).unwrap();
        owners.dropped(1, PART, 9);
        owners.took(1, PART, 7, (0, 260, 400)).unwrap();
    }
}
