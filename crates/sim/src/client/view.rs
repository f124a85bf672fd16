//! What a client knows of the cluster: topics, their ids, who leads their partitions.

use super::Reach;
use crate::book::topic_number;
use crate::checkers::{Checked, Part};
use crate::net::Place;
use base::Uuid;
use std::collections::BTreeMap;
pub(crate) use wire_kafka::messages::metadata_request::MetadataRequest;
use wire_kafka::messages::metadata_response::MetadataResponse;

/// A client's metadata.
pub(crate) struct View {
    /// Leader and epoch of each partition that has one.
    pub(crate) leaders: BTreeMap<Part, (Place, i32)>,
    /// Ids of topics.
    pub(crate) ids: BTreeMap<u32, Uuid>,
    /// Topics of all ids that it was ever told: what was asked by an earlier one may be answered after the
    /// next was learned.
    named: BTreeMap<Uuid, u32>,
    /// It is out of date.
    pub(crate) wanted: bool,
    /// It is being asked for.
    pub(crate) asked: bool,
}

impl Default for View {
    fn default() -> View {
        View {
            leaders: BTreeMap::new(),
            ids: BTreeMap::new(),
            named: BTreeMap::new(),
            wanted: true,
            asked: false,
        }
    }
}

/// Asks for everything.
pub(crate) fn request() -> MetadataRequest {
    MetadataRequest {
        topics: None,
        ..MetadataRequest::default()
    }
}

impl View {
    /// Partitions that have a leader.
    pub(crate) fn parts(&self) -> Vec<Part> {
        self.leaders.keys().copied().collect()
    }

    /// The topic of an id.
    pub(crate) fn topic_of(&self, id: &Uuid) -> Option<u32> {
        self.named.get(id).copied()
    }

    /// Takes over an answer; of leaders only newer ones, as real clients do.
    pub(crate) fn learn(
        &mut self,
        answer: &MetadataResponse,
        connection: u64,
        reach: &mut Reach<'_>,
    ) -> Checked {
        self.asked = false;
        self.wanted = false;
        for topic in &answer.topics {
            let Some(number) = topic.name.as_deref().and_then(topic_number) else {
                continue;
            };
            if topic.topic_id != Uuid::ZERO && topic.error_code == 0 {
                let name = topic.name.as_deref().unwrap_or_default();
                reach.checkers.topics.has_id(name, topic.topic_id)?;
                self.ids.insert(number, topic.topic_id);
                self.named.insert(topic.topic_id, number);
            }
            for partition in &topic.partitions {
                let part = Part {
                    topic: number,
                    partition: partition.partition_index as u32,
                };
                self.learn_leader(part, partition.leader_id, partition.leader_epoch);
                self.wanted |= partition.leader_id < 1;
                // An older version of the answer doesn't tell a topic from one that was made anew.
                if partition.leader_id > 0 && topic.topic_id != Uuid::ZERO {
                    let epoch = partition.leader_epoch;
                    let of = (topic.topic_id, part);
                    reach.checkers.epochs.shown(connection, of, epoch)?;
                }
            }
        }
        Ok(())
    }

    /// Somebody said who leads.
    pub(crate) fn learn_leader(&mut self, part: Part, leader: i32, epoch: i32) {
        if leader < 1 {
            return;
        }
        let known = self.leaders.get(&part).map_or(-1, |(_, epoch)| *epoch);
        if epoch >= known {
            self.leaders.insert(part, (leader as usize - 1, epoch));
        }
    }
}
