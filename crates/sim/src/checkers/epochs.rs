//! A node's metadata never shows an older leader epoch of a partition than it showed before.

use super::{Checked, Part, violation};
use std::collections::BTreeMap;

/// The newest epoch shown, by node, its process and partition.
#[derive(Default)]
pub(crate) struct Epochs {
    shown: BTreeMap<(u32, u64, Part), i32>,
}

impl Epochs {
    /// A process of a node showed an epoch on a connection in whose order it is reported.
    pub(crate) fn shown(&mut self, node: u32, life: u64, part: Part, epoch: i32) -> Checked {
        let newest = self.shown.entry((node, life, part)).or_insert(epoch);
        if epoch < *newest {
            let what = format!("node {node}, {part}: epoch {epoch} after {newest}");
            return Err(violation("metadata epochs don't go back", what));
        }
        *newest = epoch;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::PART;
    use super::*;

    #[test]
    fn an_older_epoch_of_the_same_process_is_caught() {
        let mut epochs = Epochs::default();
        assert_eq!(epochs.shown(1, 1, PART, 4), Ok(()));
        assert_eq!(epochs.shown(2, 1, PART, 3), Ok(()), "another node may lag");
        assert_eq!(
            epochs.shown(1, 2, PART, 3),
            Ok(()),
            "so may another process"
        );
        assert!(epochs.shown(1, 1, PART, 3).is_err());
    }
}
