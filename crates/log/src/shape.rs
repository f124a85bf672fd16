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

/// A change of a log's shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// What lies before an offset can't be read any more.
    Start {
        /// The first offset that can be read. Never above the high watermark of when it was
        /// decided, and never moved back.
        offset: Offset,
        /// Every voter has all entries up to here, durably: so segments whose entries lie at or
        /// below it may go, and every follower can still catch up from what is left.
        floor: RaftIndex,
    },
}

impl Shape {
    /// The data of the entry.
    pub fn encode(&self) -> Bytes {
        let Shape::Start { offset, floor } = self;
        let mut out = vec![START];
        put_i64(&mut out, offset.0);
        put_u64(&mut out, floor.0);
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
            _ => return None,
        };
        (fields.left() == 0).then_some(shape)
    }
}
