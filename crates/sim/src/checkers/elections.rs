//! A group has at most one leader in a term.

use super::{Checked, violation};
use std::collections::BTreeMap;

/// Leaders by group and term, and who said so first.
#[derive(Default)]
pub(crate) struct Elections {
    leaders: BTreeMap<(u64, u32), (u32, u32)>,
}

impl Elections {
    /// Node `teller` announced the leader of a group's term.
    pub(crate) fn leader(&mut self, group: u64, term: u32, leader: u32, teller: u32) -> Checked {
        let (known, by) = *self
            .leaders
            .entry((group, term))
            .or_insert((leader, teller));
        if known == leader {
            return Ok(());
        }
        let what = format!(
            "group {group}, term {term}: node {known} by node {by}, node {leader} by node {teller}"
        );
        Err(violation("one leader in a term", what))
    }

    /// Leaders elected so far, over all groups.
    pub(crate) fn count(&self) -> usize {
        self.leaders.len()
    }
}

#[cfg(test)]
mod tests {
    use super::Elections;

    #[test]
    fn a_second_leader_of_a_term_is_caught() {
        let mut elections = Elections::default();
        assert_eq!(elections.leader(4, 2, 1, 1), Ok(()));
        assert_eq!(elections.leader(4, 2, 1, 3), Ok(()));
        assert_eq!(elections.leader(4, 3, 2, 2), Ok(()));
        assert!(elections.leader(4, 2, 2, 2).is_err());
    }
}
