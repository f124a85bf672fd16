//! Committed stays committed: the log that the cluster converges to reaches every high watermark
//! that anybody was ever told. (That the content below it stays the same is `one_value`'s part.)

use super::{Checked, Part, violation};
use std::collections::BTreeMap;

/// The highest watermark told of each partition, and by whom.
#[derive(Default)]
pub(crate) struct Committed {
    told: BTreeMap<Part, (i64, String)>,
    /// Since which term nothing was lost, where something was.
    since: BTreeMap<Part, u32>,
}

impl Committed {
    /// A replica goes on alone with a log that ends here, all of which counts as committed.
    pub(crate) fn lost(&mut self, part: Part, end: i64, term: u32) {
        let by = format!("the survivor in term {term}");
        self.told.insert(part, (end, by));
        self.since.insert(part, term);
    }

    /// A replica that follows a term, or none, has this committed.
    pub(crate) fn stands(
        &mut self,
        part: Part,
        term: Option<u32>,
        high: i64,
        by: impl FnOnce() -> String,
    ) {
        match self.since.get(&part) {
            Some(since) if term.is_none_or(|term| term < *since) => {}
            _ => self.raise(part, high, by),
        }
    }

    /// Somebody said that everything below `high_watermark` is committed. It isn't known in which term, so
    /// where something was lost that says nothing.
    pub(crate) fn told(&mut self, part: Part, high_watermark: i64, by: impl FnOnce() -> String) {
        if !self.since.contains_key(&part) {
            self.raise(part, high_watermark, by);
        }
    }

    fn raise(&mut self, part: Part, high_watermark: i64, by: impl FnOnce() -> String) {
        let best = self.told.entry(part).or_insert((-1, String::new()));
        if high_watermark > best.0 {
            *best = (high_watermark, by());
        }
    }

    /// The highest watermark told of a partition.
    pub(crate) fn high_watermark(&self, part: Part) -> i64 {
        self.told.get(&part).map_or(0, |told| told.0.max(0))
    }

    /// Where the log of a partition ends when everything has converged.
    pub(crate) fn verify(&self, part: Part, end: i64) -> Checked {
        match self.told.get(&part) {
            Some((told, by)) if *told > end => {
                let what = format!("{part} ends at {end}; {by} had it committed up to {told}");
                Err(violation("committed stays committed", what))
            }
            _ => Ok(()),
        }
    }
}

/// A high watermark is true only if a majority of the replicas have what lies below it. `ends` are
/// the ends of their logs; of a replica that can't be asked (`None`) the best is assumed.
pub(crate) fn is_held(part: Part, high_watermark: i64, ends: &[Option<i64>]) -> Checked {
    let held = ends
        .iter()
        .filter(|end| end.is_none_or(|end| end >= high_watermark))
        .count();
    if held * 2 > ends.len() {
        return Ok(());
    }
    let what = format!("{part}: {high_watermark} is said to be committed; logs end at {ends:?}");
    Err(violation("what is committed is on a majority", what))
}

#[cfg(test)]
mod tests {
    use super::super::testing::PART;
    use super::*;

    #[test]
    fn a_log_that_ends_below_a_told_watermark_is_caught() {
        let mut committed = Committed::default();
        committed.told(PART, 5, || "node 1".into());
        committed.told(PART, 3, || "node 2".into());
        assert_eq!(committed.verify(PART, 5), Ok(()));
        assert!(
            committed
                .verify(PART, 4)
                .unwrap_err()
                .what
                .contains("node 1")
        );
    }

    #[test]
    fn a_watermark_that_no_majority_reaches_is_caught() {
        assert_eq!(is_held(PART, 5, &[Some(5), Some(7), Some(0)]), Ok(()));
        assert_eq!(is_held(PART, 5, &[Some(5), None, Some(0)]), Ok(()));
        assert!(is_held(PART, 5, &[Some(5), Some(4), Some(0)]).is_err());
        assert!(is_held(PART, 5, &[Some(5), Some(4), None, Some(4), Some(4)]).is_err());
    }
}
