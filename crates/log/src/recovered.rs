//! What a start finds: plain data for the shard.

use crate::group::GroupLog;
use crate::turn::HardState;
use base::{BatchHeader, RaftIndex, Term};
use bytes::Bytes;

/// What was in the data directory.
#[derive(Debug, Default)]
pub struct Recovered {
    /// Every group, in order of their ids.
    pub groups: Vec<RecoveredGroup>,
    /// What the shard put in the checkpoint beside the groups; empty without a checkpoint.
    pub blob: Bytes,
    /// What an operator should read.
    pub report: Vec<String>,
    /// The number of the next turn.
    pub next_turn: u64,
    /// True if there was no log: this start has begun it.
    pub fresh: bool,
    /// What an earlier process said in [`crate::Turn::lost`].
    pub lost: Option<String>,
}

/// One group.
#[derive(Debug)]
pub struct RecoveredGroup {
    /// Its log.
    pub log: GroupLog,
    /// Term, vote and commit. The commit may be stale and is never above the log's end.
    pub state: HardState,
    /// The shard's own bytes of the checkpoint; empty without one.
    pub app: Bytes,
    /// What those bytes stand for: everything up to this index.
    pub app_index: RaftIndex,
    /// Every entry after what the log knew as committed when the checkpoint was made, in order.
    /// (If `app_index` lies before that, the entries between are to be read by a plan.)
    pub entries: Vec<Entry>,
    /// Data that was durable is damaged: this replica must not vote until it is repaired.
    pub suspect: Option<String>,
}

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its Raft index.
    pub index: RaftIndex,
    /// Its term.
    pub term: Term,
    /// What it is.
    pub body: EntryBody,
}

/// What an entry is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EntryBody {
    /// A batch: its header and its length in bytes.
    Batch(BatchHeader, u32),
    /// An internal entry's data.
    Internal(Bytes),
}
