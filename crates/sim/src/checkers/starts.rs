//! Where logs start: not before where somebody was told, not after where somebody asked, never
//! back, never above the high watermark. What lies at or above the start is never lost; that is
//! for the checkers of final logs, which look at all of it.

use super::{Checked, Life, Part, violation};
use std::collections::BTreeMap;

/// What was said of one partition's start.
#[derive(Default)]
struct Known {
    /// The latest start that anybody was told, and by whom.
    told: i64,
    by: String,
    /// The latest start that anybody asked for.
    asked: i64,
}

/// The starts.
#[derive(Default)]
pub(crate) struct Starts {
    parts: BTreeMap<Part, Known>,
    replicas: BTreeMap<(Life, Part), i64>,
    connections: BTreeMap<(u64, Part), i64>,
}

const BACK: &str = "starts don't go back";
const ASKED: &str = "a log starts where it was asked to";
const GONE: &str = "what lies before the start is not served";

/// Where a start that can't be foreseen may be: retention, or "up to the high watermark".
pub(crate) const ANYWHERE: i64 = i64::MAX;

fn rise(highest: &mut i64, to: i64, who: impl FnOnce() -> String) -> Checked {
    if to < *highest {
        return Err(violation(BACK, format!("{}: {to} after {highest}", who())));
    }
    *highest = to;
    Ok(())
}

impl Starts {
    /// Somebody asks for a start: from now on it may be there.
    pub(crate) fn asked(&mut self, part: Part, start: i64) {
        let known = self.parts.entry(part).or_default();
        known.asked = known.asked.max(start);
    }

    /// True if a record at this offset may be gone.
    pub(crate) fn may_be_gone(&self, part: Part, offset: i64) -> bool {
        self.parts
            .get(&part)
            .is_some_and(|known| offset < known.asked)
    }

    /// The latest start that anybody was told.
    pub(crate) fn told_of(&self, part: Part) -> i64 {
        self.parts.get(&part).map_or(0, |known| known.told)
    }

    /// Somebody was told a start.
    pub(crate) fn told(&mut self, part: Part, start: i64, by: impl FnOnce() -> String) -> Checked {
        let known = self.parts.entry(part).or_default();
        if start > known.asked {
            let what = format!("{part}: {} tells {start}, asked was {}", by(), known.asked);
            return Err(violation(ASKED, what));
        }
        if start > known.told {
            (known.told, known.by) = (start, by());
        }
        Ok(())
    }

    /// An answer with records from `from` on says that the log starts at `start`.
    pub(crate) fn served(&mut self, connection: u64, part: Part, from: i64, start: i64) -> Checked {
        if from < start {
            let what = format!("{part}: an answer from {from} on says it starts at {start}");
            return Err(violation(GONE, what));
        }
        let highest = self.connections.entry((connection, part)).or_insert(start);
        rise(highest, start, || {
            format!("{part} on connection {connection}")
        })
    }

    /// A replica starts at `start` and is committed up to `high`.
    pub(crate) fn replica(&mut self, replica: Life, part: Part, start: i64, high: i64) -> Checked {
        let node = replica.0.node;
        if start > high {
            let what = format!("{part} on node {node} starts at {start}, committed is {high}");
            return Err(violation("no start is above the high watermark", what));
        }
        let highest = self.replicas.entry((replica, part)).or_insert(start);
        rise(highest, start, || format!("{part} on node {node}"))?;
        self.told(part, start, || format!("node {node}"))
    }

    /// Where a log starts when everything has converged.
    pub(crate) fn verify(&mut self, part: Part, start: i64) -> Checked {
        let known = self.parts.entry(part).or_default();
        if start < known.told {
            let what = format!("{part} starts at {start}; {} told {}", known.by, known.told);
            return Err(violation(BACK, what));
        }
        self.told(part, start, || "the log at the end".to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::PART;
    use super::*;
    use base::{Member, NodeId};

    #[test]
    fn a_start_that_nobody_asked_for_is_caught() {
        let mut starts = Starts::default();
        assert_eq!(starts.told(PART, 0, || "a".into()), Ok(()));
        assert!(starts.told(PART, 1, || "a".into()).is_err());
        starts.asked(PART, 5);
        assert_eq!(starts.told(PART, 5, || "a".into()), Ok(()));
        assert!(starts.may_be_gone(PART, 4) && !starts.may_be_gone(PART, 5));
        assert!(starts.verify(PART, 6).is_err());
    }

    #[test]
    fn a_start_that_goes_back_is_caught() {
        let mut starts = Starts::default();
        starts.asked(PART, ANYWHERE);
        let one = Member::founder(NodeId(1));
        starts.told(PART, 3, || "a".into()).unwrap();
        assert_eq!(starts.verify(PART, 3), Ok(()));
        assert!(starts.verify(PART, 2).is_err());
        assert_eq!(starts.replica((one, 1), PART, 2, 9), Ok(()), "it lags");
        assert!(starts.replica((one, 1), PART, 1, 9).is_err());
        assert_eq!(
            starts.replica((one, 2), PART, 1, 9),
            Ok(()),
            "a new process"
        );
        assert_eq!(starts.served(7, PART, 4, 4), Ok(()));
        assert!(starts.served(7, PART, 4, 3).is_err());
    }

    #[test]
    fn a_start_above_what_is_committed_and_a_read_below_it_are_caught() {
        let mut starts = Starts::default();
        starts.asked(PART, ANYWHERE);
        assert!(
            starts
                .replica((Member::founder(NodeId(1)), 1), PART, 5, 4)
                .is_err()
        );
        assert!(starts.served(7, PART, 3, 4).is_err());
    }
}
