//! Offsets that go because somebody says so: OffsetDelete, DeleteGroups, topics that are gone.

use super::tombstone;
use crate::classic::State;
use crate::command::OffsetDelete;
use crate::groups::Group;
use crate::record::offset::Offset;
use crate::record::{Key, Record};
use crate::reply::{DeletedTopic, Reply};
use crate::{Caller, Decision, Groups, Soft};
use base::{Refusal, Uuid};
use std::collections::BTreeMap;

impl Groups {
    pub(crate) fn delete_offsets(
        &self,
        soft: &Soft,
        caller: Caller,
        delete: &OffsetDelete,
        out: &mut Decision,
    ) {
        let reply = self.may_delete_offsets(soft, &delete.group).map(|()| {
            let topics = delete.topics.iter();
            topics
                .map(|(topic, partitions)| DeletedTopic {
                    name: topic.clone(),
                    partitions: self.delete_of(soft, &delete.group, topic, partitions, out),
                })
                .collect()
        });
        out.replies.push((caller, Reply::OffsetDelete(reply)));
    }

    fn may_delete_offsets(&self, soft: &Soft, name: &str) -> Result<(), Refusal> {
        if name.is_empty() {
            return Err(Refusal::InvalidGroupId);
        }
        if !self.exists(soft, name) {
            return Err(Refusal::GroupIdNotFound(format!("Group {name} not found.")));
        }
        let live = soft.classic.get(name);
        match live.is_some_and(|live| live.state != State::Empty && !live.is_consumer()) {
            true => Err(Refusal::NonEmptyGroup),
            false => Ok(()),
        }
    }

    fn delete_of(
        &self,
        soft: &Soft,
        group: &str,
        topic: &str,
        partitions: &[i32],
        out: &mut Decision,
    ) -> Vec<(i32, Result<(), Refusal>)> {
        if self.consumes(soft, group, topic) {
            let refuse = |p: &i32| (*p, Err(Refusal::GroupSubscribedToTopic));
            return partitions.iter().map(refuse).collect();
        }
        let known = self.offsets.get(group).and_then(|topics| topics.get(topic));
        for partition in partitions {
            if known.is_some_and(|known| known.contains_key(partition)) {
                out.records.push(tombstone(group, topic, *partition));
            }
        }
        partitions.iter().map(|p| (*p, Ok(()))).collect()
    }

    /// True if the group's members read the topic now, or may do so for all that is known.
    pub(crate) fn consumes(&self, soft: &Soft, group: &str, topic: &str) -> bool {
        if let Some(Group::Consumer(group)) = self.groups.get(group) {
            return group.subscribes(topic);
        }
        let Some(live) = soft.classic.get(group) else {
            return false;
        };
        match &live.topics {
            Some(topics) => topics.contains(topic),
            None => live.is_consumer() && !live.members.is_empty(),
        }
    }

    pub(crate) fn delete_groups(
        &self,
        soft: &mut Soft,
        caller: Caller,
        names: &[String],
        out: &mut Decision,
    ) {
        let mut parts = Vec::with_capacity(names.len());
        for name in names {
            let outcome = self.may_delete(soft, name);
            if outcome.is_ok() {
                self.forget_offsets(name, &mut out.records);
                self.tombstone_group(soft, name, &mut out.records);
            }
            parts.push((name.clone(), outcome));
        }
        out.replies.push((caller, Reply::DeleteGroups(parts)));
    }

    fn may_delete(&self, soft: &Soft, name: &str) -> Result<(), Refusal> {
        if !self.exists(soft, name) {
            return Err(Refusal::GroupIdNotFound(format!("Group {name} not found.")));
        }
        match self.in_use(soft, name) {
            true => Err(Refusal::NonEmptyGroup),
            false => Ok(()),
        }
    }

    /// True if the group has members.
    pub(crate) fn in_use(&self, soft: &Soft, name: &str) -> bool {
        if let Some(live) = soft.classic.get(name) {
            return live.state != State::Empty;
        }
        match self.groups.get(name) {
            Some(Group::Consumer(group)) => !group.is_empty(),
            Some(Group::Classic(saved)) => !saved.members.is_empty(),
            None => false,
        }
    }

    /// Writes what makes the group itself disappear; its offsets are another matter.
    pub(crate) fn tombstone_group(&self, soft: &mut Soft, name: &str, records: &mut Vec<Record>) {
        soft.retire(name);
        match self.groups.get(name) {
            Some(Group::Consumer(group)) => group.tombstones(name, records),
            Some(Group::Classic(_)) => records.push(Record::tombstone(Key::Group(name))),
            None => {}
        }
    }

    /// Topics are gone, and with them what was committed for them - not what was committed for
    /// a later topic of the same name.
    pub(crate) fn topics_deleted(&self, topics: &[(String, Uuid)], out: &mut Decision) {
        let mut gone: BTreeMap<&str, Vec<Uuid>> = BTreeMap::new();
        for (name, id) in topics {
            gone.entry(name).or_default().push(*id);
        }
        let mut forget =
            |group: &str, topic: &str, partitions: &BTreeMap<i32, Offset>, ids: &[Uuid]| {
                for (partition, offset) in partitions {
                    if ids.contains(&offset.topic_id) || offset.topic_id == Uuid::ZERO {
                        out.records.push(tombstone(group, topic, *partition));
                    }
                }
            };
        // Whichever are fewer are gone through, and partitions only of what is gone: one turn is not
        // to look at all that was ever committed.
        for (group, committed) in &self.offsets {
            if committed.len() <= gone.len() {
                for (topic, partitions) in committed {
                    if let Some(ids) = gone.get(&**topic) {
                        forget(group, topic, partitions, ids);
                    }
                }
                continue;
            }
            for (topic, ids) in &gone {
                if let Some(partitions) = committed.get(*topic) {
                    forget(group, topic, partitions, ids);
                }
            }
        }
    }
}
