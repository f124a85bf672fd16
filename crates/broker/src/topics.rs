//! Making and deleting topics: what can be refused without the controller is refused here, in
//! Kafka's words; the rest goes to it as one command. The answer always holds one result per
//! topic, in the order of the request.

use crate::{Action, Broker, Principal, Resource, Verb, authorise, merge};
use base::{NodeId, Now, Refusal};
use meta::{Command, NewTopic, Placement, TopicCreated, TopicRef};
use shard::{Event, Reply, ReplySink, ReplyTo};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// A topic as a request describes it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TopicSpec {
    /// Its name.
    pub name: String,
    /// Partitions; `None` for the cluster's default.
    pub partitions: Option<i32>,
    /// Replicas of each; `None` for the cluster's default.
    pub replicas: Option<i32>,
    /// Replicas placed by hand: a partition and its nodes. Empty: the controller spreads them.
    pub assignment: Vec<(i32, Vec<i32>)>,
    /// Its configuration where it differs from the defaults.
    pub configs: Vec<(String, Option<String>)>,
}

impl Broker {
    /// Makes topics, or only says whether it could.
    pub fn create_topics(
        &self,
        now: Now,
        principal: &Principal,
        topics: Vec<TopicSpec>,
        validate_only: bool,
        timeout: Duration,
        to: ReplyTo,
    ) {
        let mut times: BTreeMap<String, u32> = BTreeMap::new();
        for topic in &topics {
            *times.entry(topic.name.clone()).or_default() += 1;
        }
        let decided = topics
            .into_iter()
            .map(|topic| {
                authorise(principal, Action::Create, Resource::Topic(&topic.name))?;
                if times[&topic.name] > 1 {
                    return Err(Refusal::InvalidRequest("Duplicate topic name.".to_owned()));
                }
                self.new_topic(topic)
            })
            .collect();
        let made = |topics| Command::CreateTopics {
            topics,
            validate_only,
        };
        self.change::<TopicCreated, _>(Verb::CreateTopics, now, timeout, to, decided, made);
    }

    /// Makes topics that somebody asked about, if the node's configuration says so.
    pub fn auto_create_topics(
        &self,
        now: Now,
        principal: &Principal,
        names: Vec<String>,
        timeout: Duration,
        to: ReplyTo,
    ) {
        let decided = names
            .into_iter()
            .map(|name| {
                authorise(principal, Action::Create, Resource::Topic(&name))?;
                if !self.settings().auto_create_topics {
                    return Err(Refusal::UnknownTopic);
                }
                self.new_topic(TopicSpec {
                    name,
                    ..TopicSpec::default()
                })
            })
            .collect();
        let made = |topics| Command::CreateTopics {
            topics,
            validate_only: false,
        };
        self.change::<TopicCreated, _>(Verb::AutoCreateTopics, now, timeout, to, decided, made);
    }

    /// Deletes topics.
    pub fn delete_topics(
        &self,
        now: Now,
        principal: &Principal,
        topics: Vec<TopicRef>,
        timeout: Duration,
        to: ReplyTo,
    ) {
        let image = self.image();
        let decided = topics
            .into_iter()
            .map(|topic| {
                if !self.settings().delete_topics {
                    return Err(Refusal::Policy("Topic deletion is disabled.".to_owned()));
                }
                let name = match &topic {
                    TopicRef::Name(name) => Some(name),
                    TopicRef::Id(id) => image.names.get(id),
                };
                if let Some(name) = name {
                    authorise(principal, Action::Delete, Resource::Topic(name))?;
                }
                Ok(topic)
            })
            .collect();
        let made = |topics| Command::DeleteTopics { topics };
        self.change::<(String, base::Uuid), _>(Verb::DeleteTopics, now, timeout, to, decided, made);
    }

    /// Sends what is left to the controller; the answers come back through [`Whole`].
    pub(crate) fn change<R: PerPart + 'static, T>(
        &self,
        verb: Verb,
        now: Now,
        timeout: Duration,
        to: ReplyTo,
        decided: Vec<Result<T, Refusal>>,
        command: impl FnOnce(Vec<T>) -> Command,
    ) {
        let count = decided.len();
        let mut wanted = Vec::new();
        let mut refused = Vec::new();
        for (at, part) in decided.into_iter().enumerate() {
            match part {
                Ok(part) => wanted.push(part),
                Err(why) => refused.push((at, why)),
            }
        }
        self.stats().called(verb);
        self.stats().refused(verb, refused.len());
        let whole = Whole {
            to,
            count,
            refused,
            wrap: R::reply,
        };
        if wanted.is_empty() {
            return whole.answer(R::reply(Vec::new()));
        }
        let through = Arc::new(whole);
        let command = shard::Command::Meta {
            command: command(wanted),
            deadline: now.mono.after(timeout),
        };
        let to = ReplyTo {
            sink: through.clone(),
            ticket: through.to.ticket,
        };
        if let Err(busy) = self.0.mailbox.post(Event::Command(command, Some(to))) {
            self.stats().refused(verb, count - through.refused.len());
            through.reply(0, Reply::Meta(Err(busy)));
        }
    }

    fn new_topic(&self, spec: TopicSpec) -> Result<NewTopic, Refusal> {
        if self.image().topics.contains_key(&spec.name) {
            return Err(Refusal::TopicExists(spec.name));
        }
        Ok(NewTopic {
            configs: configs(spec.configs)?,
            placement: placement(spec.partitions, spec.replicas, spec.assignment)?,
            name: spec.name,
            id: self.draw_id(),
        })
    }
}

fn configs(pairs: Vec<(String, Option<String>)>) -> Result<BTreeMap<String, String>, Refusal> {
    let nulls: Vec<&str> = pairs
        .iter()
        .filter(|(_, value)| value.is_none())
        .map(|(key, _)| key.as_str())
        .collect();
    if !nulls.is_empty() {
        let nulls = nulls.join(",");
        let why = format!("Null value not supported for topic configs: {nulls}");
        return Err(Refusal::InvalidConfig(why));
    }
    Ok(pairs
        .into_iter()
        .filter_map(|(key, value)| Some((key, value?)))
        .collect())
}

fn placement(
    partitions: Option<i32>,
    replicas: Option<i32>,
    assignment: Vec<(i32, Vec<i32>)>,
) -> Result<Placement, Refusal> {
    if !assignment.is_empty() {
        return by_hand(partitions, replicas, assignment);
    }
    if replicas.is_some_and(|n| n <= 0) {
        return Err(Refusal::InvalidReplicationFactor(
            "Replication factor must be larger than 0, or -1 to use the default value.".to_owned(),
        ));
    }
    if partitions.is_some_and(|n| n <= 0) {
        return Err(Refusal::InvalidPartitions(
            "Number of partitions was set to an invalid non-positive value.".to_owned(),
        ));
    }
    let count = |n: Option<i32>| n.and_then(|n| u32::try_from(n).ok());
    Ok(Placement::Spread {
        partitions: count(partitions),
        replicas: count(replicas),
    })
}

fn by_hand(
    partitions: Option<i32>,
    replicas: Option<i32>,
    assignment: Vec<(i32, Vec<i32>)>,
) -> Result<Placement, Refusal> {
    for (given, what) in [
        (replicas, "replication factor"),
        (partitions, "numPartitions"),
    ] {
        if given.is_some() {
            return Err(Refusal::InvalidRequest(format!(
                "A manual partition assignment was specified, but {what} was not set to -1."
            )));
        }
    }
    let mut parts = BTreeMap::new();
    for (partition, nodes) in assignment {
        let nodes = nodes.into_iter().map(node).collect::<Result<_, _>>()?;
        if parts.insert(partition, nodes).is_some() {
            return Err(Refusal::InvalidReplicaAssignment(format!(
                "Found multiple manual partition assignments for partition {partition}"
            )));
        }
    }
    if !parts.keys().copied().eq(0..parts.len() as i32) {
        return Err(Refusal::InvalidReplicaAssignment(
            "partitions should be a consecutive 0-based integer sequence".to_owned(),
        ));
    }
    Ok(Placement::Manual(parts.into_values().collect()))
}

fn node(id: i32) -> Result<NodeId, Refusal> {
    u32::try_from(id).map(NodeId).map_err(|_| {
        Refusal::InvalidReplicaAssignment(format!(
            "The manual partition assignment includes broker {id}, but no such broker is \
             registered."
        ))
    })
}

/// The controller's answer about one part, and the reply that holds a list of them.
pub(crate) trait PerPart: Sized {
    fn reply(parts: Vec<Result<Self, Refusal>>) -> meta::Reply;
}

impl PerPart for TopicCreated {
    fn reply(parts: Vec<Result<Self, Refusal>>) -> meta::Reply {
        meta::Reply::TopicsCreated(parts)
    }
}

impl PerPart for (String, base::Uuid) {
    fn reply(parts: Vec<Result<Self, Refusal>>) -> meta::Reply {
        meta::Reply::TopicsDeleted(parts)
    }
}

impl PerPart for () {
    fn reply(parts: Vec<Result<Self, Refusal>>) -> meta::Reply {
        meta::Reply::Each(parts)
    }
}

/// Makes the controller's answer one for every topic of the request, in order, also where the
/// whole command was refused.
struct Whole<R> {
    to: ReplyTo,
    count: usize,
    refused: Vec<(usize, Refusal)>,
    wrap: fn(Vec<Result<R, Refusal>>) -> meta::Reply,
}

impl<R> Whole<R> {
    fn answer(&self, reply: meta::Reply) {
        let whole = match reply {
            meta::Reply::TopicsCreated(parts) => {
                meta::Reply::TopicsCreated(merge::fill(parts, &self.refused))
            }
            meta::Reply::TopicsDeleted(parts) => {
                meta::Reply::TopicsDeleted(merge::fill(parts, &self.refused))
            }
            meta::Reply::Each(parts) => meta::Reply::Each(merge::fill(parts, &self.refused)),
            other => other,
        };
        self.to.sink.reply(self.to.ticket, Reply::Meta(Ok(whole)));
    }
}

impl<R> ReplySink for Whole<R> {
    fn reply(&self, _ticket: u64, reply: Reply) {
        match reply {
            Reply::Meta(Ok(reply)) => self.answer(reply),
            Reply::Meta(Err(why)) => {
                let all = merge::refuse_rest(self.count, &self.refused, &why);
                self.to
                    .sink
                    .reply(self.to.ticket, Reply::Meta(Ok((self.wrap)(all))));
            }
            other => self.to.sink.reply(self.to.ticket, other),
        }
    }
}

#[cfg(test)]
mod tests;
