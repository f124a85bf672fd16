//! A fact in Kafka's own format: a record of `__consumer_offsets`.

use bytes::Bytes;

/// A key and what is known under it from now on; `None`: nothing any more (a tombstone).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its first two bytes say what it is the key of.
    pub key: Bytes,
    /// Its first two bytes are its version.
    pub value: Option<Bytes>,
}
