//! ElectLeaders (key 43), versions 0 to 2.
//!
//! 0: partitions are to be led by their preferred replica; null means all. 1: the kind of
//! election; a code for the whole answer. 2: flexible.
//!
//! An unclean election is for a partition that has lost its majority: a replica that is left goes on
//! alone, and what only the others had is lost (ADR 18). It is not needed where there is a leader, or a
//! majority that will elect one.

use super::{Api, Door, Request, Step, patience};
use crate::refusals::{self, codes};
use base::{Now, Refusal};
use meta::Image;
use std::collections::BTreeMap;
use wire_kafka::messages::elect_leaders_request::ElectLeadersRequest;
use wire_kafka::messages::elect_leaders_response::{
    ElectLeadersResponse, PartitionResult, ReplicaElectionResult,
};
use wire_kafka::{ApiKey, Reader, WireError};

pub(crate) const API: Api = Api {
    key: ApiKey::ElectLeaders,
    versions: 0..=2,
    serve,
};

const PREFERRED: i8 = 0;
const UNCLEAN: i8 = 1;

/// The answer as far as it is known, and the places that are asked for.
pub(crate) struct Waiting {
    request: Request,
    /// Partitions were not named: those that need no election are left out.
    all: bool,
    results: Vec<(String, PartitionResult)>,
    asked: Vec<usize>,
}

fn serve(door: &Door, now: Now, request: Request, reader: &mut Reader) -> Result<Step, WireError> {
    let body = ElectLeadersRequest::decode(request.version, reader)?;
    let image = door.broker.image();
    let kind = match request.version {
        0 => PREFERRED,
        _ => body.election_type,
    };
    let all = body.topic_partitions.is_none();
    let named: Vec<(String, i32)> = match body.topic_partitions {
        Some(topics) => topics
            .into_iter()
            .flat_map(|t| {
                let name = t.topic;
                t.partitions.into_iter().map(move |p| (name.clone(), p))
            })
            .collect(),
        None => everything(&image),
    };
    let mut waiting = Waiting {
        request,
        all,
        results: Vec::new(),
        asked: Vec::new(),
    };
    if kind != PREFERRED && kind != UNCLEAN {
        return Ok(request.answer(&ElectLeadersResponse {
            error_code: codes::INVALID_REQUEST,
            ..Default::default()
        }));
    }
    let mut groups = Vec::new();
    for (topic, partition_id) in named {
        let (error_code, error_message) = match look_up(&image, &topic, partition_id) {
            Err(why) => (codes::UNKNOWN_TOPIC_OR_PARTITION, Some(why)),
            Ok(group) => {
                waiting.asked.push(waiting.results.len());
                groups.push(group);
                (codes::NONE, None)
            }
        };
        let result = PartitionResult {
            partition_id,
            error_code,
            error_message,
        };
        waiting.results.push((topic, result));
    }
    if groups.is_empty() {
        return Ok(waiting.finish(Vec::new()));
    }
    let (timeout, to) = (patience(body.timeout_ms), request.reply_to(door));
    let unclean = kind == UNCLEAN;
    door.broker
        .prefer(now, &door.principal, groups, unclean, timeout, to);
    Ok(Step::Wait(super::Waiting::ElectLeaders(waiting)))
}

fn everything(image: &Image) -> Vec<(String, i32)> {
    let topics = image.topics.values();
    topics
        .flat_map(|topic| {
            let partitions = (0i32..).take(topic.partitions.len());
            partitions.map(|index| (topic.name.clone(), index))
        })
        .collect()
}

fn look_up(image: &Image, topic: &str, partition: i32) -> Result<base::GroupId, String> {
    let Some(found) = image.topic(topic) else {
        return Err(format!("No such topic as {topic}"));
    };
    let at = usize::try_from(partition).ok();
    match at.and_then(|at| found.partitions.get(at)) {
        Some(info) => Ok(info.group),
        None => Err(format!("No such partition as {topic}-{partition}")),
    }
}

impl Waiting {
    /// Answers for each partition.
    pub(crate) fn finish(mut self, parts: Vec<Result<(), Refusal>>) -> Step {
        for (at, part) in self.asked.into_iter().zip(parts) {
            if let Err(why) = part {
                let result = &mut self.results[at].1;
                result.error_code = refusals::code(&why);
                result.error_message = Some(why.to_string());
            }
        }
        let mut topics: BTreeMap<String, Vec<PartitionResult>> = BTreeMap::new();
        for (topic, result) in self.results {
            if !self.all || result.error_code != codes::ELECTION_NOT_NEEDED {
                topics.entry(topic).or_default().push(result);
            }
        }
        let results = topics.into_iter();
        let results = results.map(|(topic, partition_result)| ReplicaElectionResult {
            topic,
            partition_result,
        });
        self.request.answer(&ElectLeadersResponse {
            replica_election_results: results.collect(),
            ..Default::default()
        })
    }
}
