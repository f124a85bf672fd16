//! What the coordinator answers. A refusal inside an answer belongs to that part alone.

use crate::command::TopicPartitions;
use crate::{Caller, Record};
use base::{Refusal, Uuid};
use bytes::Bytes;
use std::fmt;
use std::sync::Arc;

/// What a command leads to: facts to log, and answers - also to those that waited for it. All
/// answers wait until every fact logged so far is committed.
#[derive(Debug, Default)]
pub struct Decision {
    /// One batch.
    pub records: Vec<Record>,
    /// Who is answered what. A caller that isn't in here waits.
    pub replies: Vec<(Caller, Reply)>,
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// To a join.
    JoinGroup(Join),
    /// To a sync.
    SyncGroup(Result<Synced, Refusal>),
    /// To a heartbeat of a classic member.
    Heartbeat(Result<(), Refusal>),
    /// To a leave: one part per leaver, in order.
    LeaveGroup(Result<Vec<Left>, Refusal>),
    /// To a commit: one part per topic, in order.
    OffsetCommit(Result<Vec<CommittedTopic>, Refusal>),
    /// To a fetch of offsets.
    OffsetFetch(Result<Vec<FetchedTopic>, Refusal>),
    /// To a deletion of offsets: one part per topic and partition, in order.
    OffsetDelete(Result<Vec<DeletedTopic>, Refusal>),
    /// To a deletion of groups: one part per group, in order.
    DeleteGroups(Vec<(String, Result<(), Refusal>)>),
    /// To a description of classic groups: one part per group, in order.
    DescribeGroups(Vec<(String, Result<Described, Refusal>)>),
    /// To a listing.
    ListGroups(Vec<Listed>),
    /// To a heartbeat of a member of KIP-848.
    ConsumerHeartbeat(Result<ConsumerBeat, Refusal>),
    /// To a description of groups of KIP-848: one part per group, in order.
    ConsumerDescribe(Vec<(String, Result<ConsumerDescribed, Refusal>)>),
    /// To what has no answer of its own.
    Done,
}

/// How a join ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Join {
    /// The member's id: given with [`Refusal::MemberIdRequired`] too, empty if there is none.
    pub member: String,
    /// What came of it.
    pub outcome: Result<Joined, Refusal>,
}

/// A generation that has begun.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Joined {
    /// Its number.
    pub generation: i32,
    /// The kind of protocol.
    pub protocol_type: Option<String>,
    /// The protocol that was chosen.
    pub protocol: Option<String>,
    /// The member that assigns.
    pub leader: String,
    /// The leader is to keep the assignment that is there.
    pub skip_assignment: bool,
    /// To the leader: all members.
    pub members: Vec<JoinedMember>,
}

/// A member as the leader sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinedMember {
    /// Its id.
    pub member: String,
    /// Its static name, if any.
    pub instance: Option<String>,
    /// What the chosen protocol needs to know of it.
    pub metadata: Bytes,
}

/// An assignment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Synced {
    /// The kind of protocol.
    pub protocol_type: Option<String>,
    /// The protocol.
    pub protocol: Option<String>,
    /// What the member gets.
    pub assignment: Bytes,
}

/// How it went for one leaver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Left {
    /// The member as it was named.
    pub member: String,
    /// The instance as it was named.
    pub instance: Option<String>,
    /// What came of it.
    pub outcome: Result<(), Refusal>,
}

/// How it went for one topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommittedTopic {
    /// Its name.
    pub name: Arc<str>,
    /// Its id, as it was given.
    pub id: Uuid,
    /// Partitions in the order of the request.
    pub partitions: Vec<(i32, Result<(), Refusal>)>,
}

/// The offsets of a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchedTopic {
    /// Its name.
    pub name: Arc<str>,
    /// Its id, as it was given; zero if all topics were asked for.
    pub id: Uuid,
    /// Partitions in the order of the request.
    pub partitions: Vec<FetchedPartition>,
}

/// The offset of a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchedPartition {
    /// The partition.
    pub partition: i32,
    /// Its offset; `Ok(None)` if none was committed.
    pub offset: Result<Option<Fetched>, Refusal>,
}

/// A committed offset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// The next offset to be read.
    pub offset: i64,
    /// The epoch of the last record read; -1 if not known.
    pub leader_epoch: i32,
    /// The committer's own words.
    pub metadata: Arc<str>,
}

/// How the deletion went for one topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeletedTopic {
    /// Its name.
    pub name: Arc<str>,
    /// Partitions in the order of the request.
    pub partitions: Vec<(i32, Result<(), Refusal>)>,
}

/// A classic group in full.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Described {
    /// Its state by Kafka's name.
    pub state: &'static str,
    /// The kind of protocol.
    pub protocol_type: String,
    /// The chosen protocol, while the group is stable.
    pub protocol: String,
    /// Its members.
    pub members: Vec<DescribedMember>,
}

/// A classic member in full.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescribedMember {
    /// Its id.
    pub member: String,
    /// Its static name, if any.
    pub instance: Option<String>,
    /// The client's name for itself.
    pub client_id: String,
    /// Where it comes from.
    pub client_host: String,
    /// What the chosen protocol needs to know of it.
    pub metadata: Bytes,
    /// What it was assigned.
    pub assignment: Bytes,
}

/// The kinds of groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum GroupType {
    /// The protocol of JoinGroup and SyncGroup.
    Classic,
    /// KIP-848.
    Consumer,
}

impl GroupType {
    /// Its name in Kafka.
    pub fn name(self) -> &'static str {
        match self {
            GroupType::Classic => "classic",
            GroupType::Consumer => "consumer",
        }
    }
}

impl fmt::Display for GroupType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A group in a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its name.
    pub group: String,
    /// The kind of protocol.
    pub protocol_type: String,
    /// Its state by Kafka's name.
    pub state: &'static str,
    /// Its kind.
    pub group_type: GroupType,
}

/// What a member of KIP-848 is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsumerBeat {
    /// Its id.
    pub member: String,
    /// Its epoch.
    pub epoch: i32,
    /// When to come again.
    pub heartbeat_interval_ms: i32,
    /// What it may hold from now on; `None`: as before.
    pub assignment: Option<Vec<TopicPartitions>>,
}

/// A group of KIP-848 in full.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConsumerDescribed {
    /// Its state by Kafka's name.
    pub state: &'static str,
    /// Its epoch.
    pub epoch: i32,
    /// The epoch of its target assignment.
    pub assignment_epoch: i32,
    /// The assignor in use.
    pub assignor: String,
    /// Its members.
    pub members: Vec<ConsumerDescribedMember>,
}

/// A member of KIP-848 in full.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsumerDescribedMember {
    /// Its id.
    pub member: String,
    /// Its static name, if any.
    pub instance: Option<String>,
    /// Its rack, if it says.
    pub rack: Option<String>,
    /// Its epoch.
    pub epoch: i32,
    /// The client's name for itself.
    pub client_id: String,
    /// Where it comes from.
    pub client_host: String,
    /// The topics that it wants by name.
    pub topics: Vec<String>,
    /// The topics that it wants by regular expression.
    pub regex: Option<String>,
    /// What it holds.
    pub assignment: Vec<NamedPartitions>,
    /// What it is to hold.
    pub target: Vec<NamedPartitions>,
    /// It speaks the classic protocol in a consumer group.
    pub classic: bool,
}

/// Partitions of a topic by id and name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedPartitions {
    /// The topic's id.
    pub id: Uuid,
    /// Its name.
    pub name: String,
    /// The partitions.
    pub partitions: Vec<i32>,
}
