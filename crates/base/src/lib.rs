//! Floor 0: the words every room shares.
//!
//! Ids, time, limits, the view of a Kafka record batch, refusals, and the ports through which
//! the world is reached. Nothing here performs IO, reads a clock or draws a random number: the
//! ports are implemented by `os` (the real world) and by `sim` (the simulated one).

pub mod batch;
pub mod checksum;
pub mod configuration;
pub mod disk;
pub mod histogram;
pub mod ids;
pub mod limits;
pub mod machine;
pub mod probe;
pub mod random;
pub mod record;
pub mod refusal;
pub mod time;
pub mod varint;

pub use batch::{Batch, BatchHeader, Invalid};
pub use configuration::{Configuration, Member};
pub use disk::{Disk, File, Open};
pub use histogram::{Distribution, Histogram};
pub use ids::*;
pub use machine::{Decision, Machine};
pub use probe::{Bug, Mark, mark, planted};
pub use random::Random;
pub use refusal::Refusal;
pub use time::{Mono, Now, WallMs};
