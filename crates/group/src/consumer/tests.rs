//! What dialogues can't say: the hash of topics, bit for bit.

use super::hash;
use super::soft::Soft;
use crate::{TopicFacts, Topics};
use base::Uuid;
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
