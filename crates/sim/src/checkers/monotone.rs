//! High watermarks don't go back: those of a replica while its process lives, and those that a
//! connection is told of a partition within a leader epoch.

use super::{Checked, Life, Part, violation};
use std::collections::BTreeMap;

/// The highest watermarks by who told them.
#[derive(Default)]
pub(crate) struct Monotone {
    replicas: BTreeMap<(Life, Part), i64>,
    connections: BTreeMap<(u64, Part), i64>,
}

const NAME: &str = "high watermarks don't go back";

fn rise(highest: &mut i64, to: i64, who: impl FnOnce() -> String) -> Checked {
    if to < *highest {
        return Err(violation(NAME, format!("{}: {to} after {highest}", who())));
    }
    *highest = to;
    Ok(())
}

impl Monotone {
    /// A replica, in one life of its process, stands at `high_watermark`.
    pub(crate) fn replica(&mut self, replica: Life, part: Part, high: i64) -> Checked {
        let highest = self.replicas.entry((replica, part)).or_insert(high);
        rise(highest, high, || {
            format!("{part} on node {}", replica.0.node)
        })
    }

    /// A connection to one process of one node was told `high_watermark`, in the order of its
    /// answers.
    pub(crate) fn connection(&mut self, connection: u64, part: Part, high: i64) -> Checked {
        let highest = self.connections.entry((connection, part)).or_insert(high);
        rise(highest, high, || {
            format!("{part} on connection {connection}")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::PART;
    use super::*;
    use base::{Member, NodeId};

    #[test]
    fn a_watermark_that_goes_back_is_caught() {
        let mut monotone = Monotone::default();
        let one = Member::founder(NodeId(1));
        assert_eq!(monotone.replica((one, 1), PART, 5), Ok(()));
        assert_eq!(
            monotone.replica((one, 2), PART, 4),
            Ok(()),
            "a new process may lag"
        );
        assert!(monotone.replica((one, 1), PART, 4).is_err());
        assert_eq!(monotone.connection(1, PART, 5), Ok(()));
        assert_eq!(monotone.connection(2, PART, 4), Ok(()));
        assert!(monotone.connection(1, PART, 4).is_err());
    }
}
