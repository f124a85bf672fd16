//! Appending: one batch per partition, answered with `Reply::Appended`.

use crate::routing::Parts;
use crate::{Action, Broker, Principal, Target, TopicKey, Verb};
use base::{Batch, Now, Refusal};
use shard::{Acks, AppendPart, Appended, Command, ReplyTo};
use std::time::Duration;

/// An append while its parts are gathered.
pub struct Append<'a> {
    acks: Acks,
    parts: Parts<'a, AppendPart>,
}

impl Broker {
    /// Begins an append.
    pub fn append<'a>(&'a self, principal: &'a Principal, acks: Acks) -> Append<'a> {
        Append {
            acks,
            parts: Parts::new(self, principal, Action::Write),
        }
    }
}

impl Append<'_> {
    /// Looks a topic up.
    pub fn topic(&self, key: TopicKey<'_>) -> Target {
        self.parts.topic(key)
    }

    /// Adds a batch, which the door has validated.
    pub fn push(&mut self, target: &Target, partition: i32, batch: Batch) {
        if let Some(name) = internal(target) {
            let why = format!("Cannot append to internal topic {name}");
            return self.refuse(target, partition, Refusal::InvalidTopic(why));
        }
        self.parts
            .push(target, partition, |group| AppendPart { group, batch });
    }

    /// Adds a part that the door found invalid.
    pub fn refuse(&mut self, target: &Target, partition: i32, why: Refusal) {
        self.parts.refuse(target, partition, why);
    }

    /// Posts it.
    pub fn submit(self, now: Now, timeout: Duration, to: ReplyTo) {
        let Append { acks, parts } = self;
        let deadline = now.mono.after(timeout);
        parts.submit::<Appended>(Verb::Append, to, |parts| Command::Append {
            acks,
            deadline,
            parts,
        });
    }
}

/// The name of a topic that only coordinators write.
fn internal(target: &Target) -> Option<&str> {
    let name = &target.topic().ok()?.name;
    meta::names::is_internal(name).then_some(name)
}
