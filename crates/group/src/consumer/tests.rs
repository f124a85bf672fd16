//! What dialogues can't say: the hash of topics, bit for bit; and what holds of every group,
//! which the property tests of the machine ask after each step.

use super::soft::Soft;
use super::state::Group;
use super::{hash, leave};
use crate::command::TopicPartitions;
use crate::record::{Key, consumer as wire};
use crate::{TopicFacts, Topics};
use base::Uuid;
use std::collections::BTreeSet;
use std::sync::Arc;

struct Three;

impl Topics for Three {
    fn topic(&self, name: &str) -> Option<TopicFacts> {
        let (id, partitions) = match name {
            "orders" => ((1u128 << 64) | 2, 3),
            "payments" => (0x0102_0304_0506_0708_1112_1314_1516_1718, 2),
            _ if name.len() == 60 => ((5u128 << 64) | 6, 100),
            _ => return None,
        };
        Some(TopicFacts {
            id: Uuid(id.to_be_bytes()),
            partitions,
        })
    }

    fn name_of(&self, _: &Uuid) -> Option<&str> {
        None
    }

    fn names(&self) -> Box<dyn Iterator<Item = &str> + '_> {
        Box::new(std::iter::empty())
    }

    fn racks(&self, name: &str) -> Vec<Vec<Arc<str>>> {
        match name {
            "payments" => vec![vec!["a".into(), "b".into()], vec!["b".into(), "cé".into()]],
            _ => Vec::new(),
        }
    }

    fn version(&self) -> u64 {
        1
    }
}

/// The numbers come from Kafka 4.3.1's own hash function.
#[test]
fn the_hash_of_topics_is_kafka_s() {
    let mut soft = Soft::default();
    let mut of = |names: &[&str]| hash::of_topics(names.iter().copied(), &Three, &mut soft);
    assert_eq!(of(&[]), 0);
    assert_eq!(of(&["nowhere"]), 0);
    assert_eq!(of(&["orders"]), -4_373_262_523_051_953_005);
    assert_eq!(
        of(&["nowhere", "orders", "payments"]),
        4_159_883_767_227_200_976
    );
    let long = "x".repeat(60);
    of(&[&long]);
    let known = |name: &str| soft.hashes.by_name.get(name).copied();
    assert_eq!(known("orders"), Some(2_779_785_129_666_336_701));
    assert_eq!(known("payments"), Some(1_247_187_523_987_232_154));
    assert_eq!(known(&long), Some(-2_288_010_670_783_393_971));
}

#[test]
fn what_nobody_wants_goes_with_those_who_leave() {
    let mut group = Group::default();
    for (id, topics) in [("x", ["a", "b"]), ("y", ["b", "c"]), ("z", ["a", "d"])] {
        let wishes = wire::Member {
            topics: topics.map(str::to_owned).to_vec(),
            ..wire::Member::default()
        };
        group.apply(&Key::ConsumerMember("g", id), Some(&wishes.encode()));
    }
    let without = |gone: &[&str]| {
        let gone = gone.iter().map(|id| Arc::from(*id)).collect();
        let topics = leave::topics_without(&group, &gone, &BTreeSet::new());
        topics.into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(without(&["x"]), ["a", "b", "c", "d"]);
    assert_eq!(without(&["x", "z", "nobody"]), ["b", "c"]);
    assert!(without(&["x", "y", "z"]).is_empty());
}

impl Group {
    /// Panics unless every partition has one holder, and what is counted is what there is.
    pub(crate) fn check(&self) {
        let mut counted = Group::default();
        for (id, member) in &self.members {
            let wishes = member.wishes.encode();
            counted.apply(&Key::ConsumerMember("g", id), Some(&wishes));
            for (topic, partitions) in member
                .current
                .assigned
                .iter()
                .chain(&member.current.revoking)
            {
                for partition in partitions.keys() {
                    let other = counted.holders.get(&(*topic, *partition));
                    assert_eq!(other, None, "{id} holds what another one holds");
                    counted.holders.insert((*topic, *partition), id.clone());
                }
            }
        }
        assert_eq!(self.holders, counted.holders);
        assert_eq!(self.instances, counted.instances);
        assert_eq!(self.by_name, counted.by_name);
        assert_eq!(self.by_regex, counted.by_regex);
        assert_eq!(self.by_assignor, counted.by_assignor);
        assert_eq!(self.classics, counted.classics);
        assert!(self.target_epoch <= self.epoch);
        for regex in self.regexes.keys() {
            assert!(self.by_regex.contains_key(regex), "{regex} is nobody's");
        }
        for id in self.targets.keys() {
            assert!(
                self.members.contains_key(id),
                "{id} is gone and has a target"
            );
        }
    }

    pub(crate) fn has(&self, member: &str) -> bool {
        self.members.contains_key(member)
    }

    pub(crate) fn held_by(&self, member: &str) -> Vec<TopicPartitions> {
        super::state::listed_holding(&self.members[member].current.assigned)
    }

    /// Panics unless everybody holds its target, and the targets are all there is.
    pub(crate) fn check_settled(&self, topics: &dyn Topics) {
        assert_eq!(self.state_name(), "Stable");
        let mut held = 0;
        for (id, member) in &self.members {
            let target = self.targets.get(id).cloned().unwrap_or_default();
            let current = super::embedded::held(&member.current.assigned);
            assert_eq!(current, target, "{id} isn't where it is to be");
            held += current.values().map(Vec::len).sum::<usize>();
        }
        let named = self.by_name.keys();
        let matched = self.regexes.values().flat_map(|regex| &regex.topics);
        let wanted: BTreeSet<&String> = named.chain(matched).collect();
        let exist = wanted.iter().filter_map(|name| topics.topic(name));
        let all: u32 = exist.map(|facts| facts.partitions).sum();
        assert_eq!(held, all as usize, "a partition is nobody's");
    }
}
