//! CreateTopics (key 19), versions 0 to 7.
//!
//! 0: names, numbers, replicas by hand, configuration. 1: only to validate; messages. 2: the
//! throttle time. 3: nothing new. 4: -1 for the cluster's default numbers. 5: flexible; what was
//! made is told in full. 6: nothing new. 7: the topic's id.

use super::describe_configs::source;
use super::{Api, Door, Request, Step, countable, patience};
use crate::refusals;
use crate::settle::Settling;
use base::{Now, Refusal};
use broker::{ConfigEntry, TopicSpec};
use meta::TopicCreated;
use std::collections::BTreeMap;
use wire_kafka::messages::create_topics_request::{CreatableTopic, CreateTopicsRequest};
use wire_kafka::messages::create_topics_response::{
    CreatableTopicConfigs, CreatableTopicResult, CreateTopicsResponse,
};
use wire_kafka::{ApiKey, Reader, WireError};

pub(crate) const API: Api = Api {
    key: ApiKey::CreateTopics,
    versions: 0..=7,
    serve,
};

/// The first version whose answers tell what was made.
const IN_FULL: i16 = 5;

/// The first version that knows the code of a quota.
const QUOTA_CODE: i16 = 6;

/// What was asked for.
pub(crate) struct Waiting {
    request: Request,
    topics: Vec<(String, BTreeMap<String, String>)>,
}

fn serve(
    door: &Door,
    now: Now,
    mut request: Request,
    reader: &mut Reader,
) -> Result<Step, WireError> {
    let body = CreateTopicsRequest::decode(request.version, reader)?;
    let topics = body
        .topics
        .iter()
        .map(|t| (t.name.clone(), given(t)))
        .collect();
    let partitions = body.topics.iter().map(|t| partitions(door, t)).sum();
    let strict = request.version >= QUOTA_CODE;
    let within = request.mutate(door, now, partitions, strict);
    let specs = body.topics.into_iter().map(spec).collect();
    if let Err(why) = within {
        return Ok(Waiting { request, topics }.finish(door, Err(why)));
    }
    let (timeout, to) = (patience(body.timeout_ms), request.reply_to(door));
    door.broker
        .create_topics(now, &door.principal, specs, body.validate_only, timeout, to);
    Ok(Step::Wait(super::Waiting::CreateTopics(Waiting {
        request,
        topics,
    })))
}

/// How many partitions are counted against the quota: those that the topic would have, and none of a
/// topic that is there or would be too large, since what is refused isn't made.
fn partitions(door: &Door, topic: &CreatableTopic) -> usize {
    if door.broker.image().topic(&topic.name).is_some() {
        return 0;
    }
    let default = door.broker.settings().topic_defaults().partitions as usize;
    let asked = match usize::try_from(topic.num_partitions) {
        Ok(partitions) => partitions,
        Err(_) if topic.assignments.is_empty() => default,
        Err(_) => topic.assignments.len(),
    };
    countable(asked)
}

fn given(topic: &CreatableTopic) -> BTreeMap<String, String> {
    let set = topic.configs.iter();
    set.filter_map(|config| Some((config.name.clone(), config.value.clone()?)))
        .collect()
}

fn spec(topic: CreatableTopic) -> TopicSpec {
    let replicas = i32::from(topic.replication_factor);
    let by_hand = topic
        .assignments
        .into_iter()
        .map(|a| (a.partition_index, a.broker_ids));
    TopicSpec {
        name: topic.name,
        partitions: (topic.num_partitions != -1).then_some(topic.num_partitions),
        replicas: (replicas != -1).then_some(replicas),
        assignment: by_hand.collect(),
        configs: topic
            .configs
            .into_iter()
            .map(|config| (config.name, config.value))
            .collect(),
    }
}

impl Waiting {
    /// Answers for each topic.
    pub(crate) fn finish(self, door: &Door, reply: Result<meta::Reply, Refusal>) -> Step {
        let Waiting { request, topics } = self;
        let made = match reply {
            Ok(meta::Reply::TopicsCreated(made)) => made,
            Ok(_) => return Step::Close("the controller answered another question".to_owned()),
            Err(why) => vec![Err(why); topics.len()],
        };
        let names = made.iter().filter_map(|made| made.as_ref().ok());
        let names: Vec<String> = names.map(|made| made.name.clone()).collect();
        let results = topics
            .into_iter()
            .zip(made)
            .map(|((name, configs), made)| match made {
                Ok(made) => result(door, request.version, made, &configs),
                Err(why) => CreatableTopicResult {
                    name,
                    error_code: refusals::code(&why),
                    error_message: Some(why.to_string()),
                    configs: Some(Vec::new()),
                    ..Default::default()
                },
            });
        let answer = CreateTopicsResponse {
            topics: results.collect(),
            ..Default::default()
        };
        Settling::step(door, names, move |_| request.answer(&answer))
    }
}

fn result(
    door: &Door,
    version: i16,
    made: TopicCreated,
    configs: &BTreeMap<String, String>,
) -> CreatableTopicResult {
    let shown = match version >= IN_FULL {
        true => door.broker.topic_configs(configs),
        false => Vec::new(),
    };
    CreatableTopicResult {
        name: made.name,
        topic_id: made.id,
        num_partitions: i32::try_from(made.partitions).unwrap_or(i32::MAX),
        replication_factor: i16::try_from(made.replicas).unwrap_or(i16::MAX),
        configs: Some(shown.into_iter().map(config).collect()),
        ..Default::default()
    }
}

fn config(entry: ConfigEntry) -> CreatableTopicConfigs {
    CreatableTopicConfigs {
        name: entry.name.into_owned(),
        value: entry.value.filter(|_| !entry.sensitive),
        read_only: entry.read_only,
        config_source: source(entry.source),
        is_sensitive: entry.sensitive,
    }
}
