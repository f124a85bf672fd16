//! Records deleted, and refused to be.

use crate::testing::World;
use base::{Offset, Refusal};
use shard::{Command, Reply};
use wire_kafka::messages::delete_records_request::{
    DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsTopic,
};

fn delete(name: &str, partitions: &[(i32, i64)]) -> DeleteRecordsRequest {
    let partitions = partitions.iter();
    let partitions = partitions.map(|(partition_index, offset)| DeleteRecordsPartition {
        partition_index: *partition_index,
        offset: *offset,
    });
    DeleteRecordsRequest {
        topics: vec![DeleteRecordsTopic {
            name: name.to_owned(),
            partitions: partitions.collect(),
        }],
        timeout_ms: 1000,
    }
}

#[test]
fn each_partition_is_told_where_it_starts_or_why_it_does_not() {
    for version in 0..=2 {
        let mut world = World::new();
        let reply = Reply::Deleted(vec![Ok(Offset(7)), Err(Refusal::OffsetOutOfRange)]);
        let request = delete("orders", &[(0, -1), (99, 1), (2, -2), (1, 5)]);
        let (command, answer) = world.call(version, &request, reply);
        let Command::DeleteRecords { parts, .. } = command else {
            panic!("not a deletion: {command:?}");
        };
        let before: Vec<_> = parts.iter().map(|part| part.before).collect();
        assert_eq!(before, [None, Some(Offset(5))]);
        let results: Vec<_> = answer.topics[0]
            .partitions
            .iter()
            .map(|p| (p.partition_index, p.low_watermark, p.error_code))
            .collect();
        assert_eq!(results, [(0, 7, 0), (99, -1, 3), (2, -1, 1), (1, -1, 1)]);
    }
}

#[test]
fn what_may_not_be_deleted_is_refused_before_the_partition_is_asked() {
    let mut world = World::new();
    for (topic, code) in [("nobody-made-it", 3), ("keyed", 44), ("far", 6)] {
        let answer = world.ask(2, &delete(topic, &[(0, 1)]));
        let partition = &answer.topics[0].partitions[0];
        assert_eq!((partition.error_code, partition.low_watermark), (code, -1));
    }
}
