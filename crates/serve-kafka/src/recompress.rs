//! A topic may keep its batches in a compression of its own (`compression.type`): then what comes
//! in another one is unpacked, read, and packed anew, on the connection's own thread. Offsets,
//! sequence and timestamps stay.

use crate::validate::{self, Rejected};
use base::batch::Compression;
use base::record::{self, Record};
use base::{Batch, BatchHeader, Refusal};
use bytes::Bytes;
use meta::TopicSettings;
use wire_kafka::compress;

/// The batch as its topic keeps it; itself, if that is how it came.
pub fn recompress(batch: Batch, settings: &TopicSettings) -> Result<Batch, Rejected> {
    let Some(target) = target(settings.compression) else {
        return Ok(batch);
    };
    let mut header = batch.header();
    let source = header.compression().map_err(validate::refusal_of)?;
    if source == target {
        return Ok(batch);
    }
    let plain = match source {
        Compression::None => batch.body().clone(),
        _ => validate::unpack(&batch, source)?,
    };
    header.max_timestamp = latest(&header, &plain)?;
    header.set_compression(target);
    let level = settings.compression_level;
    let body = compress::compress_at(target, level, &plain)
        .map_err(|e| Refusal::InvalidRecord(e.to_string()))?;
    let batch = Batch::sealed(header, Bytes::from(body));
    let (bytes, limit) = (batch.len() as u64, u64::from(settings.max_message_bytes));
    if bytes > limit {
        return Err(Refusal::MessageTooLarge { bytes, limit }.into());
    }
    Ok(batch)
}

/// The compression of a topic; `None`: each batch keeps its own.
fn target(kept: meta::Compression) -> Option<Compression> {
    Some(match kept {
        meta::Compression::Producer => return None,
        meta::Compression::Uncompressed => Compression::None,
        meta::Compression::Gzip => Compression::Gzip,
        meta::Compression::Snappy => Compression::Snappy,
        meta::Compression::Lz4 => Compression::Lz4,
        meta::Compression::Zstd => Compression::Zstd,
    })
}

/// The largest timestamp of the records, all of which are read: what is packed here must be whole.
fn latest(header: &BatchHeader, plain: &[u8]) -> Result<i64, Refusal> {
    let mut latest = i64::MIN;
    let see = |record: Record<'_>| latest = latest.max(record.timestamp(header));
    record::walk(plain, header.records, see).map_err(validate::refusal_of)?;
    Ok(latest)
}

#[cfg(test)]
mod tests;
