//! No two producers are given the same id and epoch.

use super::{Checked, violation};
use std::collections::BTreeMap;

/// The ids given, with the client that got each.
#[derive(Default)]
pub(crate) struct ProducerIds {
    given: BTreeMap<(i64, i16), u64>,
}

impl ProducerIds {
    /// A client was given an id.
    pub(crate) fn given(&mut self, id: i64, epoch: i16, client: u64) -> Checked {
        match self.given.insert((id, epoch), client) {
            None => Ok(()),
            Some(other) => {
                let what = format!("id {id} epoch {epoch}: clients {other} and {client}");
                Err(violation("producer ids are given once", what))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::ProducerIds;

    #[test]
    fn an_id_given_twice_is_caught() {
        let mut ids = ProducerIds::default();
        assert_eq!(ids.given(1, 0, 5), Ok(()));
        assert_eq!(ids.given(1, 1, 6), Ok(()));
        assert!(ids.given(1, 0, 7).is_err());
    }
}
