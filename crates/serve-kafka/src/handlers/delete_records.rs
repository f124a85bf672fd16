//! DeleteRecords (key 21), versions 0 to 2.
//!
//! 0: partitions and the offset before which their records go, -1 for the high watermark. 1:
//! nothing new. 2: flexible.

use super::doubles::{self, Named};
use super::{Api, Door, Request, Step, patience, too_many};
use crate::refusals::{self, codes};
use base::{Now, Offset, Refusal, Uuid};
use wire_kafka::messages::delete_records_request::DeleteRecordsRequest;
use wire_kafka::messages::delete_records_response::{
    DeleteRecordsPartitionResult, DeleteRecordsResponse, DeleteRecordsTopicResult,
};
use wire_kafka::{ApiKey, Reader, WireError};

pub(crate) const API: Api = Api {
    key: ApiKey::DeleteRecords,
    versions: 0..=2,
    serve,
};

/// Where a log starts if that isn't told.
const NO_LOW_WATERMARK: i64 = -1;

/// The answer without what the partitions say.
pub(crate) struct Waiting {
    request: Request,
    topics: Vec<DeleteRecordsTopicResult>,
}

fn serve(door: &Door, now: Now, request: Request, reader: &mut Reader) -> Result<Step, WireError> {
    let body = DeleteRecordsRequest::decode(request.version, reader)?;
    if let Some(end) = too_many(&request, body.topics.iter().map(|t| t.partitions.len())) {
        return Ok(end);
    }
    let mut deletion = door.broker.delete_records(&door.principal);
    let named = body.topics.into_iter().map(|topic| Named {
        name: topic.name,
        id: Uuid::ZERO,
        parts: topic.partitions,
    });
    let named = doubles::merged(named, |partition| partition.partition_index);
    let mut topics = Vec::with_capacity(named.len());
    for topic in named {
        let target = deletion.topic(&topic.name);
        let mut partitions = Vec::with_capacity(topic.parts.len());
        for partition in topic.parts {
            deletion.push(&target, partition.partition_index, partition.offset);
            partitions.push(DeleteRecordsPartitionResult {
                partition_index: partition.partition_index,
                ..Default::default()
            });
        }
        topics.push(DeleteRecordsTopicResult {
            name: topic.name,
            partitions,
        });
    }
    deletion.submit(now, patience(body.timeout_ms), request.reply_to(door));
    Ok(Step::Wait(super::Waiting::DeleteRecords(Waiting {
        request,
        topics,
    })))
}

impl Waiting {
    /// Answers for each partition.
    pub(crate) fn finish(mut self, parts: Vec<Result<Offset, Refusal>>) -> Step {
        let partitions = self.topics.iter_mut().flat_map(|t| &mut t.partitions);
        for (partition, part) in partitions.zip(parts) {
            (partition.low_watermark, partition.error_code) = match part {
                Ok(start) => (start.0, codes::NONE),
                Err(why) => (NO_LOW_WATERMARK, refusals::code(&why)),
            };
        }
        self.request.answer(&DeleteRecordsResponse {
            topics: self.topics,
            ..Default::default()
        })
    }
}
