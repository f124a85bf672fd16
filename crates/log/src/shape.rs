//! Internal entries that change the shape of a log. The leader decides them, every replica applies
//! them once they are committed, so all logs begin at the same offset.
//!
//! An entry whose data is none of these (the empty one that opens a term, or one of a later
//! version) changes nothing. The bytes are described in `docs/formats/wal.md`; a kind, once
//! released, keeps its number and its fields.

use crate::field::{Fields, put_i64, put_u64};
use base::{Offset, RaftIndex};
use bytes::Bytes;

const START: u8 = 1;
const COMPACT: u8 = 2;

/// A change of a log's shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// What lies before an offset can't be read any more.
    Start {
        /// The first offset that can be read. Never above the high watermark of when it was
        /// decided, and never moved back.
        offset: Offset,
        /// Nothing up to here is kept for followers any more: segments whose entries lie at or
        /// below it may go. A follower that lacks some of it gets a snapshot.
        floor: RaftIndex,
    },
    /// What lies before an offset is to be compacted.
    Compact(Compact),
}

/// What the leader says about a compaction. When each replica gets round to it is its own affair,
/// and so is where its segments end; which records may go is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compact {
    /// Only segments that end at or before this are compacted. Never above the high watermark of
    /// when it was decided.
    pub below: Offset,
    /// As in [`Shape::Start`]: what is compacted can't be asked for by its index any more.
    pub floor: RaftIndex,
    /// When it was decided (ms). Markers of deleted keys that may go by then go.
    pub now: i64,
    /// Markers that were not compacted before may go this long (ms) after that.
    pub retention: i64,
}

impl Shape {
    /// The data of the entry.
    pub fn encode(&self) -> Bytes {
        let mut out = Vec::new();
        match self {
            Shape::Start { offset, floor } => {
                out.push(START);
                put_i64(&mut out, offset.0);
                put_u64(&mut out, floor.0);
            }
            Shape::Compact(compact) => {
                out.push(COMPACT);
                compact.put(&mut out);
            }
        }
        out.into()
    }

    /// Reads an entry's data; `None` if it is not about the log's shape.
    pub fn decode(data: &[u8]) -> Option<Shape> {
        let mut fields = Fields::new(data);
        let shape = match fields.u8()? {
            START => Shape::Start {
                offset: Offset(fields.i64()?),
                floor: RaftIndex(fields.u64()?),
            },
            COMPACT => Shape::Compact(Compact::read(&mut fields)?),
            _ => return None,
        };
        (fields.left() == 0).then_some(shape)
    }
}

impl Compact {
    pub(crate) fn put(&self, out: &mut Vec<u8>) {
        put_i64(out, self.below.0);
        put_u64(out, self.floor.0);
        put_i64(out, self.now);
        put_i64(out, self.retention);
    }

    pub(crate) fn read(fields: &mut Fields<'_>) -> Option<Compact> {
        Some(Compact {
            below: Offset(fields.i64()?),
            floor: RaftIndex(fields.u64()?),
            now: fields.i64()?,
            retention: fields.i64()?,
        })
    }
}
