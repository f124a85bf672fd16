//! What is past its retention, or was deleted, is gone: for consumers, from the disk, and after the
//! node was killed.

use cli::client::{Cluster, Deadline};
use e2e::{Scratch, Setup, Tool, wait};
use std::fs;
use std::path::Path;
use wire_kafka::messages::delete_records_request::{
    DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsTopic,
};

/// Bytes of segments of all partitions; group 0 is the metadata.
fn segment_bytes(data: &Path) -> u64 {
    let groups = fs::read_dir(data.join("groups")).expect("there are groups");
    let groups = groups.map(|entry| entry.expect("readable").path());
    let files = groups
        .filter(|dir| !dir.ends_with("0"))
        .flat_map(|dir| fs::read_dir(dir).into_iter().flatten());
    // A file may go while it is looked at.
    files
        .filter_map(|entry| Some(entry.ok()?.metadata().ok()?.len()))
        .sum()
}

fn lines(from: u32, upto: u32) -> Vec<String> {
    (from..upto).map(|n| n.to_string()).collect()
}

#[test]
fn old_records_go_and_stay_gone() {
    let scratch = Scratch::new("retention");
    let check = "log.retention.check.interval.ms=50";
    let setup = Setup::single(&scratch.join("data")).with(&["--set", check]);
    let mut node = setup.start();
    let tool = Tool::new(&node.kafka);
    tool.create("short", &["-c", "retention.ms=1"]);
    tool.produce("short", &lines(0, 50));
    wait::until("old records to go", || {
        tool.consume("short").is_empty().then_some(())
    });
    wait::until("their files to go", || {
        (segment_bytes(&setup.data) == 0).then_some(())
    });
    tool.run(&["config", "set", "topic/short", "retention.ms=-1"])
        .ok();
    tool.produce("short", &lines(50, 60));
    node.kill();

    let node = setup.start();
    let tool = Tool::new(&node.kafka);
    assert_eq!(tool.consume("short"), lines(50, 60));
    tool.produce("short", &lines(60, 61));
    assert_eq!(tool.consume("short"), lines(50, 61));
}

#[test]
fn deleted_records_stay_deleted() {
    let scratch = Scratch::new("delete-records");
    let setup = Setup::single(&scratch.join("data"));
    let mut node = setup.start();
    let tool = Tool::new(&node.kafka);
    tool.create("t", &[]);
    tool.produce("t", &lines(0, 20));
    let request = DeleteRecordsRequest {
        topics: vec![DeleteRecordsTopic {
            name: "t".to_owned(),
            partitions: vec![DeleteRecordsPartition {
                partition_index: 0,
                offset: 15,
            }],
        }],
        timeout_ms: 5_000,
    };
    let mut cluster = Cluster::new(&node.kafka).expect("an address");
    let answer = cluster
        .call_any(&request, Deadline::after(wait::LONG))
        .expect("an answer");
    let partition = &answer.topics[0].partitions[0];
    assert_eq!((partition.error_code, partition.low_watermark), (0, 15));
    assert_eq!(tool.consume("t"), lines(15, 20));
    node.kill();

    let node = setup.start();
    assert_eq!(Tool::new(&node.kafka).consume("t"), lines(15, 20));
}
