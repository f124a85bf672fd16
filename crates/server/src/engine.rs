//! The threads around the shard: mailbox, turns, storage, readers.

pub mod mailbox;
pub mod queue;
pub mod readers;
pub mod storage;
pub mod turns;
