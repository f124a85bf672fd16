//! Members go: they leave, their time is up, or an operator removes them. A static member may
//! leave for a while and keeps its place until its session ends.

use super::draft::member_tombstones;
use super::state::Group;
use super::who::{AWAY, check_instance, unknown, unknown_instance};
use super::{hash, heartbeat, migrate};
use crate::command::ConsumerHeartbeat;
use crate::record::consumer as wire;
use crate::record::{Key, Record};
use crate::reply::ConsumerBeat;
use crate::{Context, Decision, Groups, groups};
use base::Refusal;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

impl Groups {
    /// The consumer group of this name.
    pub(super) fn consumer_group(&self, name: &str) -> Option<&Group> {
        match self.groups.get(name) {
            Some(groups::Group::Consumer(group)) => Some(group),
            _ => None,
        }
    }

    pub(super) fn consumer_member_leaves(
        &self,
        soft: &mut crate::Soft,
        ctx: &Context<'_>,
        beat: &ConsumerHeartbeat,
        out: &mut Decision,
    ) -> Result<ConsumerBeat, Refusal> {
        let name = beat.group.as_str();
        let Some(group) = self.consumer_group(name) else {
            return Err(match self.exists(soft, name) {
                true => heartbeat::not_a_consumer_group(name),
                false => Refusal::GroupIdNotFound(format!("Group {name} not found.")),
            });
        };
        let id = find(name, group, &beat.member, beat.instance.as_deref())?.clone();
        if beat.instance.is_some() && beat.epoch == AWAY {
            out.records.push(away(name, group, &id));
        } else {
            fence(name, group, &BTreeSet::from([id.clone()]), soft, ctx, out);
        }
        Ok(ConsumerBeat {
            member: id.to_string(),
            epoch: beat.epoch,
            heartbeat_interval_ms: 0,
            assignment: None,
        })
    }
}

/// The member that is named, by its static name if it has one.
pub(super) fn find<'a>(
    name: &str,
    group: &'a Group,
    member: &str,
    instance: Option<&str>,
) -> Result<&'a Arc<str>, Refusal> {
    let Some(instance) = instance else {
        let known = group.members.get_key_value(member).map(|(id, _)| id);
        return known.ok_or_else(|| unknown(name, member));
    };
    let (id, _) = group
        .behind(instance)
        .ok_or_else(|| unknown_instance(instance))?;
    check_instance(id, member, instance)?;
    Ok(id)
}

/// It keeps what it has, under epochs that let whoever comes back commit for all of it; what it
/// was to give up it has given up by leaving.
fn away(name: &str, group: &Group, id: &Arc<str>) -> Record {
    let mut current = group.members[id].current.clone();
    current.epoch = AWAY;
    current.revoking.clear();
    for since in current
        .assigned
        .values_mut()
        .flat_map(|held| held.values_mut())
    {
        *since = 0;
    }
    Record::new(Key::ConsumerCurrentMember(name, id), current.encode())
}

/// Members go for good. The group's epoch is raised, so that what they held finds new holders; if
/// all who stay speak the classic protocol, the group does so too.
pub(super) fn fence(
    name: &str,
    group: &Group,
    gone: &BTreeSet<Arc<str>>,
    soft: &mut crate::Soft,
    ctx: &Context<'_>,
    out: &mut Decision,
) {
    if gone.is_empty() || migrate::downgrade_without(name, group, gone, soft, ctx, out) {
        return;
    }
    for id in gone {
        member_tombstones(name, id, &mut out.records);
    }
    let unneeded = unneeded_regexes(group, gone);
    for regex in &unneeded {
        let key = Key::ConsumerRegex(name, regex);
        out.records.push(Record::tombstone(key));
    }
    let topics = topics_without(group, gone, &unneeded);
    let value = wire::GroupEpoch {
        epoch: group.epoch.saturating_add(1),
        metadata_hash: hash::of_topics(topics.into_iter(), ctx.topics, &mut soft.consumer),
    };
    let record = Record::new(Key::ConsumerGroup(name), value.encode());
    out.records.push(record);
}

/// Regular expressions that nobody else has.
fn unneeded_regexes<'a>(group: &'a Group, gone: &BTreeSet<Arc<str>>) -> BTreeSet<&'a str> {
    let theirs = || gone.iter().filter_map(|id| group.members.get(id)?.regex());
    let others = |regex: &str| {
        let all = group.by_regex.get(regex).copied().unwrap_or(0);
        all > theirs().filter(|their| *their == regex).count()
    };
    theirs().filter(|regex| !others(regex)).collect()
}

/// The names of the topics that somebody wants who stays.
pub(super) fn topics_without<'a>(
    group: &'a Group,
    gone: &BTreeSet<Arc<str>>,
    unneeded: &BTreeSet<&str>,
) -> BTreeSet<&'a str> {
    let leavers = gone.iter().filter_map(|id| group.members.get(id));
    let mut theirs: BTreeMap<&str, usize> = BTreeMap::new();
    for topic in leavers.flat_map(|member| &member.wishes.topics) {
        *theirs.entry(topic).or_default() += 1;
    }
    let theirs = |name: &str| theirs.get(name).copied().unwrap_or(0);
    let named = group.by_name.iter();
    let named = named.filter(|(name, count)| **count > theirs(name));
    let mut topics: BTreeSet<&str> = named.map(|(name, _)| name.as_str()).collect();
    for (regex, value) in &group.regexes {
        if !unneeded.contains(regex.as_str()) {
            topics.extend(value.topics.iter().map(String::as_str));
        }
    }
    topics
}

impl Group {
    /// What makes the group as if it had never been. Its offsets are not its own.
    pub(crate) fn tombstones(&self, name: &str, out: &mut Vec<Record>) {
        for id in self.members.keys() {
            out.push(Record::tombstone(Key::ConsumerCurrentMember(name, id)));
        }
        for id in self.targets.keys() {
            out.push(Record::tombstone(Key::ConsumerTargetMember(name, id)));
        }
        out.push(Record::tombstone(Key::ConsumerTarget(name)));
        for id in self.members.keys() {
            out.push(Record::tombstone(Key::ConsumerMember(name, id)));
        }
        for regex in self.regexes.keys() {
            out.push(Record::tombstone(Key::ConsumerRegex(name, regex)));
        }
        if self.old_metadata {
            out.push(Record::tombstone(Key::ConsumerPartitions(name)));
        }
        out.push(Record::tombstone(Key::ConsumerGroup(name)));
    }
}
