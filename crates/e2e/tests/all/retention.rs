//! What is past its retention, or was deleted, is gone: for consumers, from the disk, and after the
//! node was killed.

use cli::client::reader::{Bound, Removed, TopicReader};
use cli::client::{Cluster, Deadline};
use e2e::{Node, Scratch, Setup, Tool, wait};
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

/// Deletes the records of partition 0 of topic t that lie before this offset.
fn delete_before(node: &Node, offset: i64) {
    let request = DeleteRecordsRequest {
        topics: vec![DeleteRecordsTopic {
            name: "t".to_owned(),
            partitions: vec![DeleteRecordsPartition {
                partition_index: 0,
                offset,
            }],
        }],
        timeout_ms: 5_000,
    };
    let mut cluster = Cluster::new(&node.kafka).expect("an address");
    let answer = cluster
        .call_any(&request, Deadline::after(wait::LONG))
        .expect("an answer");
    let partition = &answer.topics[0].partitions[0];
    assert_eq!((partition.error_code, partition.low_watermark), (0, offset));
}

#[test]
fn deleted_records_stay_deleted() {
    let scratch = Scratch::new("delete-records");
    let setup = Setup::single(&scratch.join("data"));
    let mut node = setup.start();
    let tool = Tool::new(&node.kafka);
    tool.create("t", &[]);
    tool.produce("t", &lines(0, 20));
    delete_before(&node, 15);
    assert_eq!(tool.consume("t"), lines(15, 20));
    node.kill();

    let node = setup.start();
    assert_eq!(Tool::new(&node.kafka).consume("t"), lines(15, 20));
}

#[test]
fn who_reads_what_is_removed_meanwhile_goes_on_behind_it_and_says_so() {
    let scratch = Scratch::new("removed-meanwhile");
    let setup = Setup::single(&scratch.join("data"));
    let node = setup.start();
    let tool = Tool::new(&node.kafka);
    tool.create("t", &[]);
    tool.produce("t", &lines(0, 20));
    let mut cluster = Cluster::new(&node.kafka).expect("an address");
    let until = || Deadline::after(wait::LONG);
    let mut reader = TopicReader::open(&mut cluster, "t", None, until()).expect("it is there");
    let first = reader.offsets(&mut cluster, Bound::Earliest, until());
    reader.seek(0, first.expect("an answer")[&0]);
    delete_before(&node, 15);
    let mut read = Vec::new();
    while read.len() < 5 {
        let received = reader.poll(&mut cluster, wait::LONG, until());
        read.extend(received.expect("what is left").iter().map(|r| r.offset));
    }
    assert_eq!(read, [15, 16, 17, 18, 19]);
    let (partition, from, upto) = (0, 0, 15);
    assert_eq!(
        reader.removed(),
        [Removed {
            partition,
            from,
            upto
        }]
    );
    assert_eq!(reader.removed(), [], "told once");
    reader.seek(0, 21);
    let beyond = reader.poll(&mut cluster, wait::LONG, until());
    let why = beyond.expect_err("behind the end there is nothing to go on at");
    assert!(why.to_string().contains("OFFSET_OUT_OF_RANGE"), "{why}");
}
