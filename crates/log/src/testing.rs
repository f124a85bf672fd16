//! What this room's tests share: a disk that forgets, and a shard in small.

mod disk;
mod shard;

pub(crate) use disk::{Loss, MemDisk};
pub(crate) use shard::{SMALL, Shard, batch, check_reads, matches, reopen};
