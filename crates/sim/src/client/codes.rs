//! The error codes that a client of a cluster with faults may be answered, and what they mean to
//! it. Any other code is a finding.

/// No error.
pub(crate) const NONE: i16 = 0;
/// Replicas on nodes that can't be.
pub(crate) const INVALID_REPLICA_ASSIGNMENT: i16 = 39;
/// No replica is left that could lead.
pub(crate) const NO_ELIGIBLE_LEADER: i16 = 83;
/// There is a leader, or a majority that can elect one.
pub(crate) const ELECTION_NOT_NEEDED: i16 = 84;
/// A batch before this one isn't there.
pub(crate) const OUT_OF_ORDER: i16 = 45;
/// Nothing is on its way that could be taken back.
pub(crate) const NO_REASSIGNMENT: i16 = 85;
/// The offset lies outside the log.
pub(crate) const OFFSET_OUT_OF_RANGE: i16 = 1;
/// The duplicate is older than the batches remembered.
pub(crate) const DUPLICATE_SEQUENCE: i16 = 46;
/// A topic of this name exists: an answer that was lost said so first.
pub(crate) const TOPIC_EXISTS: i16 = 36;
/// No such topic.
pub(crate) const UNKNOWN_TOPIC: i16 = 3;
/// The coordinator reads its log.
pub(crate) const COORDINATOR_LOADING: i16 = 14;
/// Nobody coordinates the group now.
pub(crate) const COORDINATOR_NOT_AVAILABLE: i16 = 15;
/// Somebody else coordinates the group.
pub(crate) const NOT_COORDINATOR: i16 = 16;
/// The group doesn't know the member.
pub(crate) const UNKNOWN_MEMBER: i16 = 25;
/// The member has to come again with the id that it was given.
pub(crate) const MEMBER_ID_REQUIRED: i16 = 79;
/// The member's epoch was taken back.
pub(crate) const FENCED_MEMBER_EPOCH: i16 = 110;

/// True for what a member is told whose group has moved on.
pub(crate) fn of_members(code: i16) -> bool {
    matches!(
        code,
        22 // illegal generation
            | UNKNOWN_MEMBER
            | 27 // rebalance in progress
            | FENCED_MEMBER_EPOCH
            | 113 // stale member epoch
    )
}

/// No such topic id.
pub(crate) const UNKNOWN_TOPIC_ID: i16 = 100;
/// BROKER_ID_NOT_REGISTERED
pub(crate) const NODE_NOT_REGISTERED: i16 = 102;

/// True for what goes away by itself or by asking another node.
pub(crate) fn retriable(code: i16) -> bool {
    matches!(
        code,
        UNKNOWN_TOPIC
            | 5 // leader not available
            | 6 // not leader or follower
            | 7 // request timed out
            | 8 // broker not available
            | 13 // network exception
            | COORDINATOR_LOADING
            | COORDINATOR_NOT_AVAILABLE
            | NOT_COORDINATOR
            | 19 // not enough replicas
            | 20 // not enough replicas after append
            | 41 // not controller
            | OUT_OF_ORDER // out of order sequence: an earlier batch wasn't appended
            | 56 // storage error
            | 74 // fenced leader epoch
            | 75 // unknown leader epoch
            | 78 // offset not available
            | 89 // throttled
            | UNKNOWN_TOPIC_ID
    )
}
