//! What the record bytes of a produce request must be before they may be appended.
//!
//! Two steps, as in Kafka: [`admit`] needs only the request's version and comes before the
//! question who leads the partition; [`check`] knows the topic's rules and comes after it. The
//! order of the checks inside each is Kafka's too, because clients act on the code that they get.
//!
//! Compressed records are judged by the batch's header. Only for a compacted topic are they
//! unpacked, to see that each has a key: a record without one would stop compaction later. The
//! batch is kept as it came all the same. What this is not: duplicates and sequences, which need
//! the partition's state.

use crate::cold::UNPACK_BYTES_MAX;
use crate::message_set;
use base::batch::{Compression, HEADER_BYTES, LENGTH_PREFIX_BYTES};
use base::record::{self, Record};
use base::{Batch, BatchHeader, Invalid, Refusal, WallMs};
use bytes::Bytes;
use meta::TopicSettings;
use wire_kafka::compress::{self, CompressError};

/// Most record errors that one partition's answer lists; the message tells how many there were.
pub const RECORD_ERRORS_MAX: usize = 256;

/// Bytes of the smallest record of the oldest format, which a length field must cover.
const RECORD_BYTES_MIN: i32 = 14;
/// Bytes up to and with the magic byte, which has the same place in every format.
const MAGIC_END: usize = 17;
/// A record without a timestamp.
const NO_TIMESTAMP: i64 = -1;

/// What a topic demands of the batches it takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// `max.message.bytes`.
    pub batch_bytes_max: u32,
    /// True if `cleanup.policy` has `compact`: each record needs a key.
    pub compacted: bool,
    /// True if `message.timestamp.type` is `LogAppendTime`.
    pub append_time: bool,
    /// `message.timestamp.before.max.ms`.
    pub before_max_ms: i64,
    /// `message.timestamp.after.max.ms`.
    pub after_max_ms: i64,
}

impl Rules {
    /// What a topic's configuration demands.
    pub fn of(settings: &TopicSettings) -> Rules {
        Rules {
            batch_bytes_max: settings.max_message_bytes,
            compacted: settings.cleanup.compact,
            append_time: settings.log_append_time,
            before_max_ms: settings.timestamp_before_max_ms,
            after_max_ms: settings.timestamp_after_max_ms,
        }
    }
}

/// Why a batch is refused, and which of its records are to blame where that is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected {
    /// The refusal of the whole batch.
    pub refusal: Refusal,
    /// Records by their index in the batch, and what is wrong with each.
    pub records: Vec<(i32, String)>,
}

impl From<Refusal> for Rejected {
    fn from(refusal: Refusal) -> Rejected {
        Rejected {
            refusal,
            records: Vec::new(),
        }
    }
}

fn invalid(what: impl Into<String>) -> Refusal {
    Refusal::InvalidRecord(what.into())
}

fn corrupt(what: impl Into<String>) -> Refusal {
    Refusal::CorruptMessage(what.into())
}

/// The length of the batch at the head of `bytes`, in any format; `None` if it isn't all there.
fn batch_len(bytes: &[u8]) -> Result<Option<usize>, Refusal> {
    let Some(length) = bytes.get(8..LENGTH_PREFIX_BYTES) else {
        return Ok(None);
    };
    let length = i32::from_be_bytes(length.try_into().expect("the range has 4 bytes"));
    if length < RECORD_BYTES_MIN {
        return Err(corrupt(format!("a batch can't be {length} bytes long")));
    }
    if bytes.len() < MAGIC_END {
        return Ok(None);
    }
    let magic = bytes[MAGIC_END - 1] as i8;
    if !(0..=2).contains(&magic) {
        return Err(corrupt(format!("no batch has magic {magic}")));
    }
    let whole = LENGTH_PREFIX_BYTES + length as usize;
    Ok((bytes.len() >= whole).then_some(whole))
}

/// Takes the one batch that a partition's share of a produce request of `version` carries.
pub fn admit(version: i16, records: Option<Bytes>) -> Result<Batch, Refusal> {
    let mut bytes = records.unwrap_or_default();
    let Some(len) = batch_len(&bytes)? else {
        return Err(invalid(
            "a partition of a produce request carries one whole batch, not none",
        ));
    };
    let magic = bytes[MAGIC_END - 1];
    if magic != 2 && version >= 3 {
        return Err(invalid(format!(
            "produce version {version} carries magic 2, not {magic}"
        )));
    }
    if magic != 2 {
        return message_set::to_batch(bytes);
    }
    if len < HEADER_BYTES {
        return Err(corrupt("the batch is shorter than its header"));
    }
    if version < 7 && Compression::of_bits(bytes[22].into()) == Ok(Compression::Zstd) {
        let what = format!("produce version {version} can't carry Zstandard, version 7 can");
        return Err(Refusal::UnsupportedCompression(what));
    }
    if version >= 3 && batch_len(&bytes[len..])?.is_some() {
        return Err(invalid(
            "a partition of a produce request carries one batch, not more",
        ));
    }
    Batch::split_from(&mut bytes).map_err(refusal_of)
}

pub(crate) fn refusal_of(found: Invalid) -> Refusal {
    match found {
        Invalid::Short | Invalid::Length | Invalid::Magic(_) | Invalid::Checksum => {
            corrupt(found.to_string())
        }
        Invalid::Count | Invalid::Record => invalid(found.to_string()),
        Invalid::Compression => Refusal::UnsupportedCompression(found.to_string()),
    }
}

/// Checks a batch against the rules of its topic, and brings the timestamps in its header in
/// line with its records and with the topic, as Kafka does. The records stay as they are.
pub fn check(batch: &mut Batch, rules: &Rules, now: WallMs) -> Result<(), Rejected> {
    let header = batch.header();
    let compression = check_header(batch, &header, rules)?;
    let walk = match compression {
        Compression::None => walk(batch.body(), &header, rules, now)?,
        _ if rules.compacted => {
            let walk = walk(&unpack(batch, compression)?, &header, rules, now)?;
            Walk {
                max_timestamp: header.max_timestamp,
                ..walk
            }
        }
        _ => judge_compressed(batch, &header, rules, now)?,
    };
    if walk.bad > 0 {
        return Err(walk.rejected());
    }
    let fits = !header.has_append_time() && walk.max_timestamp == header.max_timestamp;
    if !rules.append_time && !fits {
        batch.stamp_times(false, walk.max_timestamp);
    }
    Ok(())
}

/// What the header alone tells.
fn check_header(
    batch: &Batch,
    header: &BatchHeader,
    rules: &Rules,
) -> Result<Compression, Refusal> {
    if header.base_offset.0 != 0 {
        let what = format!(
            "the base offset is {}, a producer sends 0",
            header.base_offset
        );
        return Err(invalid(what));
    }
    if batch.len() > rules.batch_bytes_max as usize {
        let (bytes, limit) = (batch.len() as u64, u64::from(rules.batch_bytes_max));
        return Err(Refusal::MessageTooLarge { bytes, limit });
    }
    batch.verify().map_err(refusal_of)?;
    let compression = header.compression().map_err(refusal_of)?;
    if header.records <= 0 || i64::from(header.records) != i64::from(header.last_offset_delta) + 1 {
        let (count, last) = (header.records, header.last_offset_delta);
        return Err(invalid(format!(
            "{count} records can't end at offset delta {last}"
        )));
    }
    if header.is_control() {
        return Err(invalid("a producer can't write control batches"));
    }
    if header.is_idempotent() && (header.base_sequence < 0 || header.producer_epoch < 0) {
        let (id, epoch, first) = (
            header.producer_id,
            header.producer_epoch,
            header.base_sequence,
        );
        let what = format!("producer {id} sent epoch {epoch} and sequence {first}");
        return Err(invalid(what));
    }
    Ok(compression)
}

/// What a walk through the records found.
struct Walk {
    max_timestamp: i64,
    bad: usize,
    bad_timestamp: bool,
    records: Vec<(i32, String)>,
}

impl Walk {
    fn blame(&mut self, index: i32, timestamp: bool, what: String) {
        self.bad += 1;
        self.bad_timestamp |= timestamp;
        if self.records.len() < RECORD_ERRORS_MAX {
            self.records.push((index, what));
        }
    }

    fn rejected(self) -> Rejected {
        let first = self.records.first().map_or("", |(_, what)| what.as_str());
        let refusal = if self.bad_timestamp {
            Refusal::InvalidTimestamp(format!(
                "records have timestamps that the topic does not take: {first}"
            ))
        } else {
            invalid(format!(
                "{} records break the rules of the topic: {first}",
                self.bad
            ))
        };
        Rejected {
            refusal,
            records: self.records,
        }
    }
}

fn timestamp_fault(
    timestamp: i64,
    append_time_bit: bool,
    rules: &Rules,
    now: WallMs,
) -> Option<String> {
    if rules.append_time || timestamp == NO_TIMESTAMP {
        let what = "the topic stamps records itself, a producer can't claim that it did";
        return append_time_bit.then(|| what.to_owned());
    }
    let behind = now.0.saturating_sub(timestamp);
    let ahead = timestamp.saturating_sub(now.0);
    if behind <= rules.before_max_ms && ahead <= rules.after_max_ms {
        return None;
    }
    let from = now.0.saturating_sub(rules.before_max_ms);
    let to = now.0.saturating_add(rules.after_max_ms);
    Some(format!(
        "timestamp {timestamp} is not within [{from}, {to}]"
    ))
}

/// Reads each record of a batch.
fn walk(body: &Bytes, header: &BatchHeader, rules: &Rules, now: WallMs) -> Result<Walk, Refusal> {
    let bit = header.has_append_time();
    let mut walk = Walk {
        max_timestamp: NO_TIMESTAMP,
        bad: 0,
        bad_timestamp: false,
        records: Vec::new(),
    };
    let see = |record: Record<'_>| {
        let (index, timestamp) = (record.offset_delta, record.timestamp(header));
        if rules.compacted && record.key.is_none() {
            walk.blame(
                index,
                false,
                "a compacted topic takes no record without a key".into(),
            );
        } else if let Some(what) = timestamp_fault(timestamp, bit, rules, now) {
            walk.blame(index, true, what);
        }
        walk.max_timestamp = walk.max_timestamp.max(timestamp);
    };
    record::walk(body, header.records, see).map_err(refusal_of)?;
    Ok(walk)
}

/// Judges a compressed batch by the timestamps in its header.
fn judge_compressed(
    batch: &Batch,
    header: &BatchHeader,
    rules: &Rules,
    now: WallMs,
) -> Result<Walk, Refusal> {
    if batch.body().is_empty() {
        return Err(refusal_of(Invalid::Record));
    }
    let bit = header.has_append_time();
    let max_timestamp = header.max_timestamp;
    let mut walk = Walk {
        max_timestamp,
        bad: 0,
        bad_timestamp: false,
        records: Vec::new(),
    };
    let first = if bit {
        max_timestamp
    } else {
        header.base_timestamp
    };
    if let Some(what) = timestamp_fault(first, bit, rules, now) {
        walk.blame(0, true, what);
    } else if let Some(what) = timestamp_fault(max_timestamp, bit, rules, now) {
        walk.blame(header.records - 1, true, what);
    }
    Ok(walk)
}

/// The records of a batch, unpacked within a bound.
pub(crate) fn unpack(batch: &Batch, compression: Compression) -> Result<Bytes, Refusal> {
    match compress::decompress(compression, batch.body(), UNPACK_BYTES_MAX) {
        Ok(plain) => Ok(plain.into()),
        Err(error @ CompressError::TooLarge { .. }) => Err(invalid(error.to_string())),
        Err(error) => Err(corrupt(error.to_string())),
    }
}

#[cfg(test)]
mod tests;
