//! An expected "no". One enum for every door; each door has one table that maps it to its codes.
//! A refusal is an answer, not a failure: nothing is logged for it.

/// Why the broker did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No such topic or partition.
    #[error("this topic or partition does not exist")]
    UnknownTopic,
    /// No topic has this id.
    #[error("no topic has this id")]
    UnknownTopicId,
    /// The topic exists already.
    #[error("Topic '{0}' already exists.")]
    TopicExists(String),
    /// The name breaks the rules.
    #[error("{0}")]
    InvalidTopic(String),
    /// A number of partitions that can't be.
    #[error("{0}")]
    InvalidPartitions(String),
    /// More replicas than nodes, or none.
    #[error("{0}")]
    InvalidReplicationFactor(String),
    /// Replicas placed by hand that can't be.
    #[error("{0}")]
    InvalidReplicaAssignment(String),
    /// A configuration key or value that can't be.
    #[error("{0}")]
    InvalidConfig(String),
    /// A request whose fields contradict each other.
    #[error("{0}")]
    InvalidRequest(String),
    /// This node doesn't lead the partition; a hint if it knows who does.
    #[error("this node does not lead the partition")]
    NotLeader {
        /// The node that leads, and its term, if known.
        leader: Option<(crate::NodeId, crate::Term)>,
    },
    /// The partition has no leader now.
    #[error("the partition has no leader at the moment")]
    LeaderNotAvailable,
    /// The caller's leader epoch is older than ours.
    #[error("the leader epoch in the request is older than the current one")]
    FencedLeaderEpoch,
    /// The caller's leader epoch is newer than ours.
    #[error("the leader epoch in the request is newer than this node knows")]
    UnknownLeaderEpoch,
    /// The offset lies outside the log.
    #[error("the offset is outside the log")]
    OffsetOutOfRange,
    /// A new leader doesn't know its high watermark yet.
    #[error("the leader's high watermark is not known yet")]
    OffsetNotAvailable,
    /// The batch is broken.
    #[error("{0}")]
    CorruptMessage(String),
    /// The records break a rule (of the topic or of the format).
    #[error("{0}")]
    InvalidRecord(String),
    /// The batch is larger than the topic allows.
    #[error("the batch has {bytes} bytes, the topic allows {limit}")]
    MessageTooLarge {
        /// What came.
        bytes: u64,
        /// What may come.
        limit: u64,
    },
    /// A timestamp too far off.
    #[error("{0}")]
    InvalidTimestamp(String),
    /// Magic or compression this request version may not carry.
    #[error("{0}")]
    UnsupportedForMessageFormat(String),
    /// An unknown compression type.
    #[error("{0}")]
    UnsupportedCompression(String),
    /// `acks` other than -1, 0, 1.
    #[error("acks must be -1, 0 or 1")]
    InvalidRequiredAcks,
    /// Sequence numbers with a hole.
    #[error("{0}")]
    OutOfOrderSequence(String),
    /// A sequence number older than the remembered batches.
    #[error("a duplicate older than the batches remembered for this producer")]
    DuplicateSequence,
    /// A producer epoch older than the current one.
    #[error("the producer's epoch {epoch} is older than {current}")]
    InvalidProducerEpoch {
        /// What came.
        epoch: i16,
        /// What the partition knows.
        current: i16,
    },
    /// The partition doesn't know this producer.
    #[error("the partition does not know this producer")]
    UnknownProducer,
    /// Fewer durable copies than `min.insync.replicas` can be had.
    #[error("fewer than {min} replicas are in sync")]
    NotEnoughReplicas {
        /// `min.insync.replicas` of the topic.
        min: u32,
    },
    /// Appended here, but not enough copies in time.
    #[error("written, but not by {min} replicas")]
    NotEnoughReplicasAfterAppend {
        /// `min.insync.replicas` of the topic.
        min: u32,
    },
    /// Too few nodes of a partition's replicas have room for more records.
    #[error("{0}")]
    NoRoomElsewhere(String),
    /// Not done in the time given.
    #[error("not done within the time that the request gave")]
    Timeout,
    /// The disk can't take it now.
    #[error("{0}")]
    Storage(String),
    /// The caller may not.
    #[error("not authorised")]
    Denied,
    /// No controller now.
    #[error("the cluster has no controller at the moment")]
    NoController,
    /// Too much in flight; come again.
    #[error("{0}")]
    Busy(String),
    /// A policy of the operator forbids it.
    #[error("{0}")]
    Policy(String),
    /// This version or feature is not served.
    #[error("{0}")]
    Unsupported(String),
    /// This transactional feature needs a coordinator which this build doesn't have.
    #[error("{0}")]
    CoordinatorNotAvailable(String),
    /// This node doesn't lead the partition that keeps the group.
    #[error("this node is not the group's coordinator")]
    NotCoordinator,
    /// The coordinator still reads its log.
    #[error("the coordinator is still loading")]
    CoordinatorLoading,
    /// The caller speaks of another generation of its group.
    #[error("the generation is not the group's current one")]
    IllegalGeneration,
    /// The group gathers its members again; the caller has to join.
    #[error("the group is rebalancing, so a rejoin is needed")]
    RebalanceInProgress,
    /// The member's protocols share nothing with those of the group.
    #[error("the member's protocols are not compatible with the group's")]
    InconsistentGroupProtocol,
    /// A session time-out outside of what the coordinator takes.
    #[error("the session time-out is outside of the allowed range")]
    InvalidSessionTimeout,
    /// The member has to come again with the id that it was just given.
    #[error("the member has to join again with the id that it was given")]
    MemberIdRequired,
    /// Only a group without members can be deleted.
    #[error("the group is not empty")]
    NonEmptyGroup,
    /// No group can have this name.
    #[error("the group id is invalid")]
    InvalidGroupId,
    /// Offsets of a topic that the group consumes stay.
    #[error("the group is subscribed to the topic")]
    GroupSubscribedToTopic,
    /// The string beside an offset is too long.
    #[error("the metadata of the offset is too long")]
    OffsetMetadataTooLarge,
    /// The committed offsets don't fit a batch.
    #[error("the committed offsets do not fit a batch")]
    InvalidCommitOffsetSize,
    /// A transaction that is under way has committed an offset here.
    #[error("a transaction that is under way commits offsets here")]
    UnstableOffsetCommit,
    /// The group has no such member.
    #[error("{0}")]
    UnknownMember(String),
    /// Another member has taken over this static instance.
    #[error("{0}")]
    FencedInstance(String),
    /// The group has as many members as it may.
    #[error("{0}")]
    GroupMaxSize(String),
    /// There is no such group.
    #[error("{0}")]
    GroupIdNotFound(String),
    /// The static instance is still held by another member.
    #[error("{0}")]
    UnreleasedInstance(String),
    /// No assignor of this name.
    #[error("{0}")]
    UnsupportedAssignor(String),
    /// The member's epoch is one that the group never gave or has taken back: join anew.
    #[error("{0}")]
    FencedMemberEpoch(String),
    /// The member's epoch is older than the one that it was given.
    #[error("{0}")]
    StaleMemberEpoch(String),
    /// Not a regular expression.
    #[error("{0}")]
    InvalidRegularExpression(String),
    /// No node of this number.
    #[error("{0}")]
    UnknownNode(String),
    /// The leader is already the one that an election would make.
    #[error("{0}")]
    ElectionNotNeeded(String),
    /// The replica that should lead can't.
    #[error("{0}")]
    PreferredLeaderNotAvailable(String),
    /// No replica that has everything can lead.
    #[error("{0}")]
    EligibleLeadersNotAvailable(String),
    /// More than a quota allows.
    #[error("{0}")]
    QuotaExceeded(String),
    /// Nothing is being reassigned that could be left as it was.
    #[error("No partition reassignment is in progress.")]
    NoReassignment,
    /// What no other refusal says; Kafka's unknown server error.
    #[error("{0}")]
    Unexpected(String),
}

impl Refusal {
    /// In the words of Kafka's controller.
    pub fn election_not_needed() -> Refusal {
        Refusal::ElectionNotNeeded("Leader election not needed for topic partition.".to_owned())
    }
}
