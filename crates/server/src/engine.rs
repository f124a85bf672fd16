//! The threads around the shard: mailbox, turns, storage, readers.

mod bell;
mod late;
pub mod mailbox;
mod once;
pub mod queue;
pub mod readers;
pub mod storage;
pub mod turns;
