//! What clients were told: every acknowledged record with its place and time, and what readers
//! saw while it went on.

use std::collections::BTreeMap;
use std::time::Instant;

/// An acknowledgement.
#[derive(Clone, Copy, Debug)]
pub struct Ack {
    /// Number of the batch's first record among those of its writer.
    pub first: u64,
    /// How many records it has.
    pub records: u32,
    /// Offset of the first; -1 if the leader only said that it has the batch.
    pub base_offset: i64,
    /// When the writer learned it.
    pub at: Instant,
}

/// A record as a reader got it: its offset, and its number among those of its writer or
/// [`FOREIGN`].
pub type Seen = (i64, u64);

/// The number of a record that its partition's writer never wrote.
pub const FOREIGN: u64 = u64::MAX;

/// One writer's side, one partition.
#[derive(Clone, Debug, Default)]
pub struct Written {
    /// In the order in which they came.
    pub acks: Vec<Ack>,
    /// How many records it tried to write.
    pub attempted: u64,
    /// Why it stopped early, if it did.
    pub trouble: Option<String>,
}

/// The whole run, by partition.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// What writers were told.
    pub written: BTreeMap<i32, Written>,
    /// What readers saw while writers wrote.
    pub live: BTreeMap<i32, Vec<Seen>>,
    /// What is in the log at the end.
    pub last: BTreeMap<i32, Vec<Seen>>,
}

/// The value of a writer's record: who wrote it, which one it is, and some weight.
pub fn value(partition: i32, number: u64) -> String {
    format!(
        "p{partition}-{number:012}-{}",
        "x".repeat((number % 90) as usize)
    )
}

/// The number in a value, if the whole of it is what the partition's writer wrote.
pub fn number(partition: i32, text: &[u8]) -> u64 {
    let words = std::str::from_utf8(text)
        .ok()
        .and_then(|text| text.split('-').nth(1));
    let number = words.and_then(|word| word.parse().ok()).unwrap_or(FOREIGN);
    if number != FOREIGN && value(partition, number).as_bytes() == text {
        number
    } else {
        FOREIGN
    }
}
