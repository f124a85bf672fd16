//! Floor 1: one Raft group, sans-IO, and the frames between nodes.
//!
//! [`Group`] wraps the `raft` crate: proposals and messages go in, a [`Ready`] comes out, nothing
//! here touches a disk, a socket, a clock or chance. Entries that the crate sees carry a small
//! descriptor; the batch itself lies beside it in the [`Store`]'s window and, once old, only in
//! the log's segments.
//!
//! Not here: when to campaign and which node is alive (`shard::liveness`), where bytes are kept
//! (`log`).

mod configure;
mod entry;
mod frame;
mod group;
mod message;
mod prefix;
mod room;
mod store;
mod sum;
#[cfg(test)]
mod tests;

pub use entry::{Body, NewEntry};
pub use frame::{Frame, FrameError, Item, Led, LedDelta, Seen};
pub use group::{
    Contradiction, Group, Install, PeerProgress, ProposeError, Ready, Restored, RestoredEntry, Role,
};
pub use message::Message;
pub use prefix::{PrefixAsk, PrefixPiece};
pub use room::Room;
pub use store::ColdEntries;
pub use sum::{SumAsk, Verdict};
