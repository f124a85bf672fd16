//! A node's metadata never shows an older leader epoch of a partition than it showed before on
//! the same connection (other connections' answers may overtake).

use super::{Checked, Part, violation};
use std::collections::BTreeMap;

/// The newest epoch shown, by connection and partition.
#[derive(Default)]
pub(crate) struct Epochs {
    shown: BTreeMap<(u64, Part), i32>,
}

impl Epochs {
    /// An answer on a connection showed an epoch.
    pub(crate) fn shown(&mut self, connection: u64, part: Part, epoch: i32) -> Checked {
        let newest = self.shown.entry((connection, part)).or_insert(epoch);
        if epoch < *newest {
            let what = format!("connection {connection}, {part}: epoch {epoch} after {newest}");
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
    fn an_older_epoch_on_the_same_connection_is_caught() {
        let mut epochs = Epochs::default();
        assert_eq!(epochs.shown(1, PART, 4), Ok(()));
        assert_eq!(epochs.shown(2, PART, 3), Ok(()), "another node may lag");
        assert!(epochs.shown(1, PART, 3).is_err());
    }
}
