//! The keys: two bytes that say the kind, then the names in the old encoding.

use super::codec::{Reader, Writer};
use bytes::Bytes;

/// What a record is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key<'a> {
    /// The offset that a group committed for a partition.
    Offset {
        /// The group.
        group: &'a str,
        /// The topic.
        topic: &'a str,
        /// The partition.
        partition: i32,
    },
    /// A classic group.
    Group(&'a str),
    /// The epoch of a consumer group.
    ConsumerGroup(&'a str),
    /// What topics looked like to a consumer group; written by Kafka before 4.1 only.
    ConsumerPartitions(&'a str),
    /// What a member of a consumer group wants.
    ConsumerMember(&'a str, &'a str),
    /// The epoch of a consumer group's target assignment.
    ConsumerTarget(&'a str),
    /// What a member is to hold.
    ConsumerTargetMember(&'a str, &'a str),
    /// What a member holds.
    ConsumerCurrentMember(&'a str, &'a str),
    /// The topics that a regular expression of a consumer group stands for.
    ConsumerRegex(&'a str, &'a str),
}

/// The oldest form of an offset's key; the layout is the same.
const OFFSET_OLD: i16 = 0;
const OFFSET: i16 = 1;
const GROUP: i16 = 2;
const CONSUMER_GROUP: i16 = 3;
const CONSUMER_PARTITIONS: i16 = 4;
const CONSUMER_MEMBER: i16 = 5;
const CONSUMER_TARGET: i16 = 6;
const CONSUMER_TARGET_MEMBER: i16 = 7;
const CONSUMER_CURRENT_MEMBER: i16 = 8;
const CONSUMER_REGEX: i16 = 16;

impl<'a> Key<'a> {
    /// The group that the record belongs to.
    pub fn group(&self) -> &'a str {
        match self {
            Key::Offset { group, .. }
            | Key::Group(group)
            | Key::ConsumerGroup(group)
            | Key::ConsumerPartitions(group)
            | Key::ConsumerMember(group, _)
            | Key::ConsumerTarget(group)
            | Key::ConsumerTargetMember(group, _)
            | Key::ConsumerCurrentMember(group, _)
            | Key::ConsumerRegex(group, _) => group,
        }
    }

    pub(crate) fn encode(&self) -> Bytes {
        let (kind, second) = match self {
            Key::Offset { topic, .. } => (OFFSET, Some(*topic)),
            Key::Group(_) => (GROUP, None),
            Key::ConsumerGroup(_) => (CONSUMER_GROUP, None),
            Key::ConsumerPartitions(_) => (CONSUMER_PARTITIONS, None),
            Key::ConsumerMember(_, member) => (CONSUMER_MEMBER, Some(*member)),
            Key::ConsumerTarget(_) => (CONSUMER_TARGET, None),
            Key::ConsumerTargetMember(_, member) => (CONSUMER_TARGET_MEMBER, Some(*member)),
            Key::ConsumerCurrentMember(_, member) => (CONSUMER_CURRENT_MEMBER, Some(*member)),
            Key::ConsumerRegex(_, regex) => (CONSUMER_REGEX, Some(*regex)),
        };
        let mut w = Writer::version(kind);
        w.text(self.group());
        if let Some(second) = second {
            w.text(second);
        }
        if let Key::Offset { partition, .. } = self {
            w.i32(*partition);
        }
        w.0.into()
    }

    /// Reads a key; `None` if it isn't one that is known here.
    pub fn decode(bytes: &'a [u8]) -> Option<Key<'a>> {
        let mut r = Reader::new(bytes);
        let kind = r.i16()?;
        let group = r.text()?;
        Some(match kind {
            OFFSET_OLD | OFFSET => Key::Offset {
                group,
                topic: r.text()?,
                partition: r.i32()?,
            },
            GROUP => Key::Group(group),
            CONSUMER_GROUP => Key::ConsumerGroup(group),
            CONSUMER_PARTITIONS => Key::ConsumerPartitions(group),
            CONSUMER_MEMBER => Key::ConsumerMember(group, r.text()?),
            CONSUMER_TARGET => Key::ConsumerTarget(group),
            CONSUMER_TARGET_MEMBER => Key::ConsumerTargetMember(group, r.text()?),
            CONSUMER_CURRENT_MEMBER => Key::ConsumerCurrentMember(group, r.text()?),
            CONSUMER_REGEX => Key::ConsumerRegex(group, r.text()?),
            _ => return None,
        })
    }
}
