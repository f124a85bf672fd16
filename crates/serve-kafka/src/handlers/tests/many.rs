//! Requests that name a partition twice, or more partitions than one call may.

use crate::testing::{World, batch, id_of};
use base::limits::PARTS_PER_CALL_MAX;
use base::{Offset, Refusal};
use shard::{Appended, Command, ReadAnswer, Reply};
use wire_kafka::Request;
use wire_kafka::messages::delete_records_request::{
    DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsTopic,
};
use wire_kafka::messages::fetch_request::{FetchPartition, FetchRequest, FetchTopic};
use wire_kafka::messages::list_offsets_request::{
    ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic,
};
use wire_kafka::messages::offset_for_leader_epoch_request::{
    OffsetForLeaderEpochRequest, OffsetForLeaderPartition, OffsetForLeaderTopic,
};
use wire_kafka::messages::produce_request::{
    PartitionProduceData, ProduceRequest, TopicProduceData,
};

fn topic(name: &str, partitions: &[(i32, i64)]) -> FetchTopic {
    let partitions = partitions.iter();
    let partitions = partitions.map(|(partition, fetch_offset)| FetchPartition {
        partition: *partition,
        fetch_offset: *fetch_offset,
        partition_max_bytes: 1000,
        ..Default::default()
    });
    FetchTopic {
        topic: name.to_owned(),
        partitions: partitions.collect(),
        ..Default::default()
    }
}

fn fetch(topics: Vec<FetchTopic>) -> FetchRequest {
    FetchRequest {
        max_bytes: 1 << 20,
        session_epoch: -1,
        topics,
        ..Default::default()
    }
}

fn empty() -> Result<ReadAnswer, Refusal> {
    Ok(ReadAnswer {
        high_watermark: Offset(9),
        last_stable: Offset(9),
        start_offset: Offset(0),
        diverging: None,
        hot: Vec::new(),
        cold: None,
    })
}

#[test]
fn a_partition_named_twice_is_read_once_as_it_was_asked_for_last() {
    let asked = fetch(vec![
        topic("orders", &[(1, 5), (0, 1), (1, 6)]),
        topic("keyed", &[(0, 2)]),
        topic("orders", &[(1, 7), (0, 3)]),
    ]);
    let reply = Reply::Read(vec![empty(), empty(), empty()]);
    let (command, answer) = World::new().call(11, &asked, reply);
    let Command::Read { parts, .. } = command else {
        panic!("not a read: {command:?}")
    };
    let places: Vec<_> = parts.iter().map(|p| (p.group.0, p.offset.0)).collect();
    assert_eq!(places, [(2, 7), (1, 3), (4, 2)]);
    let named = answer.responses.iter().map(|t| {
        let partitions = t.partitions.iter().map(|p| p.partition_index);
        (t.topic.as_str(), partitions.collect::<Vec<_>>())
    });
    let named: Vec<_> = named.collect();
    assert_eq!(named, [("orders", vec![1, 0]), ("keyed", vec![0])]);
}

#[test]
fn of_a_partition_named_twice_the_last_batch_is_appended() {
    for version in [3, 13] {
        let data = |index, value: &[u8]| PartitionProduceData {
            index,
            records: Some(batch(value).to_bytes().into()),
        };
        let topic = |partition_data| TopicProduceData {
            name: "orders".to_owned(),
            topic_id: id_of("orders"),
            partition_data,
        };
        let asked = ProduceRequest {
            acks: -1,
            topic_data: vec![
                topic(vec![
                    data(1, b"first"),
                    data(0, b"other"),
                    data(1, b"second"),
                ]),
                topic(vec![data(1, b"third")]),
            ],
            ..Default::default()
        };
        let at = |offset| {
            Ok(Appended {
                base_offset: Offset(offset),
                append_time: None,
                start_offset: Offset(0),
            })
        };
        let reply = Reply::Appended(vec![at(7), at(8)]);
        let (command, answer) = World::new().call(version, &asked, reply);
        let Command::Append { parts, .. } = command else {
            panic!("not an append: {command:?}")
        };
        let sent: Vec<_> = parts
            .iter()
            .map(|p| (p.group.0, p.batch.body().clone()))
            .collect();
        assert_eq!(
            sent,
            [
                (2, batch(b"third").body().clone()),
                (1, batch(b"other").body().clone())
            ]
        );
        let told = answer.responses.iter().flat_map(|t| &t.partition_responses);
        let told: Vec<_> = told.map(|p| (p.index, p.base_offset)).collect();
        assert_eq!(told, [(1, 7), (0, 8)]);
    }
}

#[test]
fn of_a_partition_named_twice_records_are_deleted_as_was_said_last() {
    let partition = |partition_index, offset| DeleteRecordsPartition {
        partition_index,
        offset,
    };
    let topic = |partitions| DeleteRecordsTopic {
        name: "orders".to_owned(),
        partitions,
    };
    let asked = DeleteRecordsRequest {
        topics: vec![
            topic(vec![partition(0, 9), partition(1, 2)]),
            topic(vec![partition(0, 1)]),
        ],
        timeout_ms: 1000,
    };
    let reply = Reply::Deleted(vec![Ok(Offset(1)), Ok(Offset(2))]);
    let (command, answer) = World::new().call(2, &asked, reply);
    let Command::DeleteRecords { parts, .. } = command else {
        panic!("not a deletion: {command:?}")
    };
    let before: Vec<_> = parts.iter().map(|part| part.before).collect();
    assert_eq!(before, [Some(Offset(1)), Some(Offset(2))]);
    let told = answer.topics.iter().flat_map(|topic| &topic.partitions);
    let told: Vec<_> = told.map(|p| (p.partition_index, p.low_watermark)).collect();
    assert_eq!(told, [(0, 1), (1, 2)]);
}

/// True if the connection of whoever asks this is ended for it, and the shard hears nothing.
fn is_too_much<R: Request>(version: i16, body: &R) -> bool {
    let mut world = World::new();
    world.send(version, body);
    let why = world.out.close.take().map(|close| close.reason);
    world.command().is_none() && why.is_some_and(|why| why.contains("more than 100000"))
}

#[test]
fn no_call_names_more_partitions_than_it_may() {
    let count = PARTS_PER_CALL_MAX + 1;
    let all = (0..count as i32).map(|partition| (partition, 0));
    let all: Vec<_> = all.collect();
    assert!(is_too_much(11, &fetch(vec![topic("orders", &all)])));
    let twice = [&all[1..], &all[1..]].concat();
    assert!(!is_too_much(11, &fetch(vec![topic("orders", &twice)])));
    let name = || "orders".to_owned();
    let offsets = ListOffsetsRequest {
        topics: vec![ListOffsetsTopic {
            name: name(),
            partitions: vec![ListOffsetsPartition::default(); count],
        }],
        ..Default::default()
    };
    assert!(is_too_much(5, &offsets));
    let epochs = OffsetForLeaderEpochRequest {
        topics: vec![OffsetForLeaderTopic {
            topic: name(),
            partitions: vec![OffsetForLeaderPartition::default(); count],
        }],
        ..Default::default()
    };
    assert!(is_too_much(3, &epochs));
    let deletion = DeleteRecordsRequest {
        topics: vec![DeleteRecordsTopic {
            name: name(),
            partitions: vec![DeleteRecordsPartition::default(); count],
        }],
        ..Default::default()
    };
    assert!(is_too_much(1, &deletion));
    let produce = ProduceRequest {
        acks: -1,
        topic_data: vec![TopicProduceData {
            name: name(),
            partition_data: vec![PartitionProduceData::default(); count],
            ..Default::default()
        }],
        ..Default::default()
    };
    assert!(is_too_much(9, &produce));
}
