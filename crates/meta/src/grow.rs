//! Deciding about more partitions, in the words of Kafka's controller.

use crate::create::{check_new, check_replicas};
use crate::placement::Load;
use crate::records::Record;
use crate::{Meta, PartitionInfo, Reply, names};
use base::limits::PARTITIONS_PER_TOPIC_MAX;
use base::{Decision, GroupId, NodeId, Refusal};
use std::collections::BTreeMap;

/// How many partitions a topic is to have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MorePartitions {
    /// The topic's name.
    pub topic: String,
    /// Partitions in all.
    pub count: i32,
    /// Replicas of each new one, placed by hand; none: the controller spreads them.
    pub assignment: Option<Vec<Vec<NodeId>>>,
}

impl Meta {
    pub(crate) fn add_partitions(
        &self,
        topics: &[MorePartitions],
        validate_only: bool,
    ) -> Decision<Reply> {
        if let Err(why) = check_new(topics.iter().map(|wanted| self.new_of(wanted))) {
            return Decision {
                records: Vec::new(),
                reply: Reply::Each(topics.iter().map(|_| Err(why.clone())).collect()),
            };
        }
        let mut times: BTreeMap<&str, u32> = BTreeMap::new();
        for wanted in topics {
            *times.entry(&wanted.topic).or_default() += 1;
        }
        let mut growth = Growth {
            meta: self,
            load: self.load.clone(),
            next_group: self.next_group,
            records: Vec::new(),
        };
        let mut parts = Vec::new();
        for wanted in topics {
            parts.push(match times[wanted.topic.as_str()] {
                1 => growth.grow(wanted),
                _ => Err(Refusal::InvalidRequest("Duplicate topic name.".to_owned())),
            });
        }
        let records = match validate_only {
            true => Vec::new(),
            false => growth.records.iter().map(Record::encode).collect(),
        };
        Decision {
            records,
            reply: Reply::Each(parts),
        }
    }

    /// How many partitions more a topic is to have. Where replicas are given for another number it gets none, and is told
    /// so: that comes before the bound on requests, as in Kafka.
    fn new_of(&self, wanted: &MorePartitions) -> usize {
        let topic = self.image.topic(&wanted.topic);
        let there = topic.map_or(0, |topic| topic.partitions.len());
        let more = usize::try_from(wanted.count).map_or(0, |count| count.saturating_sub(there));
        match check_number(wanted, more) {
            Ok(()) => more,
            Err(_) => 0,
        }
    }

    pub(crate) fn apply_partitions(&mut self, id: &base::Uuid, added: Vec<PartitionInfo>) {
        let Some(topic) = self.image.topic_by_id(id) else {
            return;
        };
        let mut topic = (**topic).clone();
        topic.partitions.extend(added);
        self.replace(topic);
    }
}

/// The state as it would be after the topics decided so far.
struct Growth<'a> {
    meta: &'a Meta,
    load: Load,
    next_group: GroupId,
    records: Vec<Record>,
}

impl Growth<'_> {
    fn grow(&mut self, wanted: &MorePartitions) -> Result<(), Refusal> {
        let topic = self.meta.image.topic(&wanted.topic);
        let topic = topic.ok_or(Refusal::UnknownTopic)?;
        let there = topic.partitions.len();
        let more = usize::try_from(wanted.count).unwrap_or(0);
        if more == there {
            return Err(Refusal::InvalidPartitions(format!(
                "Topic already has {there} partition(s)."
            )));
        }
        if more < there {
            return Err(Refusal::InvalidPartitions(format!(
                "The topic {} currently has {there} partition(s); {} would not be an increase.",
                wanted.topic, wanted.count
            )));
        }
        if wanted.topic == names::CONSUMER_OFFSETS {
            // Which partition coordinates a group follows from how many there are.
            return Err(Refusal::InvalidRequest(format!(
                "The number of partitions of {} can't change: groups would move away from what \
                 they committed.",
                wanted.topic
            )));
        }
        check_number(wanted, more - there)?;
        if more > PARTITIONS_PER_TOPIC_MAX as usize {
            return Err(Refusal::InvalidPartitions(format!(
                "A topic may have at most {PARTITIONS_PER_TOPIC_MAX} partitions."
            )));
        }
        let replicas = topic.partitions.first().map_or(1, |p| p.replicas.len());
        let placed = self.place(wanted, more - there, replicas)?;
        let mut partitions = Vec::new();
        for replicas in placed {
            self.load.add(&replicas);
            partitions.push(PartitionInfo {
                group: self.next_group,
                replicas,
                moves: None,
            });
            self.next_group = GroupId(self.next_group.0.saturating_add(1));
        }
        self.records.push(Record::PartitionsAdded {
            id: topic.id,
            partitions,
        });
        Ok(())
    }

    fn place(
        &self,
        wanted: &MorePartitions,
        more: usize,
        replicas: usize,
    ) -> Result<Vec<Vec<NodeId>>, Refusal> {
        let nodes = &self.meta.image.nodes;
        let Some(by_hand) = &wanted.assignment else {
            let (sites, replicas) = (self.meta.sites(), replicas as u32);
            Meta::check_room(replicas, sites.len() as u32)?;
            return Ok(self.load.clone().spread(&sites, more as u32, replicas));
        };
        for nodes_of in by_hand {
            check_replicas(nodes, nodes_of, replicas).map_err(|why| {
                Refusal::InvalidReplicaAssignment(format!("The manual partition assignment {why}"))
            })?;
        }
        Ok(by_hand.clone())
    }
}

/// Replicas by hand are those of all new partitions.
fn check_number(wanted: &MorePartitions, more: usize) -> Result<(), Refusal> {
    match &wanted.assignment {
        Some(by_hand) if by_hand.len() != more => Err(Refusal::InvalidReplicaAssignment(format!(
            "Attempted to add {more} additional partition(s), but only {} assignment(s) were specified.",
            by_hand.len()
        ))),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
