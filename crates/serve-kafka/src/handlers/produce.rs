//! Produce (key 0), versions 0 to 13.
//!
//! 0: the first. 1: the throttle time. 2: the time of a LogAppendTime topic. 3: record batches
//! (magic 2) and the transactional id. 4: nothing new. 5: where the log starts. 6: nothing new.
//! 7: Zstandard. 8: which records are to blame, and a message. 9: flexible. 10: who leads, beside
//! a refusal. 11 and 12: nothing new here (transactions). 13: topics by id.
//!
//! Versions before 3 carry message sets, which become batches where they arrive.

use super::doubles::{self, Named};
use super::{Api, Door, Request, Step, patience, too_many};
use crate::hints::{Hints, Reached, leader_of};
use crate::recompress::recompress;
use crate::refusals::{self, codes};
use crate::validate::{self, Rejected, Rules};
use base::{Batch, Now, Refusal, WallMs};
use broker::{Append, Target, TopicKey};
use bytes::Bytes;
use shard::{Acks, Appended};
use wire_kafka::messages::produce_request::{
    PartitionProduceData, ProduceRequest, TopicProduceData,
};
use wire_kafka::messages::produce_response::{
    BatchIndexAndErrorMessage, LeaderIdAndEpoch, NodeEndpoint, PartitionProduceResponse,
    ProduceResponse, TopicProduceResponse,
};
use wire_kafka::{ApiKey, Reader, WireError};

pub(crate) const API: Api = Api {
    key: ApiKey::Produce,
    versions: 0..=13,
    serve,
};

/// The first version whose topics are named by id.
const BY_ID: i16 = 13;
/// The first version whose answers tell who leads.
const LEADER_HINTS: i16 = 10;

/// The answer as far as it is known: everything but the outcome of each partition.
pub(crate) struct Waiting {
    request: Request,
    response: ProduceResponse,
    /// Batches that failed their checks, by their place among all partitions of the request.
    rejected: Vec<(usize, Rejected)>,
    /// Nobody waits for an answer (acks=0).
    unheard: bool,
}

fn serve(door: &Door, now: Now, request: Request, reader: &mut Reader) -> Result<Step, WireError> {
    let body = ProduceRequest::decode(request.version, reader)?;
    let parts = body.topic_data.iter().map(|t| t.partition_data.len());
    if let Some(end) = too_many(&request, parts) {
        return Ok(end);
    }
    let (acks, acks_known) = match body.acks {
        -1 => (Acks::All, true),
        0 => (Acks::None, true),
        1 => (Acks::Leader, true),
        _ => (Acks::Leader, false),
    };
    let mut append = door.broker.append(&door.principal, acks);
    let mut waiting = Waiting {
        request,
        response: ProduceResponse::default(),
        rejected: Vec::new(),
        unheard: acks == Acks::None,
    };
    let mut place = 0;
    for topic in merged(body.topic_data) {
        let target = append.topic(key_of(&topic, request.version));
        let mut answer = TopicProduceResponse {
            topic_id: topic.id,
            partition_responses: Vec::with_capacity(topic.parts.len()),
            name: topic.name,
        };
        for partition in topic.parts {
            answer.partition_responses.push(unanswered(partition.index));
            let index = partition.index;
            let verdict = match acks_known {
                true => judge(request.version, partition, &target, now.wall),
                false => Err(Refusal::InvalidRequiredAcks.into()),
            };
            match verdict {
                Ok(batch) => append.push(&target, index, batch),
                Err(rejected) => {
                    refuse(door, &mut append, &target, index, &rejected.refusal);
                    waiting.rejected.push((place, rejected));
                }
            }
            place += 1;
        }
        waiting.response.responses.push(answer);
    }
    let timeout = patience(body.timeout_ms);
    append.submit(now, timeout, request.reply_to(door));
    Ok(Step::Wait(super::Waiting::Produce(waiting)))
}

/// Nobody waits for an answer. What was refused is told by closing the connection, so that the client
/// looks up its metadata again.
fn without_answer(parts: Vec<Result<Appended, Refusal>>) -> Step {
    match parts.into_iter().find_map(Result::err) {
        None => Step::Silent,
        Some(why) => Step::Close(format!(
            "a produce request without answer was refused: {why}"
        )),
    }
}

/// Of each partition one batch is appended.
fn merged(topics: Vec<TopicProduceData>) -> Vec<Named<PartitionProduceData>> {
    let named = topics.into_iter().map(|topic| Named {
        name: topic.name,
        id: topic.topic_id,
        parts: topic.partition_data,
    });
    doubles::merged(named, |partition| partition.index)
}

fn key_of<P>(topic: &Named<P>, version: i16) -> TopicKey<'_> {
    if version >= BY_ID {
        TopicKey::Id(topic.id)
    } else {
        TopicKey::Name(&topic.name)
    }
}

fn judge(
    version: i16,
    partition: PartitionProduceData,
    target: &Target,
    now: WallMs,
) -> Result<Batch, Rejected> {
    let records: Option<Bytes> = partition.records.map(|records| records.to_bytes());
    let mut batch = validate::admit(version, records)?;
    let Some(settings) = target.settings() else {
        return Err(Refusal::UnknownTopic.into());
    };
    if batch.header().is_transactional() {
        return Err(Refusal::Unsupported("transactions are not served yet".to_owned()).into());
    }
    validate::check(&mut batch, &Rules::of(settings), now)?;
    recompress(batch, settings)
}

/// Refuses a partition for what is wrong with its batch, unless it is led elsewhere: then that is
/// what the client needs to know.
fn refuse(door: &Door, append: &mut Append<'_>, target: &Target, index: i32, why: &Refusal) {
    let image = door.broker.image();
    let leader = target.topic().ok().and_then(|topic| {
        leader_of(&door.broker, &image, TopicKey::Id(topic.id), index)
            .filter(|(node, _)| *node != door.broker.node())
    });
    let elsewhere = leader.map(|leader| Refusal::NotLeader {
        leader: Some(leader),
    });
    append.refuse(target, index, elsewhere.unwrap_or_else(|| why.clone()));
}

fn unanswered(index: i32) -> PartitionProduceResponse {
    let error_code = codes::UNKNOWN_SERVER_ERROR;
    PartitionProduceResponse {
        index,
        error_code,
        base_offset: -1,
        ..Default::default()
    }
}

impl Waiting {
    /// Writes what became of each partition.
    pub(crate) fn finish(self, door: &Door, parts: Vec<Result<Appended, Refusal>>) -> Step {
        let Waiting {
            request,
            mut response,
            rejected,
            unheard,
        } = self;
        if unheard {
            return without_answer(parts);
        }
        let mut rejected = rejected.into_iter().peekable();
        let mut hints = Hints::default();
        let answers = response
            .responses
            .iter_mut()
            .flat_map(|t| t.partition_responses.iter_mut());
        for (place, (answer, part)) in answers.zip(parts).enumerate() {
            let blamed = rejected.next_if(|(at, _)| *at == place).map(|(_, why)| why);
            match part {
                Ok(appended) => {
                    answer.error_code = codes::NONE;
                    answer.base_offset = appended.base_offset.0;
                    answer.log_append_time_ms = appended.append_time.map_or(-1, |time| time.0);
                    answer.log_start_offset = appended.start_offset.0;
                }
                Err(why) => {
                    answer.error_code = refusals::partition_code(&why);
                    answer.error_message = refusals::message(&why);
                    if let Some((leader_id, leader_epoch)) = hints.of(&why) {
                        answer.current_leader = LeaderIdAndEpoch {
                            leader_id,
                            leader_epoch,
                        };
                    }
                    let records = blamed.filter(|blamed| blamed.refusal == why);
                    answer.record_errors = records.map_or(Vec::new(), record_errors);
                }
            }
        }
        if request.version >= LEADER_HINTS {
            response.node_endpoints = endpoints(door, hints);
        }
        request.answer(&response)
    }
}

fn record_errors(rejected: Rejected) -> Vec<BatchIndexAndErrorMessage> {
    let error = |(batch_index, what)| BatchIndexAndErrorMessage {
        batch_index,
        batch_index_error_message: Some(what),
    };
    rejected.records.into_iter().map(error).collect()
}

fn endpoints(door: &Door, hints: Hints) -> Vec<NodeEndpoint> {
    let endpoint = |node: Reached| NodeEndpoint {
        node_id: node.node_id,
        host: node.host,
        port: node.port,
        rack: node.rack,
    };
    let reached = hints.endpoints(&door.broker.image(), &door.listener);
    reached.into_iter().map(endpoint).collect()
}
