//! OffsetFetch: how far has the group read? A group that doesn't exist has read nothing.

use super::{id_of, same_topic};
use crate::command::{FetchTopic, OffsetFetch};
use crate::groups::Group;
use crate::record::offset::Offset;
use crate::reply::{Fetched, FetchedPartition, FetchedTopic, Reply};
use crate::{Caller, Context, Decision, Groups, Topics};
use base::{Refusal, Uuid};
use std::collections::BTreeMap;
use std::sync::Arc;

impl Groups {
    /// Answers wait for earlier records, so every answer is of committed offsets and
    /// `require_stable` asks for nothing more until there are transactions.
    pub(crate) fn fetch(
        &self,
        ctx: &Context<'_>,
        caller: Caller,
        fetch: OffsetFetch,
        out: &mut Decision,
    ) {
        let reply = self.may_fetch(&fetch);
        let reply = reply.map(|()| self.read(&fetch, ctx.topics));
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

    fn read(&self, fetch: &OffsetFetch, topics: &dyn Topics) -> Vec<FetchedTopic> {
        let known = self.offsets.get(fetch.group.as_str());
        if let Some(wanted) = &fetch.topics {
            let of = |topic: &FetchTopic| known.and_then(|known| known.get(&topic.name));
            let some = |topic| some(topic, of(topic), topics);
            return wanted.iter().map(some).collect();
        }
        let known = known.into_iter().flatten();
        let all = known.map(|(name, offsets)| all(name, offsets, topics));
        all.filter(|topic| !topic.partitions.is_empty()).collect()
    }
}

/// Older versions of the request say the name only, and mean the topic that has it now.
fn some(
    topic: &FetchTopic,
    offsets: Option<&BTreeMap<i32, Offset>>,
    topics: &dyn Topics,
) -> FetchedTopic {
    let id = match topic.id {
        Uuid::ZERO => id_of(&topic.name, topics),
        id => id,
    };
    let partition = |partition: &i32| FetchedPartition {
        partition: *partition,
        offset: Ok(offsets
            .and_then(|offsets| offsets.get(partition))
            .filter(|offset| same_topic(&offset.topic_id, &id))
            .map(fetched)),
    };
    FetchedTopic {
        name: topic.name.clone(),
        id: topic.id,
        partitions: topic.partitions.iter().map(partition).collect(),
    }
}

fn all(name: &Arc<str>, offsets: &BTreeMap<i32, Offset>, topics: &dyn Topics) -> FetchedTopic {
    let id = id_of(name, topics);
    let committed = offsets.iter();
    let committed = committed.filter(|(_, offset)| same_topic(&offset.topic_id, &id));
    let partition = |(partition, offset): (&i32, &Offset)| FetchedPartition {
        partition: *partition,
        offset: Ok(Some(fetched(offset))),
    };
    FetchedTopic {
        name: name.clone(),
        id: Uuid::ZERO,
        partitions: committed.map(partition).collect(),
    }
}

fn fetched(offset: &Offset) -> Fetched {
    Fetched {
        offset: offset.offset,
        leader_epoch: offset.leader_epoch,
        metadata: offset.metadata.clone(),
    }
}
