//! What the controller may be asked, and what it answers.

use crate::{
    ConfigChange, Home, Level, Levels, MorePartitions, NodeInfo, QuotaChange, Reassignment,
};
use base::{GroupId, Member, NodeId, ProducerId, RaftIndex, Refusal, Term, Uuid, WallMs};
use std::collections::BTreeMap;

/// A change or a question for the controller. Random values were chosen by the caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Make topics; answered with [`Reply::TopicsCreated`], in order.
    CreateTopics {
        /// The topics.
        topics: Vec<NewTopic>,
        /// Decide and answer, but change nothing.
        validate_only: bool,
    },
    /// Delete topics; answered with [`Reply::TopicsDeleted`], in order.
    DeleteTopics {
        /// By name or id.
        topics: Vec<TopicRef>,
    },
    /// A node says how it is reached; answered with [`Reply::Done`].
    RegisterNode {
        /// The node.
        node: NodeId,
        /// How it is reached.
        info: NodeInfo,
    },
    /// A block of producer ids; answered with [`Reply::ProducerIds`].
    AllocateProducerIds {
        /// How many.
        count: u32,
    },
    /// Change configurations; answered with [`Reply::Each`], in order.
    AlterConfigs {
        /// The changes.
        changes: Vec<ConfigChange>,
        /// Decide and answer, but change nothing.
        validate_only: bool,
    },
    /// Add partitions to topics; answered with [`Reply::Each`], in order.
    AddPartitions {
        /// The topics.
        topics: Vec<MorePartitions>,
        /// Decide and answer, but change nothing.
        validate_only: bool,
    },
    /// Change quotas; answered with [`Reply::Each`], in order.
    AlterQuotas {
        /// The changes.
        changes: Vec<QuotaChange>,
        /// Decide and answer, but change nothing.
        validate_only: bool,
    },
    /// Forget a node; answered with [`Reply::Each`].
    UnregisterNode {
        /// The node.
        node: NodeId,
        /// Which of those that lived under its number is meant, see [`crate::Image::last_of`].
        generation: Option<u32>,
    },
    /// Give partitions other replicas, or let them keep those that they had; answered with
    /// [`Reply::Each`], in order, as soon as that is on record. The groups do it in their own time.
    Reassign {
        /// What is to change.
        changes: Vec<Reassignment>,
        /// Refuse what would change the number of replicas.
        keep_factor: bool,
    },
    /// The leaders of groups say that their groups are as the metadata's aim wants them, which they name
    /// by its count; answered with [`Reply::Done`].
    Arrived {
        /// The groups and the aims.
        groups: Vec<(GroupId, u32)>,
    },
    /// The same below level 4: these vote now, and nobody else belongs to the groups; answered with
    /// [`Reply::Done`].
    Reassigned {
        /// The groups and their voters.
        groups: Vec<(GroupId, Vec<Member>)>,
    },
    /// A node says that these replicas of its are damaged: others are to take their places there;
    /// answered with [`Reply::Done`]. Those that are no more are passed over.
    Renew {
        /// The groups and the damaged members of each.
        members: Vec<(GroupId, Member)>,
    },
    /// Nodes are lost for good, with what they had: they are forgotten, and partitions that have no
    /// majority without them go on with one replica alone. Answered with [`Reply::Each`], of one
    /// part. Only asked by who was told to accept the loss.
    Recover {
        /// The nodes.
        lost: Vec<NodeId>,
    },
    /// Groups go on with one replica alone, because most of their replicas are on nodes that
    /// aren't heard; answered with [`Reply::Each`], in order. Only asked by who was told to accept
    /// the loss, or where the topic's configuration says so.
    GoOnAlone {
        /// The groups, and the node of each whose replica goes on.
        groups: Vec<(GroupId, NodeId)>,
        /// The nodes that aren't heard.
        silent: Vec<NodeId>,
    },
    /// A node joins, or says where it lives now; answered with [`Reply::Introduced`].
    IntroduceNode {
        /// The node.
        node: NodeId,
        /// Where it lives. Its generation counts only if it doesn't join.
        home: Home,
        /// It has no generation yet.
        joins: bool,
    },
    /// A node says what it can read; answered with [`Reply::Done`].
    DeclareLevels {
        /// The node.
        node: NodeId,
        /// What its binary can read.
        levels: Levels,
    },
    /// From now on this may be written; answered with [`Reply::Each`].
    RaiseLevel {
        /// The level.
        level: Level,
        /// Decide and answer, but change nothing.
        validate_only: bool,
    },
    /// How the controller's own group stands; answered with [`Reply::Quorum`]. The machine
    /// doesn't know: the shard that leads the group answers in its place.
    DescribeQuorum,
}

/// A topic to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewTopic {
    /// Its name.
    pub name: String,
    /// Its id, chosen by the caller.
    pub id: Uuid,
    /// Where its replicas go.
    pub placement: Placement,
    /// Its configuration where it differs from the defaults.
    pub configs: BTreeMap<String, String>,
}

/// Where replicas go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Placement {
    /// The controller spreads them.
    Spread {
        /// Partitions; `None` for the cluster's default.
        partitions: Option<u32>,
        /// Replicas of each; `None` for the cluster's default.
        replicas: Option<u32>,
    },
    /// By hand: for each partition its replicas, the preferred leader first.
    Manual(Vec<Vec<NodeId>>),
}

/// A topic by name or by id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TopicRef {
    /// By name.
    Name(String),
    /// By id.
    Id(Uuid),
}

/// What was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicCreated {
    /// Its name.
    pub name: String,
    /// Its id.
    pub id: Uuid,
    /// Partitions.
    pub partitions: u32,
    /// Replicas of each.
    pub replicas: u32,
    /// The groups of its partitions, in order; empty if only validated.
    pub groups: Vec<GroupId>,
}

/// The controller's answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// To [`Command::CreateTopics`].
    TopicsCreated(Vec<Result<TopicCreated, Refusal>>),
    /// To [`Command::DeleteTopics`]: name and id of each.
    TopicsDeleted(Vec<Result<(String, Uuid), Refusal>>),
    /// To [`Command::AllocateProducerIds`]: the first of the block.
    ProducerIds(ProducerId),
    /// Done.
    Done,
    /// Whether each part was done.
    Each(Vec<Result<(), Refusal>>),
    /// To [`Command::DescribeQuorum`].
    Quorum(Quorum),
    /// To [`Command::IntroduceNode`]: its generation.
    Introduced(Result<u32, Refusal>),
}

/// How the controller's group stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quorum {
    /// The node that leads it.
    pub leader: NodeId,
    /// Its term.
    pub term: Term,
    /// Committed up to here.
    pub committed: RaftIndex,
    /// The nodes that vote, this one among them.
    pub voters: Vec<QuorumMember>,
}

/// How far a node of the controller's group is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuorumMember {
    /// The node.
    pub node: NodeId,
    /// The last entry that it has for certain.
    pub matched: RaftIndex,
    /// When it was last heard.
    pub heard: Option<WallMs>,
    /// When it last had everything.
    pub caught_up: Option<WallMs>,
}
