//! Compression of a batch's records, in the forms that Kafka clients use. Unpacking has a hard
//! limit on what comes out, so a small batch can't fill the memory.

use base::batch::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use lz4_flex::frame::{BlockMode, BlockSize, FrameDecoder, FrameEncoder, FrameInfo};
use std::io::{self, Read, Write};
use twox_hash::XxHash32;

/// What is in front of snappy data in the frames of the xerial library, which Java clients use.
const XERIAL_MAGIC: [u8; 8] = [0x82, b'S', b'N', b'A', b'P', b'P', b'Y', 0];
/// Bytes of that magic and the two version numbers after it.
const XERIAL_HEADER_BYTES: usize = 16;
/// Bytes that one xerial block packs at most, as the library does.
const XERIAL_BLOCK_BYTES: usize = 32 * 1024;
/// What gzip does if nobody says a level.
const GZIP_LEVEL: i32 = -1;
/// Zstandard's level if nobody says another.
const ZSTD_LEVEL: i32 = 3;
/// Bytes in front of what the header of an LZ4 frame says.
const LZ4_MAGIC_BYTES: usize = 4;
/// Flag of an LZ4 frame: the size of what is packed is told.
const LZ4_HAS_SIZE: u8 = 0x08;
/// Flag of an LZ4 frame: a dictionary is named.
const LZ4_HAS_DICTIONARY: u8 = 0x01;
/// Room that is made for the output before its size is known.
const FIRST_OUTPUT_BYTES: usize = 64 * 1024;

/// Why records could not be packed or unpacked.
#[derive(Debug, thiserror::Error)]
pub enum CompressError {
    /// More would come out than the caller allows.
    #[error("the records unpack to more than {limit} bytes")]
    TooLarge {
        /// What is allowed.
        limit: usize,
    },
    /// The bytes aren't what the compression writes.
    #[error("the records are not valid {codec}: {reason}")]
    Corrupt {
        /// Name of the compression.
        codec: &'static str,
        /// What its decoder says.
        reason: String,
    },
}

fn corrupt(codec: &'static str, reason: impl ToString) -> CompressError {
    CompressError::Corrupt {
        codec,
        reason: reason.to_string(),
    }
}

/// Packs `plain` at the level that Kafka takes if nobody says another.
pub fn compress(compression: Compression, plain: &[u8]) -> Result<Vec<u8>, CompressError> {
    let level = match compression {
        Compression::Zstd => ZSTD_LEVEL,
        _ => GZIP_LEVEL,
    };
    compress_at(compression, level, plain)
}

/// Packs `plain` at a level of gzip or Zstandard; the others here have none.
pub fn compress_at(
    compression: Compression,
    level: i32,
    plain: &[u8],
) -> Result<Vec<u8>, CompressError> {
    match compression {
        Compression::None => Ok(plain.to_vec()),
        Compression::Gzip => gzip(plain, level).map_err(|e| corrupt("gzip", e)),
        Compression::Snappy => snappy(plain),
        Compression::Lz4 => lz4(plain).map_err(|e| corrupt("lz4", e)),
        Compression::Zstd => zstd::bulk::compress(plain, level).map_err(|e| corrupt("zstd", e)),
    }
}

/// Unpacks `packed` to at most `limit` bytes.
pub fn decompress(
    compression: Compression,
    packed: &[u8],
    limit: usize,
) -> Result<Vec<u8>, CompressError> {
    match compression {
        Compression::None if packed.len() > limit => Err(CompressError::TooLarge { limit }),
        Compression::None => Ok(packed.to_vec()),
        Compression::Gzip => drain("gzip", MultiGzDecoder::new(packed), limit),
        Compression::Snappy => unsnappy(packed, limit),
        Compression::Lz4 => drain("lz4", FrameDecoder::new(packed), limit),
        Compression::Zstd => {
            let decoder = zstd::Decoder::new(packed).map_err(|e| corrupt("zstd", e))?;
            drain("zstd", decoder, limit)
        }
    }
}

/// Unpacks what was packed for a message of magic 0. Kafka's clients of then put a wrong checksum
/// into the header of LZ4's frame, so it isn't looked at; that of Kafka isn't either.
pub fn decompress_magic_0(
    compression: Compression,
    packed: &[u8],
    limit: usize,
) -> Result<Vec<u8>, CompressError> {
    if compression != Compression::Lz4 {
        return decompress(compression, packed, limit);
    }
    let mut packed = packed.to_vec();
    if let Some((header, checksum)) = lz4_header(&mut packed) {
        *checksum = (XxHash32::oneshot(0, header) >> 8) as u8;
    }
    decompress(compression, &packed, limit)
}

/// What the checksum in the header of an LZ4 frame covers, and the checksum; none if cut short.
fn lz4_header(packed: &mut [u8]) -> Option<(&[u8], &mut u8)> {
    let flags = *packed.get(LZ4_MAGIC_BYTES)?;
    let size = if flags & LZ4_HAS_SIZE == 0 { 0 } else { 8 };
    let dictionary = if flags & LZ4_HAS_DICTIONARY == 0 {
        0
    } else {
        4
    };
    let end = LZ4_MAGIC_BYTES + 2 + size + dictionary;
    let (header, rest) = packed.split_at_mut_checked(end)?;
    Some((&header[LZ4_MAGIC_BYTES..], rest.first_mut()?))
}

fn drain(codec: &'static str, decoder: impl Read, limit: usize) -> Result<Vec<u8>, CompressError> {
    let mut plain = Vec::with_capacity(FIRST_OUTPUT_BYTES.min(limit));
    let mut limited = decoder.take(limit as u64 + 1);
    limited
        .read_to_end(&mut plain)
        .map_err(|e| corrupt(codec, e))?;
    if plain.len() > limit {
        Err(CompressError::TooLarge { limit })
    } else {
        Ok(plain)
    }
}

fn gzip(plain: &[u8], level: i32) -> io::Result<Vec<u8>> {
    let level = match u32::try_from(level) {
        Ok(level) => flate2::Compression::new(level.min(9)),
        Err(_) => flate2::Compression::default(),
    };
    let mut encoder = GzEncoder::new(Vec::new(), level);
    encoder.write_all(plain)?;
    encoder.finish()
}

fn lz4(plain: &[u8]) -> io::Result<Vec<u8>> {
    let info = FrameInfo::new()
        .block_size(BlockSize::Max64KB)
        .block_mode(BlockMode::Independent);
    let mut encoder = FrameEncoder::with_frame_info(info, Vec::new());
    encoder.write_all(plain)?;
    encoder.finish().map_err(io::Error::other)
}

fn snappy(plain: &[u8]) -> Result<Vec<u8>, CompressError> {
    let mut packed = XERIAL_MAGIC.to_vec();
    packed.extend_from_slice(&1i32.to_be_bytes());
    packed.extend_from_slice(&1i32.to_be_bytes());
    let mut encoder = snap::raw::Encoder::new();
    for block in plain.chunks(XERIAL_BLOCK_BYTES) {
        let block = encoder
            .compress_vec(block)
            .map_err(|e| corrupt("snappy", e))?;
        packed.extend_from_slice(&(block.len() as u32).to_be_bytes());
        packed.extend_from_slice(&block);
    }
    Ok(packed)
}

/// Unpacks both forms: raw snappy, and blocks of it in xerial's frame.
fn unsnappy(packed: &[u8], limit: usize) -> Result<Vec<u8>, CompressError> {
    let mut plain = Vec::new();
    if !packed.starts_with(&XERIAL_MAGIC) {
        unsnappy_block(packed, limit, &mut plain)?;
        return Ok(plain);
    }
    let cut = || corrupt("snappy", "the frame is cut off");
    let mut rest = packed.get(XERIAL_HEADER_BYTES..).ok_or_else(cut)?;
    while !rest.is_empty() {
        let (length, after) = rest.split_first_chunk::<4>().ok_or_else(cut)?;
        let (block, after) = after
            .split_at_checked(u32::from_be_bytes(*length) as usize)
            .ok_or_else(cut)?;
        unsnappy_block(block, limit, &mut plain)?;
        rest = after;
    }
    Ok(plain)
}

fn unsnappy_block(block: &[u8], limit: usize, plain: &mut Vec<u8>) -> Result<(), CompressError> {
    let length = snap::raw::decompress_len(block).map_err(|e| corrupt("snappy", e))?;
    let start = plain.len();
    if length > limit - start {
        return Err(CompressError::TooLarge { limit });
    }
    plain.resize(start + length, 0);
    let written = snap::raw::Decoder::new()
        .decompress(block, &mut plain[start..])
        .map_err(|e| corrupt("snappy", e))?;
    plain.truncate(start + written);
    Ok(())
}

#[cfg(test)]
mod tests;
