//! Floor 5: whole clusters in one thread, with faults, checkers and replayable seeds.

mod book;
mod checkers;
mod client;
mod disk;
mod net;
mod payload;
mod scheduler;
