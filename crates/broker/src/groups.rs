//! Groups: which partition of `__consumer_offsets` keeps a group, who coordinates it, and
//! commands for its coordinator. The topic is made when somebody first asks for a coordinator.

use crate::{Action, Broker, Principal, Resource, TopicSpec, Verb, authorise, lock};
use base::{GroupId, Mono, NodeId, Now, Refusal};
use group::Command;
use group::command::ListGroups;
use meta::names::CONSUMER_OFFSETS;
use meta::{Image, PartitionInfo};
use shard::{Event, Reply, ReplySink, ReplyTo};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// How long the topic that keeps groups may take to be made.
const CREATION_WAIT: Duration = Duration::from_secs(5);
/// How long its partitions may take to elect their first leaders, before who asks has to come again.
const FIRST_LEADER_WAIT: Duration = Duration::from_secs(1);
/// Most callers that wait for its creation.
const CREATION_CALLERS_MAX: usize = 1_000;

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
    /// known. What keeps groups may have to be made first, or have been made so lately that nobody leads
    /// it yet: then `Reply::Led` says that it is time to ask again, or that there is no use.
    pub fn coordinator(&self, now: Now, principal: &Principal, group: &str, to: ReplyTo) {
        self.stats().called(Verb::Coordinator);
        let known = authorise(principal, Action::Describe, Resource::Group(group))
            .and_then(|()| self.coordinator_of(group));
        if matches!(known, Err(Refusal::CoordinatorNotAvailable(_))) {
            let image = self.image();
            match partition_of(&image, group) {
                None => return self.make_offsets(now, to),
                Some(partition) if self.leader_epoch(partition.group).is_none() => {
                    return self.await_first_leader(now, partition.group, to);
                }
                Some(_) => {}
            }
        }
        to.sink.reply(to.ticket, Reply::Coordinator(known));
    }

    fn await_first_leader(&self, now: Now, group: GroupId, to: ReplyTo) {
        let command = shard::Command::AwaitLeader {
            group,
            deadline: now.mono.after(FIRST_LEADER_WAIT),
        };
        let event = Event::Command(command, Some(to.clone()));
        if let Err(why) = self.0.mailbox.post(event) {
            to.sink.reply(to.ticket, Reply::Led(Err(why)));
        }
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

    /// Makes `__consumer_offsets`, once for all who ask meanwhile.
    fn make_offsets(&self, now: Now, to: ReplyTo) {
        let making = &self.0.making_offsets;
        let mut callers = lock(making);
        match &mut *callers {
            Some(callers) if callers.len() < CREATION_CALLERS_MAX => return callers.push(to),
            Some(_) => {
                drop(callers);
                let why = nobody("what keeps groups is being made");
                return to.sink.reply(to.ticket, Reply::Led(Err(why)));
            }
            None => *callers = Some(vec![to]),
        }
        drop(callers);
        let made = ReplyTo {
            sink: Arc::new(Made(making.clone())),
            ticket: 0,
        };
        let specs = vec![self.offsets_spec(&self.image())];
        let nobody = &Principal::ANONYMOUS;
        self.create_topics(now, nobody, specs, false, CREATION_WAIT, made);
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

/// Who waits for the topic that keeps groups; none if nobody makes it.
pub(crate) type Making = Arc<Mutex<Option<Vec<ReplyTo>>>>;

/// Hears what comes of a creation.
struct Made(Making);

impl ReplySink for Made {
    fn reply(&self, _ticket: u64, reply: Reply) {
        let made = match &reply {
            Reply::Meta(Ok(meta::Reply::TopicsCreated(topics))) => topics.iter().all(Result::is_ok),
            _ => false,
        };
        // By itself, so that nobody is answered while it is held.
        let callers = lock(&self.0).take();
        for to in callers.into_iter().flatten() {
            let outcome = match made {
                true => Ok(()),
                false => Err(nobody("what keeps groups could not be made")),
            };
            to.sink.reply(to.ticket, Reply::Led(outcome));
        }
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
