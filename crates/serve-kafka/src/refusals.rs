//! The one table from a [`Refusal`] to Kafka's error codes, and the few places where an API
//! wants another code because its clients would not understand the usual one.

use base::Refusal;

/// Kafka's error codes that this door answers with.
pub mod codes {
    #![allow(missing_docs)]
    pub const UNKNOWN_SERVER_ERROR: i16 = -1;
    pub const NONE: i16 = 0;
    pub const OFFSET_OUT_OF_RANGE: i16 = 1;
    pub const CORRUPT_MESSAGE: i16 = 2;
    pub const UNKNOWN_TOPIC_OR_PARTITION: i16 = 3;
    pub const LEADER_NOT_AVAILABLE: i16 = 5;
    pub const NOT_LEADER_OR_FOLLOWER: i16 = 6;
    pub const REQUEST_TIMED_OUT: i16 = 7;
    pub const MESSAGE_TOO_LARGE: i16 = 10;
    pub const OFFSET_METADATA_TOO_LARGE: i16 = 12;
    pub const COORDINATOR_LOAD_IN_PROGRESS: i16 = 14;
    pub const COORDINATOR_NOT_AVAILABLE: i16 = 15;
    pub const NOT_COORDINATOR: i16 = 16;
    pub const INVALID_TOPIC_EXCEPTION: i16 = 17;
    pub const NOT_ENOUGH_REPLICAS: i16 = 19;
    pub const NOT_ENOUGH_REPLICAS_AFTER_APPEND: i16 = 20;
    pub const INVALID_REQUIRED_ACKS: i16 = 21;
    pub const ILLEGAL_GENERATION: i16 = 22;
    pub const INCONSISTENT_GROUP_PROTOCOL: i16 = 23;
    pub const INVALID_GROUP_ID: i16 = 24;
    pub const UNKNOWN_MEMBER_ID: i16 = 25;
    pub const INVALID_SESSION_TIMEOUT: i16 = 26;
    pub const REBALANCE_IN_PROGRESS: i16 = 27;
    pub const INVALID_COMMIT_OFFSET_SIZE: i16 = 28;
    pub const TOPIC_AUTHORIZATION_FAILED: i16 = 29;
    pub const GROUP_AUTHORIZATION_FAILED: i16 = 30;
    pub const CLUSTER_AUTHORIZATION_FAILED: i16 = 31;
    pub const INVALID_TIMESTAMP: i16 = 32;
    pub const UNSUPPORTED_VERSION: i16 = 35;
    pub const TOPIC_ALREADY_EXISTS: i16 = 36;
    pub const INVALID_PARTITIONS: i16 = 37;
    pub const INVALID_REPLICATION_FACTOR: i16 = 38;
    pub const INVALID_REPLICA_ASSIGNMENT: i16 = 39;
    pub const INVALID_CONFIG: i16 = 40;
    pub const NOT_CONTROLLER: i16 = 41;
    pub const INVALID_REQUEST: i16 = 42;
    pub const UNSUPPORTED_FOR_MESSAGE_FORMAT: i16 = 43;
    pub const POLICY_VIOLATION: i16 = 44;
    pub const OUT_OF_ORDER_SEQUENCE_NUMBER: i16 = 45;
    pub const DUPLICATE_SEQUENCE_NUMBER: i16 = 46;
    pub const SECURITY_DISABLED: i16 = 54;
    pub const INVALID_PRODUCER_EPOCH: i16 = 47;
    pub const KAFKA_STORAGE_ERROR: i16 = 56;
    pub const UNKNOWN_PRODUCER_ID: i16 = 59;
    pub const DELEGATION_TOKEN_REQUEST_NOT_ALLOWED: i16 = 64;
    pub const NON_EMPTY_GROUP: i16 = 68;
    pub const GROUP_ID_NOT_FOUND: i16 = 69;
    pub const FETCH_SESSION_ID_NOT_FOUND: i16 = 70;
    pub const INVALID_FETCH_SESSION_EPOCH: i16 = 71;
    pub const FETCH_SESSION_TOPIC_ID_ERROR: i16 = 106;
    pub const TOPIC_DELETION_DISABLED: i16 = 73;
    pub const FENCED_LEADER_EPOCH: i16 = 74;
    pub const UNKNOWN_LEADER_EPOCH: i16 = 75;
    pub const UNSUPPORTED_COMPRESSION_TYPE: i16 = 76;
    pub const OFFSET_NOT_AVAILABLE: i16 = 78;
    pub const MEMBER_ID_REQUIRED: i16 = 79;
    pub const GROUP_MAX_SIZE_REACHED: i16 = 81;
    pub const FENCED_INSTANCE_ID: i16 = 82;
    pub const GROUP_SUBSCRIBED_TO_TOPIC: i16 = 86;
    pub const INVALID_RECORD: i16 = 87;
    pub const UNSTABLE_OFFSET_COMMIT: i16 = 88;
    pub const PREFERRED_LEADER_NOT_AVAILABLE: i16 = 80;
    pub const ELIGIBLE_LEADERS_NOT_AVAILABLE: i16 = 83;
    pub const ELECTION_NOT_NEEDED: i16 = 84;
    pub const NO_REASSIGNMENT_IN_PROGRESS: i16 = 85;
    pub const THROTTLING_QUOTA_EXCEEDED: i16 = 89;
    pub const RESOURCE_NOT_FOUND: i16 = 91;
    pub const INVALID_UPDATE_VERSION: i16 = 95;
    pub const BROKER_ID_NOT_REGISTERED: i16 = 102;
    pub const TRANSACTIONAL_ID_NOT_FOUND: i16 = 105;
    pub const UNKNOWN_SUBSCRIPTION_ID: i16 = 117;
    pub const TELEMETRY_TOO_LARGE: i16 = 118;
    pub const LOG_DIR_NOT_FOUND: i16 = 57;
    pub const UNKNOWN_TOPIC_ID: i16 = 100;
    pub const FENCED_MEMBER_EPOCH: i16 = 110;
    pub const UNRELEASED_INSTANCE_ID: i16 = 111;
    pub const UNSUPPORTED_ASSIGNOR: i16 = 112;
    pub const STALE_MEMBER_EPOCH: i16 = 113;
    pub const MISMATCHED_ENDPOINT_TYPE: i16 = 114;
    pub const UNSUPPORTED_ENDPOINT_TYPE: i16 = 115;
    pub const INVALID_REGULAR_EXPRESSION: i16 = 128;
}

use codes::*;

/// The code of a refusal.
pub fn code(refusal: &Refusal) -> i16 {
    match refusal {
        Refusal::UnknownTopic => UNKNOWN_TOPIC_OR_PARTITION,
        Refusal::UnknownTopicId => UNKNOWN_TOPIC_ID,
        Refusal::TopicExists(_) => TOPIC_ALREADY_EXISTS,
        Refusal::InvalidTopic(_) => INVALID_TOPIC_EXCEPTION,
        Refusal::InvalidPartitions(_) => INVALID_PARTITIONS,
        Refusal::InvalidReplicationFactor(_) => INVALID_REPLICATION_FACTOR,
        Refusal::InvalidReplicaAssignment(_) => INVALID_REPLICA_ASSIGNMENT,
        Refusal::InvalidConfig(_) => INVALID_CONFIG,
        Refusal::InvalidRequest(_) => INVALID_REQUEST,
        Refusal::NotLeader { .. } => NOT_LEADER_OR_FOLLOWER,
        Refusal::LeaderNotAvailable => LEADER_NOT_AVAILABLE,
        Refusal::FencedLeaderEpoch => FENCED_LEADER_EPOCH,
        Refusal::UnknownLeaderEpoch => UNKNOWN_LEADER_EPOCH,
        Refusal::OffsetOutOfRange => OFFSET_OUT_OF_RANGE,
        Refusal::OffsetNotAvailable => OFFSET_NOT_AVAILABLE,
        Refusal::CorruptMessage(_) => CORRUPT_MESSAGE,
        Refusal::InvalidRecord(_) => INVALID_RECORD,
        Refusal::MessageTooLarge { .. } => MESSAGE_TOO_LARGE,
        Refusal::InvalidTimestamp(_) => INVALID_TIMESTAMP,
        Refusal::UnsupportedForMessageFormat(_) => UNSUPPORTED_FOR_MESSAGE_FORMAT,
        Refusal::UnsupportedCompression(_) => UNSUPPORTED_COMPRESSION_TYPE,
        Refusal::InvalidRequiredAcks => INVALID_REQUIRED_ACKS,
        Refusal::OutOfOrderSequence(_) => OUT_OF_ORDER_SEQUENCE_NUMBER,
        Refusal::DuplicateSequence => DUPLICATE_SEQUENCE_NUMBER,
        Refusal::InvalidProducerEpoch { .. } => INVALID_PRODUCER_EPOCH,
        Refusal::UnknownProducer => UNKNOWN_PRODUCER_ID,
        Refusal::NotEnoughReplicas { .. } | Refusal::NoRoomElsewhere(_) => NOT_ENOUGH_REPLICAS,
        Refusal::NotEnoughReplicasAfterAppend { .. } => NOT_ENOUGH_REPLICAS_AFTER_APPEND,
        Refusal::Timeout | Refusal::Busy(_) => REQUEST_TIMED_OUT,
        Refusal::Storage(_) => KAFKA_STORAGE_ERROR,
        Refusal::Denied => TOPIC_AUTHORIZATION_FAILED,
        Refusal::NoController => NOT_CONTROLLER,
        Refusal::Policy(_) => POLICY_VIOLATION,
        Refusal::Unsupported(_) => UNSUPPORTED_VERSION,
        Refusal::CoordinatorNotAvailable(_) => COORDINATOR_NOT_AVAILABLE,
        Refusal::NotCoordinator => NOT_COORDINATOR,
        Refusal::CoordinatorLoading => COORDINATOR_LOAD_IN_PROGRESS,
        Refusal::IllegalGeneration => ILLEGAL_GENERATION,
        Refusal::RebalanceInProgress => REBALANCE_IN_PROGRESS,
        Refusal::InconsistentGroupProtocol => INCONSISTENT_GROUP_PROTOCOL,
        Refusal::InvalidSessionTimeout => INVALID_SESSION_TIMEOUT,
        Refusal::MemberIdRequired => MEMBER_ID_REQUIRED,
        Refusal::NonEmptyGroup => NON_EMPTY_GROUP,
        Refusal::InvalidGroupId => INVALID_GROUP_ID,
        Refusal::GroupSubscribedToTopic => GROUP_SUBSCRIBED_TO_TOPIC,
        Refusal::OffsetMetadataTooLarge => OFFSET_METADATA_TOO_LARGE,
        Refusal::InvalidCommitOffsetSize => INVALID_COMMIT_OFFSET_SIZE,
        Refusal::UnstableOffsetCommit => UNSTABLE_OFFSET_COMMIT,
        Refusal::UnknownMember(_) => UNKNOWN_MEMBER_ID,
        Refusal::FencedInstance(_) => FENCED_INSTANCE_ID,
        Refusal::GroupMaxSize(_) => GROUP_MAX_SIZE_REACHED,
        Refusal::GroupIdNotFound(_) => GROUP_ID_NOT_FOUND,
        Refusal::UnreleasedInstance(_) => UNRELEASED_INSTANCE_ID,
        Refusal::UnsupportedAssignor(_) => UNSUPPORTED_ASSIGNOR,
        Refusal::FencedMemberEpoch(_) => FENCED_MEMBER_EPOCH,
        Refusal::StaleMemberEpoch(_) => STALE_MEMBER_EPOCH,
        Refusal::InvalidRegularExpression(_) => INVALID_REGULAR_EXPRESSION,
        Refusal::Unexpected(_) => UNKNOWN_SERVER_ERROR,
        Refusal::UnknownNode(_) => BROKER_ID_NOT_REGISTERED,
        Refusal::ElectionNotNeeded(_) => ELECTION_NOT_NEEDED,
        Refusal::PreferredLeaderNotAvailable(_) => PREFERRED_LEADER_NOT_AVAILABLE,
        Refusal::EligibleLeadersNotAvailable(_) => ELIGIBLE_LEADERS_NOT_AVAILABLE,
        Refusal::QuotaExceeded(_) => THROTTLING_QUOTA_EXCEEDED,
        Refusal::NoReassignment => NO_REASSIGNMENT_IN_PROGRESS,
    }
}

/// The code in answers about partitions (produce, offsets, epochs): a partition without a leader
/// is answered as one led elsewhere, which makes every client look again.
pub fn partition_code(refusal: &Refusal) -> i16 {
    match refusal {
        Refusal::LeaderNotAvailable => NOT_LEADER_OR_FOLLOWER,
        _ => code(refusal),
    }
}

/// The code in a fetch answer. Consumers know a short list and stop at any other code, so what
/// passes by itself is given the code that makes them look up the leader and ask again; the
/// oldest versions don't know that code either.
pub fn fetch_code(refusal: &Refusal, version: i16) -> i16 {
    match refusal {
        Refusal::Timeout | Refusal::Busy(_) | Refusal::Storage(_) if version <= 5 => {
            NOT_LEADER_OR_FOLLOWER
        }
        Refusal::Timeout | Refusal::Busy(_) => KAFKA_STORAGE_ERROR,
        _ => partition_code(refusal),
    }
}

/// The code in an answer to a producer that asks for its id: what passes by itself is told as a
/// coordinator that is still loading, the only form that every producer tries again.
pub fn producer_id_code(refusal: &Refusal) -> i16 {
    match refusal {
        Refusal::Timeout | Refusal::Busy(_) | Refusal::NoController => COORDINATOR_LOAD_IN_PROGRESS,
        Refusal::Denied => CLUSTER_AUTHORIZATION_FAILED,
        _ => code(refusal),
    }
}

/// The text beside the code, where it says more than the code does.
pub fn message(refusal: &Refusal) -> Option<String> {
    match refusal {
        Refusal::UnknownTopic
        | Refusal::UnknownTopicId
        | Refusal::NotLeader { .. }
        | Refusal::LeaderNotAvailable
        | Refusal::FencedLeaderEpoch
        | Refusal::UnknownLeaderEpoch
        | Refusal::OffsetOutOfRange
        | Refusal::OffsetNotAvailable
        | Refusal::InvalidRequiredAcks
        | Refusal::DuplicateSequence
        | Refusal::UnknownProducer
        | Refusal::NotCoordinator
        | Refusal::CoordinatorLoading
        | Refusal::IllegalGeneration
        | Refusal::RebalanceInProgress
        | Refusal::InconsistentGroupProtocol
        | Refusal::InvalidSessionTimeout
        | Refusal::MemberIdRequired
        | Refusal::NonEmptyGroup
        | Refusal::InvalidGroupId
        | Refusal::GroupSubscribedToTopic
        | Refusal::OffsetMetadataTooLarge
        | Refusal::InvalidCommitOffsetSize
        | Refusal::UnstableOffsetCommit
        | Refusal::Denied => None,
        _ => Some(refusal.to_string()),
    }
}

#[cfg(test)]
mod tests;
