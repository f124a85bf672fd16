//! Floor 2: one core's loop.
//!
//! A shard owns replicas, each made of a Raft group, a log and what the partition knows of its
//! producers. Events go in ([`Shard::on`]); at the end of a turn ([`Shard::turn`]) effects come
//! out: one write for storage over all groups, frames for peers, jobs. Nothing here waits, reads
//! a clock or draws a random number, so the simulator runs the very same code.
//!
//! Life of a produce: `operation/append.rs` admits, stamps and proposes; `operation/collect.rs`
//! appends what Raft made of it to the log and to the turn; storage reports the turn durable;
//! Raft commits; the high watermark moves, and `append.rs` answers.
//! Life of a fetch: `operation/read.rs` plans from memory or files, or parks.

pub mod api;
mod calls;
mod caught_up;
mod controller;
mod coordinator;
mod inbox;
mod inspect;
mod kept;
mod led;
mod note;
mod operation;
mod peer;
mod peers_room;
mod producers;
mod recovery;
mod replica;
mod shard;
mod stats;
mod under_way;
mod unsettled;

pub use api::*;
pub use kept::kept_metadata;
pub use note::Note;
pub use operation::{Balancing, Checking};
pub use recovery::{Recovery, metadata_configuration, metadata_end};
pub use shard::Shard;
pub use stats::Stats;
