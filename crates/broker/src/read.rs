//! Reading: one range per partition, answered with `Reply::Read`.

use crate::routing::Parts;
use crate::{Action, Broker, Principal, Target, TopicKey, Verb};
use base::{Now, Offset, Refusal};
use shard::{Command, ReadAnswer, ReadPart, ReplyTo};
use std::time::Duration;

/// Where to read in a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadFrom {
    /// From here.
    pub offset: Offset,
    /// At most this many bytes of this partition.
    pub bytes_max: u32,
    /// The leader epoch that the caller knows, or none.
    pub leader_epoch: Option<i32>,
    /// The epoch of the last record that the caller has, or none.
    pub last_fetched_epoch: Option<i32>,
}

/// A read while its parts are gathered.
pub struct Read<'a>(Parts<'a, ReadPart>);

impl Broker {
    /// Begins a read.
    pub fn read<'a>(&'a self, principal: &'a Principal) -> Read<'a> {
        Read(Parts::new(self, principal, Action::Read))
    }
}

impl Read<'_> {
    /// Looks a topic up.
    pub fn topic(&self, key: TopicKey<'_>) -> Target {
        self.0.topic(key)
    }

    /// Adds a range.
    pub fn push(&mut self, target: &Target, partition: i32, from: ReadFrom) {
        self.0.push(target, partition, |group| ReadPart {
            group,
            offset: from.offset,
            bytes_max: from.bytes_max,
            leader_epoch: from.leader_epoch,
            last_fetched_epoch: from.last_fetched_epoch,
        });
    }

    /// Adds a part that the door refuses.
    pub fn refuse(&mut self, target: &Target, partition: i32, why: Refusal) {
        self.0.refuse(target, partition, why);
    }

    /// Posts it: answered once `bytes_min` are there, or after `wait`. A partition that is led
    /// elsewhere is news that the caller needs at once, so then nothing is waited for; an unknown
    /// one is not, or its asker would ask again without a pause.
    pub fn submit(self, now: Now, bytes_min: u32, bytes_max: u32, wait: Duration, to: ReplyTo) {
        let moved = self
            .0
            .refused()
            .any(|why| matches!(why, Refusal::NotLeader { .. }));
        let bytes_min = if moved { 0 } else { bytes_min };
        let deadline = now.mono.after(wait);
        self.0
            .submit::<ReadAnswer>(Verb::Read, to, |parts| Command::Read {
                bytes_min,
                bytes_max,
                deadline,
                parts,
            });
    }
}
