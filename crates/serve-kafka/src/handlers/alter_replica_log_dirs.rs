//! AlterReplicaLogDirs (key 34), versions 0 to 2: move replicas between data directories of a
//! node. There is one directory here, so a replica is where it should be, or the directory
//! doesn't exist.
//!
//! 0: directories with partitions. 1: nothing new. 2: flexible.

use super::{Api, Door, Request, Step};
use crate::refusals::codes;
use base::Now;
use std::collections::BTreeMap;
use wire_kafka::messages::alter_replica_log_dirs_request::AlterReplicaLogDirsRequest;
use wire_kafka::messages::alter_replica_log_dirs_response::{
    AlterReplicaLogDirPartitionResult, AlterReplicaLogDirTopicResult, AlterReplicaLogDirsResponse,
};
use wire_kafka::{ApiKey, Reader, WireError};

pub(crate) const API: Api = Api {
    key: ApiKey::AlterReplicaLogDirs,
    versions: 0..=2,
    serve,
};

fn serve(door: &Door, _: Now, request: Request, reader: &mut Reader) -> Result<Step, WireError> {
    let body = AlterReplicaLogDirsRequest::decode(request.version, reader)?;
    let image = door.broker.image();
    let mut topics: BTreeMap<String, Vec<AlterReplicaLogDirPartitionResult>> = BTreeMap::new();
    for dir in body.dirs {
        let ours = dir.path == door.broker.settings().data_dir;
        for named in dir.topics {
            let there = image
                .topic(&named.name)
                .map_or(0, |topic| topic.partitions.len());
            let results = named.partitions.into_iter().map(|partition_index| {
                let known = usize::try_from(partition_index).is_ok_and(|at| at < there);
                AlterReplicaLogDirPartitionResult {
                    partition_index,
                    error_code: match (ours, known) {
                        (false, _) => codes::LOG_DIR_NOT_FOUND,
                        (true, false) => codes::UNKNOWN_TOPIC_OR_PARTITION,
                        (true, true) => codes::NONE,
                    },
                }
            });
            topics.entry(named.name).or_default().extend(results);
        }
    }
    let results = topics.into_iter();
    let results = results.map(|(topic_name, partitions)| AlterReplicaLogDirTopicResult {
        topic_name,
        partitions,
    });
    Ok(request.answer(&AlterReplicaLogDirsResponse {
        results: results.collect(),
        ..Default::default()
    }))
}
