//! From topic and partition to the group, and what can be refused on the way: names and ids that
//! don't exist, what the principal may not do, partitions that this node has no replica of. Who
//! leads is the shard's to say where this node has a replica.

use crate::merge::{self, Merge, PartReply};
use crate::{Action, Broker, Principal, Resource, Verb, authorise};
use arc_swap::Guard;
use base::{GroupId, Refusal};
use meta::{Image, Topic, TopicSettings};
use shard::{Command, Event, ReplyTo};
use std::sync::Arc;

/// A topic as a request names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TopicKey<'a> {
    /// By name.
    Name(&'a str),
    /// By id.
    Id(base::Uuid),
}

/// A topic of one call, looked up and authorised once.
#[derive(Clone, Debug)]
pub struct Target(Result<Arc<Topic>, Refusal>);

impl Target {
    /// The topic, or why its parts are refused.
    pub fn topic(&self) -> Result<&Arc<Topic>, &Refusal> {
        self.0.as_ref()
    }

    /// The topic's settings, for checks that the door makes.
    pub fn settings(&self) -> Option<&TopicSettings> {
        self.0.as_ref().ok().map(|topic| &*topic.settings)
    }
}

/// A call while its parts are gathered: those for the shard in a vector that goes there as it
/// is, and the refused ones with their places.
pub(crate) struct Parts<'a, T> {
    pub(crate) broker: &'a Broker,
    principal: &'a Principal,
    action: Action,
    image: Guard<Arc<Image>>,
    wanted: Vec<T>,
    refused: Vec<(usize, Refusal)>,
}

impl<'a, T> Parts<'a, T> {
    pub(crate) fn new(broker: &'a Broker, principal: &'a Principal, action: Action) -> Self {
        let image = broker.0.image.load();
        Parts {
            broker,
            principal,
            action,
            image,
            wanted: Vec::new(),
            refused: Vec::new(),
        }
    }

    pub(crate) fn topic(&self, key: TopicKey<'_>) -> Target {
        Target(self.find(key))
    }

    fn find(&self, key: TopicKey<'_>) -> Result<Arc<Topic>, Refusal> {
        let allowed = |name: &str| authorise(self.principal, self.action, Resource::Topic(name));
        match key {
            TopicKey::Name(name) => {
                allowed(name)?;
                self.image.topic(name).cloned().ok_or(Refusal::UnknownTopic)
            }
            TopicKey::Id(id) => {
                let topic = self.image.topic_by_id(&id).ok_or(Refusal::UnknownTopicId)?;
                allowed(&topic.name)?;
                Ok(topic.clone())
            }
        }
    }

    fn group(&self, target: &Target, partition: i32) -> Result<GroupId, Refusal> {
        let topic = target.0.as_ref().map_err(Clone::clone)?;
        let info = usize::try_from(partition)
            .ok()
            .and_then(|at| topic.partitions.get(at))
            .ok_or(Refusal::UnknownTopic)?;
        if info.member_on(self.broker.0.node).is_none() {
            return Err(Refusal::NotLeader {
                leader: self.broker.leader(info.group),
            });
        }
        Ok(info.group)
    }

    /// Adds a part for the group of a partition, or its refusal.
    pub(crate) fn push(
        &mut self,
        target: &Target,
        partition: i32,
        part: impl FnOnce(GroupId) -> T,
    ) {
        match self.group(target, partition) {
            Ok(group) => self.wanted.push(part(group)),
            Err(why) => self.refused.push((self.len(), why)),
        }
    }

    /// Adds a part that the door refuses. That the partition isn't there or is led elsewhere
    /// comes first.
    pub(crate) fn refuse(&mut self, target: &Target, partition: i32, why: Refusal) {
        let why = self.group(target, partition).err().unwrap_or(why);
        self.refused.push((self.len(), why));
    }

    fn len(&self) -> usize {
        self.wanted.len() + self.refused.len()
    }

    /// The refused parts so far.
    pub(crate) fn refused(&self) -> impl Iterator<Item = &Refusal> {
        self.refused.iter().map(|(_, why)| why)
    }

    /// Posts the call. Nothing is wrapped or copied when all parts go to the shard.
    pub(crate) fn submit<R: PartReply>(
        self,
        verb: Verb,
        to: ReplyTo,
        command: impl FnOnce(Vec<T>) -> Command,
    ) {
        let count = self.len();
        let Parts {
            broker,
            wanted,
            refused,
            ..
        } = self;
        let stats = broker.stats();
        stats.called(verb);
        stats.refused(verb, refused.len());
        if wanted.is_empty() {
            to.sink
                .reply(to.ticket, R::reply(merge::fill(Vec::new(), &refused)));
            return;
        }
        let through = match refused.is_empty() {
            false => Merge::<R>::between(to.clone(), refused.clone()),
            true => to.clone(),
        };
        let posted = broker
            .0
            .mailbox
            .post(Event::Command(command(wanted), Some(through)));
        if let Err(busy) = posted {
            stats.refused(verb, count - refused.len());
            to.sink.reply(
                to.ticket,
                R::reply(merge::refuse_rest(count, &refused, &busy)),
            );
        }
    }
}

#[cfg(test)]
mod tests;
