//! What consumers say to each other through the coordinator, as far as it has to know it: the
//! topics they want. All versions begin alike, so this reads every one of them.

use crate::record::codec::Reader;
use std::collections::BTreeSet;

/// The topics of a member's metadata; `None` if it isn't a consumer's.
pub(crate) fn topics(metadata: &[u8]) -> Option<BTreeSet<String>> {
    let mut r = Reader::new(metadata);
    let version = r.i16()?;
    if version < 0 {
        return None;
    }
    let topics = r.list(|r| r.text().map(str::to_owned))?;
    Some(topics.into_iter().collect())
}
