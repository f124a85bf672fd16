//! DeleteTopics (key 20), versions 0 to 6.
//!
//! 0: by name. 1: the throttle time. 2: nothing new. 3: a code of its own where deletion is
//! turned off. 4: flexible. 5: messages. 6: by id.

use super::{Api, Door, Request, Step, patience};
use crate::refusals::{self, codes};
use base::{Now, Refusal, Uuid};
use broker::TopicRef;
use wire_kafka::messages::delete_topics_request::{DeleteTopicState, DeleteTopicsRequest};
use wire_kafka::messages::delete_topics_response::{DeletableTopicResult, DeleteTopicsResponse};
use wire_kafka::{ApiKey, Reader, WireError};

pub(crate) const API: Api = Api {
    key: ApiKey::DeleteTopics,
    versions: 0..=6,
    serve,
};

/// The first version that names topics one by one, by name or by id.
const BY_ID: i16 = 6;
/// The first version that has a code for deletion turned off.
const DISABLED_CODE: i16 = 3;

/// The first version that knows the code of a quota.
const QUOTA_CODE: i16 = 5;

/// The answer as far as it is known; topics that the controller was asked about have no code yet.
pub(crate) struct Waiting {
    request: Request,
    results: Vec<DeletableTopicResult>,
    /// Their places.
    asked: Vec<usize>,
}

fn serve(
    door: &Door,
    now: Now,
    mut request: Request,
    reader: &mut Reader,
) -> Result<Step, WireError> {
    let body = DeleteTopicsRequest::decode(request.version, reader)?;
    let by_name = |name| DeleteTopicState {
        name: Some(name),
        topic_id: Uuid::ZERO,
    };
    let named: Vec<DeleteTopicState> = match request.version >= BY_ID {
        true => body.topics,
        false => body.topic_names.into_iter().map(by_name).collect(),
    };
    let gone = named.iter().map(|topic| partitions(door, topic)).sum();
    let strict = request.version >= QUOTA_CODE;
    let within = request.mutate(door, now, gone, strict);
    let mut waiting = Waiting {
        request,
        results: Vec::new(),
        asked: Vec::new(),
    };
    let mut topics = Vec::new();
    for topic in named {
        let mut result = DeletableTopicResult {
            topic_id: topic.topic_id,
            ..Default::default()
        };
        match (topic.name.clone(), topic.topic_id) {
            (Some(name), Uuid::ZERO) => topics.push(TopicRef::Name(name)),
            (None, id) if id != Uuid::ZERO => topics.push(TopicRef::Id(id)),
            _ => {
                result.error_code = codes::INVALID_REQUEST;
                result.error_message = Some("a topic is named by name or by id".to_owned());
            }
        }
        result.name = topic.name;
        if result.error_code == codes::NONE {
            waiting.asked.push(waiting.results.len());
        }
        waiting.results.push(result);
    }
    if topics.is_empty() {
        return Ok(waiting.answer());
    }
    if let Err(why) = within {
        return Ok(waiting.finish(Err(why)));
    }
    let (timeout, to) = (patience(body.timeout_ms), request.reply_to(door));
    door.broker
        .delete_topics(now, &door.principal, topics, timeout, to);
    Ok(Step::Wait(super::Waiting::DeleteTopics(waiting)))
}

/// How many partitions a topic has.
fn partitions(door: &Door, topic: &DeleteTopicState) -> usize {
    let image = door.broker.image();
    let there = match &topic.name {
        Some(name) => image.topic(name),
        None => image.topic_by_id(&topic.topic_id),
    };
    there.map_or(0, |topic| topic.partitions.len())
}

impl Waiting {
    /// Answers for each topic.
    pub(crate) fn finish(mut self, reply: Result<meta::Reply, Refusal>) -> Step {
        let deleted = match reply {
            Ok(meta::Reply::TopicsDeleted(deleted)) => deleted,
            Ok(_) => return Step::Close("the controller answered another question".to_owned()),
            Err(why) => vec![Err(why); self.asked.len()],
        };
        for (place, deleted) in self.asked.iter().zip(deleted) {
            let result = &mut self.results[*place];
            match deleted {
                Ok((name, id)) => (result.name, result.topic_id) = (Some(name), id),
                Err(why) => {
                    result.error_code = code(&why, self.request.version);
                    result.error_message = Some(why.to_string());
                }
            }
        }
        self.answer()
    }

    fn answer(self) -> Step {
        let responses = self.results;
        self.request.answer(&DeleteTopicsResponse {
            responses,
            ..Default::default()
        })
    }
}

fn code(why: &Refusal, version: i16) -> i16 {
    match why {
        Refusal::Policy(_) if version >= DISABLED_CODE => codes::TOPIC_DELETION_DISABLED,
        Refusal::Policy(_) => codes::INVALID_REQUEST,
        _ => refusals::code(why),
    }
}
