//! Floor 5: whole clusters in one thread, with faults, checkers and replayable seeds.
//!
//! A run builds nodes out of the very parts that ship (shard, storage, broker, the Kafka door),
//! gives them a simulated disk, network and clock, lets simulated Kafka clients work on them
//! while faults happen, and holds everything that was answered against what is on the disks in
//! the end. A run is a function of its seed. `docs/testing.md` tells how to use it.

mod book;
mod checkers;
mod client;
mod disk;
mod net;
mod node;
mod payload;
mod plan;
mod run;
pub mod runner;
mod scheduler;
mod trace;
mod world;

pub use checkers::Violation;
pub use run::{Run, catch_panics, describe, run};
pub use world::{Outcome, Tally};
