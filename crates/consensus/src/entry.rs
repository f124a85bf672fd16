//! What a Raft entry stands for, and the descriptor that the `raft` crate carries for it.
//!
//! A descriptor is a kind byte and, for batches, what the log needs to tell the batch: base
//! offset, offsets, bytes, checksum. Its size must not depend on the batch, because the crate
//! copies it around.

use base::configuration::CONFIGURATION_ENTRY;
use base::{Batch, BatchHeader, RaftIndex, Term};
use bytes::Bytes;
use raft::eraftpb::{Entry, EntryType};

/// What an entry carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// Records of clients or of a machine, stamped by the leader.
    Batch(Batch),
    /// A fact about the log itself; empty for the no-op that opens a term.
    Internal(Bytes),
}

impl Body {
    /// How large it is.
    pub fn bytes(&self) -> u64 {
        match self {
            Body::Batch(batch) => batch.len() as u64,
            Body::Internal(data) => data.len() as u64,
        }
    }
}

/// An entry that is new in this log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewEntry {
    /// Its place.
    pub index: RaftIndex,
    /// Its term.
    pub term: Term,
    /// What it carries.
    pub body: Body,
}

const KIND_INTERNAL: u8 = 1;
const KIND_BATCH: u8 = 2;

/// The descriptor of a body. The term's no-op is the crate's own empty entry.
pub(crate) fn describe(body: &Body) -> Bytes {
    match body {
        Body::Internal(data) if data.is_empty() => Bytes::new(),
        Body::Internal(data) => {
            let mut out = Vec::with_capacity(1 + data.len());
            out.push(KIND_INTERNAL);
            out.extend_from_slice(data);
            out.into()
        }
        Body::Batch(batch) => describe_header(&batch.header()),
    }
}

/// The descriptor of a batch with this header.
pub(crate) fn describe_header(header: &BatchHeader) -> Bytes {
    let mut out = Vec::with_capacity(21);
    out.push(KIND_BATCH);
    out.extend_from_slice(&header.base_offset.0.to_be_bytes());
    out.extend_from_slice(&header.offsets().to_be_bytes());
    out.extend_from_slice(&(header.total_len() as u32).to_be_bytes());
    out.extend_from_slice(&header.crc.to_be_bytes());
    out.into()
}

/// True if the entry stands for a batch.
pub(crate) fn is_batch(entry: &Entry) -> bool {
    entry.data.first() == Some(&KIND_BATCH)
}

/// True if the entry carries a configuration.
pub(crate) fn is_configuration(entry: &Entry) -> bool {
    entry
        .data
        .starts_with(&[KIND_INTERNAL, CONFIGURATION_ENTRY])
}

/// The data of an internal entry.
pub(crate) fn internal_data(entry: &Entry) -> Bytes {
    if entry.data.is_empty() {
        Bytes::new()
    } else {
        Bytes::copy_from_slice(&entry.data[1..])
    }
}

/// Bytes that sending the entry costs: the batch's, for a batch.
pub(crate) fn payload_bytes(entry: &Entry) -> u64 {
    if is_batch(entry) {
        let bytes: [u8; 4] = entry.data[13..17]
            .try_into()
            .expect("a descriptor has 21 bytes");
        u64::from(u32::from_be_bytes(bytes))
    } else {
        entry.data.len() as u64
    }
}

/// The crate's entry with this descriptor. One that changes the configuration is marked, so that
/// the crate doesn't campaign as long as it is committed and not applied. That matters: who has a
/// later configuration in its log knows that those before are committed, durably since the same
/// turn, because a leader proposes one only then. So a replica lags by one configuration at most,
/// and two that follow on each other have a voter in common in every two majorities.
pub(crate) fn entry_of(index: RaftIndex, term: Term, descriptor: Bytes) -> Entry {
    let mut entry = Entry {
        index: index.0,
        term: u64::from(term.0),
        data: descriptor,
        ..Entry::default()
    };
    if is_configuration(&entry) {
        entry.set_entry_type(EntryType::EntryConfChangeV2);
    }
    entry
}
