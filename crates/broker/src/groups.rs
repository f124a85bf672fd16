//! Groups: which partition of `__consumer_offsets` keeps a group, who coordinates it, and
//! commands for its coordinator. The topic is made when somebody first asks for a coordinator.

use crate::{Action, Broker, Principal, Resource, TopicSpec, Verb, authorise};
use base::{GroupId, Mono, NodeId, Now, Refusal};
use group::Command;
use group::command::ListGroups;
use meta::names::CONSUMER_OFFSETS;
use meta::{Image, PartitionInfo};
use shard::{Event, Reply, ReplySink, ReplyTo};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

impl Broker {
    /// A command for the coordinator of a group, answered with `Reply::Group`; refused as a whole
    /// if it isn't led here.
    pub fn group(
        &self,
        now: Now,
        principal: &Principal,
        group: &str,
        command: Command,
        to: ReplyTo,
    ) {
        self.stats().called(Verb::Group);
        let posted = authorise(principal, action(&command), Resource::Group(group))
            .and_then(|()| self.coordinating_group(group))
            .and_then(|partition| {
                let deadline = self.group_deadline(now, &command);
                let command = shard::Command::Group {
                    group: partition,
                    command: Box::new(command),
                    deadline,
                };
                self.0
                    .mailbox
                    .post(Event::Command(command, Some(to.clone())))
            });
        if let Err(why) = posted {
            self.stats().refused(Verb::Group, 1);
            to.sink.reply(to.ticket, Reply::Group(Err(why)));
        }
    }

    /// The groups of all coordinators that this node leads, answered with `Reply::Groups`.
    pub fn groups_everywhere(
        &self,
        now: Now,
        principal: &Principal,
        filter: ListGroups,
        to: ReplyTo,
    ) {
        self.stats().called(Verb::Groups);
        let command = shard::Command::Groups {
            filter,
            deadline: now.mono.after(self.settings().groups.commit_wait),
        };
        let event = Event::Command(command, Some(to.clone()));
        let posted = authorise(principal, Action::Describe, Resource::Cluster)
            .and_then(|()| self.0.mailbox.post(event));
        if let Err(why) = posted {
            self.stats().refused(Verb::Groups, 1);
            to.sink.reply(to.ticket, Reply::Groups(Err(why)));
        }
    }

    /// Who coordinates a group, answered with `Reply::Coordinator`; during the call where that is
    /// known. Where there is no `__consumer_offsets` yet it is made, and the caller comes again.
    pub fn coordinator(
        &self,
        now: Now,
        principal: &Principal,
        group: &str,
        timeout: Duration,
        to: ReplyTo,
    ) {
        self.stats().called(Verb::Coordinator);
        let known = authorise(principal, Action::Describe, Resource::Group(group))
            .and_then(|()| self.coordinator_of(group));
        if matches!(known, Err(Refusal::CoordinatorNotAvailable(_)))
            && self.image().topic(CONSUMER_OFFSETS).is_none()
        {
            return self.make_offsets(now, timeout, to);
        }
        to.sink.reply(to.ticket, Reply::Coordinator(known));
    }

    /// Who coordinates a group, if that is known now.
    pub fn coordinator_of(&self, group: &str) -> Result<NodeId, Refusal> {
        let image = self.image();
        let partition =
            partition_of(&image, group).ok_or_else(|| nobody("nothing keeps groups"))?;
        let leader = self.leader(partition.group).map(|(node, _)| node);
        leader
            .filter(|node| self.hears(*node))
            .ok_or_else(|| nobody("nobody coordinates the group at the moment"))
    }

    /// The Raft group of a group's partition, if this node has a replica of it.
    fn coordinating_group(&self, group: &str) -> Result<GroupId, Refusal> {
        let image = self.0.image.load();
        partition_of(&image, group)
            .filter(|partition| partition.replicas.contains(&self.0.node))
            .map(|partition| partition.group)
            .ok_or(Refusal::NotCoordinator)
    }

    /// A join or a sync waits for other members, as long as their coordinator says.
    fn group_deadline(&self, now: Now, command: &Command) -> Option<Mono> {
        match command {
            Command::JoinGroup(_) | Command::SyncGroup(_) => None,
            _ => Some(now.mono.after(self.settings().groups.commit_wait)),
        }
    }

    /// Makes `__consumer_offsets`, for one caller at a time.
    fn make_offsets(&self, now: Now, timeout: Duration, to: ReplyTo) {
        let making = &self.0.making_offsets;
        if making.swap(true, Ordering::Relaxed) {
            let why = nobody("what keeps groups is being made");
            return to.sink.reply(to.ticket, Reply::Coordinator(Err(why)));
        }
        let made = ReplyTo {
            sink: Arc::new(Made {
                to,
                making: making.clone(),
            }),
            ticket: 0,
        };
        let specs = vec![self.offsets_spec(&self.image())];
        self.create_topics(now, &Principal::ANONYMOUS, specs, false, timeout, made);
    }

    /// As the configuration says. Nobody having said how many replicas, a cluster of fewer than
    /// three nodes makes do with as many as it has; one that forms waits for all its nodes.
    pub(crate) fn offsets_spec(&self, image: &Image) -> TopicSpec {
        let groups = &self.settings().groups;
        let nodes = image.nodes.len().max(self.settings().peers.len()).max(1);
        let nodes = u32::try_from(nodes).unwrap_or(u32::MAX);
        let replicas = match groups.offsets_replicas_given {
            true => groups.offsets_replicas,
            false => groups.offsets_replicas.min(nodes),
        };
        let text = |name: &str, value: String| (name.to_owned(), Some(value));
        TopicSpec {
            name: CONSUMER_OFFSETS.to_owned(),
            partitions: i32::try_from(groups.offsets_partitions).ok(),
            replicas: i32::try_from(replicas).ok(),
            assignment: Vec::new(),
            configs: vec![
                text("cleanup.policy", "compact".to_owned()),
                text("compression.type", "producer".to_owned()),
                text("segment.bytes", groups.offsets_segment_bytes.to_string()),
            ],
        }
    }
}

/// The flag and the caller of a creation under way.
struct Made {
    to: ReplyTo,
    making: Arc<AtomicBool>,
}

impl ReplySink for Made {
    fn reply(&self, _ticket: u64, _reply: Reply) {
        self.making.store(false, Ordering::Relaxed);
        // Made or not: leaders are elected only now, so the caller comes again.
        let why = nobody("what keeps groups was made just now");
        self.to
            .sink
            .reply(self.to.ticket, Reply::Coordinator(Err(why)));
    }
}

fn nobody(why: &str) -> Refusal {
    Refusal::CoordinatorNotAvailable(why.to_owned())
}

fn action(command: &Command) -> Action {
    match command {
        Command::DeleteGroups { .. } | Command::OffsetDelete(_) => Action::Delete,
        Command::DescribeGroups { .. }
        | Command::ConsumerDescribe { .. }
        | Command::ListGroups(_)
        | Command::OffsetFetch(_) => Action::Describe,
        _ => Action::Read,
    }
}

/// The partition that keeps a group.
fn partition_of<'a>(image: &'a Image, group: &str) -> Option<&'a PartitionInfo> {
    let partitions = &image.topic(CONSUMER_OFFSETS)?.partitions;
    partitions.get(partition(group, partitions.len()))
}

/// Where Kafka keeps a group: by the absolute value of Java's hash of its name. Clients and tools
/// that look a group up by themselves count on it.
fn partition(group: &str, partitions: usize) -> usize {
    let hash = group.encode_utf16().fold(0i32, |hash, unit| {
        hash.wrapping_mul(31).wrapping_add(i32::from(unit))
    });
    let positive = hash.checked_abs().unwrap_or(0);
    positive as usize % partitions.max(1)
}

#[cfg(test)]
mod tests;
