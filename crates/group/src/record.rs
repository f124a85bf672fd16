//! Facts in Kafka's own format: records of `__consumer_offsets`. Each kind has its file with its
//! layout; here is what they share. A released layout is read for ever.
//!
//! Reading is total and never trusts a length: what isn't a record that this version knows is
//! `None`, and replay skips it.

use bytes::Bytes;

pub(crate) mod codec;
pub mod consumer;
pub mod group;
pub mod key;
pub mod offset;

pub use key::Key;

/// A key and what is known under it from now on; `None`: nothing any more (a tombstone).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its first two bytes say what it is the key of.
    pub key: Bytes,
    /// Its first two bytes are its version.
    pub value: Option<Bytes>,
}

impl Record {
    /// Bytes of key and value.
    pub fn bytes(&self) -> usize {
        self.key.len() + self.value.as_ref().map_or(0, Bytes::len)
    }

    pub(crate) fn new(key: Key<'_>, value: Vec<u8>) -> Record {
        Record {
            key: key.encode(),
            value: Some(value.into()),
        }
    }

    pub(crate) fn tombstone(key: Key<'_>) -> Record {
        Record {
            key: key.encode(),
            value: None,
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
