//! OffsetFetch: how far has the group read? A group that doesn't exist has read nothing.

use crate::command::{FetchTopic, OffsetFetch};
use crate::groups::Group;
use crate::record::offset::Offset;
use crate::reply::{Fetched, FetchedPartition, FetchedTopic, Reply};
use crate::{Caller, Decision, Groups};
use base::{Refusal, Uuid};
use std::collections::BTreeMap;
use std::sync::Arc;

impl Groups {
    /// Answers wait for earlier records, so every answer is of committed offsets and
    /// `require_stable` asks for nothing more until there are transactions.
    pub(crate) fn fetch(&self, caller: Caller, fetch: OffsetFetch, out: &mut Decision) {
        let reply = self.may_fetch(&fetch).map(|()| self.read(&fetch));
        out.replies.push((caller, Reply::OffsetFetch(reply)));
    }

    fn may_fetch(&self, fetch: &OffsetFetch) -> Result<(), Refusal> {
        match self.groups.get(fetch.group.as_str()) {
            Some(Group::Consumer(group)) => {
                group.may_fetch(fetch.member.as_deref(), fetch.member_epoch)
            }
            _ => Ok(()),
        }
    }

    fn read(&self, fetch: &OffsetFetch) -> Vec<FetchedTopic> {
        let known = self.offsets.get(fetch.group.as_str());
        if let Some(wanted) = &fetch.topics {
            let of = |topic: &FetchTopic| known.and_then(|known| known.get(&topic.name));
            return wanted.iter().map(|topic| some(topic, of(topic))).collect();
        }
        let known = known.into_iter().flatten();
        known.map(|(name, offsets)| all(name, offsets)).collect()
    }
}

fn some(topic: &FetchTopic, offsets: Option<&BTreeMap<i32, Offset>>) -> FetchedTopic {
    let partition = |partition: &i32| FetchedPartition {
        partition: *partition,
        offset: Ok(offsets
            .and_then(|offsets| offsets.get(partition))
            .filter(|offset| same_topic(&offset.topic_id, &topic.id))
            .map(fetched)),
    };
    FetchedTopic {
        name: topic.name.clone(),
        id: topic.id,
        partitions: topic.partitions.iter().map(partition).collect(),
    }
}

/// An offset that was committed for an earlier topic of this name says nothing of this one.
fn same_topic(committed: &Uuid, asked: &Uuid) -> bool {
    committed == asked || *committed == Uuid::ZERO || *asked == Uuid::ZERO
}

fn all(name: &Arc<str>, offsets: &BTreeMap<i32, Offset>) -> FetchedTopic {
    let partition = |(partition, offset): (&i32, &Offset)| FetchedPartition {
        partition: *partition,
        offset: Ok(Some(fetched(offset))),
    };
    FetchedTopic {
        name: name.clone(),
        id: Uuid::ZERO,
        partitions: offsets.iter().map(partition).collect(),
    }
}

fn fetched(offset: &Offset) -> Fetched {
    Fetched {
        offset: offset.offset,
        leader_epoch: offset.leader_epoch,
        metadata: offset.metadata.clone(),
    }
}
