//! The contract of every replicated state machine (metadata, groups, transactions, queues).
//!
//! The leader decides once (`handle`) and logs facts; every replica replays facts (`replay`).
//! `handle` takes `&self`, so a decision can't change anything that isn't in its records.

use crate::{Now, WallMs};
use bytes::Bytes;

/// What a command leads to: facts to log, and the answer once they are committed.
#[derive(Debug)]
pub struct Decision<A> {
    /// Encoded facts, in the machine's own frozen format; empty for a mere question.
    pub records: Vec<Bytes>,
    /// The answer, given when the records are committed.
    pub reply: A,
}

/// A pure machine. Its records, once released, replay for ever.
pub trait Machine {
    /// What it may be asked.
    type Command;
    /// What it answers.
    type Reply;

    /// Decides. Changes nothing.
    fn handle(&self, now: Now, command: Self::Command) -> Decision<Self::Reply>;

    /// Applies one fact. Total: a record it doesn't know is a newer one, and is kept out by the
    /// cluster's format version before it gets here; it is skipped, the same on every replica.
    fn replay(&mut self, record: &[u8]);

    /// The next moment at which it wants a command, and the command.
    fn due(&self) -> Option<(WallMs, Self::Command)>;
}
