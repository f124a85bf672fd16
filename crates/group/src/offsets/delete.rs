//! Offsets that go because somebody says so: OffsetDelete, DeleteGroups, topics that are gone.

use super::{ByTopic, PAUSE, Room, tombstone};
use crate::classic::State;
use crate::command::OffsetDelete;
use crate::groups::Group;
use crate::record::{Key, Record};
use crate::reply::{DeletedTopic, Reply};
use crate::soft::Timer;
use crate::{Caller, Command, Context, Decision, Groups, Soft, refused};
use base::{Refusal, Uuid};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
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

/// Deletions that wait for those before them.
const DELETIONS_MAX: usize = 1_000;

/// Groups that somebody wants deleted.
#[derive(Debug)]
pub(crate) struct Deletion {
    caller: Caller,
    /// Those that are left.
    names: VecDeque<String>,
    /// A part of the first one is gone. Nobody joins it or commits for it until all of it is.
    begun: bool,
    /// What came of those before.
    parts: Vec<(String, Result<(), Refusal>)>,
}

impl Soft {
    /// What keeps a command from a group that is being deleted, of which a part is gone already.
    pub(crate) fn check_deletions(&self, command: &Command) -> Result<(), Refusal> {
        let Some(name) = self.deletions.front().and_then(Deletion::begun) else {
            return Ok(());
        };
        let group = match command {
            Command::JoinGroup(join) => &join.group,
            Command::OffsetCommit(commit) => &commit.group,
            Command::ConsumerHeartbeat(beat) => &beat.group,
            _ => return Ok(()),
        };
        match group == name {
            true => Err(Refusal::CoordinatorLoading),
            false => Ok(()),
        }
    }
}

impl Deletion {
    /// The group of which a part is gone.
    fn begun(&self) -> Option<&String> {
        self.names.front().filter(|_| self.begun)
    }
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

    /// What is more than one turn writes goes in portions, one after the other; the answer comes with the last one.
    pub(crate) fn delete_groups(
        &self,
        soft: &mut Soft,
        ctx: &Context<'_>,
        caller: Caller,
        names: Vec<String>,
        out: &mut Decision,
    ) {
        if soft.deletions.len() >= DELETIONS_MAX {
            let command = Command::DeleteGroups { groups: names };
            let reply = refused(&command, Refusal::CoordinatorLoading);
            return out.replies.push((caller, reply));
        }
        soft.deletions.push_back(Deletion {
            caller,
            parts: Vec::with_capacity(names.len()),
            names: names.into(),
            begun: false,
        });
        // Those before it go on when their timer says so.
        if soft.deletions.len() == 1 {
            self.go_on_deleting(soft, ctx, out);
        }
    }

    /// Goes on with the groups that are to be deleted, as far as one turn goes.
    pub(crate) fn go_on_deleting(&self, soft: &mut Soft, ctx: &Context<'_>, out: &mut Decision) {
        let mut room = Room::of_one_turn(ctx.config);
        while let Some(mut deletion) = soft.deletions.pop_front() {
            while let Some(name) = deletion.names.pop_front() {
                let outcome = match deletion.begun {
                    true => Ok(()),
                    false => self.may_delete(soft, &name),
                };
                if outcome.is_ok() && !self.forget_some(&name, &mut room, out) {
                    deletion.begun = true;
                    deletion.names.push_front(name);
                    soft.deletions.push_front(deletion);
                    soft.timers.arm(ctx.now.mono.after(PAUSE), Timer::Deletions);
                    return;
                }
                deletion.begun = false;
                if outcome.is_ok() {
                    let before = out.records.len();
                    self.tombstone_group(soft, &name, &mut out.records);
                    room.used(&out.records[before..]);
                }
                deletion.parts.push((name, outcome));
            }
            let reply = Reply::DeleteGroups(deletion.parts);
            out.replies.push((deletion.caller, reply));
        }
    }

    /// False if the group has more offsets than there is room; those that are left are looked at again.
    fn forget_some(&self, name: &str, room: &mut Room, out: &mut Decision) -> bool {
        if room.is_used_up() {
            return false;
        }
        for (topic, partitions) in self.offsets.get(name).into_iter().flatten() {
            for partition in partitions.keys() {
                if room.is_used_up() {
                    return false;
                }
                room.put(tombstone(name, topic, *partition), &mut out.records);
            }
        }
        true
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
