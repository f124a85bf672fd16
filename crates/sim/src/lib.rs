//! Floor 5: whole clusters in one thread, with faults, checkers and replayable seeds.

mod checkers;
mod disk;
mod net;
mod payload;
mod scheduler;
