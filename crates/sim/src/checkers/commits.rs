//! Committed offsets: what was acknowledged is found again, and what was overwritten doesn't come
//! back. Every commit has a value of its own, so each answer names the commit that it shows.
//!
//! A commit that nobody answered may come to be at any later time, until it is seen.

use super::{Checked, Part, violation};
use crate::scheduler::Micros;
use std::collections::BTreeMap;

#[derive(Clone, Debug)]
struct Commit {
    value: i64,
    asked: Micros,
    /// It is in force since then at the latest: it was acknowledged or seen.
    known: Option<Micros>,
}

/// The checker.
#[derive(Default)]
pub(crate) struct Commits {
    commits: BTreeMap<(u32, Part), Vec<Commit>>,
}

const FOUND: &str = "committed offsets are found again";

impl Commits {
    /// A commit was sent.
    pub(crate) fn asked(&mut self, group: u32, part: Part, value: i64, now: Micros) {
        self.commits.entry((group, part)).or_default().push(Commit {
            value,
            asked: now,
            known: None,
        });
    }

    /// It was acknowledged.
    pub(crate) fn acked(&mut self, group: u32, part: Part, value: i64, now: Micros) {
        self.known(group, part, value, now);
    }

    fn known(&mut self, group: u32, part: Part, value: i64, now: Micros) {
        let commits = self.commits.get_mut(&(group, part));
        let commit = commits.and_then(|all| all.iter_mut().find(|c| c.value == value));
        if let Some(commit) = commit {
            commit.known = Some(commit.known.map_or(now, |known| known.min(now)));
        }
    }

    /// A group was asked at `asked` for the offset of a partition, and this was the answer.
    pub(crate) fn fetched(
        &mut self,
        group: u32,
        part: Part,
        value: Option<i64>,
        (asked, now): (Micros, Micros),
    ) -> Checked {
        let before = |commit: &&Commit| commit.known.is_some_and(|known| known < asked);
        let commits = self.commits.get(&(group, part));
        let Some(value) = value else {
            let lost = commits.and_then(|all| all.iter().find(before));
            return match lost {
                None => Ok(()),
                Some(lost) => {
                    let what = format!("group {group} {part}: none, though {lost:?}");
                    Err(violation(FOUND, what))
                }
            };
        };
        let Some(shown) = commits.and_then(|all| all.iter().find(|c| c.value == value)) else {
            let what = format!("group {group} {part}: {value} was never committed");
            return Err(violation(FOUND, what));
        };
        let over = |later: &&Commit| shown.known.is_some_and(|known| known < later.asked);
        let later = commits.into_iter().flatten().filter(before).find(over);
        if let Some(later) = later {
            let what = format!("group {group} {part}: {shown:?} again after {later:?}");
            return Err(violation("committed offsets don't go back", what));
        }
        self.known(group, part, value, now);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkers::testing::PART;

    #[test]
    fn what_was_acknowledged_is_missed() {
        let mut commits = Commits::default();
        commits.asked(1, PART, 10, 100);
        commits.fetched(1, PART, None, (110, 120)).unwrap();
        commits.acked(1, PART, 10, 130);
        commits.fetched(1, PART, None, (125, 140)).unwrap();
        let lost = commits.fetched(1, PART, None, (135, 140)).unwrap_err();
        assert_eq!(lost.checker, FOUND);
        assert!(commits.fetched(1, PART, Some(11), (135, 140)).is_err());
    }

    #[test]
    fn what_was_overwritten_does_not_come_back() {
        let mut commits = Commits::default();
        commits.asked(1, PART, 10, 100);
        commits.acked(1, PART, 10, 110);
        commits.asked(1, PART, 11, 120);
        commits.fetched(1, PART, Some(10), (130, 140)).unwrap();
        commits.fetched(1, PART, Some(11), (130, 150)).unwrap();
        assert!(commits.fetched(1, PART, Some(10), (160, 170)).is_err());
        // One that nobody answered may come late.
        commits.asked(1, PART, 12, 180);
        commits.asked(1, PART, 13, 200);
        commits.acked(1, PART, 13, 210);
        commits.fetched(1, PART, Some(13), (220, 230)).unwrap();
        commits.fetched(1, PART, Some(12), (240, 250)).unwrap();
        assert!(commits.fetched(1, PART, Some(11), (260, 270)).is_err());
    }
}
