//! The part of the language that groups of KIP-848 need: `alive` is a heartbeat, `members` a
//! description. Partitions are written `topic:0,1`, several topics with `;` between them, and
//! behind `@` the epoch since which a member has them.

use super::{Words, list, short, shown};
use crate::command::*;
use crate::groups::tests::world::Cluster;
use crate::record::Key;
use crate::record::codec::Reader;
use crate::record::consumer::{
    CurrentMember, GroupEpoch, Held, Member, Regex, Target, TargetMember,
};
use crate::reply::*;
use crate::{Config, MigrationPolicy, Topics};
use base::Uuid;
use bytes::Bytes;
use std::sync::Arc;

pub(super) fn command(topics: &Cluster, verb: &str, words: &Words<'_>) -> Option<Command> {
    match verb {
        "alive" => Some(Command::ConsumerHeartbeat(heartbeat(topics, words))),
        "members" => Some(Command::ConsumerDescribe {
            groups: words.0.iter().map(|w| (*w).to_owned()).collect(),
        }),
        _ => None,
    }
}

fn heartbeat(topics: &Cluster, words: &Words<'_>) -> ConsumerHeartbeat {
    let epoch = words.number("epoch", 0);
    let split = |text: &str| -> Vec<String> {
        let names = text.split(',').filter(|name| !name.is_empty());
        names.map(str::to_owned).collect()
    };
    // Who joins says everything; later a member says what has changed.
    let joins = epoch == 0 && !words.has("bare");
    ConsumerHeartbeat {
        group: words.0[0].trim_matches('"').to_owned(),
        member: words.get("id").unwrap_or("").to_owned(),
        epoch,
        instance: words.text("instance"),
        rack: words.text("rack"),
        client: Client {
            id: words.get("client").unwrap_or("c").to_owned(),
            host: "/127.0.0.1".to_owned(),
        },
        rebalance_timeout_ms: words.number("rebalance", if joins { 60_000 } else { -1 }),
        topics: words.get("topics").map(split),
        regex: words.text("regex"),
        assignor: words.text("assignor"),
        owned: match words.get("owned") {
            Some(text) => Some(parse(topics, text)),
            None => joins.then(Vec::new),
        },
    }
}

fn parse(topics: &Cluster, text: &str) -> Vec<TopicPartitions> {
    let one = |text: &str| {
        let (name, partitions) = text.split_once(':')?;
        Some(TopicPartitions {
            topic: topics.topic(name).expect("a topic that exists").id,
            partitions: partitions.split(',').map(|p| p.parse().unwrap()).collect(),
        })
    };
    text.split(';').filter_map(one).collect()
}

/// `orders:0+1;payments:0` as consumers write partitions.
pub(super) fn partitions(text: &str) -> Vec<u8> {
    let parts: Vec<(&str, &str)> = text.split(';').filter_map(|p| p.split_once(':')).collect();
    let mut bytes = (parts.len() as i32).to_be_bytes().to_vec();
    for (name, partitions) in parts {
        bytes.extend((name.len() as i16).to_be_bytes());
        bytes.extend(name.as_bytes());
        let partitions: Vec<i32> = partitions.split('+').map(|p| p.parse().unwrap()).collect();
        bytes.extend((partitions.len() as i32).to_be_bytes());
        bytes.extend(partitions.iter().flat_map(|p| p.to_be_bytes()));
    }
    bytes
}

/// An assignment as a classic leader makes it.
pub(super) fn assignment(text: &str) -> Bytes {
    let mut bytes = vec![0, 1];
    bytes.extend(partitions(text));
    bytes.extend((-1i32).to_be_bytes());
    bytes.into()
}

/// What an assignment says.
pub(super) fn assigned(bytes: &[u8]) -> Option<String> {
    let mut r = Reader::new(bytes);
    r.i16()?;
    let parts = r.list(|r| {
        let name = r.text()?.to_owned();
        Some(one_place(&name, &r.list(Reader::i32)?))
    })?;
    Some(parts.join(" "))
}

/// `orders 4` or `orders 2 a,b c`: behind the number the racks of each partition.
pub(crate) fn make_topic(topics: &mut Cluster, line: &str) {
    let mut words = line.split_whitespace();
    let name = words.next().expect("a name");
    let partitions = words.next().expect("how many partitions").parse().unwrap();
    let racks = words.map(|word| word.split(',').map(Arc::from).collect());
    let racks = racks.collect();
    topics.put(name, partitions, racks);
}

pub(super) fn configure(config: &mut Config, key: &str, value: &str) -> bool {
    let number = value.parse().unwrap_or(0);
    match key {
        "group.consumer.session.timeout.ms" => config.consumer_session_timeout_ms = number,
        "group.consumer.max.size" => config.consumer_size_max = number,
        "group.consumer.assignment.interval.ms" => config.consumer_assignment_interval_ms = number,
        "group.consumer.migration.policy" => {
            config.consumer_migration_policy = match value {
                "disabled" => MigrationPolicy::Disabled,
                "upgrade" => MigrationPolicy::Upgrade,
                "downgrade" => MigrationPolicy::Downgrade,
                _ => MigrationPolicy::Bidirectional,
            }
        }
        "g/consumer.session.timeout.ms" => {
            config
                .overrides
                .entry(Arc::from("g"))
                .or_default()
                .session_timeout_ms = Some(number);
        }
        "g/consumer.heartbeat.interval.ms" => {
            config
                .overrides
                .entry(Arc::from("g"))
                .or_default()
                .heartbeat_interval_ms = Some(number);
        }
        _ => return false,
    }
    true
}

fn name(topics: &Cluster, id: &Uuid) -> String {
    topics
        .name_of(id)
        .map_or_else(|| format!("gone-{}", id.0[0]), str::to_owned)
}

fn places(topics: &Cluster, parts: &[TopicPartitions]) -> String {
    let one = |part: &TopicPartitions| one_place(&name(topics, &part.topic), &part.partitions);
    list(parts.iter().map(one))
}

fn one_place(name: &str, partitions: &[i32]) -> String {
    let partitions: Vec<String> = partitions.iter().map(i32::to_string).collect();
    format!("{name}:{}", partitions.join(","))
}

fn held(topics: &Cluster, held: &[Held]) -> String {
    let one = |held: &Held| {
        let since = held.epochs.clone().unwrap_or_default();
        let each = held.partitions.iter().zip(since);
        let each: Vec<String> = each.map(|(p, since)| format!("{p}@{since}")).collect();
        format!("{}:{}", name(topics, &held.topic), each.join(","))
    };
    list(held.iter().map(one))
}

pub(super) fn reply(topics: &Cluster, reply: &Reply) -> String {
    match reply {
        Reply::ConsumerHeartbeat(beat) => {
            let text = shown(beat, |beat| {
                let holds = beat.assignment.as_ref();
                let holds = holds.map_or(String::new(), |parts| {
                    format!(" holds {}", places(topics, parts))
                });
                let again = beat.heartbeat_interval_ms;
                format!("{} epoch={} again={again}{holds}", beat.member, beat.epoch)
            });
            format!("alive {text}")
        }
        Reply::ConsumerDescribe(groups) => {
            let one = |(name, group): &(String, _)| format!("{name}: {}", shown(group, described));
            groups.iter().map(one).collect::<Vec<_>>().join(" ")
        }
        other => format!("{other:?}"),
    }
}

fn described(group: &ConsumerDescribed) -> String {
    let named = |parts: &[NamedPartitions]| {
        list(
            parts
                .iter()
                .map(|part| one_place(&part.name, &part.partitions)),
        )
    };
    let one = |member: &ConsumerDescribedMember| {
        let classic = if member.classic { " classic" } else { "" };
        let (held, target) = (named(&member.assignment), named(&member.target));
        format!(
            "{} epoch={}{classic} holds {held} target {target}",
            member.member, member.epoch
        )
    };
    let members: Vec<String> = group.members.iter().map(one).collect();
    format!(
        "{} epoch={} target-epoch={} assignor={} ({})",
        group.state,
        group.epoch,
        group.assignment_epoch,
        group.assignor,
        members.join("; ")
    )
}

pub(super) fn record(topics: &Cluster, key: Key<'_>, value: Option<&[u8]>) -> String {
    let what = match key {
        Key::ConsumerGroup(group) => format!("consumer-group {group}"),
        Key::ConsumerPartitions(group) => format!("old-metadata {group}"),
        Key::ConsumerMember(group, id) => format!("member {group} {}", short(id)),
        Key::ConsumerTarget(group) => format!("target {group}"),
        Key::ConsumerTargetMember(group, id) => format!("target {group} {}", short(id)),
        Key::ConsumerCurrentMember(group, id) => format!("current {group} {}", short(id)),
        Key::ConsumerRegex(group, regex) => format!("regex {group} {regex}"),
        other => format!("{other:?}"),
    };
    let Some(value) = value else {
        return format!("record {what} is gone");
    };
    format!(
        "record {what} {}",
        contents(topics, key, value).expect("a known value")
    )
}

fn contents(topics: &Cluster, key: Key<'_>, value: &[u8]) -> Option<String> {
    Some(match key {
        Key::ConsumerGroup(_) => format!("epoch={}", GroupEpoch::decode(value)?.epoch),
        Key::ConsumerTarget(_) => format!("epoch={}", Target::decode(value)?.epoch),
        Key::ConsumerTargetMember(..) => places(topics, &TargetMember::decode(value)?.partitions),
        Key::ConsumerRegex(..) => list(Regex::decode(value)?.topics),
        Key::ConsumerMember(..) => {
            let member = Member::decode(value)?;
            let mut text = format!("wants {}", list(member.topics));
            let optional = |text: &mut String, word: &str, value: Option<String>| {
                if let Some(value) = value.filter(|value| !value.is_empty()) {
                    *text += &format!(" {word}={value}");
                }
            };
            optional(&mut text, "regex", member.regex);
            optional(&mut text, "instance", member.instance);
            optional(&mut text, "rack", member.rack);
            optional(&mut text, "assignor", member.assignor);
            let classic = member.classic.map(|own| own.session_timeout_ms.to_string());
            optional(&mut text, "classic-session", classic);
            text
        }
        Key::ConsumerCurrentMember(..) => {
            let member = CurrentMember::decode(value)?;
            let stage = ["stable", "unrevoked", "unreleased"].get(member.state as usize)?;
            let mut text = format!(
                "epoch={} {stage} {}",
                member.epoch,
                held(topics, &member.assigned)
            );
            if !member.revoking.is_empty() {
                text += &format!(" revoking {}", held(topics, &member.revoking));
            }
            text
        }
        _ => return None,
    })
}
