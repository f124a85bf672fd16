//! The whole state in bytes: for a checkpoint, and for a node that lacks what is gone from the log.
//!
//! It is the shortest list of facts that leads to the state, as records ([`Record`]), behind the few
//! numbers that outlive what they were given to. So what a record says has one layout, and restoring
//! is replaying. Described in `docs/formats/metadata.md`; replayable for ever.

use crate::codec::{Malformed, Reader, Writer};
use crate::reassign::{Placed, placed_records};
use crate::records::Record;
use crate::{Defaults, Level, Meta, PartitionInfo, Topic};
use base::{GroupId, Machine, NodeId, Partition};
use bytes::Bytes;

/// The layout.
const VERSION: u8 = 1;

impl Meta {
    /// The state as bytes.
    pub fn snapshot(&self) -> Bytes {
        let mut w = Writer::default();
        w.byte(VERSION);
        w.number(self.next_group.0);
        let generations: Vec<_> = self.image.generations.iter().collect();
        w.list(&generations, |w, (node, last)| {
            w.number(u64::from(node.0));
            w.number(u64::from(**last));
        });
        let facts = self.facts();
        w.list(&facts, |w, fact| {
            let bytes = fact.encode();
            w.number(bytes.len() as u64);
            w.0.extend_from_slice(&bytes);
        });
        w.0.into()
    }

    /// The state of a node with these defaults, from the bytes of any node.
    pub fn restore(defaults: Defaults, bytes: &[u8]) -> Result<Meta, Malformed> {
        let mut r = Reader::new(bytes);
        if r.byte()? != VERSION {
            return Err(Malformed);
        }
        let next_group = GroupId(r.number()?);
        let generations: Vec<(NodeId, u32)> = r.list(|r| Ok((r.node()?, r.small()?)))?;
        let mut meta = Meta::new(defaults);
        r.list(|r| {
            let len = r.small()?;
            let fact = r.bytes(len)?;
            Record::decode(fact)?;
            meta.replay(fact);
            Ok(())
        })?;
        r.end()?;
        meta.next_group = meta.next_group.max(next_group);
        meta.image.generations = generations.into_iter().collect();
        Ok(meta)
    }

    /// What leads from nothing to here. Configurations of nodes come first: topics are read by them.
    fn facts(&self) -> Vec<Record> {
        let image = &self.image;
        let mut facts = Vec::new();
        for (resource, set) in image.configs.iter() {
            facts.push(Record::ConfigChanged {
                resource: resource.clone(),
                set: set.clone(),
                gone: Vec::new(),
            });
        }
        for (node, info) in &image.nodes {
            let (node, info) = (*node, info.clone());
            facts.push(Record::NodeRegistered { node, info });
        }
        for (node, home) in &image.homes {
            let (node, home) = (*node, (**home).clone());
            facts.push(Record::NodeHoused { node, home });
        }
        for (node, levels) in &image.levels {
            let (node, levels) = (*node, *levels);
            facts.push(Record::LevelsDeclared { node, levels });
        }
        let level = image.level;
        if level != Level::default() {
            facts.push(Record::LevelRaised { level });
        }
        for topic in image.topics.values() {
            facts.extend(facts_of(topic));
        }
        for (entity, set) in image.quotas.iter() {
            facts.extend(set.iter().map(|(key, amount)| Record::QuotaChanged {
                entity: entity.clone(),
                key: key.clone(),
                amount: Some(*amount),
            }));
        }
        let next = self.next_producer();
        facts.push(Record::ProducerIdsAllocated { next });
        facts
    }
}

fn facts_of(topic: &Topic) -> Vec<Record> {
    let made = Record::TopicCreated {
        name: topic.name.clone(),
        id: topic.id,
        partitions: topic.partitions.clone(),
        configs: topic.configs.clone(),
    };
    let moved = |(at, info): (usize, &PartitionInfo)| {
        let moves = info.moves.as_ref()?;
        let placed = Placed {
            replicas: info.replicas.clone(),
            moves: (**moves).clone(),
        };
        Some((Partition(at as u32), placed))
    };
    let partitions = topic.partitions.iter().enumerate().filter_map(moved);
    let moved = placed_records(topic.id, partitions);
    std::iter::once(made).chain(moved).collect()
}

#[cfg(test)]
mod tests;
