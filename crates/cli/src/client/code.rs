//! Kafka's error codes, as far as a client meets them: name, whether another attempt helps, and
//! what a person can do.

use std::fmt;

/// An error code of an answer. 0 is success.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Code(pub i16);

struct Known {
    code: i16,
    name: &'static str,
    retriable: bool,
    remedy: &'static str,
}

const fn known(code: i16, name: &'static str, retriable: bool, remedy: &'static str) -> Known {
    Known {
        code,
        name,
        retriable,
        remedy,
    }
}

const CODES: &[Known] = &[
    known(-1, "UNKNOWN_SERVER_ERROR", false, "look at the node's log"),
    known(
        1,
        "OFFSET_OUT_OF_RANGE",
        false,
        "begin with --from earliest or --from latest",
    ),
    known(2, "CORRUPT_MESSAGE", true, ""),
    known(
        3,
        "UNKNOWN_TOPIC_OR_PARTITION",
        true,
        "see `flotilla topic list`, or make it with `flotilla topic create`",
    ),
    known(
        5,
        "LEADER_NOT_AVAILABLE",
        true,
        "check that a majority of the nodes runs",
    ),
    known(
        6,
        "NOT_LEADER_OR_FOLLOWER",
        true,
        "see with `flotilla cluster health` whether the partition has a leader",
    ),
    known(
        7,
        "REQUEST_TIMED_OUT",
        true,
        "check that a majority of the nodes runs",
    ),
    known(
        9,
        "REPLICA_NOT_AVAILABLE",
        true,
        "see with `flotilla cluster health` which nodes are silent",
    ),
    known(
        10,
        "MESSAGE_TOO_LARGE",
        false,
        "send smaller batches (--batch-bytes) or raise max.message.bytes of the topic",
    ),
    known(13, "NETWORK_EXCEPTION", true, ""),
    known(
        12,
        "OFFSET_METADATA_TOO_LARGE",
        false,
        "raise offset.metadata.max.bytes of the nodes",
    ),
    known(14, "COORDINATOR_LOAD_IN_PROGRESS", true, ""),
    known(
        15,
        "COORDINATOR_NOT_AVAILABLE",
        true,
        "check that a majority of the nodes runs",
    ),
    known(16, "NOT_COORDINATOR", true, ""),
    known(
        17,
        "INVALID_TOPIC_EXCEPTION",
        false,
        "use 1 to 249 of the characters a-z A-Z 0-9 . _ -",
    ),
    known(
        19,
        "NOT_ENOUGH_REPLICAS",
        true,
        "start the missing nodes, or lower min.insync.replicas of the topic",
    ),
    known(
        20,
        "NOT_ENOUGH_REPLICAS_AFTER_APPEND",
        true,
        "start the missing nodes",
    ),
    known(22, "ILLEGAL_GENERATION", false, "run the command again"),
    known(
        23,
        "INCONSISTENT_GROUP_PROTOCOL",
        false,
        "use another group: this one's members share work in a way that this tool doesn't know",
    ),
    known(24, "INVALID_GROUP_ID", false, "choose another name"),
    known(
        25,
        "UNKNOWN_MEMBER_ID",
        false,
        "stop the group's members first, see `flotilla group members`",
    ),
    known(26, "INVALID_SESSION_TIMEOUT", false, ""),
    known(27, "REBALANCE_IN_PROGRESS", false, "run the command again"),
    known(29, "TOPIC_AUTHORIZATION_FAILED", false, ""),
    known(30, "GROUP_AUTHORIZATION_FAILED", false, ""),
    known(31, "CLUSTER_AUTHORIZATION_FAILED", false, ""),
    known(
        32,
        "INVALID_TIMESTAMP",
        false,
        "give times within message.timestamp.before.max.ms and message.timestamp.after.max.ms of the topic",
    ),
    known(
        35,
        "UNSUPPORTED_VERSION",
        false,
        "use a tool of the cluster's version",
    ),
    known(
        36,
        "TOPIC_ALREADY_EXISTS",
        false,
        "choose another name or add --if-not-exists",
    ),
    known(
        37,
        "INVALID_PARTITIONS",
        false,
        "ask for another number of --partitions",
    ),
    known(
        38,
        "INVALID_REPLICATION_FACTOR",
        false,
        "ask for at most as many --replicas as there are nodes",
    ),
    known(39, "INVALID_REPLICA_ASSIGNMENT", false, ""),
    known(
        40,
        "INVALID_CONFIG",
        false,
        "correct the key or value named; see `flotilla config reference`",
    ),
    known(41, "NOT_CONTROLLER", true, ""),
    known(42, "INVALID_REQUEST", false, ""),
    known(43, "UNSUPPORTED_FOR_MESSAGE_FORMAT", false, ""),
    known(44, "POLICY_VIOLATION", false, ""),
    known(
        45,
        "OUT_OF_ORDER_SEQUENCE_NUMBER",
        false,
        "run the command again; some records may be there already",
    ),
    known(46, "DUPLICATE_SEQUENCE_NUMBER", false, ""),
    known(
        47,
        "INVALID_PRODUCER_EPOCH",
        false,
        "run the command again; some records may be there already",
    ),
    known(
        56,
        "KAFKA_STORAGE_ERROR",
        true,
        "look at the node's log and at the room on its disk",
    ),
    known(
        59,
        "UNKNOWN_PRODUCER_ID",
        false,
        "run the command again; some records may be there already",
    ),
    known(
        68,
        "NON_EMPTY_GROUP",
        false,
        "stop its members first, see `flotilla group members`",
    ),
    known(69, "GROUP_ID_NOT_FOUND", false, "see `flotilla group list`"),
    known(
        73,
        "TOPIC_DELETION_DISABLED",
        false,
        "set delete.topic.enable=true on the nodes",
    ),
    known(74, "FENCED_LEADER_EPOCH", true, ""),
    known(75, "UNKNOWN_LEADER_EPOCH", true, ""),
    known(
        76,
        "UNSUPPORTED_COMPRESSION_TYPE",
        false,
        "choose another --compression",
    ),
    known(78, "OFFSET_NOT_AVAILABLE", true, ""),
    known(79, "MEMBER_ID_REQUIRED", false, ""),
    known(
        81,
        "GROUP_MAX_SIZE_REACHED",
        false,
        "raise group.max.size of the nodes",
    ),
    known(
        82,
        "FENCED_INSTANCE_ID",
        false,
        "another member has come under this name: choose another --group-instance-id",
    ),
    known(
        86,
        "GROUP_SUBSCRIBED_TO_TOPIC",
        false,
        "stop the members that read it first, see `flotilla group members`",
    ),
    known(
        85,
        "NO_REASSIGNMENT_IN_PROGRESS",
        false,
        "see what moves with `flotilla cluster reassign`",
    ),
    known(87, "INVALID_RECORD", false, ""),
    known(89, "THROTTLING_QUOTA_EXCEEDED", true, ""),
    known(100, "UNKNOWN_TOPIC_ID", true, ""),
    known(
        102,
        "BROKER_ID_NOT_REGISTERED",
        false,
        "see `flotilla cluster nodes`",
    ),
    known(103, "INCONSISTENT_TOPIC_ID", true, ""),
    known(110, "FENCED_MEMBER_EPOCH", false, "run the command again"),
    known(
        111,
        "UNRELEASED_INSTANCE_ID",
        false,
        "stop the member of this name first, or choose another --group-instance-id",
    ),
    known(112, "UNSUPPORTED_ASSIGNOR", false, ""),
    known(113, "STALE_MEMBER_EPOCH", false, "run the command again"),
];

impl Code {
    /// Success.
    pub const NONE: Code = Code(0);
    /// The partition doesn't have the offset.
    pub const OFFSET_OUT_OF_RANGE: Code = Code(1);
    /// The topic or partition isn't there.
    pub const UNKNOWN_TOPIC_OR_PARTITION: Code = Code(3);
    /// There is no such node.
    pub const BROKER_ID_NOT_REGISTERED: Code = Code(102);
    /// As many partitions as that can't be.
    pub const INVALID_PARTITIONS: Code = Code(37);
    /// The coordinator is being made or looked for.
    pub const COORDINATOR_NOT_AVAILABLE: Code = Code(15);
    /// The member belongs to an older generation.
    pub const ILLEGAL_GENERATION: Code = Code(22);
    /// There is no such member, or none any more.
    pub const UNKNOWN_MEMBER_ID: Code = Code(25);
    /// The group shares its work anew.
    pub const REBALANCE_IN_PROGRESS: Code = Code(27);
    /// Something doesn't allow it.
    pub const POLICY_VIOLATION: Code = Code(44);
    /// There is no such group.
    pub const GROUP_ID_NOT_FOUND: Code = Code(69);
    /// A member is to join again under the id that it was given.
    pub const MEMBER_ID_REQUIRED: Code = Code(79);
    /// A topic of this name is there.
    pub const TOPIC_ALREADY_EXISTS: Code = Code(36);
    /// Nothing moves that could be taken back.
    pub const NO_REASSIGNMENT_IN_PROGRESS: Code = Code(85);
    /// It wasn't done in time, and may be done later.
    pub const REQUEST_TIMED_OUT: Code = Code(7);
    /// A partition has no leader.
    pub const LEADER_NOT_AVAILABLE: Code = Code(5);
    /// The version isn't spoken.
    pub const UNSUPPORTED_VERSION: Code = Code(35);
    /// The member of this epoch is out: its partitions aren't its own any more.
    pub const FENCED_MEMBER_EPOCH: Code = Code(110);
    /// The member has a newer epoch.
    pub const STALE_MEMBER_EPOCH: Code = Code(113);
    /// The batch is in the log already.
    pub const DUPLICATE_SEQUENCE_NUMBER: Code = Code(46);

    fn known(self) -> Option<&'static Known> {
        CODES.iter().find(|known| known.code == self.0)
    }

    /// True for success.
    pub fn is_ok(self) -> bool {
        self == Code::NONE
    }

    /// True if the same call may succeed later or elsewhere.
    pub fn is_retriable(self) -> bool {
        self.known().is_some_and(|known| known.retriable)
    }

    /// True if the coordinator is to be looked for, or waited for.
    pub fn is_of_coordinator(self) -> bool {
        matches!(self.0, 14..=16)
    }

    /// What a person can do.
    pub fn remedy(self) -> Option<&'static str> {
        self.known()
            .map(|known| known.remedy)
            .filter(|remedy| !remedy.is_empty())
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.known() {
            Some(known) => f.write_str(known.name),
            None => write!(f, "error code {}", self.0),
        }
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Code({}, {self})", self.0)
    }
}
