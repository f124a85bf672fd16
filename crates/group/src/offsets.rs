//! Committed offsets: who read how far.
//!
//! They belong to groups but live beside them: a group may have nothing but offsets (a consumer
//! that assigns its partitions itself), and a group that changes its protocol keeps them.

mod commit;
mod delete;
mod expire;
mod fetch;

pub(crate) use delete::{Deletion, Search};
pub(crate) use expire::Sweep;

use crate::record::offset::{Offset, View};
use crate::record::{Key, Record};
use crate::{Config, Groups, Topics};
use base::Uuid;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// The offsets of one group by topic and partition.
pub(crate) type ByTopic = BTreeMap<Arc<str>, BTreeMap<i32, Offset>>;

/// The pause between two turns of something long, in which others get theirs.
const PAUSE: Duration = Duration::from_millis(10);

/// What is left of the bytes that one turn writes of something long.
pub(crate) struct Room(usize);

impl Room {
    /// As much as one record may have.
    fn of_one_turn(config: &Config) -> Room {
        Room(config.record_bytes_max as usize)
    }

    fn is_used_up(&self) -> bool {
        self.0 == 0
    }

    /// Room that is used was there: one record more doesn't matter.
    fn used(&mut self, records: &[Record]) {
        let bytes: usize = records.iter().map(Record::bytes).sum();
        self.0 = self.0.saturating_sub(bytes);
    }

    fn put(&mut self, record: Record, records: &mut Vec<Record>) {
        self.used(std::slice::from_ref(&record));
        records.push(record);
    }
}

impl Groups {
    pub(crate) fn replay_offset(
        &mut self,
        group: &str,
        topic: &str,
        partition: i32,
        value: Option<&[u8]>,
    ) {
        let Some(value) = value else {
            return self.forget_offset(group, topic, partition);
        };
        let Some(view) = View::decode(value) else {
            return;
        };
        let topics = entry(&mut self.offsets, group);
        let partitions = entry(topics, topic);
        let old = partitions.get(&partition).map(|old| &old.metadata);
        // Most commits say the same words as the one before, or none.
        let metadata = match old {
            Some(same) if **same == *view.metadata => same.clone(),
            _ => Arc::from(view.metadata),
        };
        let offset = Offset {
            offset: view.offset,
            leader_epoch: view.leader_epoch,
            metadata,
            committed_ms: view.committed_ms,
            expires_ms: view.expires_ms,
            topic_id: view.topic_id,
        };
        partitions.insert(partition, offset);
    }

    fn forget_offset(&mut self, group: &str, topic: &str, partition: i32) {
        let Some(topics) = self.offsets.get_mut(group) else {
            return;
        };
        if let Some(partitions) = topics.get_mut(topic) {
            partitions.remove(&partition);
            if partitions.is_empty() {
                topics.remove(topic);
            }
        }
        if topics.is_empty() {
            self.offsets.remove(group);
        }
    }
}

/// The id of the topic that has this name now; zero if that isn't known.
fn id_of(topic: &str, topics: &dyn Topics) -> Uuid {
    topics.topic(topic).map_or(Uuid::ZERO, |facts| facts.id)
}

/// An offset that was committed for an earlier topic of this name says nothing of this one. It may
/// still be there: a coordinator that isn't there when a topic is deleted isn't told.
fn same_topic(committed: &Uuid, topic: &Uuid) -> bool {
    committed == topic || *committed == Uuid::ZERO || *topic == Uuid::ZERO
}

/// The entry of this name, made if need be; the name is only copied then.
fn entry<'m, V: Default>(map: &'m mut BTreeMap<Arc<str>, V>, name: &str) -> &'m mut V {
    if !map.contains_key(name) {
        map.insert(Arc::from(name), V::default());
    }
    map.get_mut(name)
        .expect("it was put in just now if it wasn't there")
}

pub(crate) fn tombstone(group: &str, topic: &str, partition: i32) -> Record {
    Record::tombstone(Key::Offset {
        group,
        topic,
        partition,
    })
}
