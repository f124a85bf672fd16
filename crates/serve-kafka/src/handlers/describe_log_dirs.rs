//! DescribeLogDirs (key 35), versions 0 to 5.
//!
//! 0: how many bytes partitions have in this node's data directory; null means all. 1: nothing
//! new. 2: flexible. 3: a code for the whole answer. 4: bytes of the disk. 5: whether the
//! directory is cordoned: takes no new partitions.

use super::{Api, Door, Request, Step};
use base::Now;
use broker::{Action, Resource};
use shard::ReplicaStatus;
use std::collections::{BTreeMap, BTreeSet};
use wire_kafka::messages::describe_log_dirs_request::DescribeLogDirsRequest;
use wire_kafka::messages::describe_log_dirs_response::{
    DescribeLogDirsPartition, DescribeLogDirsResponse, DescribeLogDirsResult, DescribeLogDirsTopic,
};
use wire_kafka::{ApiKey, Reader, WireError};

pub(crate) const API: Api = Api {
    key: ApiKey::DescribeLogDirs,
    versions: 0..=5,
    serve,
};

/// Bytes that aren't known.
const UNKNOWN_BYTES: i64 = -1;

fn serve(door: &Door, _: Now, request: Request, reader: &mut Reader) -> Result<Step, WireError> {
    let body = DescribeLogDirsRequest::decode(request.version, reader)?;
    let image = door.broker.image();
    let wanted: Option<BTreeSet<(String, i32)>> = body.topics.map(|topics| {
        let parts = topics.into_iter().flat_map(|topic| {
            let name = topic.topic;
            let partitions = topic.partitions.into_iter();
            partitions.map(move |partition| (name.clone(), partition))
        });
        parts.collect()
    });
    let node = door.broker.node();
    let mut groups = Vec::new();
    for topic in image.topics.values() {
        let on = Resource::Topic(&topic.name);
        if !door.broker.allows(&door.principal, Action::Describe, on) {
            continue;
        }
        for (info, index) in topic.partitions.iter().zip(0i32..) {
            let asked = wanted
                .as_ref()
                .is_none_or(|wanted| wanted.contains(&(topic.name.clone(), index)));
            if asked && info.member_on(node).is_some() {
                groups.push(info.group);
            }
        }
    }
    door.broker.replicas(groups, request.reply_to(door));
    Ok(Step::Wait(super::Waiting::DescribeLogDirs(request)))
}

/// Answers with what the replicas say.
pub(crate) fn finish(door: &Door, request: Request, replicas: Vec<ReplicaStatus>) -> Step {
    let image = door.broker.image();
    let mut topics: BTreeMap<&str, Vec<DescribeLogDirsPartition>> = BTreeMap::new();
    for replica in &replicas {
        let Some((topic, partition)) = image.groups.get(&replica.group) else {
            continue;
        };
        topics
            .entry(&topic.name)
            .or_default()
            .push(DescribeLogDirsPartition {
                partition_index: i32::try_from(partition.0).unwrap_or(i32::MAX),
                partition_size: i64::try_from(replica.log_bytes).unwrap_or(i64::MAX),
                offset_lag: (replica.high_watermark.0 - replica.end_offset.0).max(0),
                is_future_key: false,
            });
    }
    let topics = topics
        .into_iter()
        .map(|(name, partitions)| DescribeLogDirsTopic {
            name: name.to_owned(),
            partitions,
        });
    let bytes = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
    let room = door.broker.room();
    request.answer(&DescribeLogDirsResponse {
        results: vec![DescribeLogDirsResult {
            log_dir: door.broker.settings().data_dir.clone(),
            topics: topics.collect(),
            total_bytes: room.map_or(UNKNOWN_BYTES, |(total, _)| bytes(total)),
            usable_bytes: room.map_or(UNKNOWN_BYTES, |(_, usable)| bytes(usable)),
            is_cordoned: image.is_cordoned(door.broker.node()),
            ..Default::default()
        }],
        ..Default::default()
    })
}
