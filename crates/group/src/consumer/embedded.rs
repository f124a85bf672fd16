//! What classic consumers say to each other inside JoinGroup and SyncGroup: their subscription,
//! and an assignment. In a consumer group the coordinator reads the one and writes the other in
//! their stead. Versions 0 to 3; a newer one is read as far as it is known.

use super::state::Holding;
use crate::Topics;
use crate::assign::Assignment;
use crate::command::TopicPartitions;
use crate::record::codec::{Reader, Writer};
use base::Uuid;
use bytes::Bytes;
use std::collections::BTreeMap;

/// What a classic consumer wants and says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Subscription {
    pub(super) version: i16,
    pub(super) topics: Vec<String>,
    /// Partitions by topic, from version 1 on.
    pub(super) owned: Vec<(String, Vec<i32>)>,
    /// From version 3 on.
    pub(super) rack: Option<String>,
}

impl Subscription {
    /// Reads it; `None` if it isn't one.
    pub(super) fn decode(bytes: &[u8]) -> Option<Subscription> {
        let mut r = Reader::new(bytes);
        let mut found = Subscription {
            version: r.i16().filter(|version| *version >= 0)?,
            topics: r.list(|r| r.text().map(str::to_owned))?,
            ..Subscription::default()
        };
        bytes_or_null(&mut r)?;
        if found.version >= 1 {
            found.owned = r.list(partitions)?;
        }
        if found.version >= 2 {
            r.i32()?;
        }
        if found.version >= 3 {
            found.rack = r.text_or_null()?.map(str::to_owned);
        }
        Some(found)
    }

    /// What it holds, by the topics' ids. Topics that are gone are left out.
    pub(super) fn owned(&self, topics: &dyn Topics) -> Vec<TopicPartitions> {
        let entry = |(name, partitions): &(String, Vec<i32>)| {
            Some(TopicPartitions {
                topic: topics.topic(name)?.id,
                partitions: partitions.clone(),
            })
        };
        self.owned.iter().filter_map(entry).collect()
    }
}

fn bytes_or_null<'a>(r: &mut Reader<'a>) -> Option<Option<&'a [u8]>> {
    let mut ahead = r.clone();
    if ahead.i32()? < 0 {
        *r = ahead;
        return Some(None);
    }
    r.bytes().map(Some)
}

fn partitions(r: &mut Reader<'_>) -> Option<(String, Vec<i32>)> {
    let name = r.text()?.to_owned();
    Some((name, r.list(Reader::i32)?))
}

/// The version of a member's metadata.
pub(super) fn version(metadata: &[u8]) -> i16 {
    Reader::new(metadata).i16().unwrap_or(0).clamp(0, 3)
}

/// An assignment in the member's own version. Topics that are gone are left out.
pub(super) fn encode(
    assignment: &BTreeMap<Uuid, Vec<i32>>,
    version: i16,
    topics: &dyn Topics,
) -> Bytes {
    let named: Vec<(&str, &Vec<i32>)> = assignment
        .iter()
        .filter_map(|(id, partitions)| Some((topics.name_of(id)?, partitions)))
        .collect();
    let mut w = Writer::version(version);
    w.i32(named.len() as i32);
    for (name, partitions) in named {
        w.text(name);
        w.i32(partitions.len() as i32);
        for partition in partitions {
            w.i32(*partition);
        }
    }
    // No data of an assignor's own.
    w.i32(-1);
    w.0.into()
}

/// What a member holds, without the epochs.
pub(super) fn held(holding: &Holding) -> Assignment {
    let entry = |(topic, partitions): (&Uuid, &BTreeMap<i32, i32>)| {
        (*topic, partitions.keys().copied().collect())
    };
    holding.iter().map(entry).collect()
}

/// Why an assignment can't be taken over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unreadable {
    /// It isn't one.
    Malformed,
    /// An assignor has left data of its own in it, which would be lost.
    HasUserData,
}

/// Reads an assignment that a classic leader made; nothing at all is an empty one.
pub(super) fn decode(bytes: &[u8], topics: &dyn Topics) -> Result<Assignment, Unreadable> {
    if bytes.is_empty() {
        return Ok(Assignment::new());
    }
    let mut r = Reader::new(bytes);
    let named = (|| {
        r.i16().filter(|version| *version >= 0)?;
        let named = r.list(partitions)?;
        Some((named, bytes_or_null(&mut r)?))
    })();
    let (named, user_data) = named.ok_or(Unreadable::Malformed)?;
    if user_data.is_some_and(|data| !data.is_empty()) {
        return Err(Unreadable::HasUserData);
    }
    let mut assignment = Assignment::new();
    for (name, mut partitions) in named {
        if let Some(facts) = topics.topic(&name)
            && !partitions.is_empty()
        {
            partitions.sort_unstable();
            partitions.dedup();
            assignment.insert(facts.id, partitions);
        }
    }
    Ok(assignment)
}
