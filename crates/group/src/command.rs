//! What the coordinator may be asked. Plain data: a door has decoded it, checked who asks, and
//! filled in what older versions of its protocol don't say.

use base::Uuid;
use bytes::Bytes;
use std::sync::Arc;

/// Who a member is, as it appears in descriptions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Client {
    /// The client's own name for itself.
    pub id: String,
    /// Where it comes from, with a slash in front as Kafka writes it: `/127.0.0.1`.
    pub host: String,
}

/// A question or a change. All of one command's groups live in this coordinator's partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// A member joins, or joins anew. The answer waits for the other members.
    JoinGroup(JoinGroup),
    /// A member asks for its assignment; the leader brings everybody's.
    SyncGroup(SyncGroup),
    /// A member is alive.
    Heartbeat(Heartbeat),
    /// Members leave.
    LeaveGroup(LeaveGroup),
    /// Offsets are committed.
    OffsetCommit(OffsetCommit),
    /// Committed offsets are asked for.
    OffsetFetch(OffsetFetch),
    /// Committed offsets are deleted.
    OffsetDelete(OffsetDelete),
    /// Whole groups are deleted.
    DeleteGroups {
        /// Their names.
        groups: Vec<String>,
    },
    /// Classic groups are shown in full.
    DescribeGroups {
        /// Their names.
        groups: Vec<String>,
    },
    /// The groups of this coordinator are listed.
    ListGroups(ListGroups),
    /// A member of KIP-848 is alive, joins, changes or leaves.
    ConsumerHeartbeat(ConsumerHeartbeat),
    /// Groups of KIP-848 are shown in full.
    ConsumerDescribe {
        /// Their names.
        groups: Vec<String>,
    },
    /// Topics are gone: so are offsets committed for them. Answered with [`crate::Reply::Done`].
    TopicsDeleted {
        /// Their names and ids.
        topics: Vec<(String, Uuid)>,
    },
    /// Time has passed; see [`crate::Groups::due`]. Answered with [`crate::Reply::Done`].
    Tick,
}

/// A protocol that a member of a classic group offers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Protocol {
    /// Its name.
    pub name: String,
    /// What it needs to know of the member; opaque to the coordinator.
    pub metadata: Bytes,
}

/// See [`Command::JoinGroup`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinGroup {
    /// The group.
    pub group: String,
    /// The member; empty if it has no id yet.
    pub member: String,
    /// Its static name, if it has one.
    pub instance: Option<String>,
    /// Who it is.
    pub client: Client,
    /// How long it may be silent.
    pub session_timeout_ms: i32,
    /// How long a rebalance waits for it; the oldest versions mean their session time-out.
    pub rebalance_timeout_ms: i32,
    /// The kind of protocol, `consumer` for consumers.
    pub protocol_type: String,
    /// What it can do, what it likes best first.
    pub protocols: Vec<Protocol>,
    /// Why it joins, for the operator.
    pub reason: Option<String>,
    /// It comes again with the id that it is given before it is a member (from version 4 on).
    pub requires_known_id: bool,
    /// A static leader that comes again may be told not to assign (from version 9 on).
    pub can_skip_assignment: bool,
}

/// See [`Command::SyncGroup`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyncGroup {
    /// The group.
    pub group: String,
    /// The generation that the member was told.
    pub generation: i32,
    /// The member.
    pub member: String,
    /// Its static name, if it has one.
    pub instance: Option<String>,
    /// The kind of protocol, if the version says it.
    pub protocol_type: Option<String>,
    /// The protocol, if the version says it.
    pub protocol: Option<String>,
    /// The leader's assignments: member and what it gets.
    pub assignments: Vec<(String, Bytes)>,
}

/// See [`Command::Heartbeat`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heartbeat {
    /// The group.
    pub group: String,
    /// The generation that the member believes in.
    pub generation: i32,
    /// The member.
    pub member: String,
    /// Its static name, if it has one.
    pub instance: Option<String>,
}

/// See [`Command::LeaveGroup`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaveGroup {
    /// The group.
    pub group: String,
    /// Who leaves.
    pub members: Vec<Leaver>,
}

/// Who leaves: by member id, or an operator removes a static member by its instance.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Leaver {
    /// The member; empty if only the instance is named.
    pub member: String,
    /// The static name, if any.
    pub instance: Option<String>,
    /// Why, for the operator.
    pub reason: Option<String>,
}

/// See [`Command::OffsetCommit`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OffsetCommit {
    /// The group.
    pub group: String,
    /// The committing member; empty if the group isn't used for membership.
    pub member: String,
    /// Its static name, if it has one.
    pub instance: Option<String>,
    /// Its generation or, in a group of KIP-848, its epoch; negative without membership.
    pub generation_or_epoch: i32,
    /// How long the offsets stay (versions 2 to 4); `None`: as the configuration says.
    pub retention_ms: Option<i64>,
    /// The client's version can be told of a stale epoch (from version 9 on).
    pub knows_epochs: bool,
    /// What is committed. The door has checked that the topics exist.
    pub topics: Vec<CommitTopic>,
}

/// The offsets of one topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommitTopic {
    /// Its name.
    pub name: Arc<str>,
    /// Its id; zero if not known.
    pub id: Uuid,
    /// Its partitions.
    pub partitions: Vec<CommitPartition>,
}

/// The offset of one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommitPartition {
    /// The partition.
    pub partition: i32,
    /// The next offset to be read.
    pub offset: i64,
    /// The epoch of the last record read; -1 if not known.
    pub leader_epoch: i32,
    /// The committer's own words.
    pub metadata: Option<String>,
}

/// See [`Command::OffsetFetch`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OffsetFetch {
    /// The group.
    pub group: String,
    /// The member of KIP-848 that asks, if it says so.
    pub member: Option<String>,
    /// Its epoch; negative if it isn't a member.
    pub member_epoch: i32,
    /// The partitions asked for; `None` for all that were committed.
    pub topics: Option<Vec<FetchTopic>>,
    /// Offsets under a transaction's way aren't answered.
    pub require_stable: bool,
}

/// Partitions whose offsets are asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchTopic {
    /// The topic's name.
    pub name: Arc<str>,
    /// Its id; zero if not known.
    pub id: Uuid,
    /// The partitions.
    pub partitions: Vec<i32>,
}

/// See [`Command::OffsetDelete`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OffsetDelete {
    /// The group.
    pub group: String,
    /// The partitions whose offsets go. The door has checked that the topics exist.
    pub topics: Vec<(Arc<str>, Vec<i32>)>,
}

/// See [`Command::ListGroups`]. Filters are compared without regard to case, as in Kafka; an
/// empty filter lets everything through, a name that doesn't exist nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListGroups {
    /// Only groups in one of these states.
    pub states: Vec<String>,
    /// Only groups of one of these types.
    pub types: Vec<String>,
}

/// Partitions of a topic by its id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicPartitions {
    /// The topic.
    pub topic: Uuid,
    /// The partitions.
    pub partitions: Vec<i32>,
}

/// See [`Command::ConsumerHeartbeat`]. `None` says: as before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsumerHeartbeat {
    /// The group.
    pub group: String,
    /// The member; empty if it wants an id from the coordinator (version 0).
    pub member: String,
    /// Its epoch: 0 joins, -1 leaves, -2 leaves for a while (static members).
    pub epoch: i32,
    /// Its static name, if it has one.
    pub instance: Option<String>,
    /// Its rack.
    pub rack: Option<String>,
    /// Who it is.
    pub client: Client,
    /// How long a rebalance waits for it; -1: as before.
    pub rebalance_timeout_ms: i32,
    /// The topics that it wants by name.
    pub topics: Option<Vec<String>>,
    /// The topics that it wants by regular expression.
    pub regex: Option<String>,
    /// The assignor that it wants.
    pub assignor: Option<String>,
    /// What it holds now.
    pub owned: Option<Vec<TopicPartitions>>,
}
