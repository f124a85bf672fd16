//! The language of the dialogues: commands in, answers and records out, one line each.
//!
//! `> CALLER VERB GROUP [WORD=VALUE]...` asks, `@ MS` lets time pass, `% KEY=VALUE` configures,
//! `! failover` makes another replica the leader, `+ TOPIC PARTITIONS` makes or enlarges a topic,
//! `- TOPIC` deletes it. Lines that begin with a blank say what comes
//! of it. Ids that chance made end in `#1`, `#2` and so on.

mod consumer;

use super::world::{Cluster, World};
use crate::command::*;
use crate::record::group::Saved;
use crate::record::offset::View;
use crate::record::{Key, Record};
use crate::reply::*;
use base::{Refusal, Uuid};
use bytes::Bytes;
use std::sync::Arc;

/// The words of a line.
struct Words<'a>(Vec<&'a str>);

impl<'a> Words<'a> {
    fn get(&self, word: &str) -> Option<&'a str> {
        let mut pairs = self.0.iter().filter_map(|w| w.split_once('='));
        pairs.find(|(key, _)| *key == word).map(|(_, value)| value)
    }

    fn number(&self, word: &str, default: i32) -> i32 {
        self.get(word).map_or(default, |v| v.parse().unwrap())
    }

    fn text(&self, word: &str) -> Option<String> {
        self.get(word).map(str::to_owned)
    }

    fn id(&self, word: &str) -> String {
        long(self.get(word).unwrap_or(""))
    }

    fn has(&self, flag: &str) -> bool {
        self.0.contains(&flag)
    }
}

fn uuid_text(count: u128) -> String {
    let hex = format!("{count:032x}");
    let parts = [
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..],
    ];
    parts.join("-")
}

/// `c#1` as the machine writes it.
fn long(id: &str) -> String {
    match id.split_once('#') {
        Some((prefix, count)) => format!("{prefix}-{}", uuid_text(count.parse().unwrap())),
        None => id.to_owned(),
    }
}

/// What the machine writes as `c#1`.
fn short(id: &str) -> String {
    let count = id.len().checked_sub(37).and_then(|at| {
        let hex = id.get(at + 1..)?.replace('-', "");
        Some((at, u128::from_str_radix(&hex, 16).ok()?))
    });
    match count {
        Some((at, count)) => format!("{}#{count}", &id[..at]),
        None => id.to_owned(),
    }
}

/// A consumer's metadata for these topics, with what it holds.
fn subscription(topics: &str, owned: &str) -> Bytes {
    let topics: Vec<&str> = topics
        .split(',')
        .filter(|topic| !topic.is_empty())
        .collect();
    let mut bytes = vec![0, 1];
    bytes.extend((topics.len() as i32).to_be_bytes());
    for topic in topics {
        bytes.extend((topic.len() as i16).to_be_bytes());
        bytes.extend(topic.as_bytes());
    }
    bytes.extend((-1i32).to_be_bytes());
    bytes.extend(consumer::partitions(owned));
    bytes.into()
}

fn protocols(words: &Words<'_>) -> Vec<Protocol> {
    if let Some(topics) = words.get("topics") {
        let name = words.get("protocol").unwrap_or("range").to_owned();
        let metadata = subscription(topics, words.get("owned").unwrap_or(""));
        return vec![Protocol { name, metadata }];
    }
    let one = |text: &str| {
        let (name, metadata) = text.split_once(':').unwrap_or((text, ""));
        Protocol {
            name: name.to_owned(),
            metadata: Bytes::copy_from_slice(metadata.as_bytes()),
        }
    };
    let all = words.get("protocols").unwrap_or("range");
    all.split(',').filter(|p| !p.is_empty()).map(one).collect()
}

fn topics(words: &Words<'_>) -> Vec<(Arc<str>, Vec<i32>)> {
    let one = |word: &&str| {
        let (topic, partitions) = word.split_once(':')?;
        let partitions = partitions.split(',').map(|p| p.parse().ok());
        Some((Arc::from(topic), partitions.collect::<Option<_>>()?))
    };
    words.0.iter().filter_map(one).collect()
}

/// `orders:0=5/metadata`
fn commits(words: &Words<'_>) -> Vec<CommitTopic> {
    let one = |word: &&str| {
        let (place, said) = word.split_once('=')?;
        let (topic, partition) = place.split_once(':')?;
        let (offset, metadata) = said.split_once('/').unwrap_or((said, ""));
        Some(CommitTopic {
            name: Arc::from(topic),
            id: Uuid([words.number("topic-id", 0) as u8; 16]),
            partitions: vec![CommitPartition {
                partition: partition.parse().ok()?,
                offset: offset.parse().ok()?,
                leader_epoch: words.number("epoch", -1),
                metadata: (!metadata.is_empty()).then(|| metadata.to_owned()),
            }],
        })
    };
    words.0.iter().filter_map(one).collect()
}

fn leavers(words: &Words<'_>) -> Vec<Leaver> {
    let one = |text: &str| {
        let (member, instance) = text.split_once('/').unwrap_or((text, ""));
        Leaver {
            member: long(member),
            instance: (!instance.is_empty()).then(|| instance.to_owned()),
            reason: None,
        }
    };
    words
        .get("members")
        .unwrap_or("")
        .split(',')
        .map(one)
        .collect()
}

fn join(group: String, words: &Words<'_>) -> JoinGroup {
    JoinGroup {
        group,
        member: words.id("id"),
        instance: words.text("instance"),
        client: Client {
            id: words.get("client").unwrap_or("c").to_owned(),
            host: "/127.0.0.1".to_owned(),
        },
        session_timeout_ms: words.number("session", 10_000),
        rebalance_timeout_ms: words.number("rebalance", 60_000),
        protocol_type: words.get("type").unwrap_or("consumer").to_owned(),
        protocols: protocols(words),
        reason: None,
        requires_known_id: !words.has("v3"),
        can_skip_assignment: words.has("v9"),
    }
}

/// A command from the words behind the caller.
pub(crate) fn command(cluster: &Cluster, line: &str) -> Command {
    let mut words = line.split_whitespace();
    let verb = words.next().expect("a verb");
    let mut words = Words(words.collect());
    if let Some(command) = consumer::command(cluster, verb, &words) {
        return command;
    }
    let names = |words: &Words<'_>| words.0.iter().map(|w| (*w).to_owned()).collect();
    match verb {
        "describe" => {
            return Command::DescribeGroups {
                groups: names(&words),
            };
        }
        "delete" => {
            return Command::DeleteGroups {
                groups: names(&words),
            };
        }
        "list" => {
            let each = |word| -> Vec<String> {
                let text: Option<&str> = words.get(word);
                text.into_iter()
                    .flat_map(|t| t.split(','))
                    .map(str::to_owned)
                    .collect()
            };
            let (states, types) = (each("states"), each("types"));
            return Command::ListGroups(ListGroups { states, types });
        }
        "topics-deleted" => {
            let id = Uuid([words.number("topic-id", 0) as u8; 16]);
            let names = words.0.iter().filter(|w| !w.contains('='));
            let topics = names.map(|name| ((*name).to_owned(), id)).collect();
            return Command::TopicsDeleted { topics };
        }
        _ => {}
    }
    let group = words.0.remove(0).trim_matches('"').to_owned();
    let (member, generation) = (words.id("id"), words.number("generation", -1));
    let instance = words.text("instance");
    match verb {
        "join" => Command::JoinGroup(join(group, &words)),
        "sync" => Command::SyncGroup(SyncGroup {
            group,
            generation,
            member,
            instance,
            protocol_type: words.text("type"),
            protocol: words.text("protocol"),
            assignments: assignments(&words),
        }),
        "beat" => Command::Heartbeat(Heartbeat {
            group,
            generation,
            member,
            instance,
        }),
        "leave" => Command::LeaveGroup(LeaveGroup {
            group,
            members: leavers(&words),
        }),
        "commit" => Command::OffsetCommit(OffsetCommit {
            group,
            member,
            instance,
            generation_or_epoch: generation,
            retention_ms: words.get("retention").map(|ms| ms.parse().unwrap()),
            knows_epochs: words.has("v9"),
            topics: commits(&words),
        }),
        "fetch" => Command::OffsetFetch(OffsetFetch {
            group,
            member: words.text("id"),
            member_epoch: generation,
            topics: (!words.has("all")).then(|| fetched_topics(&words)),
            require_stable: false,
        }),
        "forget" => Command::OffsetDelete(OffsetDelete {
            group,
            topics: topics(&words),
        }),
        _ => panic!("no verb {verb}"),
    }
}

fn fetched_topics(words: &Words<'_>) -> Vec<FetchTopic> {
    let id = Uuid([words.number("topic-id", 0) as u8; 16]);
    let one = |(name, partitions)| FetchTopic {
        name,
        id,
        partitions,
    };
    topics(words).into_iter().map(one).collect()
}

fn assignments(words: &Words<'_>) -> Vec<(String, Bytes)> {
    let one = |text: &str| {
        let (id, bytes) = text.split_once(':').unwrap_or((text, ""));
        let bytes = match bytes.strip_prefix('=') {
            Some(partitions) => consumer::assignment(partitions),
            None => Bytes::copy_from_slice(bytes.as_bytes()),
        };
        (long(id), bytes)
    };
    let all = words.get("assign").unwrap_or("");
    all.split(',').filter(|a| !a.is_empty()).map(one).collect()
}

/// Sets one key of the configuration.
pub(crate) fn configure(world: &mut World, line: &str) {
    let (key, value) = line.trim().split_once('=').expect("KEY=VALUE");
    let config = &mut world.config;
    if consumer::configure(config, key, value) {
        return;
    }
    let value: i32 = value.parse().unwrap();
    match key {
        "group.initial.rebalance.delay.ms" => config.initial_rebalance_delay_ms = value,
        "group.max.size" => config.size_max = value,
        "offset.metadata.max.bytes" => config.offset_metadata_bytes_max = value,
        "offsets.retention.minutes" => config.offsets_retention_minutes = value,
        "record.bytes.max" => config.record_bytes_max = value as u32,
        _ => panic!("no key {key}"),
    }
}

pub(crate) use consumer::make_topic;

fn shown<T>(outcome: &Result<T, Refusal>, show: impl Fn(&T) -> String) -> String {
    match outcome {
        Ok(value) => show(value),
        Err(refusal) => {
            let name = format!("{refusal:?}");
            name.split(['(', ' ']).next().unwrap_or("").to_owned()
        }
    }
}

fn text(bytes: &[u8]) -> String {
    if bytes.first() == Some(&0) {
        return "topics".to_owned();
    }
    String::from_utf8_lossy(bytes).into_owned()
}

/// An assignment: of consumers, or whatever the dialogue says it is.
fn assigned(bytes: &[u8]) -> String {
    match bytes.first() {
        Some(0) => consumer::assigned(bytes).expect("a consumer's assignment"),
        _ => text(bytes),
    }
}

fn with(id: &str, bytes: &[u8]) -> String {
    let mut shown = short(id);
    if !bytes.is_empty() {
        shown += &format!("({})", text(bytes));
    }
    shown
}

fn list(items: impl IntoIterator<Item = String>) -> String {
    format!("[{}]", items.into_iter().collect::<Vec<_>>().join(" "))
}

fn joined(join: &Join) -> String {
    let outcome = shown(&join.outcome, |joined| {
        let mut text = format!(
            "generation={} protocol={} leader={}",
            joined.generation,
            joined.protocol.as_deref().unwrap_or("-"),
            short(&joined.leader)
        );
        if !joined.members.is_empty() {
            let members = joined.members.iter().map(|m| with(&m.member, &m.metadata));
            text += &format!(" members={}", list(members));
        }
        if joined.skip_assignment {
            text += " skip-assignment";
        }
        text
    });
    match join.member.as_str() {
        "" => format!("joined - {outcome}"),
        member => format!("joined {} {outcome}", short(member)),
    }
}

fn described(group: &Described) -> String {
    let members = group.members.iter().map(|m| {
        let instance = m
            .instance
            .as_ref()
            .map_or(String::new(), |i| format!("/{i}"));
        format!("{}{instance}", with(&m.member, &m.assignment))
    });
    format!(
        "{} type={} protocol={} members={}",
        group.state,
        group.protocol_type,
        group.protocol,
        list(members)
    )
}

fn fetched(topics: &[FetchedTopic]) -> String {
    let one = |topic: &FetchedTopic| {
        let offsets = topic.partitions.iter().map(|part| {
            let offset = shown(&part.offset, |offset| match offset {
                None => "none".to_owned(),
                Some(o) if o.metadata.is_empty() => o.offset.to_string(),
                Some(o) => format!("{}/{}", o.offset, o.metadata),
            });
            format!("{}:{}={offset}", topic.name, part.partition)
        });
        offsets.collect::<Vec<_>>().join(" ")
    };
    topics.iter().map(one).collect::<Vec<_>>().join(" ")
}

fn outcomes(name: &str, partitions: &[(i32, Result<(), Refusal>)]) -> String {
    let one = |(partition, outcome): &(i32, Result<(), Refusal>)| {
        format!("{name}:{partition}={}", shown(outcome, |()| "ok".into()))
    };
    partitions.iter().map(one).collect::<Vec<_>>().join(" ")
}

pub(crate) fn reply(topics: &Cluster, reply: &Reply) -> String {
    let parts = |texts: Vec<String>| texts.join(" ");
    match reply {
        Reply::JoinGroup(join) => joined(join),
        Reply::SyncGroup(synced) => {
            format!(
                "synced {}",
                shown(synced, |s| format!("({})", assigned(&s.assignment)))
            )
        }
        Reply::Heartbeat(outcome) => format!("beat {}", shown(outcome, |()| "ok".into())),
        Reply::LeaveGroup(left) => shown(left, |left| {
            let one = |part: &Left| {
                let instance = part
                    .instance
                    .as_ref()
                    .map_or(String::new(), |i| format!("/{i}"));
                let outcome = shown(&part.outcome, |()| "ok".into());
                format!("{}{instance}={outcome}", short(&part.member))
            };
            format!("left {}", parts(left.iter().map(one).collect()))
        }),
        Reply::OffsetCommit(topics) => shown(topics, |topics| {
            let each = topics.iter().map(|t| outcomes(&t.name, &t.partitions));
            format!("committed {}", parts(each.collect()))
        }),
        Reply::OffsetFetch(topics) => shown(topics, |topics| {
            format!("fetched {}", fetched(topics)).trim_end().to_owned()
        }),
        Reply::OffsetDelete(topics) => shown(topics, |topics| {
            let each = topics.iter().map(|t| outcomes(&t.name, &t.partitions));
            format!("forgot {}", parts(each.collect()))
        }),
        Reply::DeleteGroups(groups) => {
            let one = |(name, outcome): &(String, Result<(), Refusal>)| {
                format!("{name}={}", shown(outcome, |()| "ok".into()))
            };
            format!("deleted {}", parts(groups.iter().map(one).collect()))
        }
        Reply::DescribeGroups(groups) => {
            let one = |(name, group): &(String, _)| format!("{name}: {}", shown(group, described));
            parts(groups.iter().map(one).collect())
        }
        Reply::ListGroups(groups) => {
            let one = |g: &Listed| {
                format!(
                    "{}:{}:{}:{}",
                    g.group, g.state, g.group_type, g.protocol_type
                )
            };
            format!("listed {}", list(groups.iter().map(one)))
        }
        Reply::Done => "done".to_owned(),
        other => consumer::reply(topics, other),
    }
}

pub(crate) fn record(topics: &Cluster, record: &Record) -> String {
    let key = Key::decode(&record.key).expect("a known key");
    match (key, record.value.as_deref()) {
        (
            Key::Offset {
                group,
                topic,
                partition,
            },
            None,
        ) => {
            format!("record offset {group} {topic}:{partition} is gone")
        }
        (
            Key::Offset {
                group,
                topic,
                partition,
            },
            Some(value),
        ) => {
            let view = View::decode(value).expect("a known value");
            let expires = view
                .expires_ms
                .map_or(String::new(), |at| format!(" until {at}"));
            format!(
                "record offset {group} {topic}:{partition}={}{expires}",
                view.offset
            )
        }
        (Key::Group(name), None) => format!("record group {name} is gone"),
        (Key::Group(name), Some(value)) => {
            let saved = Saved::decode(value).expect("a known value");
            let leader = saved.leader.as_deref().unwrap_or("-");
            format!(
                "record group {name} generation={} protocol={} leader={} members={}",
                saved.generation,
                saved.protocol.as_deref().unwrap_or("-"),
                short(leader),
                list(saved.members.iter().map(|m| {
                    let shown = assigned(&m.assignment);
                    with(&m.id, shown.as_bytes())
                }))
            )
        }
        (key, value) => consumer::record(topics, key, value),
    }
}
