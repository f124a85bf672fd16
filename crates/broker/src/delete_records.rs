//! Deleting the records before an offset, answered with `Reply::Deleted`.

use crate::routing::Parts;
use crate::{Action, Broker, Principal, Target, TopicKey, Verb};
use base::{Now, Offset, Refusal};
use shard::{Command, DeletePart, ReplyTo};
use std::time::Duration;

/// As an offset: everything below the high watermark.
const HIGH_WATERMARK: i64 = -1;

/// A deletion while its parts are gathered.
pub struct DeleteRecords<'a>(Parts<'a, DeletePart>);

impl Broker {
    /// Begins a deletion.
    pub fn delete_records<'a>(&'a self, principal: &'a Principal) -> DeleteRecords<'a> {
        DeleteRecords(Parts::new(self, principal, Action::Delete))
    }
}

impl DeleteRecords<'_> {
    /// Looks a topic up.
    pub fn topic(&self, name: &str) -> Target {
        self.0.topic(TopicKey::Name(name))
    }

    /// Adds a partition, and the offset before which its records go; -1: the high watermark.
    pub fn push(&mut self, target: &Target, partition: i32, before: i64) {
        match refusal(target, partition, before) {
            Some(why) => self.0.refuse(target, partition, why),
            None => self.0.push(target, partition, |group| DeletePart {
                group,
                before: (before != HIGH_WATERMARK).then_some(Offset(before)),
            }),
        }
    }

    /// Posts it.
    pub fn submit(self, now: Now, timeout: Duration, to: ReplyTo) {
        let deadline = now.mono.after(timeout);
        self.0
            .submit::<Offset>(Verb::DeleteRecords, to, |parts| Command::DeleteRecords {
                deadline,
                parts,
            });
    }
}

/// What keeps records from being deleted before the partition is asked, as in Kafka.
fn refusal(target: &Target, partition: i32, before: i64) -> Option<Refusal> {
    let topic = target.topic().ok()?;
    let name = &topic.name;
    if meta::names::is_internal(name) {
        let why = format!("Cannot delete records of internal topic {name}");
        return Some(Refusal::InvalidTopic(why));
    }
    if !topic.settings.cleanup.delete {
        return Some(Refusal::Policy(format!(
            "Records of partition {name}-{partition} can not be deleted due to the configured policy"
        )));
    }
    (before < HIGH_WATERMARK).then_some(Refusal::OffsetOutOfRange)
}
