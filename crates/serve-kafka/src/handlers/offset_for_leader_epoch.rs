//! OffsetForLeaderEpoch (key 23), versions 0 to 4.
//!
//! 0: the first. 1: the epoch that was found. 2: the leader epoch that the client knows; the throttle time. 3: who asks. 4: flexible.

use super::{Api, Door, Request, Step, known_epoch, too_many};
use crate::refusals;
use base::{Now, Offset, Refusal};
use broker::TopicKey;
use wire_kafka::messages::offset_for_leader_epoch_request::OffsetForLeaderEpochRequest;
use wire_kafka::messages::offset_for_leader_epoch_response::{
    EpochEndOffset, OffsetForLeaderEpochResponse, OffsetForLeaderTopicResult,
};
use wire_kafka::{ApiKey, Reader, WireError};

pub(crate) const API: Api = Api {
    key: ApiKey::OffsetForLeaderEpoch,
    versions: 0..=4,
    serve,
};

/// The answer as far as it is known.
pub(crate) struct Waiting {
    request: Request,
    response: OffsetForLeaderEpochResponse,
}

fn serve(door: &Door, _: Now, request: Request, reader: &mut Reader) -> Result<Step, WireError> {
    let body = OffsetForLeaderEpochRequest::decode(request.version, reader)?;
    if let Some(end) = too_many(&request, body.topics.iter().map(|t| t.partitions.len())) {
        return Ok(end);
    }
    let mut ends = door.broker.epoch_ends(&door.principal);
    let mut response = OffsetForLeaderEpochResponse::default();
    for topic in body.topics {
        let target = ends.topic(TopicKey::Name(&topic.topic));
        let mut answers = Vec::with_capacity(topic.partitions.len());
        for part in topic.partitions {
            let current = known_epoch(part.current_leader_epoch);
            ends.push(&target, part.partition, part.leader_epoch, current);
            answers.push(EpochEndOffset {
                partition: part.partition,
                ..Default::default()
            });
        }
        let answer = OffsetForLeaderTopicResult {
            topic: topic.topic,
            partitions: answers,
        };
        response.topics.push(answer);
    }
    ends.submit(request.reply_to(door));
    Ok(Step::Wait(super::Waiting::EpochEnds(Waiting {
        request,
        response,
    })))
}

impl Waiting {
    /// Writes each end.
    pub(crate) fn finish(mut self, parts: Vec<Result<(i32, Offset), Refusal>>) -> Step {
        let topics = self.response.topics.iter_mut();
        let answers = topics.flat_map(|topic| topic.partitions.iter_mut());
        for (answer, part) in answers.zip(parts) {
            match part {
                Ok((epoch, end)) => (answer.leader_epoch, answer.end_offset) = (epoch, end.0),
                Err(why) => answer.error_code = refusals::partition_code(&why),
            }
        }
        self.request.answer(&self.response)
    }
}
