//! Floor 1: the coordinator of consumer groups, a pure machine.
//!
//! One [`Groups`] is the state of one partition of `__consumer_offsets`: groups, members,
//! assignments, committed offsets. Its records are Kafka's own, byte for byte, so that whoever
//! reads that topic in Kafka reads it here. The partition's leader decides ([`Groups::handle`])
//! and every replica replays ([`Groups::replay`]).
//!
//! What only the leader knows lies in [`Soft`]: sessions, joins and syncs that wait for others,
//! timers. It is made by [`Groups::elected`] and thrown away when leadership ends; it may never
//! be needed to understand a record. Not here: topics (they come as [`Topics`]), authorisation,
//! the Kafka protocol, waiting for commits.

pub mod assign;
mod classic;
pub mod command;
mod config;
mod consumer;
mod context;
mod groups;
mod offsets;
pub mod record;
pub mod reply;
mod soft;

pub use command::{Client, Command};
pub use config::{Config, MigrationPolicy, Overrides};
pub use context::{Caller, Context, TopicFacts, Topics};
pub use groups::{Groups, refused};
pub use record::Record;
pub use reply::{Decision, GroupType, Reply};
pub use soft::Soft;
