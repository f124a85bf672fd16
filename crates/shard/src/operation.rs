//! What happens to replicas, one file for each operation. All are methods of [`crate::Shard`].

mod append;
mod balance;
mod catch_up;
mod collect;
mod compact;
mod coordinate;
mod elect;
mod follow;
mod hold;
mod import;
mod lend;
mod lifecycle;
mod load;
mod offsets;
mod peers;
mod prefer;
mod read;
mod reconfigure;
mod rest;
mod retain;
mod snapshot;
mod stamps;
mod start;
mod suspect;

pub(crate) use balance::Balance;
pub use balance::Balancing;
pub(crate) use catch_up::ColdRequest;
pub(crate) use collect::InFlight;
pub(crate) use compact::Compactions;
pub(crate) use hold::Held;
pub(crate) use import::Imports;
pub(crate) use lend::Lent;
pub(crate) use peers::Peer;
pub(crate) use prefer::Preference;
pub(crate) use read::Park;
pub(crate) use retain::Round;
