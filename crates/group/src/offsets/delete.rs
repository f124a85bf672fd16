//! Offsets that go because somebody says so: OffsetDelete, DeleteGroups, topics that are gone.

use super::{ByTopic, PAUSE, Room, tombstone};
use crate::classic::State;
use crate::command::OffsetDelete;
use crate::groups::Group;
use crate::record::{Key, Record};
use crate::reply::{DeletedTopic, Reply};
use crate::soft::Timer;
use crate::{Caller, Context, Decision, Groups, Soft};
use base::{Refusal, Uuid};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound::{Excluded, Unbounded};
use std::sync::Arc;

/// Offsets that are looked for because their topics are gone.
#[derive(Debug)]
pub(crate) struct Search {
    /// The ids that each name had.
    topics: BTreeMap<String, Vec<Uuid>>,
    /// The last group that was done with.
    after: Option<Arc<str>>,
}

impl Groups {
    pub(crate) fn delete_offsets(
        &self,
        soft: &Soft,
        caller: Caller,
        delete: &OffsetDelete,
        out: &mut Decision,
    ) {
        // One offset goes once, however often it is named.
        let mut gone: BTreeSet<(&str, i32)> = BTreeSet::new();
        let reply = self.may_delete_offsets(soft, &delete.group).map(|()| {
            let topics = delete.topics.iter();
            topics
                .map(|(topic, partitions)| DeletedTopic {
                    name: topic.clone(),
                    partitions: self.delete_of(soft, &delete.group, topic, partitions, &mut gone),
                })
                .collect()
        });
        for (topic, partition) in gone {
            out.records.push(tombstone(&delete.group, topic, partition));
        }
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

    fn delete_of<'d>(
        &self,
        soft: &Soft,
        group: &str,
        topic: &'d str,
        partitions: &[i32],
        gone: &mut BTreeSet<(&'d str, i32)>,
    ) -> Vec<(i32, Result<(), Refusal>)> {
        if self.consumes(soft, group, topic) {
            let refuse = |p: &i32| (*p, Err(Refusal::GroupSubscribedToTopic));
            return partitions.iter().map(refuse).collect();
        }
        let known = self.offsets.get(group).and_then(|topics| topics.get(topic));
        for partition in partitions {
            if known.is_some_and(|known| known.contains_key(partition)) {
                gone.insert((topic, *partition));
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

    /// What is more than one turn writes is told to come again.
    pub(crate) fn delete_groups(
        &self,
        soft: &mut Soft,
        ctx: &Context<'_>,
        caller: Caller,
        names: &[String],
        out: &mut Decision,
    ) {
        let mut parts = Vec::with_capacity(names.len());
        let mut room = Room::of_one_turn(ctx.config);
        for name in names {
            let outcome = match room.is_used_up() {
                true => Err(Refusal::CoordinatorLoading),
                false => self.may_delete(soft, name),
            };
            if outcome.is_ok() {
                let before = out.records.len();
                self.forget_offsets(name, &mut out.records);
                self.tombstone_group(soft, name, &mut out.records);
                room.used(&out.records[before..]);
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
    pub(crate) fn topics_deleted(
        &self,
        soft: &mut Soft,
        ctx: &Context<'_>,
        gone: Vec<(String, Uuid)>,
        out: &mut Decision,
    ) {
        let mut topics: BTreeMap<String, Vec<Uuid>> = BTreeMap::new();
        for (name, id) in gone {
            topics.entry(name).or_default().push(id);
        }
        let after = None;
        soft.gone.push_back(Search { topics, after });
        // Those before it go on when their timer says so.
        if soft.gone.len() == 1 {
            self.forget_gone(soft, ctx, out);
        }
    }

    /// Goes on with the offsets of topics that are gone, as far as one turn goes.
    pub(crate) fn forget_gone(&self, soft: &mut Soft, ctx: &Context<'_>, out: &mut Decision) {
        let mut room = Room::of_one_turn(ctx.config);
        while let Some(search) = soft.gone.front_mut() {
            if !self.search(search, &mut room, out) {
                soft.timers.arm(ctx.now.mono.after(PAUSE), Timer::Gone);
                return;
            }
            soft.gone.pop_front();
        }
    }

    /// False if there is more to write than there is room.
    fn search(&self, search: &mut Search, room: &mut Room, out: &mut Decision) -> bool {
        let from = search.after.clone().map_or(Unbounded, Excluded);
        for (group, committed) in self.offsets.range((from, Unbounded)) {
            for topic in both(committed, &search.topics) {
                let ids = &search.topics[&**topic];
                for (partition, offset) in &committed[topic] {
                    if !ids.contains(&offset.topic_id) && offset.topic_id != Uuid::ZERO {
                        continue;
                    }
                    if room.is_used_up() {
                        return false;
                    }
                    room.put(tombstone(group, topic, *partition), &mut out.records);
                }
            }
            search.after = Some(group.clone());
        }
        true
    }
}

/// The topics that are in both. Whichever are fewer are gone through: one turn is not to look at
/// all that was ever committed.
fn both<'a>(committed: &'a ByTopic, gone: &BTreeMap<String, Vec<Uuid>>) -> Vec<&'a Arc<str>> {
    if committed.len() <= gone.len() {
        let names = committed.keys();
        return names.filter(|name| gone.contains_key(&***name)).collect();
    }
    let known = |name: &String| committed.get_key_value(name.as_str());
    gone.keys()
        .filter_map(known)
        .map(|(name, _)| name)
        .collect()
}
