//! A consumer group as its records say, and what follows from them: who holds which partition,
//! how many want what. All of it is replicated; nothing here is the leader's own.
//!
//! Replay is total. Where records contradict each other (a log that was compacted half way) the
//! later one wins, so that a partition has one holder at any time.

use crate::assign::Assignment;
use crate::command::TopicPartitions;
use crate::record::Key;
use crate::record::consumer::{
    self as wire, CurrentMember, GroupEpoch, Held, Target, TargetMember,
};
use base::Uuid;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Partitions, and for each the epoch at which the member got it.
pub(super) type Holding = BTreeMap<Uuid, BTreeMap<i32, i32>>;

/// A group whose assignment was never made has this epoch.
const NO_TARGET: i32 = -1;
/// The epoch of a group that nobody joined yet, as in Kafka.
pub(super) const FIRST_EPOCH: i32 = 1;

/// Where a member stands on its way from what it holds to what it is to hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// It has arrived at its epoch's target.
    Stable,
    /// It has to give up partitions before it can go on.
    Unrevoked,
    /// It waits for partitions that others still hold.
    Unreleased,
    /// A stage that a newer version wrote.
    Unknown,
}

impl Stage {
    fn code(self) -> i8 {
        match self {
            Stage::Stable => 0,
            Stage::Unrevoked => 1,
            Stage::Unreleased => 2,
            Stage::Unknown => 127,
        }
    }

    fn from_code(code: i8) -> Stage {
        match code {
            0 => Stage::Stable,
            1 => Stage::Unrevoked,
            2 => Stage::Unreleased,
            _ => Stage::Unknown,
        }
    }
}

/// What a member holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Current {
    pub(super) epoch: i32,
    pub(super) previous_epoch: i32,
    pub(super) stage: Stage,
    pub(super) assigned: Holding,
    /// What it still holds but has to give up.
    pub(super) revoking: Holding,
}

impl Default for Current {
    fn default() -> Current {
        Current {
            epoch: 0,
            previous_epoch: -1,
            stage: Stage::Stable,
            assigned: Holding::new(),
            revoking: Holding::new(),
        }
    }
}

impl Current {
    pub(super) fn encode(&self) -> Vec<u8> {
        let value = CurrentMember {
            epoch: self.epoch,
            previous_epoch: self.previous_epoch,
            state: self.stage.code(),
            assigned: held(&self.assigned),
            revoking: held(&self.revoking),
        };
        value.encode()
    }

    fn decode(bytes: &[u8]) -> Option<Current> {
        let value = CurrentMember::decode(bytes)?;
        Some(Current {
            epoch: value.epoch,
            previous_epoch: value.previous_epoch,
            stage: Stage::from_code(value.state),
            assigned: holding(&value.assigned, value.epoch),
            revoking: holding(&value.revoking, value.epoch),
        })
    }

    /// At its epoch's target, with nothing to wait for.
    pub(super) fn arrived_at(&self, epoch: i32) -> bool {
        self.stage == Stage::Stable && self.epoch == epoch
    }
}

fn held(holding: &Holding) -> Vec<Held> {
    let entry = |(topic, partitions): (&Uuid, &BTreeMap<i32, i32>)| Held {
        topic: *topic,
        partitions: partitions.keys().copied().collect(),
        epochs: Some(partitions.values().copied().collect()),
    };
    holding.iter().map(entry).collect()
}

/// Records before Kafka 4.3 don't say since when; the member's epoch then is the safe answer,
/// because it lets the member commit at that epoch only.
fn holding(held: &[Held], epoch: i32) -> Holding {
    let mut holding = Holding::new();
    for entry in held {
        let partitions = holding.entry(entry.topic).or_default();
        for (at, partition) in entry.partitions.iter().enumerate() {
            let since = entry.epochs.as_ref().and_then(|epochs| epochs.get(at));
            partitions.insert(*partition, since.copied().unwrap_or(epoch));
        }
    }
    holding.retain(|_, partitions| !partitions.is_empty());
    holding
}

/// An assignment as it is written and sent.
pub(super) fn listed(assignment: &Assignment) -> Vec<TopicPartitions> {
    let entry = |(topic, partitions): (&Uuid, &Vec<i32>)| TopicPartitions {
        topic: *topic,
        partitions: partitions.clone(),
    };
    assignment.iter().map(entry).collect()
}

/// What is held, without the epochs.
pub(super) fn listed_holding(holding: &Holding) -> Vec<TopicPartitions> {
    let entry = |(topic, partitions): (&Uuid, &BTreeMap<i32, i32>)| TopicPartitions {
        topic: *topic,
        partitions: partitions.keys().copied().collect(),
    };
    holding.iter().map(entry).collect()
}

/// A member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Member {
    /// Who it is and what it wants. Its topics are in order and none comes twice.
    pub(super) wishes: wire::Member,
    pub(super) current: Current,
}

impl Member {
    /// A member of which nothing is known yet.
    pub(super) fn blank() -> Member {
        Member {
            wishes: wire::Member {
                rebalance_timeout_ms: -1,
                regex: Some(String::new()),
                ..wire::Member::default()
            },
            current: Current::default(),
        }
    }

    /// Its regular expression, if it has one. An empty one is none.
    pub(super) fn regex(&self) -> Option<&str> {
        self.wishes
            .regex
            .as_deref()
            .filter(|regex| !regex.is_empty())
    }

    pub(super) fn is_classic(&self) -> bool {
        self.wishes.classic.is_some()
    }
}

/// A consumer group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Group {
    pub(super) epoch: i32,
    /// What the topics looked like when the epoch was last raised.
    pub(super) metadata_hash: i64,
    pub(super) members: BTreeMap<Arc<str>, Member>,
    /// Static names and whose they are.
    pub(super) instances: BTreeMap<String, Arc<str>>,
    /// The epoch that the targets were made for.
    pub(super) target_epoch: i32,
    /// When that was; 0 if not known.
    pub(super) target_ms: i64,
    pub(super) targets: BTreeMap<Arc<str>, Assignment>,
    /// Who holds each partition, also one that it has to give up.
    pub(super) holders: BTreeMap<(Uuid, i32), Arc<str>>,
    /// What regular expressions stand for.
    pub(super) regexes: BTreeMap<String, wire::Regex>,
    /// How many members want each topic by name.
    pub(super) by_name: BTreeMap<String, usize>,
    /// How many members have each regular expression.
    pub(super) by_regex: BTreeMap<String, usize>,
    /// How many members want each assignor.
    pub(super) by_assignor: BTreeMap<String, usize>,
    /// How many members speak the classic protocol.
    pub(super) classics: usize,
    /// There is a record of the kind that Kafka wrote before 4.1.
    pub(super) old_metadata: bool,
}

impl Default for Group {
    fn default() -> Group {
        Group {
            epoch: FIRST_EPOCH,
            metadata_hash: 0,
            members: BTreeMap::new(),
            instances: BTreeMap::new(),
            target_epoch: NO_TARGET,
            target_ms: 0,
            targets: BTreeMap::new(),
            holders: BTreeMap::new(),
            regexes: BTreeMap::new(),
            by_name: BTreeMap::new(),
            by_regex: BTreeMap::new(),
            by_assignor: BTreeMap::new(),
            classics: 0,
            old_metadata: false,
        }
    }
}

impl Group {
    pub(crate) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// The id and member behind a static name.
    pub(super) fn behind(&self, instance: &str) -> Option<(&Arc<str>, &Member)> {
        let id = self.instances.get(instance)?;
        self.members.get_key_value(id)
    }

    /// True if the record says that the group is no more.
    pub(super) fn ends_with(key: &Key<'_>, value: Option<&[u8]>) -> bool {
        matches!(key, Key::ConsumerGroup(_)) && value.is_none()
    }

    /// Applies a record of this group. What can't be read is skipped.
    pub(super) fn apply(&mut self, key: &Key<'_>, value: Option<&[u8]>) {
        match (key, value) {
            (Key::ConsumerGroup(_), Some(value)) => {
                if let Some(value) = GroupEpoch::decode(value) {
                    (self.epoch, self.metadata_hash) = (value.epoch, value.metadata_hash);
                }
            }
            (Key::ConsumerPartitions(_), value) => self.old_metadata = value.is_some(),
            (Key::ConsumerMember(_, id), Some(value)) => {
                if let Some(wishes) = wire::Member::decode(value) {
                    self.set_wishes(id, wishes);
                }
            }
            (Key::ConsumerMember(_, id), None) => self.remove(id),
            (Key::ConsumerTarget(_), value) => {
                let target = value.map_or(Some(UNMADE), Target::decode);
                if let Some(target) = target {
                    (self.target_epoch, self.target_ms) = (target.epoch, target.assigned_ms);
                }
            }
            (Key::ConsumerTargetMember(_, id), Some(value)) => {
                if let Some(value) = TargetMember::decode(value) {
                    self.targets.insert(Arc::from(*id), assignment(&value));
                }
            }
            (Key::ConsumerTargetMember(_, id), None) => {
                self.targets.remove(*id);
            }
            (Key::ConsumerCurrentMember(_, id), Some(value)) => {
                if let Some(current) = Current::decode(value) {
                    self.set_current(id, current);
                }
            }
            (Key::ConsumerCurrentMember(_, id), None) if self.members.contains_key(*id) => {
                self.set_current(id, Current::default());
            }
            (Key::ConsumerRegex(_, regex), Some(value)) => {
                if let Some(mut value) = wire::Regex::decode(value) {
                    value.topics.sort_unstable();
                    self.regexes.insert((*regex).to_owned(), value);
                }
            }
            (Key::ConsumerRegex(_, regex), None) => {
                self.regexes.remove(*regex);
            }
            _ => {}
        }
    }

    fn member_or_blank(&mut self, id: &str) -> &mut Member {
        if !self.members.contains_key(id) {
            self.members.insert(Arc::from(id), Member::blank());
        }
        self.members.get_mut(id).expect("just inserted")
    }

    fn set_wishes(&mut self, id: &str, mut wishes: wire::Member) {
        wishes.topics.sort_unstable();
        wishes.topics.dedup();
        self.member_or_blank(id);
        let (key, member) = self.members.get_key_value(id).expect("just inserted");
        let (key, old) = (key.clone(), member.clone());
        self.count(&old, false);
        self.forget_instance(&old, id);
        if let Some(instance) = &wishes.instance {
            self.instances.insert(instance.clone(), key);
        }
        self.member_or_blank(id).wishes = wishes;
        let new = self.member_or_blank(id).clone();
        self.count(&new, true);
    }

    fn set_current(&mut self, id: &str, current: Current) {
        let old = std::mem::replace(&mut self.member_or_blank(id).current, current.clone());
        let key = self.members.get_key_value(id).map(|(key, _)| key.clone());
        let key = key.expect("just inserted");
        self.release(&old, id);
        for (topic, partitions) in current.assigned.iter().chain(&current.revoking) {
            for partition in partitions.keys() {
                self.holders.insert((*topic, *partition), key.clone());
            }
        }
    }

    fn remove(&mut self, id: &str) {
        let Some(member) = self.members.remove(id) else {
            return;
        };
        self.count(&member, false);
        self.release(&member.current, id);
        self.forget_instance(&member, id);
    }

    fn forget_instance(&mut self, member: &Member, id: &str) {
        if let Some(instance) = &member.wishes.instance
            && self
                .instances
                .get(instance)
                .is_some_and(|known| **known == *id)
        {
            self.instances.remove(instance);
        }
    }

    fn release(&mut self, current: &Current, id: &str) {
        for (topic, partitions) in current.assigned.iter().chain(&current.revoking) {
            for partition in partitions.keys() {
                let place = (*topic, *partition);
                if self.holders.get(&place).is_some_and(|known| **known == *id) {
                    self.holders.remove(&place);
                }
            }
        }
    }

    fn count(&mut self, member: &Member, here: bool) {
        for topic in &member.wishes.topics {
            count(&mut self.by_name, topic, here);
        }
        if let Some(regex) = member.regex() {
            count(&mut self.by_regex, regex, here);
        }
        if let Some(assignor) = &member.wishes.assignor {
            count(&mut self.by_assignor, assignor, here);
        }
        if member.is_classic() {
            self.classics = if here {
                self.classics + 1
            } else {
                self.classics.saturating_sub(1)
            };
        }
    }
}

/// What a tombstone says of the targets.
const UNMADE: Target = Target {
    epoch: NO_TARGET,
    assigned_ms: 0,
};

fn assignment(value: &TargetMember) -> Assignment {
    let mut assignment = Assignment::new();
    for part in &value.partitions {
        assignment
            .entry(part.topic)
            .or_default()
            .extend(&part.partitions);
    }
    for partitions in assignment.values_mut() {
        partitions.sort_unstable();
        partitions.dedup();
    }
    assignment.retain(|_, partitions| !partitions.is_empty());
    assignment
}

fn count(counts: &mut BTreeMap<String, usize>, of: &str, here: bool) {
    if here {
        *counts.entry(of.to_owned()).or_default() += 1;
    } else if let Some(count) = counts.get_mut(of) {
        *count -= 1;
        if *count == 0 {
            counts.remove(of);
        }
    }
}
