//! The controller's machine: its state is what its records say, nothing else. Deciding is in
//! `create` (topics) and here (the rest); replaying is here.
//!
//! Group ids start at 1 and, like producer ids, are never given twice, also not after a deletion.

use crate::create::Draft;
use crate::placement::Load;
use crate::records::Record;
use crate::{
    Command, Image, NodeInfo, Reply, Resource, ResourceKind, Topic, TopicRef, TopicSettings, names,
};
use base::{
    Bug, Decision, GroupId, Machine, Mark, NodeId, Now, ProducerId, Refusal, Uuid, WallMs, mark,
    planted,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What a node's configuration says about topics whose makers don't say it. It may differ between
/// nodes: the leader of the controller's group uses its own when it decides, and each node its
/// own for the settings it shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Defaults {
    /// Partitions of a topic (`num.partitions`).
    pub partitions: u32,
    /// Replicas of a partition (`default.replication.factor`); `None`: three, or as many as there
    /// are nodes.
    pub replicas: Option<u32>,
    /// Topic keys whose default this node's configuration overrides.
    pub topic: BTreeMap<String, String>,
    /// The node, whose own dynamic configuration counts too; none in tests.
    pub node: Option<NodeId>,
}

impl Default for Defaults {
    fn default() -> Defaults {
        Defaults {
            partitions: 1,
            replicas: None,
            topic: BTreeMap::new(),
            node: None,
        }
    }
}

/// The controller's state. A clone shares all topics with its original.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meta {
    pub(crate) defaults: Defaults,
    /// Topic keys whose default the configuration overrides, as it stands now.
    pub(crate) effective: BTreeMap<String, String>,
    pub(crate) image: Image,
    /// Names of topics by the form in which they collide.
    pub(crate) collisions: BTreeMap<String, BTreeSet<String>>,
    /// Replicas and preferred leaders by node.
    pub(crate) load: Load,
    pub(crate) next_group: GroupId,
    next_producer: ProducerId,
}

impl Meta {
    /// An empty cluster.
    pub fn new(defaults: Defaults) -> Meta {
        Meta {
            effective: defaults.topic.clone(),
            defaults,
            image: Image::default(),
            collisions: BTreeMap::new(),
            load: Load::default(),
            next_group: GroupId(1),
            next_producer: ProducerId(0),
        }
    }

    /// The group that the next partition gets; all given so far lie below it.
    pub fn next_group(&self) -> GroupId {
        self.next_group
    }

    /// What the cluster's nodes may write.
    pub fn level(&self) -> crate::Level {
        self.image.level
    }

    /// The producer id that is given next; all given so far lie below it.
    pub fn next_producer(&self) -> ProducerId {
        self.next_producer
    }

    /// What everybody else may see, as of `version` (the Raft index of the last record).
    pub fn image(&self, version: u64) -> Arc<Image> {
        Arc::new(Image {
            version,
            ..self.image.clone()
        })
    }

    fn register(&self, node: NodeId, info: NodeInfo) -> Decision<Reply> {
        let known = self.image.nodes.get(&node) == Some(&info);
        let record = Record::NodeRegistered { node, info };
        let facts = self.level_of_a_new_cluster().into_iter().chain([record]);
        Decision {
            records: match known {
                true => Vec::new(),
                false => facts.map(|fact| fact.encode()).collect(),
            },
            reply: Reply::Done,
        }
    }

    /// Forgets a node. One that has replicas is refused, for its number could be given to an empty directory,
    /// which would then be taken for the one that voted and acknowledged; unless it is silent and nothing is
    /// lost with it: then its replicas are over.
    pub fn unregister(
        &self,
        (node, generation): (NodeId, Option<u32>),
        silent: bool,
    ) -> Decision<Reply> {
        let refused = |why: Refusal| Decision {
            records: Vec::new(),
            reply: Reply::Each(vec![Err(why)]),
        };
        if !self.image.nodes.contains_key(&node) {
            return refused(Refusal::UnknownNode(format!(
                "Broker ID {node} is not currently registered"
            )));
        }
        let lives = self.image.generations.get(&node).copied();
        if generation.is_some() && lives.is_some() && generation != lives {
            return refused(Refusal::InvalidRequest(format!(
                "Broker {node} isn't the one that was to be unregistered: its number was given to another \
                 one since; ask again if that one is meant"
            )));
        }
        let replicas = self.partitions_on(node).count();
        if replicas > 0 && silent && self.image.allows_recovery().is_ok() {
            return self.give_up(node).unwrap_or_else(refused);
        }
        if replicas > 0 && !planted(Bug::UnregisteredWithReplicas) {
            return refused(Refusal::Policy(format!(
                "Broker {node} has {replicas} replica(s): move them away first, for example with \
                 'flotilla cluster drain {node}'"
            )));
        }
        mark(Mark::NodeUnregistered);
        Decision {
            records: self.forgotten(node),
            reply: Reply::Each(vec![Ok(())]),
        }
    }

    /// A node is forgotten. Its number may be given away: whoever gets it is another node.
    pub(crate) fn forgotten(&self, node: NodeId) -> Vec<bytes::Bytes> {
        let mut records = vec![Record::NodeUnregistered { node }.encode()];
        let resource = Resource::new(ResourceKind::Node, node.to_string());
        if let Some(set) = self.image.configs.get(&resource) {
            let gone = set.keys().cloned().collect();
            let set = BTreeMap::new();
            let forgotten = Record::ConfigChanged {
                resource,
                set,
                gone,
            };
            records.push(forgotten.encode());
        }
        records
    }

    fn allocate(&self, count: u32) -> Decision<Reply> {
        let next = ProducerId(self.next_producer.0.saturating_add(i64::from(count)));
        Decision {
            records: vec![Record::ProducerIdsAllocated { next }.encode()],
            reply: Reply::ProducerIds(self.next_producer),
        }
    }

    /// A topic that is named twice is not deleted at all, as in Kafka.
    fn delete(&self, topics: &[TopicRef]) -> Decision<Reply> {
        let found: Vec<Result<&Arc<Topic>, Refusal>> =
            topics.iter().map(|wanted| self.find(wanted)).collect();
        let mut by_name: BTreeMap<Uuid, u32> = BTreeMap::new();
        let mut by_id: BTreeMap<Uuid, u32> = BTreeMap::new();
        for (wanted, topic) in topics.iter().zip(&found) {
            let times = if let TopicRef::Name(_) = wanted {
                &mut by_name
            } else {
                &mut by_id
            };
            if let Ok(topic) = topic {
                *times.entry(topic.id).or_default() += 1;
            }
        }
        let parts: Vec<Result<(String, Uuid), Refusal>> = found
            .into_iter()
            .map(|topic| {
                let topic = topic?;
                let times = |by: &BTreeMap<Uuid, u32>| by.get(&topic.id).copied().unwrap_or(0);
                let why = match (times(&by_name), times(&by_id)) {
                    (0, 1) | (1, 0) => return Ok((topic.name.clone(), topic.id)),
                    (_, 0) => "Duplicate topic name.",
                    (0, _) => "Duplicate topic id.",
                    _ => "The provided topic name maps to an ID that was already supplied.",
                };
                Err(Refusal::InvalidRequest(why.to_owned()))
            })
            .collect();
        let gone = parts.iter().flatten();
        let records = gone
            .map(|(_, id)| Record::TopicDeleted { id: *id }.encode())
            .collect();
        Decision {
            records,
            reply: Reply::TopicsDeleted(parts),
        }
    }

    fn find(&self, wanted: &TopicRef) -> Result<&Arc<Topic>, Refusal> {
        match wanted {
            TopicRef::Name(name) => self.image.topic(name).ok_or(Refusal::UnknownTopic),
            TopicRef::Id(id) => self.image.topic_by_id(id).ok_or(Refusal::UnknownTopicId),
        }
    }

    fn apply(&mut self, record: Record) {
        match record {
            Record::NodeRegistered { node, info } => {
                self.image.nodes.insert(node, info);
            }
            Record::TopicCreated {
                name,
                id,
                partitions,
                configs,
            } => {
                let settings = Arc::new(TopicSettings::parse(&configs, &self.effective));
                self.insert(Topic {
                    id,
                    name,
                    partitions,
                    configs,
                    settings,
                });
            }
            Record::TopicDeleted { id } => self.remove(&id),
            Record::ProducerIdsAllocated { next } => {
                self.next_producer = self.next_producer.max(next);
            }
            Record::GroupIdsLeftOut { next } => self.next_group = self.next_group.max(next),
            Record::ConfigChanged {
                resource,
                set,
                gone,
            } => self.apply_config(resource, set, &gone),
            Record::PartitionsAdded { id, partitions } => self.apply_partitions(&id, partitions),
            Record::QuotaChanged {
                entity,
                key,
                amount,
            } => self.apply_quota(entity, key, amount),
            Record::NodeUnregistered { node } => {
                self.image.nodes.remove(&node);
                self.image.homes.remove(&node);
                // Also one that never said where it lives has left.
                self.image.generations.entry(node).or_default();
                self.image.levels.remove(&node);
            }
            Record::PartitionsReassigned { id, partitions }
            | Record::PartitionsRecovered { id, partitions } => {
                self.apply_reassigned(&id, partitions);
            }
            Record::NodeHoused { node, home } => self.house(node, home),
            Record::LevelRaised { level } => self.image.level = level,
            Record::LevelsDeclared { node, levels } => {
                self.image.levels.insert(node, levels);
            }
        }
    }

    /// The decision saw to it that name and id are new; replay is total all the same.
    fn insert(&mut self, topic: Topic) {
        if let Some(id) = self.image.topic(&topic.name).map(|old| old.id) {
            self.remove(&id);
        }
        self.remove(&topic.id);
        let topic = Arc::new(topic);
        for partition in &topic.partitions {
            let next = GroupId(partition.group.0.saturating_add(1));
            self.next_group = self.next_group.max(next);
            self.load.add(&partition.replicas);
        }
        if let Some(form) = names::collision_form(&topic.name) {
            self.collisions
                .entry(form)
                .or_default()
                .insert(topic.name.clone());
        }
        self.image.add(topic);
    }

    /// A topic that is there takes another form.
    pub(crate) fn replace(&mut self, topic: Topic) {
        self.remove(&topic.id);
        self.insert(topic);
    }

    fn remove(&mut self, id: &Uuid) {
        let Some(topic) = self.image.take(id) else {
            return;
        };
        for partition in &topic.partitions {
            self.load.subtract(&partition.replicas);
        }
        if let Some(form) = names::collision_form(&topic.name)
            && let Some(same) = self.collisions.get_mut(&form)
        {
            same.remove(&topic.name);
            if same.is_empty() {
                self.collisions.remove(&form);
            }
        }
    }
}

impl Machine for Meta {
    type Command = Command;
    type Reply = Reply;

    fn handle(&self, _now: Now, command: Command) -> Decision<Reply> {
        match command {
            Command::CreateTopics {
                topics,
                validate_only,
            } => Draft::new(self, validate_only).decide(topics),
            Command::DeleteTopics { topics } => self.delete(&topics),
            Command::RegisterNode { node, info } => self.register(node, info),
            Command::AllocateProducerIds { count } => self.allocate(count),
            Command::AlterConfigs {
                changes,
                validate_only,
            } => self.alter_configs(&changes, validate_only),
            Command::AddPartitions {
                topics,
                validate_only,
            } => self.add_partitions(&topics, validate_only),
            Command::AlterQuotas {
                changes,
                validate_only,
            } => self.alter_quotas(&changes, validate_only),
            Command::UnregisterNode { node, generation } => {
                self.unregister((node, generation), false)
            }
            Command::Reassign {
                changes,
                keep_factor,
            } => self.reassign(&changes, keep_factor),
            Command::Arrived { groups } => self.arrived(&groups),
            Command::Reassigned { groups } => self.reassigned(&groups),
            Command::Renew { members } => self.renew(&members),
            Command::Recover { lost } => self.recover(&lost),
            Command::GoOnAlone { groups, silent } => self.go_on_alone(&groups, &silent),
            Command::IntroduceNode { node, home, joins } => self.introduce(node, home, joins),
            Command::DeclareLevels { node, levels } => self.declare_levels(node, levels),
            Command::RaiseLevel {
                level,
                validate_only,
            } => self.raise_level(level, validate_only),
            // Only the shard that leads the group can tell.
            Command::DescribeQuorum => Decision {
                records: Vec::new(),
                reply: Reply::Each(vec![Err(Refusal::NoController)]),
            },
        }
    }

    fn replay(&mut self, record: &[u8]) {
        let Ok(record) = Record::decode(record) else {
            return;
        };
        match &record {
            Record::TopicCreated { .. } => base::mark(Mark::TopicCreated),
            Record::TopicDeleted { .. } => base::mark(Mark::TopicDeleted),
            _ => {}
        }
        self.apply(record);
    }

    fn due(&self) -> Option<(WallMs, Command)> {
        None
    }
}

#[cfg(test)]
mod tests;
