//! CreatePartitions (key 37), versions 0 to 3.
//!
//! 0: topics with the partitions that they are to have, replicas of new ones by hand or not. 1:
//! nothing new. 2: flexible. 3: more than the quota allows is refused with a code of its own.

use super::{Api, Door, Request, Step, countable, patience};
use crate::refusals;
use base::{Now, Refusal};
use broker::GrowthSpec;
use wire_kafka::messages::create_partitions_request::{
    CreatePartitionsRequest, CreatePartitionsTopic,
};
use wire_kafka::messages::create_partitions_response::{
    CreatePartitionsResponse, CreatePartitionsTopicResult,
};
use wire_kafka::{ApiKey, Reader, WireError};

pub(crate) const API: Api = Api {
    key: ApiKey::CreatePartitions,
    versions: 0..=3,
    serve,
};

/// The first version that knows the code of a quota.
const QUOTA_CODE: i16 = 3;

/// The topics that were named.
pub(crate) struct Waiting {
    request: Request,
    topics: Vec<String>,
}

fn serve(
    door: &Door,
    now: Now,
    mut request: Request,
    reader: &mut Reader,
) -> Result<Step, WireError> {
    let body = CreatePartitionsRequest::decode(request.version, reader)?;
    let image = door.broker.image();
    let topics = body.topics.iter().map(|t| t.name.clone()).collect();
    let strict = request.version >= QUOTA_CODE;
    let specs = body.topics.into_iter().map(|topic| {
        // What is refused makes nothing, so it counts for nothing.
        let more = image.topic(&topic.name).map_or(0, |there| {
            let asked = countable(usize::try_from(topic.count).unwrap_or(0));
            let more = asked.saturating_sub(there.partitions.len());
            let by_hand = topic.assignments.as_ref();
            by_hand.map_or(more, |parts| if parts.len() == more { more } else { 0 })
        });
        request.mutate(door, now, more, strict)?;
        Ok(spec(topic))
    });
    let specs = specs.collect();
    let (timeout, to) = (patience(body.timeout_ms), request.reply_to(door));
    let (principal, only) = (&door.principal, body.validate_only);
    door.broker
        .add_partitions(now, principal, specs, only, timeout, to);
    Ok(Step::Wait(super::Waiting::CreatePartitions(Waiting {
        request,
        topics,
    })))
}

fn spec(topic: CreatePartitionsTopic) -> GrowthSpec {
    let by_hand = topic.assignments;
    GrowthSpec {
        topic: topic.name,
        count: topic.count,
        assignment: by_hand.map(|parts| parts.into_iter().map(|p| p.broker_ids).collect()),
    }
}

impl Waiting {
    /// Answers for each topic.
    pub(crate) fn finish(self, reply: Result<meta::Reply, Refusal>) -> Step {
        let Some(parts) = super::each(reply, self.topics.len()) else {
            return super::other_question();
        };
        let results = self.topics.into_iter().zip(parts).map(|(name, part)| {
            let why = part.err();
            CreatePartitionsTopicResult {
                name,
                error_code: why.as_ref().map_or(0, refusals::code),
                error_message: why.map(|why| why.to_string()),
            }
        });
        self.request.answer(&CreatePartitionsResponse {
            results: results.collect(),
            ..Default::default()
        })
    }
}
