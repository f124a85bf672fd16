//! How a follower compares a part of its log with its leader's: it says what the bytes of a range of
//! offsets add up to, and the leader reads the same range and answers. An answer repeats its question,
//! so neither remembers more than the last one.
//!
//! Nodes of releases before this one don't see these items (`frame.rs`) and answer nothing.

use crate::frame::{FrameError, Reader, Writer};
use base::{Offset, Term};

/// "These are my bytes from one offset up to another. Are they yours?"
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SumAsk {
    /// The leader's term.
    pub term: Term,
    /// Where the first batch begins.
    pub from: Offset,
    /// Where the last one ends; all of it is committed.
    pub upto: Offset,
    /// CRC-32C of the batches.
    pub crc: u32,
}

/// The answer to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// They are.
    Same,
    /// They aren't, and both are whole by their own checksums.
    Differs,
    /// It can't be said: not now, or not by this node.
    Unknown,
}

impl SumAsk {
    pub(crate) fn encode(&self, out: &mut Writer) {
        out.u32(self.term.0);
        out.u64(self.from.0 as u64);
        out.u64(self.upto.0 as u64);
        out.u32(self.crc);
    }

    pub(crate) fn decode(r: &mut Reader) -> Result<SumAsk, FrameError> {
        Ok(SumAsk {
            term: Term(r.u32()?),
            from: Offset(r.u64()? as i64),
            upto: Offset(r.u64()? as i64),
            crc: r.u32()?,
        })
    }
}

impl Verdict {
    pub(crate) fn encode(self, out: &mut Writer) {
        out.u8(match self {
            Verdict::Unknown => 0,
            Verdict::Same => 1,
            Verdict::Differs => 2,
        });
    }

    pub(crate) fn decode(r: &mut Reader) -> Result<Verdict, FrameError> {
        Ok(match r.u8()? {
            0 => Verdict::Unknown,
            1 => Verdict::Same,
            2 => Verdict::Differs,
            _ => return Err(FrameError::Malformed("verdict")),
        })
    }
}
