//! Deciding about new topics, in the order and the words of Kafka's controller: the name, whether
//! it is taken, the configuration, then where the replicas go. Topics of one command see the ones
//! before them.

use crate::placement::Load;
use crate::records::Record;
use crate::{
    Meta, NewTopic, NodeInfo, PartitionInfo, Placement, Reply, TopicCreated, config, names,
};
use base::limits::NEW_PARTITIONS_MAX;
use base::{Decision, GroupId, NodeId, Refusal, Uuid};
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet};

/// Replicas of a partition if nobody says how many and there are nodes enough.
const REPLICAS_WANTED: u32 = 3;

/// The state as it would be after the topics decided so far.
pub(crate) struct Draft<'a> {
    meta: &'a Meta,
    validate_only: bool,
    names: BTreeSet<String>,
    ids: BTreeSet<Uuid>,
    collisions: BTreeMap<String, String>,
    load: Load,
    next_group: GroupId,
    records: Vec<Bytes>,
}

impl<'a> Draft<'a> {
    pub(crate) fn new(meta: &'a Meta, validate_only: bool) -> Draft<'a> {
        Draft {
            meta,
            validate_only,
            names: BTreeSet::new(),
            ids: BTreeSet::new(),
            collisions: BTreeMap::new(),
            load: meta.load.clone(),
            next_group: meta.next_group,
            records: Vec::new(),
        }
    }

    pub(crate) fn decide(mut self, topics: Vec<NewTopic>) -> Decision<Reply> {
        let new = topics.iter().map(|topic| self.asked_for(&topic.placement));
        if let Err(why) = check_new(new) {
            let parts = topics.iter().map(|_| Err(why.clone())).collect();
            return Decision {
                records: Vec::new(),
                reply: Reply::TopicsCreated(parts),
            };
        }
        let mut times: BTreeMap<String, u32> = BTreeMap::new();
        for topic in &topics {
            *times.entry(topic.name.clone()).or_default() += 1;
        }
        let mut parts = Vec::new();
        for topic in topics {
            parts.push(if times[&topic.name] > 1 {
                Err(Refusal::InvalidRequest("Duplicate topic name.".to_owned()))
            } else {
                self.topic(topic)
            });
        }
        let records = if self.validate_only {
            Vec::new()
        } else {
            self.records
        };
        Decision {
            records,
            reply: Reply::TopicsCreated(parts),
        }
    }

    fn topic(&mut self, topic: NewTopic) -> Result<TopicCreated, Refusal> {
        self.check_name(&topic.name)?;
        if topic.id == Uuid::ZERO
            || self.meta.image.names.contains_key(&topic.id)
            || self.ids.contains(&topic.id)
        {
            return Err(Refusal::InvalidRequest(
                "The topic id is already in use.".to_owned(),
            ));
        }
        config::validate(&topic.configs, &self.meta.effective).map_err(Refusal::InvalidConfig)?;
        let replicas = self.place(&topic.placement)?;
        Ok(self.accept(topic, replicas))
    }

    fn check_name(&self, name: &str) -> Result<(), Refusal> {
        if self.meta.image.topics.contains_key(name) || self.names.contains(name) {
            return Err(Refusal::TopicExists(name.to_owned()));
        }
        if name == names::CLUSTER_METADATA {
            let why = format!("Creation of internal topic {name} is prohibited.");
            return Err(Refusal::InvalidRequest(why));
        }
        names::check(name).map_err(Refusal::InvalidTopic)?;
        let Some(form) = names::collision_form(name) else {
            return Ok(());
        };
        let there = self.meta.collisions.get(&form).and_then(BTreeSet::first);
        match there.or_else(|| self.collisions.get(&form)) {
            Some(other) => Err(Refusal::InvalidTopic(format!(
                "Topic '{name}' collides with existing topic: {other}"
            ))),
            None => Ok(()),
        }
    }

    /// How many partitions a topic is to have, before anything of it is looked at.
    fn asked_for(&self, placement: &Placement) -> usize {
        match placement {
            Placement::Spread { partitions, .. } => {
                partitions.unwrap_or(self.meta.defaults.partitions) as usize
            }
            Placement::Manual(parts) => parts.len(),
        }
    }

    fn place(&mut self, placement: &Placement) -> Result<Vec<Vec<NodeId>>, Refusal> {
        match placement {
            Placement::Spread {
                partitions,
                replicas,
            } => self.spread(*partitions, *replicas),
            Placement::Manual(parts) => self.check_manual(parts).map(|()| parts.clone()),
        }
    }

    fn spread(
        &self,
        partitions: Option<u32>,
        replicas: Option<u32>,
    ) -> Result<Vec<Vec<NodeId>>, Refusal> {
        let nodes = self.meta.sites();
        if replicas == Some(0) {
            return Err(Refusal::InvalidReplicationFactor(
                "Replication factor must be larger than 0, or -1 to use the default value."
                    .to_owned(),
            ));
        }
        if partitions == Some(0) {
            return Err(Refusal::InvalidPartitions(
                "Number of partitions was set to an invalid non-positive value.".to_owned(),
            ));
        }
        let partitions = partitions.unwrap_or(self.meta.defaults.partitions).max(1);
        let open = nodes.len() as u32;
        let default = self
            .meta
            .defaults
            .replicas
            .unwrap_or(REPLICAS_WANTED.min(open).max(1));
        let replicas = replicas.unwrap_or(default);
        Meta::check_room(replicas, open)?;
        Ok(self.load.clone().spread(&nodes, partitions, replicas))
    }

    fn check_manual(&self, parts: &[Vec<NodeId>]) -> Result<(), Refusal> {
        if parts.is_empty() {
            return Err(Refusal::InvalidPartitions(
                "Number of partitions was set to an invalid non-positive value.".to_owned(),
            ));
        }
        for replicas in parts {
            check_replicas(&self.meta.image.nodes, replicas, parts[0].len()).map_err(|why| {
                Refusal::InvalidReplicaAssignment(format!("The manual partition assignment {why}"))
            })?;
        }
        Ok(())
    }

    fn accept(&mut self, topic: NewTopic, replicas: Vec<Vec<NodeId>>) -> TopicCreated {
        let NewTopic {
            name, id, configs, ..
        } = topic;
        let mut partitions = Vec::new();
        for replicas in replicas {
            self.load.add(&replicas);
            partitions.push(PartitionInfo {
                group: self.next_group,
                replicas,
                moves: None,
            });
            self.next_group = GroupId(self.next_group.0 + 1);
        }
        if let Some(form) = names::collision_form(&name) {
            self.collisions.insert(form, name.clone());
        }
        self.names.insert(name.clone());
        self.ids.insert(id);
        let made = TopicCreated {
            name: name.clone(),
            id,
            partitions: partitions.len() as u32,
            replicas: partitions[0].replicas.len() as u32,
            groups: match self.validate_only {
                true => Vec::new(),
                false => partitions.iter().map(|partition| partition.group).collect(),
            },
        };
        self.records.push(
            Record::TopicCreated {
                name,
                id,
                partitions,
                configs,
            }
            .encode(),
        );
        made
    }
}

/// What is wrong with replicas placed by hand.
pub(crate) fn check_replicas(
    nodes: &BTreeMap<NodeId, NodeInfo>,
    replicas: &[NodeId],
    as_many_as: usize,
) -> Result<(), String> {
    if replicas.is_empty() {
        return Err("includes an empty replica list.".to_owned());
    }
    let mut sorted = replicas.to_vec();
    sorted.sort_unstable();
    for (at, node) in sorted.iter().enumerate() {
        if !nodes.contains_key(node) {
            return Err(format!(
                "includes broker {node}, but no such broker is registered."
            ));
        }
        if at > 0 && sorted[at - 1] == *node {
            return Err(format!("includes the broker {node} more than once."));
        }
    }
    if sorted.len() != as_many_as {
        return Err(format!(
            "includes a partition with {} replica(s), but this is not consistent with \
             previous partitions, which have {as_many_as} replica(s).",
            sorted.len()
        ));
    }
    Ok(())
}

/// Refuses a request for more partitions than are made in one go, before any is placed.
pub(crate) fn check_new(counts: impl Iterator<Item = usize>) -> Result<(), Refusal> {
    let new = counts.fold(0, usize::saturating_add);
    if new > NEW_PARTITIONS_MAX {
        return Err(Refusal::Policy(format!(
            "Excessively large number of partitions per request: {new}, at most {NEW_PARTITIONS_MAX}."
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
