//! A node's metadata never shows an older leader epoch of a partition than it showed before on
//! the same connection (other connections' answers may overtake). A topic of the same name that was made
//! anew is another one.

use super::{Checked, Part, violation};
use base::Uuid;
use std::collections::BTreeMap;

/// The newest epoch shown, by connection, topic and partition.
#[derive(Default)]
pub(crate) struct Epochs {
    shown: BTreeMap<(u64, Uuid, Part), i32>,
}

impl Epochs {
    /// An answer on a connection showed an epoch.
    pub(crate) fn shown(
        &mut self,
        connection: u64,
        (topic, part): (Uuid, Part),
        epoch: i32,
    ) -> Checked {
        let shown = self.shown.entry((connection, topic, part));
        let newest = shown.or_insert(epoch);
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
        let (topic, anew) = (Uuid([1; 16]), Uuid([2; 16]));
        assert_eq!(epochs.shown(1, (topic, PART), 4), Ok(()));
        let lags = epochs.shown(2, (topic, PART), 3);
        assert_eq!(lags, Ok(()), "another node may lag");
        assert_eq!(epochs.shown(1, (anew, PART), 1), Ok(()));
        assert!(epochs.shown(1, (topic, PART), 3).is_err());
    }
}
