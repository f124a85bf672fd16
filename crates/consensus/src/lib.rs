//! Floor 1: one Raft group, sans-IO, and the frames between nodes.
