//! What operators ask of a running cluster: more partitions, other leaders, how the controller's
//! group stands, and that a node be forgotten.

use crate::{Action, Broker, Principal, Resource, Verb, authorise};
use base::{GroupId, NodeId, Now, Partition, Refusal};
use meta::{Command, MorePartitions, Reassignment};
use shard::{Event, Reply, ReplyTo};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// How many partitions a topic is to have, as a request says it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GrowthSpec {
    /// The topic's name.
    pub topic: String,
    /// Partitions in all.
    pub count: i32,
    /// The nodes of each new one, placed by hand; none: the controller spreads them.
    pub assignment: Option<Vec<Vec<i32>>>,
}

/// What replicas a partition is to have, as a request says it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReassignmentSpec {
    /// The topic's name.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// Its replicas, the preferred leader first; none: those that it had.
    pub target: Option<Vec<i32>>,
}

/// The room of the data directory, as the driver measured it.
#[derive(Debug, Default)]
pub(crate) struct Room {
    total: AtomicU64,
    usable: AtomicU64,
}

impl Broker {
    /// Adds partitions, or only says whether it could; parts that the door refuses keep their
    /// places. Answered with `Reply::Meta(Ok(Each(..)))`.
    pub fn add_partitions(
        &self,
        now: Now,
        principal: &Principal,
        topics: Vec<Result<GrowthSpec, Refusal>>,
        validate_only: bool,
        timeout: Duration,
        to: ReplyTo,
    ) {
        let decided = topics.into_iter().map(|spec| {
            let spec = spec?;
            authorise(principal, Action::Alter, Resource::Topic(&spec.topic))?;
            let nodes = |ids: Vec<i32>| ids.into_iter().map(node).collect();
            let by_hand = |parts: Vec<Vec<i32>>| parts.into_iter().map(nodes).collect();
            Ok(MorePartitions {
                topic: spec.topic,
                count: spec.count,
                assignment: spec.assignment.map(by_hand).transpose()?,
            })
        });
        let command = |topics| Command::AddPartitions {
            topics,
            validate_only,
        };
        let decided = decided.collect();
        self.change::<(), _>(Verb::AddPartitions, now, timeout, to, decided, command);
    }

    /// Gives partitions other replicas, or takes that back, as soon as that is on record; they move
    /// in their own time. Answered with `Reply::Meta(Ok(Each(..)))`.
    pub fn reassign(
        &self,
        now: Now,
        principal: &Principal,
        specs: Vec<ReassignmentSpec>,
        keep_factor: bool,
        timeout: Duration,
        to: ReplyTo,
    ) {
        let allowed = authorise(principal, Action::Alter, Resource::Cluster);
        let decided = specs.into_iter().map(|spec| {
            allowed.clone()?;
            let partition = u32::try_from(spec.partition);
            let nodes = |ids: Vec<i32>| ids.into_iter().map(node).collect();
            Ok(Reassignment {
                topic: spec.topic,
                partition: Partition(partition.map_err(|_| Refusal::UnknownTopic)?),
                target: spec.target.map(nodes).transpose()?,
            })
        });
        let decided = decided.collect();
        let command = |changes| Command::Reassign {
            changes,
            keep_factor,
        };
        self.change::<(), _>(Verb::Reassign, now, timeout, to, decided, command);
    }

    /// Hands groups over to their preferred leaders, or, if it is to be `unclean`, has those lead that
    /// are left of a majority that is lost; answered with `Reply::Preferred`.
    pub fn prefer(
        &self,
        now: Now,
        principal: &Principal,
        groups: Vec<GroupId>,
        unclean: bool,
        timeout: Duration,
        to: ReplyTo,
    ) {
        self.stats().called(Verb::ElectLeaders);
        let count = groups.len();
        let refused = match authorise(principal, Action::Alter, Resource::Cluster) {
            Err(why) => Some(why),
            Ok(()) => {
                let command = shard::Command::Prefer {
                    groups,
                    unclean,
                    deadline: now.mono.after(timeout),
                };
                let posted = self
                    .0
                    .mailbox
                    .post(Event::Command(command, Some(to.clone())));
                posted.err()
            }
        };
        if let Some(why) = refused {
            self.stats().refused(Verb::ElectLeaders, count);
            let all = vec![Err(why); count];
            to.sink.reply(to.ticket, Reply::Preferred(all));
        }
    }

    /// The producers that this node's replicas remember; answered with `Reply::Producers`.
    pub fn producers_of(&self, groups: Vec<GroupId>, to: ReplyTo) {
        self.stats().called(Verb::DescribeProducers);
        let count = groups.len();
        let command = shard::Command::Producers { groups };
        if let Err(busy) = self
            .0
            .mailbox
            .post(Event::Command(command, Some(to.clone())))
        {
            self.stats().refused(Verb::DescribeProducers, count);
            let all = (0..count).map(|_| Err(busy.clone())).collect();
            to.sink.reply(to.ticket, Reply::Producers(all));
        }
    }

    /// How the controller's group stands; answered with `Reply::Meta`.
    pub fn describe_quorum(&self, now: Now, principal: &Principal, timeout: Duration, to: ReplyTo) {
        let allowed = authorise(principal, Action::Describe, Resource::Cluster);
        let command = Command::DescribeQuorum;
        self.ask_controller(Verb::DescribeQuorum, now, timeout, to, allowed, command);
    }

    /// Forgets a node that is gone, the one that is known here under its number. Answered with `Reply::Meta(Ok(Each(..)))`.
    pub fn unregister(
        &self,
        now: Now,
        principal: &Principal,
        node: NodeId,
        timeout: Duration,
        to: ReplyTo,
    ) {
        let allowed = authorise(principal, Action::Alter, Resource::Cluster);
        let generation = self.image().last_of(node);
        let command = Command::UnregisterNode { node, generation };
        self.ask_controller(Verb::UnregisterNode, now, timeout, to, allowed, command);
    }

    /// Lets the cluster write what all its nodes can read. Answered with
    /// `Reply::Meta(Ok(Each(..)))`.
    pub fn raise_level(
        &self,
        now: Now,
        principal: &Principal,
        (level, validate_only): (meta::Level, bool),
        timeout: Duration,
        to: ReplyTo,
    ) {
        let allowed = authorise(principal, Action::Alter, Resource::Cluster);
        let command = Command::RaiseLevel {
            level,
            validate_only,
        };
        self.ask_controller(Verb::RaiseLevel, now, timeout, to, allowed, command);
    }

    fn ask_controller(
        &self,
        verb: Verb,
        now: Now,
        timeout: Duration,
        to: ReplyTo,
        allowed: Result<(), Refusal>,
        command: Command,
    ) {
        self.stats().called(verb);
        let posted = allowed.and_then(|()| {
            let deadline = now.mono.after(timeout);
            let command = shard::Command::Meta { command, deadline };
            self.0
                .mailbox
                .post(Event::Command(command, Some(to.clone())))
        });
        if let Err(why) = posted {
            self.stats().refused(verb, 1);
            to.sink.reply(to.ticket, Reply::Meta(Err(why)));
        }
    }

    /// Takes how many bytes the data directory's disk has, and how many of them can still be
    /// written.
    pub fn publish_room(&self, total: u64, usable: u64) {
        self.0.room.total.store(total, Ordering::Relaxed);
        self.0.room.usable.store(usable, Ordering::Relaxed);
    }

    /// How many bytes the data directory's disk has, and how many of them can still be written;
    /// none before it was measured.
    pub fn room(&self) -> Option<(u64, u64)> {
        let total = self.0.room.total.load(Ordering::Relaxed);
        (total > 0).then(|| (total, self.0.room.usable.load(Ordering::Relaxed)))
    }
}

fn node(id: i32) -> Result<NodeId, Refusal> {
    u32::try_from(id).map(NodeId).map_err(|_| {
        Refusal::InvalidReplicaAssignment(format!(
            "The manual partition assignment includes broker {id}, but no such broker is \
             registered."
        ))
    })
}
