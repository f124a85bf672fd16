//! Floor 5: whole clusters in one thread, with faults, checkers and replayable seeds.

mod disk;
mod net;
mod scheduler;
