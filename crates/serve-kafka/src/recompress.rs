//! A topic may keep its batches in a compression of its own (`compression.type`): then what comes
//! in another one is unpacked, read, and packed anew, on the connection's own thread. Offsets,
//! sequence and timestamps stay.

use crate::validate::{self, Rejected};
use base::batch::Compression;
use base::{Batch, BatchHeader, Refusal, record};
use bytes::Bytes;
use meta::TopicSettings;
use wire_kafka::compress;

/// Attribute bits that tell the compression.
const COMPRESSION: i16 = 0x07;
/// Attribute bit: the timestamps are the broker's.
const LOG_APPEND_TIME: i16 = 0x08;

/// The batch as its topic keeps it; itself, if that is how it came.
pub fn recompress(batch: Batch, settings: &TopicSettings) -> Result<Batch, Rejected> {
    let Some((target, bits)) = target(settings.compression) else {
        return Ok(batch);
    };
    let header = batch.header();
    let source = header.compression().map_err(validate::refusal_of)?;
    if source == target {
        return Ok(batch);
    }
    let plain = match source {
        Compression::None => batch.body().clone(),
        _ => validate::unpack(&batch, source)?,
    };
    let max_timestamp = latest(&header, &plain)?;
    let level = settings.compression_level;
    let body = compress::compress_at(target, level, &plain)
        .map_err(|e| Refusal::InvalidRecord(e.to_string()))?;
    let header = BatchHeader {
        attributes: (header.attributes & !COMPRESSION) | bits,
        max_timestamp,
        ..header
    };
    let batch = Batch::sealed(header, Bytes::from(body));
    let (bytes, limit) = (batch.len() as u64, u64::from(settings.max_message_bytes));
    if bytes > limit {
        return Err(Refusal::MessageTooLarge { bytes, limit }.into());
    }
    Ok(batch)
}

/// The compression of a topic and its attribute bits; `None`: each batch keeps its own.
fn target(kept: meta::Compression) -> Option<(Compression, i16)> {
    Some(match kept {
        meta::Compression::Producer => return None,
        meta::Compression::Uncompressed => (Compression::None, 0),
        meta::Compression::Gzip => (Compression::Gzip, 1),
        meta::Compression::Snappy => (Compression::Snappy, 2),
        meta::Compression::Lz4 => (Compression::Lz4, 3),
        meta::Compression::Zstd => (Compression::Zstd, 4),
    })
}

/// The largest timestamp of the records, all of which are read: what is packed here must be whole.
fn latest(header: &BatchHeader, plain: &[u8]) -> Result<i64, Refusal> {
    record::validate(plain, header.records).map_err(validate::refusal_of)?;
    if header.attributes & LOG_APPEND_TIME != 0 {
        return Ok(header.max_timestamp);
    }
    let mut pos = 0;
    let mut latest = i64::MIN;
    for _ in 0..header.records {
        let record = record::read(plain, &mut pos).map_err(validate::refusal_of)?;
        latest = latest.max(header.base_timestamp.wrapping_add(record.timestamp_delta));
    }
    Ok(latest)
}

#[cfg(test)]
mod tests;
