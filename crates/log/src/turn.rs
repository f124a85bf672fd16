//! Turns: what one step of a shard wants made durable, as records in order.
//!
//! A turn is plain data. [`crate::GroupLog`] decides places and pushes records;
//! [`crate::Storage`] carries them out; recovery pushes the same records through the same code.

use crate::block::Block;
use crate::import::ImportImage;
use crate::name::SegmentName;
use crate::origin::Origin;
use base::{Batch, Bug, GroupId, NodeId, Offset, RaftIndex, Term, planted};
use bytes::Bytes;

/// What is fixed when a group's log is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// A segment that would grow past this is followed by a new one.
    pub segment_bytes: u32,
    /// Which of the replicas that the node has had of the group, see [`base::Member`].
    pub incarnation: u32,
}

/// What Raft must not forget besides its entries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HardState {
    /// The current term.
    pub term: Term,
    /// Who was voted for in it.
    pub vote: Option<NodeId>,
    /// Committed up to here, as far as known when it was written. May be stale.
    pub commit: RaftIndex,
}

/// Where a batch lies: its segment's base offset and the position in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Base offset of the segment.
    pub segment: Offset,
    /// Position in it.
    pub pos: u32,
}

/// One step of one group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// The group begins.
    Create {
        /// The group.
        group: GroupId,
        /// What is fixed for its life.
        settings: Settings,
    },
    /// The group ends; its files go.
    Remove {
        /// The group.
        group: GroupId,
    },
    /// Term, vote, commit.
    State {
        /// The group.
        group: GroupId,
        /// The state.
        state: HardState,
    },
    /// A batch.
    Batch {
        /// The group.
        group: GroupId,
        /// Its Raft index.
        index: RaftIndex,
        /// Its term.
        term: Term,
        /// Its bytes.
        batch: Batch,
        /// Where they go.
        place: Place,
    },
    /// An entry of Raft's own or of a machine; lives in the write-ahead log and checkpoints.
    Internal {
        /// The group.
        group: GroupId,
        /// Its Raft index.
        index: RaftIndex,
        /// Its term.
        term: Term,
        /// Its data.
        data: Bytes,
    },
    /// Everything from an index on is cut off.
    Truncate {
        /// The group.
        group: GroupId,
        /// The first index that goes.
        from: RaftIndex,
        /// How many cuts the group has seen, this one included. Not written: replay counts them.
        cuts: u64,
    },
    /// The log begins anew after an entry: see [`crate::Origin`].
    Install {
        /// The group.
        group: GroupId,
        /// Where it begins.
        origin: Origin,
        /// What lies in front of that, if anything does.
        imported: Option<ImportImage>,
        /// The shard's own bytes, as in a checkpoint.
        app: Bytes,
        /// What those bytes stand for: everything up to this index.
        app_index: RaftIndex,
        /// As of a truncation.
        cuts: u64,
    },
    /// A block was closed: its sidecar's entry. Not in the write-ahead log: replay closes the
    /// same blocks.
    Block {
        /// The group.
        group: GroupId,
        /// Its segment.
        segment: Offset,
        /// Which entry of the sidecar.
        nth: u32,
        /// The block.
        block: Block,
    },
    /// Segments are gone: from the front of the log, or because others have taken their place. Not
    /// in the write-ahead log: replay commits the same entries, so it drops the same segments from
    /// the front; what takes the place of others is there after a crash if the checkpoint says so. Their files stay until a checkpoint of this
    /// turn or a later one, which doesn't name them, is durable.
    Drop {
        /// The group.
        group: GroupId,
        /// Their names.
        segments: Vec<SegmentName>,
        /// The turn in which they went.
        turn: u64,
    },
}

/// All records of one step of a shard.
#[derive(Clone, Debug, Default)]
pub struct Turn {
    /// Turns are numbered in order; the first after a start is [`crate::Recovered::next_turn`].
    pub number: u64,
    /// In the order they happened.
    pub records: Vec<Record>,
    /// Body of a whole checkpoint as of the end of this turn, made by [`crate::checkpoint`].
    pub checkpoint: Option<crate::Body>,
    /// Data that this node acknowledged is gone from its log: how that is known. Kept for good, so
    /// that no start takes its groups for whole.
    pub lost: Option<String>,
}

impl Turn {
    /// An empty turn.
    pub fn new(number: u64) -> Turn {
        Turn {
            number,
            records: Vec::new(),
            checkpoint: None,
            lost: None,
        }
    }

    /// True if there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty() && self.checkpoint.is_none() && self.lost.is_none()
    }

    /// A group begins; its log is [`crate::GroupLog::new`] with the same settings.
    pub fn create(&mut self, group: GroupId, settings: Settings) {
        self.records.push(Record::Create { group, settings });
    }

    /// A group ends.
    pub fn remove(&mut self, group: GroupId) {
        self.records.push(Record::Remove { group });
    }

    /// A group's term, vote or commit changed.
    pub fn state(&mut self, group: GroupId, state: HardState) {
        if planted(Bug::VoteNotPersisted) {
            return;
        }
        self.records.push(Record::State { group, state });
    }
}
