//! Floor 4: the Kafka door: a connection as a sync step machine and one file per API.
//!
//! [`Connection`] is given bytes, replies and time, and gives back bytes, cold reads and its own
//! end. It holds the state of one connection and nothing else: no topics, no offsets, no groups.
//! Whoever drives it (the server over sockets, the simulator over its network) calls it in turn
//! and carries out what [`Connection::take`] returns.

mod answers;
mod cold;
mod connection;
mod counters;
mod described;
mod handlers;
mod hints;
mod message_set;
mod presence;
mod recompress;
pub mod refusals;
mod sessions;
mod settle;
pub mod telemetry;
pub mod validate;

#[cfg(test)]
mod testing;

pub use answers::ANSWER_BYTES_MAX;
pub use cold::{CODEC, ColdOutcome, ColdRead};
pub use connection::{Close, Connection, Out};
pub use counters::{ApiCount, Counters};
pub use handlers::versions;
