//! Committed stays committed: the log that the cluster converges to reaches every high watermark
//! that anybody was ever told. (That the content below it stays the same is `one_value`'s part.)

use super::{Checked, Part, violation};
use std::collections::BTreeMap;

/// The highest watermark told of each partition, and by whom.
#[derive(Default)]
pub(crate) struct Committed {
    told: BTreeMap<Part, (i64, String)>,
}

impl Committed {
    /// Somebody said that everything below `high_watermark` is committed.
    pub(crate) fn told(&mut self, part: Part, high_watermark: i64, by: impl FnOnce() -> String) {
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
}
