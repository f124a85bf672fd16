//! Floor 1: segments, block index, shared write-ahead log, checkpoints, recovery, read plans.
//!
//! Two halves. The pure half ([`GroupLog`], [`Turn`]) lives in the shard and decides where every
//! entry goes, without IO. The other half ([`Storage`], [`Flush`], [`Files`]) carries turns out
//! over [`base::Disk`], and [`Storage::open`] brings both back after a crash. Plans
//! ([`ReadPlan`], [`EntriesPlan`], [`TimePlan`]) are made by the first and run on the second.
//!
//! The formats on disk are described byte by byte in `docs/formats/`.

mod block;
mod checkpoint;
mod examine;
mod fault;
mod field;
mod files;
mod flush;
mod format;
mod group;
mod import;
mod name;
mod origin;
mod output;
mod pending;
mod read;
mod recover;
mod recovered;
mod rewrite;
mod shape;
mod storage;
#[cfg(test)]
mod testing;
mod turn;
mod wal;
mod worker;

pub use block::Block;
pub use checkpoint::{Body, checkpoint};
pub use examine::Examined;
pub use fault::{Fault, ReadFault};
pub use files::Files;
pub use flush::Flush;
pub use group::{GroupLog, SegmentFacts};
pub use import::{Import, ImportFault, ImportImage, Imported, Prefix};
pub use name::SegmentName;
pub use origin::{Origin, TermRun};
pub use read::{EntriesPlan, ReadPlan, TimePlan, TimeQuery, Unpack};
pub use recovered::{Entry, EntryBody, Recovered, RecoveredGroup};
pub use rewrite::{Codec, Counts, Kept, Rewrite, RewriteFault, Rewrote, Step};
pub use shape::{Compact, Shape};
pub use storage::{Storage, StorageSettings};
pub use turn::{HardState, Place, Record, Settings, Turn};
pub use worker::{Bounds, Did, Next, Work, Worker};
