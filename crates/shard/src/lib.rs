//! Floor 2: one core's loop: replicas made of Raft, log and machines; events in, effects out.
