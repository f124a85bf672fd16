//! The first sector of a file of the write-ahead log.

use super::{Position, SECTOR};
use crate::field::{Fields, put_u32, put_u64};
use base::checksum;

const MAGIC: &[u8; 8] = b"FLOTIWAL";
const VERSION: u32 = 1;
const SUMMED: usize = 52;

/// Which generation a file holds, and where the one before it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    /// The file's number, so that a header written to the wrong file is told.
    pub(crate) number: u64,
    pub(crate) generation: u64,
    /// Bytes of the file; it never shrinks while the generation lives.
    pub(crate) len: u64,
    pub(crate) previous: Position,
}

/// What a first sector says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum FirstSector {
    /// Never used.
    Zeros,
    Header(Header),
    /// Neither: no crash leaves this.
    Damaged,
    /// Written by a later version.
    Newer(u32),
}

impl Header {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(SECTOR as usize);
        out.extend_from_slice(MAGIC);
        put_u32(&mut out, VERSION);
        put_u64(&mut out, self.number);
        put_u64(&mut out, self.generation);
        put_u64(&mut out, self.len);
        put_u64(&mut out, self.previous.generation);
        put_u64(&mut out, self.previous.pos);
        let sum = checksum::crc32c(&out);
        put_u32(&mut out, sum);
        out.resize(SECTOR as usize, 0);
        out
    }
}

impl FirstSector {
    /// Reads the first sector of file `number`.
    pub(crate) fn read(sector: &[u8], number: u64) -> FirstSector {
        if sector.iter().all(|byte| *byte == 0) {
            return FirstSector::Zeros;
        }
        match FirstSector::read_header(sector, number) {
            Some((version, _)) if version > VERSION => FirstSector::Newer(version),
            Some((VERSION, header)) => FirstSector::Header(header),
            _ => FirstSector::Damaged,
        }
    }

    fn read_header(sector: &[u8], number: u64) -> Option<(u32, Header)> {
        let mut fields = Fields::new(sector);
        if fields.take(8)? != MAGIC {
            return None;
        }
        let version = fields.u32()?;
        let header = Header {
            number: fields.u64()?,
            generation: fields.u64()?,
            len: fields.u64()?,
            previous: Position {
                generation: fields.u64()?,
                pos: fields.u64()?,
            },
        };
        debug_assert_eq!(fields.pos(), SUMMED);
        let sound = fields.u32()? == checksum::crc32c(&sector[..SUMMED])
            && header.number == number
            && header.generation > header.previous.generation;
        sound.then_some((version, header))
    }
}
