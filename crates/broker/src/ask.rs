//! Questions to partitions: offsets by time, ends of leader epochs, where replicas stand.

use crate::routing::Parts;
use crate::{Action, Broker, Principal, Target, TopicKey, Verb};
use base::{GroupId, Offset, Refusal};
use shard::{Command, EpochPart, Event, OffsetAnswer, OffsetPart, OffsetQuery, Reply, ReplyTo};

/// A question for offsets while its parts are gathered.
pub struct Offsets<'a>(Parts<'a, OffsetPart>);

/// A question for the ends of leader epochs while its parts are gathered.
pub struct EpochEnds<'a>(Parts<'a, EpochPart>);

impl Broker {
    /// Begins a question for offsets.
    pub fn offsets<'a>(&'a self, principal: &'a Principal) -> Offsets<'a> {
        Offsets(Parts::new(self, principal, Action::Describe))
    }

    /// Begins a question for the ends of leader epochs.
    pub fn epoch_ends<'a>(&'a self, principal: &'a Principal) -> EpochEnds<'a> {
        EpochEnds(Parts::new(self, principal, Action::Describe))
    }

    /// Where this node's replicas of groups stand, answered with `Reply::Replicas`; empty if the
    /// shard has no time for the question.
    pub fn replicas(&self, groups: Vec<GroupId>, to: ReplyTo) {
        self.stats().called(Verb::Replicas);
        let event = Event::Command(Command::Replicas { groups }, Some(to.clone()));
        if self.0.mailbox.post(event).is_err() {
            self.stats().refused(Verb::Replicas, 1);
            to.sink.reply(to.ticket, Reply::Replicas(Vec::new()));
        }
    }

    /// What this node has of a group from an offset on could not be read: the shard looks for damage
    /// there. If it has no time now, the next reader says so again.
    pub fn check_soon(&self, group: GroupId, from: Offset) {
        let event = Event::Command(Command::Check { group, from }, None);
        let _ = self.0.mailbox.post(event);
    }

    /// When the batches at these offsets were written, answered with `Reply::Stamps`; empty if
    /// the shard has no time for the question.
    pub fn stamps(&self, places: Vec<(GroupId, Offset)>, to: ReplyTo) {
        self.stats().called(Verb::Stamps);
        let event = Event::Command(Command::Stamps { places }, Some(to.clone()));
        if self.0.mailbox.post(event).is_err() {
            self.stats().refused(Verb::Stamps, 1);
            to.sink.reply(to.ticket, Reply::Stamps(Vec::new()));
        }
    }
}

impl Offsets<'_> {
    /// Looks a topic up.
    pub fn topic(&self, key: TopicKey<'_>) -> Target {
        self.0.topic(key)
    }

    /// Adds a part.
    pub fn push(
        &mut self,
        target: &Target,
        partition: i32,
        query: OffsetQuery,
        leader_epoch: Option<i32>,
    ) {
        self.0.push(target, partition, |group| OffsetPart {
            group,
            query,
            leader_epoch,
        });
    }

    /// Adds a part that the door refuses.
    pub fn refuse(&mut self, target: &Target, partition: i32, why: Refusal) {
        self.0.refuse(target, partition, why);
    }

    /// Posts it; answered with `Reply::Offsets`.
    pub fn submit(self, to: ReplyTo) {
        self.0
            .submit::<OffsetAnswer>(Verb::Offsets, to, |parts| Command::Offsets { parts });
    }
}

impl EpochEnds<'_> {
    /// Looks a topic up.
    pub fn topic(&self, key: TopicKey<'_>) -> Target {
        self.0.topic(key)
    }

    /// Adds a part.
    pub fn push(
        &mut self,
        target: &Target,
        partition: i32,
        epoch: i32,
        current_epoch: Option<i32>,
    ) {
        self.0.push(target, partition, |group| EpochPart {
            group,
            current_epoch,
            epoch,
        });
    }

    /// Adds a part that the door refuses.
    pub fn refuse(&mut self, target: &Target, partition: i32, why: Refusal) {
        self.0.refuse(target, partition, why);
    }

    /// Posts it; answered with `Reply::EpochEnds`.
    pub fn submit(self, to: ReplyTo) {
        self.0
            .submit::<(i32, Offset)>(Verb::EpochEnds, to, |parts| Command::EpochEnds { parts });
    }
}
