//! A committed offset. Versions 0 to 4 are read; as Kafka 4.3 does, version 4 is written, or 1
//! if the client said how long the offset stays.

use super::codec::{Reader, Writer};
use base::Uuid;
use std::sync::Arc;

/// The offset that a group committed for a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offset {
    /// The next offset to be read.
    pub offset: i64,
    /// The epoch of the last record read; -1 if not known.
    pub leader_epoch: i32,
    /// The committer's own words.
    pub metadata: Arc<str>,
    /// When it was committed.
    pub committed_ms: i64,
    /// When it goes, if the client said so.
    pub expires_ms: Option<i64>,
    /// The topic's id; zero if not known.
    pub topic_id: Uuid,
}

const WITH_EXPIRY: i16 = 1;
const FLEXIBLE: i16 = 4;
const TAG_TOPIC_ID: usize = 0;

/// An offset's value, borrowed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View<'a> {
    pub(crate) offset: i64,
    pub(crate) leader_epoch: i32,
    pub(crate) metadata: &'a str,
    pub(crate) committed_ms: i64,
    pub(crate) expires_ms: Option<i64>,
    pub(crate) topic_id: Uuid,
}

impl<'a> View<'a> {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let old = self.expires_ms.is_some();
        let mut w = Writer::version(if old { WITH_EXPIRY } else { FLEXIBLE });
        w.i64(self.offset);
        if let Some(expires_ms) = self.expires_ms {
            w.text(self.metadata);
            w.i64(self.committed_ms);
            w.i64(expires_ms);
            return w.0;
        }
        w.i32(self.leader_epoch);
        w.compact_text(self.metadata);
        w.i64(self.committed_ms);
        if self.topic_id == Uuid::ZERO {
            w.tags(&[]);
        } else {
            w.tags(&[(TAG_TOPIC_ID, self.topic_id.0.to_vec())]);
        }
        w.0
    }

    pub(crate) fn decode(bytes: &'a [u8]) -> Option<View<'a>> {
        let mut r = Reader::new(bytes);
        let version = r.i16()?;
        if !(0..=FLEXIBLE).contains(&version) {
            return None;
        }
        let mut view = View {
            offset: r.i64()?,
            leader_epoch: if version >= 3 { r.i32()? } else { -1 },
            metadata: if version >= FLEXIBLE {
                r.compact_text()?
            } else {
                r.text()?
            },
            committed_ms: r.i64()?,
            expires_ms: None,
            topic_id: Uuid::ZERO,
        };
        if version == WITH_EXPIRY {
            view.expires_ms = Some(r.i64()?).filter(|at| *at != -1);
        }
        if version >= FLEXIBLE {
            r.tags(|tag, r| {
                if tag == TAG_TOPIC_ID {
                    view.topic_id = r.uuid()?;
                }
                Some(())
            })?;
        }
        Some(view)
    }
}
