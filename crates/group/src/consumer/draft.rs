//! A group in which one member is about to change: what the records will make of it, while they
//! are still being collected. Everything else is the group as it is.

use super::state::{Group, Member};
use crate::assign::Assignment;
use crate::record::consumer as wire;
use crate::record::{Key, Record};
use crate::{Config, Context, Overrides, Topics};
use base::Uuid;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The change of one member.
pub(super) struct Draft<'a> {
    pub(super) name: &'a str,
    pub(super) base: &'a Group,
    /// The member.
    pub(super) id: Arc<str>,
    /// Whose place it takes: its own, or that of a static member that it replaces. `None`: it is
    /// new.
    pub(super) before: Option<(&'a Arc<str>, &'a Member)>,
    /// What it will be.
    pub(super) member: Member,
    /// Regular expressions whose topics change; `None`: not needed any more.
    pub(super) regexes: BTreeMap<String, Option<wire::Regex>>,
    pub(super) epoch: i32,
    pub(super) target_epoch: i32,
    /// The member's target.
    pub(super) target: Cow<'a, Assignment>,
    pub(super) records: Vec<Record>,
}

impl<'a> Draft<'a> {
    /// Nothing has changed yet but that the member may be new or take another's place.
    pub(super) fn new(
        name: &'a str,
        base: &'a Group,
        id: Arc<str>,
        before: Option<(&'a Arc<str>, &'a Member)>,
    ) -> Draft<'a> {
        let target = before.and_then(|(id, _)| base.targets.get(id));
        Draft {
            name,
            base,
            id,
            before,
            member: before.map_or_else(Member::blank, |(_, member)| member.clone()),
            regexes: BTreeMap::new(),
            epoch: base.epoch,
            target_epoch: base.target_epoch,
            target: target.map_or_else(|| Cow::Owned(Assignment::new()), Cow::Borrowed),
            records: Vec::new(),
        }
    }

    /// The member that it replaces, if that is another one.
    pub(super) fn replaced(&self) -> Option<&'a Arc<str>> {
        let (id, _) = self.before?;
        (**id != *self.id).then_some(id)
    }

    /// All members, in the order of their ids.
    pub(super) fn members(&self) -> Vec<(&str, &Member)> {
        let gone = self.replaced();
        let others = self.base.members.iter();
        let mut all: Vec<(&str, &Member)> = others
            .filter(|(id, _)| **id != self.id && Some(*id) != gone)
            .map(|(id, member)| (&**id, member))
            .collect();
        let place = all.partition_point(|(id, _)| *id < &*self.id);
        all.insert(place, (&self.id, &self.member));
        all
    }

    /// What a regular expression stands for.
    pub(super) fn regex(&self, regex: &str) -> Option<&wire::Regex> {
        match self.regexes.get(regex) {
            Some(changed) => changed.as_ref(),
            None => self.base.regexes.get(regex),
        }
    }

    /// How many of something there are without the member as it was and with it as it will be.
    pub(super) fn counted<'b>(
        &'b self,
        counts: &'b BTreeMap<String, usize>,
        of: impl Fn(&'b Member) -> Option<&'b str>,
    ) -> BTreeMap<&'b str, usize> {
        let mut counts: BTreeMap<&str, usize> = counts
            .iter()
            .map(|(name, count)| (name.as_str(), *count))
            .collect();
        if let Some(old) = self.before.and_then(|(_, member)| of(member))
            && let Some(count) = counts.get_mut(old)
        {
            *count = count.saturating_sub(1);
        }
        if let Some(new) = of(&self.member) {
            *counts.entry(new).or_default() += 1;
        }
        counts.retain(|_, count| *count > 0);
        counts
    }

    /// The regular expressions that members have.
    pub(super) fn patterns(&self) -> Vec<&str> {
        let counts = self.counted(&self.base.by_regex, Member::regex);
        counts.into_keys().collect()
    }

    /// The names of all topics that somebody wants, whether they exist or not.
    pub(super) fn topics(&self) -> BTreeSet<&str> {
        let before = self.before.map(|(_, member)| &member.wishes.topics[..]);
        let left = |name: &str| {
            let was = before.is_some_and(|before| among(before, name));
            self.base.by_name.get(name).copied().unwrap_or(0) > usize::from(was)
        };
        let named = self.base.by_name.keys().map(String::as_str);
        let mut all: BTreeSet<&str> = named.filter(|name| left(name)).collect();
        all.extend(self.member.wishes.topics.iter().map(String::as_str));
        for regex in self.patterns() {
            let topics = self
                .regex(regex)
                .into_iter()
                .flat_map(|known| &known.topics);
            all.extend(topics.map(String::as_str));
        }
        all
    }

    /// True if the member wants the topic.
    pub(super) fn wants(&self, topic: &Uuid, topics: &dyn Topics) -> bool {
        let Some(name) = topics.name_of(topic) else {
            return false;
        };
        let regex = self.member.regex().and_then(|regex| self.regex(regex));
        among(&self.member.wishes.topics, name)
            || regex.is_some_and(|regex| among(&regex.topics, name))
    }

    pub(super) fn put(&mut self, key: Key<'_>, value: Vec<u8>) {
        self.records.push(Record::new(key, value));
    }

    pub(super) fn put_wishes(&mut self) {
        let value = self.member.wishes.encode();
        let record = Record::new(Key::ConsumerMember(self.name, &self.id), value);
        self.records.push(record);
    }

    pub(super) fn put_current(&mut self) {
        let value = self.member.current.encode();
        let record = Record::new(Key::ConsumerCurrentMember(self.name, &self.id), value);
        self.records.push(record);
    }
}

/// True if the name is one of these, which are in order.
pub(super) fn among(names: &[String], name: &str) -> bool {
    let found = names.binary_search_by(|known| known.as_str().cmp(name));
    found.is_ok()
}

/// The three tombstones of a member, in Kafka's order.
pub(super) fn member_tombstones(group: &str, member: &str, out: &mut Vec<Record>) {
    out.push(Record::tombstone(Key::ConsumerCurrentMember(group, member)));
    out.push(Record::tombstone(Key::ConsumerTargetMember(group, member)));
    out.push(Record::tombstone(Key::ConsumerMember(group, member)));
}

fn overrides<'a>(config: &'a Config, group: &str) -> Option<&'a Overrides> {
    config.overrides.get(group)
}

/// How long a member of the group may be silent.
pub(super) fn session_timeout_ms(config: &Config, group: &str) -> i32 {
    let own = overrides(config, group).and_then(|own| own.session_timeout_ms);
    own.unwrap_or(config.consumer_session_timeout_ms)
}

/// How often a member of the group is to say that it is alive.
pub(super) fn heartbeat_interval_ms(config: &Config, group: &str) -> i32 {
    let own = overrides(config, group).and_then(|own| own.heartbeat_interval_ms);
    own.unwrap_or(config.consumer_heartbeat_interval_ms)
}

/// The moment `wait_ms` from now.
pub(super) fn in_ms(ctx: &Context<'_>, wait_ms: i32) -> base::Mono {
    let wait = u64::try_from(wait_ms).unwrap_or(0);
    ctx.now.mono.after(std::time::Duration::from_millis(wait))
}
