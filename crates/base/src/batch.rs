//! A Kafka record batch (magic 2): the unit that is sent, appended, replicated and stored, byte
//! for byte. What the leader stamps (base offset, leader epoch, and the timestamp type of topics
//! with LogAppendTime) lies in the 61 bytes of the header, so a batch is kept as its header and
//! a shared slice of what follows it: nothing is copied on the way through.

use crate::checksum;
use crate::{Offset, ProducerId, Term, WallMs};
use bytes::Bytes;

/// Bytes of a batch's header.
pub const HEADER_BYTES: usize = 61;
/// Bytes before those that Kafka's checksum covers: offset, length, epoch, magic, checksum.
pub const UNCOVERED_BYTES: usize = 21;
/// Bytes before those that the length field counts.
pub const LENGTH_PREFIX_BYTES: usize = 12;

/// Attribute bits: the compression.
const COMPRESSION: i16 = 0x07;
/// Attribute bit: the timestamps are the broker's, all the same as the largest one.
const APPEND_TIME: i16 = 0x08;
/// Attribute bit: it belongs to a transaction.
const TRANSACTIONAL: i16 = 0x10;
/// Attribute bit: it carries a marker.
const CONTROL: i16 = 0x20;
/// Attribute bit: the base timestamp is the time from which deletions of keys may be forgotten.
const DELETE_HORIZON: i16 = 0x40;

/// Why bytes are not a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// Cut off.
    #[error("the batch is cut off")]
    Short,
    /// The length field can't be.
    #[error("the batch's length field is out of range")]
    Length,
    /// Not magic 2.
    #[error("the batch has magic {0}, only 2 is stored")]
    Magic(i8),
    /// The checksum doesn't match.
    #[error("the batch's checksum does not match its bytes")]
    Checksum,
    /// Count and last offset delta can't be.
    #[error("the batch's record count does not match its offsets")]
    Count,
    /// A record breaks the format.
    #[error("a record of the batch is malformed")]
    Record,
    /// Attributes name an unknown compression.
    #[error("the batch names an unknown compression type")]
    Compression,
}

/// The compression of a batch's records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// Plain.
    None,
    /// gzip.
    Gzip,
    /// Snappy, raw or in xerial's frames.
    Snappy,
    /// LZ4 frames.
    Lz4,
    /// Zstandard.
    Zstd,
}

impl Compression {
    /// The attribute bits that say it.
    pub fn bits(self) -> i16 {
        match self {
            Compression::None => 0,
            Compression::Gzip => 1,
            Compression::Snappy => 2,
            Compression::Lz4 => 3,
            Compression::Zstd => 4,
        }
    }

    /// What attribute bits say.
    pub fn of_bits(attributes: i16) -> Result<Compression, Invalid> {
        Ok(match attributes & COMPRESSION {
            0 => Compression::None,
            1 => Compression::Gzip,
            2 => Compression::Snappy,
            3 => Compression::Lz4,
            4 => Compression::Zstd,
            _ => return Err(Invalid::Compression),
        })
    }
}

/// The decoded header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchHeader {
    /// Offset of the first record.
    pub base_offset: Offset,
    /// Bytes after the length field.
    pub length: i32,
    /// Term of the leader that appended it.
    pub leader_epoch: i32,
    /// CRC-32C of the bytes from the attributes on.
    pub crc: u32,
    /// Compression, timestamp type, transactional, control.
    pub attributes: i16,
    /// Offset of the last record relative to the first.
    pub last_offset_delta: i32,
    /// Timestamp of the first record.
    pub base_timestamp: i64,
    /// Largest timestamp.
    pub max_timestamp: i64,
    /// Producer, or -1.
    pub producer_id: ProducerId,
    /// Its epoch, or -1.
    pub producer_epoch: i16,
    /// Sequence of the first record, or -1.
    pub base_sequence: i32,
    /// Number of records.
    pub records: i32,
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    bytes[at..at + N].try_into().expect("the range has N bytes")
}

impl BatchHeader {
    /// Reads a header. Checks what can be told from the header alone: magic, a length that holds
    /// a header, a count that fits the offsets.
    pub fn parse(bytes: &[u8]) -> Result<BatchHeader, Invalid> {
        if bytes.len() < LENGTH_PREFIX_BYTES + 5 {
            return Err(Invalid::Short);
        }
        let magic = bytes[16] as i8;
        if magic != 2 {
            return Err(Invalid::Magic(magic));
        }
        if bytes.len() < HEADER_BYTES {
            return Err(Invalid::Short);
        }
        let header = BatchHeader {
            base_offset: Offset(i64::from_be_bytes(array(bytes, 0))),
            length: i32::from_be_bytes(array(bytes, 8)),
            leader_epoch: i32::from_be_bytes(array(bytes, 12)),
            crc: u32::from_be_bytes(array(bytes, 17)),
            attributes: i16::from_be_bytes(array(bytes, 21)),
            last_offset_delta: i32::from_be_bytes(array(bytes, 23)),
            base_timestamp: i64::from_be_bytes(array(bytes, 27)),
            max_timestamp: i64::from_be_bytes(array(bytes, 35)),
            producer_id: ProducerId(i64::from_be_bytes(array(bytes, 43))),
            producer_epoch: i16::from_be_bytes(array(bytes, 51)),
            base_sequence: i32::from_be_bytes(array(bytes, 53)),
            records: i32::from_be_bytes(array(bytes, 57)),
        };
        if header.length < (HEADER_BYTES - LENGTH_PREFIX_BYTES) as i32 {
            return Err(Invalid::Length);
        }
        if header.last_offset_delta < 0 || header.records < 0 {
            return Err(Invalid::Count);
        }
        Ok(header)
    }

    fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut out = [0; HEADER_BYTES];
        out[0..8].copy_from_slice(&self.base_offset.0.to_be_bytes());
        out[8..12].copy_from_slice(&self.length.to_be_bytes());
        out[12..16].copy_from_slice(&self.leader_epoch.to_be_bytes());
        out[16] = 2;
        out[17..21].copy_from_slice(&self.crc.to_be_bytes());
        out[21..23].copy_from_slice(&self.attributes.to_be_bytes());
        out[23..27].copy_from_slice(&self.last_offset_delta.to_be_bytes());
        out[27..35].copy_from_slice(&self.base_timestamp.to_be_bytes());
        out[35..43].copy_from_slice(&self.max_timestamp.to_be_bytes());
        out[43..51].copy_from_slice(&self.producer_id.0.to_be_bytes());
        out[51..53].copy_from_slice(&self.producer_epoch.to_be_bytes());
        out[53..57].copy_from_slice(&self.base_sequence.to_be_bytes());
        out[57..61].copy_from_slice(&self.records.to_be_bytes());
        out
    }

    /// Bytes of the whole batch.
    pub fn total_len(&self) -> usize {
        LENGTH_PREFIX_BYTES + self.length as usize
    }

    /// The offset after the last record.
    pub fn next_offset(&self) -> Offset {
        Offset(self.base_offset.0 + i64::from(self.last_offset_delta) + 1)
    }

    /// Offsets the batch takes.
    pub fn offsets(&self) -> u32 {
        self.last_offset_delta as u32 + 1
    }

    /// How the records are compressed.
    pub fn compression(&self) -> Result<Compression, Invalid> {
        Compression::of_bits(self.attributes)
    }

    /// Notes another compression.
    pub fn set_compression(&mut self, compression: Compression) {
        self.attributes = (self.attributes & !COMPRESSION) | compression.bits();
    }

    /// True if the timestamps are the broker's: then each record's is the largest one.
    pub fn has_append_time(&self) -> bool {
        self.attributes & APPEND_TIME != 0
    }

    /// The time from which deletions of keys in this batch may be forgotten, if it was compacted.
    pub fn delete_horizon(&self) -> Option<i64> {
        (self.attributes & DELETE_HORIZON != 0).then_some(self.base_timestamp)
    }

    /// Notes that time, in the place of the base timestamp; or none, and the base timestamp is what
    /// it is everywhere else.
    pub fn set_delete_horizon(&mut self, horizon: Option<i64>) {
        self.attributes &= !DELETE_HORIZON;
        if let Some(horizon) = horizon {
            self.attributes |= DELETE_HORIZON;
            self.base_timestamp = horizon;
        }
    }

    /// When its first record was written: as the producer says, or the leader where the topic has
    /// it so. Of a batch that was compacted only the last time is left.
    pub fn written(&self) -> WallMs {
        let first_is_gone = self.has_append_time() || self.delete_horizon().is_some();
        WallMs(match first_is_gone {
            true => self.max_timestamp,
            false => self.base_timestamp,
        })
    }

    /// True if it carries a transaction marker or the like.
    pub fn is_control(&self) -> bool {
        self.attributes & CONTROL != 0
    }

    /// True if it belongs to a transaction.
    pub fn is_transactional(&self) -> bool {
        self.attributes & TRANSACTIONAL != 0
    }

    /// True if its producer is idempotent.
    pub fn is_idempotent(&self) -> bool {
        self.producer_id.0 >= 0
    }
}

/// A batch: its header, which the leader stamps, and the shared bytes after it.
#[derive(Clone, PartialEq, Eq)]
pub struct Batch {
    head: [u8; HEADER_BYTES],
    body: Bytes,
}

impl std::fmt::Debug for Batch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let h = self.header();
        write!(
            f,
            "Batch({}+{}, epoch {}, {} B)",
            h.base_offset,
            h.offsets(),
            h.leader_epoch,
            self.len()
        )
    }
}

impl Batch {
    /// Takes the first batch from `bytes` and moves them past it. Checks lengths and magic, not
    /// the checksum.
    pub fn split_from(bytes: &mut Bytes) -> Result<Batch, Invalid> {
        let header = BatchHeader::parse(bytes)?;
        if bytes.len() < header.total_len() {
            return Err(Invalid::Short);
        }
        let mut whole = bytes.split_to(header.total_len());
        let head = array(&whole, 0);
        let body = whole.split_off(HEADER_BYTES);
        Ok(Batch { head, body })
    }

    /// The batch of a header and the bytes after it.
    pub fn from_parts(head: [u8; HEADER_BYTES], body: Bytes) -> Result<Batch, Invalid> {
        let header = BatchHeader::parse(&head)?;
        if header.total_len() != HEADER_BYTES + body.len() {
            return Err(Invalid::Length);
        }
        Ok(Batch { head, body })
    }

    /// The batch of a decoded header and the bytes after it; length and checksum are made to fit.
    pub fn sealed(header: BatchHeader, body: Bytes) -> Batch {
        let length = (HEADER_BYTES - LENGTH_PREFIX_BYTES + body.len()) as i32;
        let head = BatchHeader { length, ..header }.encode();
        let mut batch = Batch { head, body };
        let crc = batch.covered_checksum();
        batch.head[17..21].copy_from_slice(&crc.to_be_bytes());
        batch
    }

    /// The decoded header.
    pub fn header(&self) -> BatchHeader {
        BatchHeader::parse(&self.head).expect("a batch is made from a header that parses")
    }

    /// The header's bytes.
    pub fn head(&self) -> &[u8; HEADER_BYTES] {
        &self.head
    }

    /// The bytes after the header.
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// Bytes of the whole batch.
    pub fn len(&self) -> usize {
        HEADER_BYTES + self.body.len()
    }

    /// Never: a batch has a header.
    pub fn is_empty(&self) -> bool {
        false
    }

    /// Writes the offset and epoch that the leader gives; both lie outside Kafka's checksum.
    pub fn stamp(&mut self, base_offset: Offset, term: Term) {
        self.head[0..8].copy_from_slice(&base_offset.0.to_be_bytes());
        self.head[12..16].copy_from_slice(&term.epoch().to_be_bytes());
    }

    /// Turns the batch into one with LogAppendTime.
    pub fn stamp_append_time(&mut self, wall_ms: i64) {
        self.stamp_times(true, wall_ms);
    }

    /// Writes whose the timestamps are and the largest of them, and the checksum over both.
    pub fn stamp_times(&mut self, append_time: bool, max_timestamp: i64) {
        let mut attributes = i16::from_be_bytes(array(&self.head, 21)) & !APPEND_TIME;
        if append_time {
            attributes |= APPEND_TIME;
        }
        self.head[21..23].copy_from_slice(&attributes.to_be_bytes());
        self.head[35..43].copy_from_slice(&max_timestamp.to_be_bytes());
        let crc = self.covered_checksum();
        self.head[17..21].copy_from_slice(&crc.to_be_bytes());
    }

    /// Checks Kafka's checksum.
    pub fn verify(&self) -> Result<(), Invalid> {
        if self.covered_checksum() == self.header().crc {
            Ok(())
        } else {
            Err(Invalid::Checksum)
        }
    }

    fn covered_checksum(&self) -> u32 {
        let head = checksum::crc32c(&self.head[UNCOVERED_BYTES..]);
        checksum::combine(head, checksum::crc32c(&self.body), self.body.len() as u64)
    }

    /// The checksum over all bytes, the stamped ones included, taken from Kafka's own checksum
    /// without reading the body again. Holds for a batch whose checksum was verified.
    pub fn full_checksum(&self) -> u32 {
        let outside = checksum::crc32c(&self.head[..UNCOVERED_BYTES]);
        let covered = (self.len() - UNCOVERED_BYTES) as u64;
        checksum::combine(outside, u32::from_be_bytes(array(&self.head, 17)), covered)
    }

    /// The whole batch in one piece (a copy; for tests and cold paths).
    pub fn to_bytes(&self) -> Bytes {
        let mut whole = Vec::with_capacity(self.len());
        whole.extend_from_slice(&self.head);
        whole.extend_from_slice(&self.body);
        whole.into()
    }
}

#[cfg(test)]
mod tests;
