//! The records of a group of KIP-848, all in the flexible encoding, version 0.

use super::codec::{Reader, Writer};
use crate::command::{Protocol, TopicPartitions};
use base::Uuid;
use bytes::Bytes;

const VERSION: i16 = 0;

fn begin() -> Writer {
    Writer::version(VERSION)
}

fn open(bytes: &[u8]) -> Option<Reader<'_>> {
    let mut r = Reader::new(bytes);
    (r.i16()? == VERSION).then_some(r)
}

/// The value of [`super::Key::ConsumerGroup`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GroupEpoch {
    /// The group's epoch.
    pub epoch: i32,
    /// What the subscribed topics looked like, as a hash; 0 if not known.
    pub metadata_hash: i64,
}

impl GroupEpoch {
    /// The value's bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut w = begin();
        w.i32(self.epoch);
        // As in Kafka, a field that has its default isn't written.
        if self.metadata_hash == 0 {
            w.tags(&[]);
        } else {
            w.tags(&[(0, self.metadata_hash.to_be_bytes().to_vec())]);
        }
        w.0
    }

    /// Reads a value.
    pub fn decode(bytes: &[u8]) -> Option<GroupEpoch> {
        let mut r = open(bytes)?;
        let mut value = GroupEpoch {
            epoch: r.i32()?,
            metadata_hash: 0,
        };
        r.tags(|tag, r| {
            if tag == 0 {
                value.metadata_hash = r.i64()?;
            }
            Some(())
        })?;
        Some(value)
    }
}

/// The value of [`super::Key::ConsumerMember`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Member {
    /// Its static name, if any.
    pub instance: Option<String>,
    /// Its rack, if it says.
    pub rack: Option<String>,
    /// The client's name for itself.
    pub client_id: String,
    /// Where it comes from.
    pub client_host: String,
    /// The topics that it wants by name.
    pub topics: Vec<String>,
    /// The topics that it wants by regular expression.
    pub regex: Option<String>,
    /// How long a rebalance waits for it.
    pub rebalance_timeout_ms: i32,
    /// The assignor that it wants.
    pub assignor: Option<String>,
    /// Set if it speaks the classic protocol.
    pub classic: Option<ClassicMember>,
}

/// What a member of a consumer group that speaks the classic protocol has besides.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClassicMember {
    /// How long it may be silent.
    pub session_timeout_ms: i32,
    /// What it can do, what it likes best first.
    pub protocols: Vec<Protocol>,
}

impl Member {
    /// The value's bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut w = begin();
        w.compact_text_or_null(self.instance.as_deref());
        w.compact_text_or_null(self.rack.as_deref());
        w.compact_text(&self.client_id);
        w.compact_text(&self.client_host);
        w.compact_list(&self.topics, |w, topic| w.compact_text(topic));
        w.compact_text_or_null(self.regex.as_deref());
        w.i32(self.rebalance_timeout_ms);
        w.compact_text_or_null(self.assignor.as_deref());
        // Kafka writes this field even where there is nothing to say.
        let classic = self.classic.as_ref().map_or(vec![0], ClassicMember::encode);
        w.tags(&[(0, classic)]);
        w.0
    }

    /// Reads a value.
    pub fn decode(bytes: &[u8]) -> Option<Member> {
        let mut r = open(bytes)?;
        let mut value = Member {
            instance: r.compact_text_or_null()?.map(str::to_owned),
            rack: r.compact_text_or_null()?.map(str::to_owned),
            client_id: r.compact_text()?.to_owned(),
            client_host: r.compact_text()?.to_owned(),
            topics: r.compact_list(|r| r.compact_text().map(str::to_owned))?,
            regex: r.compact_text_or_null()?.map(str::to_owned),
            rebalance_timeout_ms: r.i32()?,
            assignor: r.compact_text_or_null()?.map(str::to_owned),
            classic: None,
        };
        r.tags(|tag, r| {
            if tag == 0 {
                value.classic = ClassicMember::decode(r)?;
            }
            Some(())
        })?;
        Some(value)
    }
}

impl ClassicMember {
    /// A structure that may be missing begins with a number that says whether it is there.
    fn encode(&self) -> Vec<u8> {
        let mut w = Writer::default();
        w.number(1);
        w.i32(self.session_timeout_ms);
        w.compact_list(&self.protocols, |w, protocol| {
            w.compact_text(&protocol.name);
            w.compact_bytes(&protocol.metadata);
            w.tags(&[]);
        });
        w.tags(&[]);
        w.0
    }

    fn decode(r: &mut Reader<'_>) -> Option<Option<ClassicMember>> {
        if r.number()? == 0 {
            return Some(None);
        }
        let value = ClassicMember {
            session_timeout_ms: r.i32()?,
            protocols: r.compact_list(|r| {
                let protocol = Protocol {
                    name: r.compact_text()?.to_owned(),
                    metadata: Bytes::copy_from_slice(r.compact_bytes()?),
                };
                r.no_tags()?;
                Some(protocol)
            })?,
        };
        r.no_tags()?;
        Some(Some(value))
    }
}

/// The value of [`super::Key::ConsumerTarget`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Target {
    /// The epoch of the group that the target was made for.
    pub epoch: i32,
    /// When it was made; 0 if not known.
    pub assigned_ms: i64,
}

impl Target {
    /// The value's bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut w = begin();
        w.i32(self.epoch);
        if self.assigned_ms == 0 {
            w.tags(&[]);
        } else {
            w.tags(&[(0, self.assigned_ms.to_be_bytes().to_vec())]);
        }
        w.0
    }

    /// Reads a value.
    pub fn decode(bytes: &[u8]) -> Option<Target> {
        let mut r = open(bytes)?;
        let mut value = Target {
            epoch: r.i32()?,
            assigned_ms: 0,
        };
        r.tags(|tag, r| {
            if tag == 0 {
                value.assigned_ms = r.i64()?;
            }
            Some(())
        })?;
        Some(value)
    }
}

/// The value of [`super::Key::ConsumerTargetMember`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TargetMember {
    /// What the member is to hold.
    pub partitions: Vec<TopicPartitions>,
}

impl TargetMember {
    /// The value's bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut w = begin();
        w.compact_list(&self.partitions, |w, part| {
            w.uuid(&part.topic);
            w.compact_numbers(&part.partitions);
            w.tags(&[]);
        });
        w.tags(&[]);
        w.0
    }

    /// Reads a value.
    pub fn decode(bytes: &[u8]) -> Option<TargetMember> {
        let mut r = open(bytes)?;
        let partitions = r.compact_list(|r| {
            let part = TopicPartitions {
                topic: r.uuid()?,
                partitions: r.compact_numbers()?,
            };
            r.no_tags()?;
            Some(part)
        })?;
        r.no_tags()?;
        Some(TargetMember { partitions })
    }
}

/// Partitions of a topic and since which epoch each is the member's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// The topic.
    pub topic: Uuid,
    /// The partitions.
    pub partitions: Vec<i32>,
    /// For each partition the epoch at which it was given; `None` in records before Kafka 4.3.
    pub epochs: Option<Vec<i32>>,
}

/// The value of [`super::Key::ConsumerCurrentMember`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CurrentMember {
    /// The member's epoch.
    pub epoch: i32,
    /// The epoch before.
    pub previous_epoch: i32,
    /// Where it stands in reconciliation, by Kafka's number.
    pub state: i8,
    /// What it holds.
    pub assigned: Vec<Held>,
    /// What it is asked to give up.
    pub revoking: Vec<Held>,
}

impl CurrentMember {
    /// The value's bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut w = begin();
        w.i32(self.epoch);
        w.i32(self.previous_epoch);
        w.i8(self.state);
        w.compact_list(&self.assigned, Held::write);
        w.compact_list(&self.revoking, Held::write);
        w.tags(&[]);
        w.0
    }

    /// Reads a value.
    pub fn decode(bytes: &[u8]) -> Option<CurrentMember> {
        let mut r = open(bytes)?;
        let value = CurrentMember {
            epoch: r.i32()?,
            previous_epoch: r.i32()?,
            state: r.i8()?,
            assigned: r.compact_list(Held::read)?,
            revoking: r.compact_list(Held::read)?,
        };
        r.no_tags()?;
        Some(value)
    }
}

impl Held {
    fn write(w: &mut Writer, held: &Held) {
        w.uuid(&held.topic);
        w.compact_numbers(&held.partitions);
        match &held.epochs {
            None => w.tags(&[]),
            Some(epochs) => {
                let mut body = Writer::default();
                body.compact_numbers(epochs);
                w.tags(&[(0, body.0)]);
            }
        }
    }

    fn read(r: &mut Reader<'_>) -> Option<Held> {
        let mut held = Held {
            topic: r.uuid()?,
            partitions: r.compact_numbers()?,
            epochs: None,
        };
        r.tags(|tag, r| {
            if tag == 0 {
                held.epochs = Some(r.compact_numbers()?);
            }
            Some(())
        })?;
        Some(held)
    }
}

/// The value of [`super::Key::ConsumerRegex`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Regex {
    /// The topics that it stands for, in order.
    pub topics: Vec<String>,
    /// The version of the cluster's topics that it was matched against.
    pub version: i64,
    /// When it was matched.
    pub matched_ms: i64,
}

impl Regex {
    /// The value's bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut w = begin();
        w.compact_list(&self.topics, |w, topic| w.compact_text(topic));
        w.i64(self.version);
        w.i64(self.matched_ms);
        w.tags(&[]);
        w.0
    }

    /// Reads a value.
    pub fn decode(bytes: &[u8]) -> Option<Regex> {
        let mut r = open(bytes)?;
        let value = Regex {
            topics: r.compact_list(|r| r.compact_text().map(str::to_owned))?,
            version: r.i64()?,
            matched_ms: r.i64()?,
        };
        r.no_tags()?;
        Some(value)
    }
}
