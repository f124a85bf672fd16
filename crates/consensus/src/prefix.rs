//! How a follower gets the records that a snapshot stands for besides the message itself: those in
//! front of the first entry of a log that was compacted. It asks its leader for them piece by piece,
//! by offset, and gets whole batches.
//!
//! An answer repeats its question, so whoever asked needs no memory of more than the last one, and the
//! leader of none. Nodes of releases before this one neither ask nor are asked, for they neither
//! send nor take a snapshot with such records.

use crate::frame::{FrameError, Reader, Writer};
use base::{Batch, Offset, RaftIndex, Term};

/// "Send what comes from this offset on."
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PrefixAsk {
    /// The term of the leader whose snapshot it is about.
    pub term: Term,
    /// The snapshot's last entry.
    pub index: RaftIndex,
    /// How far the records were compacted: those of two compactions are not mixed.
    pub clean: Offset,
    /// The first batch that is wanted begins here or later.
    pub from: Offset,
}

/// The answer to it.
#[derive(Clone, Debug, PartialEq)]
pub enum PrefixPiece {
    /// The next batches, in order; at least one.
    Batches(Vec<Batch>),
    /// Not now; it is to be asked again.
    Later,
    /// Never: the leader has another log by now, or leads no more.
    Gone,
}

const LATER: u8 = 0;
const GONE: u8 = 1;
const BATCHES: u8 = 2;
/// A batch takes at least this many bytes, which bounds how many a count may claim.
const BATCH_BYTES_MIN: usize = base::batch::HEADER_BYTES;

impl PrefixAsk {
    pub(crate) fn encode(&self, out: &mut Writer) {
        out.u32(self.term.0);
        out.u64(self.index.0);
        out.u64(self.clean.0 as u64);
        out.u64(self.from.0 as u64);
    }

    pub(crate) fn decode(r: &mut Reader) -> Result<PrefixAsk, FrameError> {
        Ok(PrefixAsk {
            term: Term(r.u32()?),
            index: RaftIndex(r.u64()?),
            clean: Offset(r.u64()? as i64),
            from: Offset(r.u64()? as i64),
        })
    }
}

impl PrefixPiece {
    /// Bytes of its batches.
    pub fn bytes(&self) -> u64 {
        match self {
            PrefixPiece::Batches(batches) => batches.iter().map(|b| b.len() as u64).sum(),
            PrefixPiece::Later | PrefixPiece::Gone => 0,
        }
    }

    pub(crate) fn encode(&self, out: &mut Writer) {
        match self {
            PrefixPiece::Later => out.u8(LATER),
            PrefixPiece::Gone => out.u8(GONE),
            PrefixPiece::Batches(batches) => {
                out.u8(BATCHES);
                out.u32(batches.len() as u32);
                batches.iter().for_each(|batch| out.batch(batch));
            }
        }
    }

    /// Batches are whole by Kafka's checksum, and the frame's covers what that one doesn't.
    pub(crate) fn decode(r: &mut Reader) -> Result<PrefixPiece, FrameError> {
        Ok(match r.u8()? {
            LATER => PrefixPiece::Later,
            GONE => PrefixPiece::Gone,
            BATCHES => {
                let count = r.count(BATCH_BYTES_MIN)?;
                let mut batches = Vec::with_capacity(count);
                for _ in 0..count {
                    let batch = r.batch()?;
                    let whole = batch.verify();
                    whole.map_err(|_| FrameError::Malformed("batch checksum"))?;
                    batches.push(batch);
                }
                PrefixPiece::Batches(batches)
            }
            _ => return Err(FrameError::Malformed("piece kind")),
        })
    }
}
