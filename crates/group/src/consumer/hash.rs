//! What the topics of a group look like, in one number: if it changes, the group has to be
//! assigned anew. The number is Kafka's, bit for bit, because it is in the group's record.
//!
//! It is XXH3 (64 bits, seed 0) over the hashes of the topics in the order of their names, 0 if
//! there are none. A topic's hash is over its id, name, partitions, and the racks of each
//! partition; numbers are little-endian, a text is its UTF-16 units and then how many.

use super::soft::Soft;
use crate::Topics;
use twox_hash::XxHash3_64;

/// The version of the layout.
const MAGIC: u8 = 0;

/// The hash of the topics with these names; names that no topic has don't count.
pub(super) fn of_topics<'a>(
    names: impl Iterator<Item = &'a str>,
    topics: &dyn Topics,
    soft: &mut Soft,
) -> i64 {
    let hashes = &mut soft.hashes;
    if hashes.version != topics.version() {
        hashes.version = topics.version();
        hashes.by_name.clear();
    }
    let mut all: Vec<u8> = Vec::new();
    for name in names {
        let known = hashes.by_name.get(name).copied();
        let Some(hash) = known.or_else(|| of_topic(name, topics)) else {
            continue;
        };
        if known.is_none() {
            hashes.by_name.insert(name.to_owned(), hash);
        }
        all.extend_from_slice(&hash.to_le_bytes());
    }
    match all.is_empty() {
        true => 0,
        false => XxHash3_64::oneshot(&all) as i64,
    }
}

/// The hash of a topic; `None` if there is none of this name.
fn of_topic(name: &str, topics: &dyn Topics) -> Option<i64> {
    let facts = topics.topic(name)?;
    let racks = topics.racks(name);
    let mut bytes = vec![MAGIC];
    let (high, low) = facts.id.0.split_at(8);
    bytes.extend(high.iter().rev());
    bytes.extend(low.iter().rev());
    text(&mut bytes, name);
    bytes.extend_from_slice(&facts.partitions.to_le_bytes());
    for partition in 0..facts.partitions {
        bytes.extend_from_slice(&partition.to_le_bytes());
        for rack in racks.get(partition as usize).into_iter().flatten() {
            let units = rack.encode_utf16().count() as u32;
            bytes.extend_from_slice(&units.to_le_bytes());
            text(&mut bytes, rack);
        }
    }
    Some(XxHash3_64::oneshot(&bytes) as i64)
}

fn text(bytes: &mut Vec<u8>, text: &str) {
    let before = bytes.len();
    for unit in text.encode_utf16() {
        bytes.extend_from_slice(&unit.to_le_bytes());
    }
    let units = ((bytes.len() - before) / 2) as u32;
    bytes.extend_from_slice(&units.to_le_bytes());
}
