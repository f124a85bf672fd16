//! Floor 1: segments, block index, shared write-ahead log, checkpoints, recovery, read plans.
