//! Message sets: how records were written before batches (magic 0 and 1), which clients from
//! before Kafka 0.11 still send and want.
//!
//! What comes as a message set is made one batch before anything else sees it, and a batch is
//! taken apart for a client that reads nothing newer. The log knows only batches. Headers,
//! producers and leader epochs have no place in a message set and are left out; markers are no
//! records for its readers.

use crate::cold::UNPACK_BYTES_MAX;
use base::batch::Compression;
use base::record::{self, Builder};
use base::{Batch, Offset, Refusal, checksum};
use bytes::{Buf, Bytes};
use wire_kafka::compress;

/// Bytes before those that the size field counts: offset and size.
const PREFIX_BYTES: usize = 12;
/// Bits of the attributes that name the compression.
const COMPRESSION_BITS: u8 = 0x07;
/// Attribute bit: the timestamps are the broker's.
const APPEND_TIME_BIT: u8 = 0x08;
/// A message without a timestamp.
const NO_TIMESTAMP: i64 = -1;

fn corrupt(what: &str) -> Refusal {
    Refusal::CorruptMessage(format!("a message set {what}"))
}

/// One message of a set.
struct Message {
    magic: u8,
    attributes: u8,
    timestamp: i64,
    key: Option<Bytes>,
    value: Option<Bytes>,
}

impl Message {
    /// Takes the first message; none if the rest is not a whole one.
    fn split_from(set: &mut Bytes) -> Result<Option<Message>, Refusal> {
        let Some(size) = set.get(8..PREFIX_BYTES) else {
            return Ok(None);
        };
        let size = i32::from_be_bytes(size.try_into().expect("the range has 4 bytes"));
        let size = usize::try_from(size).map_err(|_| corrupt("has a negative size"))?;
        if set.len() - PREFIX_BYTES < size {
            return Ok(None);
        }
        let mut body = set.split_to(PREFIX_BYTES + size).slice(PREFIX_BYTES..);
        let message = Message::read(&mut body).ok_or_else(|| corrupt("has a message cut short"))?;
        message.map(Some)
    }

    /// None if it is cut short.
    fn read(body: &mut Bytes) -> Option<Result<Message, Refusal>> {
        let sum = body.try_get_u32().ok()?;
        let covered = checksum::crc32(body);
        let (magic, attributes) = (body.try_get_u8().ok()?, body.try_get_u8().ok()?);
        if sum != covered {
            return Some(Err(corrupt("has a message whose checksum doesn't match")));
        }
        let timestamp = match magic {
            0 => NO_TIMESTAMP,
            1 => body.try_get_i64().ok()?,
            _ => return Some(Err(corrupt("mixes formats"))),
        };
        let (key, value) = (nullable(body)?, nullable(body)?);
        Some(Ok(Message {
            magic,
            attributes,
            timestamp,
            key,
            value,
        }))
    }

    fn compression(&self) -> Result<Compression, Refusal> {
        match self.attributes & COMPRESSION_BITS {
            0 => Ok(Compression::None),
            1 => Ok(Compression::Gzip),
            2 => Ok(Compression::Snappy),
            3 => Ok(Compression::Lz4),
            other => Err(Refusal::UnsupportedCompression(format!(
                "compression {other} is not taken in a message of magic {}",
                self.magic
            ))),
        }
    }
}

/// Bytes with their length before them; the outer none: cut short, the inner: null.
fn nullable(body: &mut Bytes) -> Option<Option<Bytes>> {
    let len = body.try_get_i32().ok()?;
    if len == -1 {
        return Some(None);
    }
    let len = usize::try_from(len).ok()?;
    (body.len() >= len).then(|| Some(body.split_to(len)))
}

/// Makes a message set one batch, compressed as its first compressed message was.
pub(crate) fn to_batch(mut set: Bytes) -> Result<Batch, Refusal> {
    let mut made = Made::default();
    while let Some(message) = Message::split_from(&mut set)? {
        made.take(message)?;
    }
    let Made {
        builder,
        compression,
        ..
    } = made;
    let builder = builder.ok_or_else(|| corrupt("has no whole message"))?;
    if compression == Compression::None {
        return Ok(builder.build());
    }
    let packed = compress::compress(compression, builder.record_bytes());
    let packed = packed.map_err(|error| corrupt(&format!("can't be packed again: {error}")))?;
    Ok(builder.compression(compression).build_with_body(packed))
}

/// The batch while it is made.
struct Made {
    builder: Option<Builder>,
    compression: Compression,
    /// Bytes that packed messages may still unpack to.
    room: usize,
}

impl Default for Made {
    fn default() -> Made {
        Made {
            builder: None,
            compression: Compression::None,
            room: UNPACK_BYTES_MAX,
        }
    }
}

impl Made {
    fn take(&mut self, message: Message) -> Result<(), Refusal> {
        let compression = message.compression()?;
        if compression == Compression::None {
            self.push(&message);
            return Ok(());
        }
        if self.compression == Compression::None {
            self.compression = compression;
        }
        let packed = message.value.ok_or_else(|| corrupt("packs nothing"))?;
        let plain = match message.magic {
            0 => compress::decompress_magic_0(compression, &packed, self.room),
            _ => compress::decompress(compression, &packed, self.room),
        };
        let plain = plain.map_err(|error| corrupt(&format!("can't be unpacked: {error}")))?;
        self.room -= plain.len();
        let mut set = Bytes::from(plain);
        while let Some(inner) = Message::split_from(&mut set)? {
            if inner.compression()? != Compression::None {
                return Err(corrupt("packs a packed message"));
            }
            self.push(&inner);
        }
        match set.is_empty() {
            true => Ok(()),
            false => Err(corrupt("packs half a message")),
        }
    }

    fn push(&mut self, message: &Message) {
        let timestamp = message.timestamp;
        let builder = self.builder.get_or_insert_with(|| Builder::new(timestamp));
        builder.push(
            timestamp,
            message.key.as_deref(),
            message.value.as_deref(),
            &[],
        );
    }
}

/// A message set, and the offset up to which it says what there is.
#[derive(Debug)]
pub(crate) struct Set {
    pub(crate) bytes: Bytes,
    pub(crate) next: i64,
}

/// Takes batches apart into a message set of `magic`: records from `from` on, the first batch with
/// any of them whole, then as many batches as stay within `bytes_max`. Batches of which compaction or markers
/// left no record make an empty one.
pub(crate) fn from_batches(
    mut batches: Bytes,
    magic: u8,
    from: i64,
    bytes_max: usize,
) -> Result<Set, Refusal> {
    let mut set = Vec::new();
    let mut next = from;
    while !batches.is_empty() && (set.is_empty() || set.len() < bytes_max) {
        // The last one may be cut off, as the answers to fetches allow.
        let Ok(batch) = Batch::split_from(&mut batches) else {
            break;
        };
        if !batch.header().is_control() {
            append(&mut set, &batch, magic, from)?;
        }
        let Offset(end) = batch.header().next_offset();
        next = next.max(end);
    }
    let bytes = set.into();
    Ok(Set { bytes, next })
}

fn append(set: &mut Vec<u8>, batch: &Batch, magic: u8, from: i64) -> Result<(), Refusal> {
    let header = batch.header();
    let invalid = |error: base::Invalid| corrupt(&error.to_string());
    let plain: Bytes = match header.compression().map_err(invalid)? {
        Compression::None => batch.body().clone(),
        packed => compress::decompress(packed, batch.body(), UNPACK_BYTES_MAX)
            .map_err(|error| corrupt(&error.to_string()))?
            .into(),
    };
    let append_time = header.attributes as u8 & APPEND_TIME_BIT;
    let mut at = 0;
    for _ in 0..header.records {
        let record = record::read(&plain, &mut at).map_err(invalid)?;
        let Offset(offset) = record.offset(&header);
        if offset < from {
            continue;
        }
        let timestamp = record.timestamp(&header);
        let mut body = vec![magic, append_time * magic];
        if magic == 1 {
            body.extend_from_slice(&timestamp.to_be_bytes());
        }
        for field in [record.key, record.value] {
            let len = field.map_or(-1, |field| field.len() as i32);
            body.extend_from_slice(&len.to_be_bytes());
            body.extend_from_slice(field.unwrap_or_default());
        }
        set.extend_from_slice(&offset.to_be_bytes());
        set.extend_from_slice(&(body.len() as i32 + 4).to_be_bytes());
        set.extend_from_slice(&checksum::crc32(&body).to_be_bytes());
        set.extend_from_slice(&body);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
