//! What a reader does when leaders move, are missing or are gone.

use super::node::{self, Script, topic};
use super::soon;
use crate::client::reader::{Bound, Received, TopicReader};
use crate::client::{Cluster, Deadline, Trouble};
use base::record::Builder;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use wire_kafka::ApiKey;
use wire_kafka::messages::fetch_response::{FetchResponse, FetchableTopicResponse, PartitionData};
use wire_kafka::messages::list_offsets_response::{
    ListOffsetsPartitionResponse, ListOffsetsResponse, ListOffsetsTopicResponse,
};
use wire_kafka::messages::metadata_response::MetadataResponseTopic;

const SPOKEN: &[(ApiKey, i16)] = &[
    (ApiKey::ApiVersions, 4),
    (ApiKey::Metadata, 13),
    (ApiKey::Fetch, 12),
    (ApiKey::ListOffsets, 9),
];

/// One partition's part of an answer: a code, or a record at offset 0.
fn part(partition_index: i32, error_code: i16) -> PartitionData {
    let records = (error_code == 0).then(|| {
        let mut builder = Builder::new(5);
        builder.push(5, None, Some(b"v"), &[]);
        builder.build().into()
    });
    PartitionData {
        partition_index,
        error_code,
        records,
        ..Default::default()
    }
}

fn fetched(responses: Vec<PartitionData>) -> FetchResponse {
    FetchResponse {
        responses: vec![FetchableTopicResponse {
            topic: "t".into(),
            partitions: responses,
            ..Default::default()
        }],
        ..Default::default()
    }
}

/// A reader of all partitions from offset 0 on, and the node that it reads from.
fn reader(
    topics: Vec<Vec<MetadataResponseTopic>>,
    fetched: Vec<FetchResponse>,
) -> (Cluster, TopicReader, Arc<Mutex<Script>>) {
    let partitions = topics[0][0].partitions.len();
    let (address, script) = node::start(Script {
        spoken: SPOKEN.to_vec(),
        topics,
        fetched,
        ..Script::default()
    });
    let mut cluster = Cluster::new(&address).expect("an address");
    let mut reader = TopicReader::open(&mut cluster, "t", None, soon()).expect("opened");
    for partition in 0..partitions {
        reader.seek(partition as i32, 0);
    }
    (cluster, reader, script)
}

fn poll(cluster: &mut Cluster, reader: &mut TopicReader, until: Deadline) -> Vec<Received> {
    try_poll(cluster, reader, until).expect("polled")
}

fn try_poll(
    cluster: &mut Cluster,
    reader: &mut TopicReader,
    until: Deadline,
) -> Result<Vec<Received>, Trouble> {
    reader.poll(cluster, Duration::ZERO, until)
}

fn asked(script: &Mutex<Script>, api: ApiKey) -> usize {
    let script = script.lock().expect("no panic");
    script.seen.iter().filter(|(seen, _)| *seen == api).count()
}

#[test]
fn a_partition_that_moved_is_followed_while_another_has_records() {
    let answer = fetched(vec![part(0, 0), part(1, 6)]);
    let (mut cluster, mut reader, script) = reader(vec![vec![topic(&[1, 1])]], vec![answer]);
    let before = asked(&script, ApiKey::Metadata);
    assert_eq!(poll(&mut cluster, &mut reader, soon()).len(), 1);
    assert_eq!(asked(&script, ApiKey::Metadata), before + 1);
}

#[test]
fn a_loss_ends_at_the_deadline_with_which_it_began() {
    static OVER: AtomicBool = AtomicBool::new(false);
    let gone = || fetched(vec![part(0, 3)]);
    let answers = vec![gone(), gone()];
    let (mut cluster, mut reader, _) = reader(vec![vec![topic(&[1])]], answers);
    assert!(poll(&mut cluster, &mut reader, Deadline::told(&OVER)).is_empty());
    OVER.store(true, Ordering::Relaxed);
    let trouble = try_poll(&mut cluster, &mut reader, soon()).expect_err("it is over");
    assert!(trouble.to_string().contains("UNKNOWN_TOPIC"), "{trouble}");
}

#[test]
fn what_comes_ends_a_loss() {
    static OVER: AtomicBool = AtomicBool::new(false);
    let answers = [6, 0, 6].map(|code| fetched(vec![part(0, code)]));
    let (mut cluster, mut reader, _) = reader(vec![vec![topic(&[1])]], answers.to_vec());
    assert!(poll(&mut cluster, &mut reader, Deadline::told(&OVER)).is_empty());
    OVER.store(true, Ordering::Relaxed);
    assert_eq!(poll(&mut cluster, &mut reader, soon()).len(), 1);
    assert!(poll(&mut cluster, &mut reader, soon()).is_empty());
}

/// What a node answers to ListOffsets.
fn ends(partition_index: i32, offset: i64) -> ListOffsetsResponse {
    let partition = ListOffsetsPartitionResponse {
        partition_index,
        offset,
        ..Default::default()
    };
    ListOffsetsResponse {
        topics: vec![ListOffsetsTopicResponse {
            name: "t".into(),
            partitions: vec![partition],
        }],
        ..Default::default()
    }
}

#[test]
fn a_partition_that_nobody_leads_keeps_nobody_from_the_others() {
    let (address, script) = node::start(Script {
        spoken: SPOKEN.to_vec(),
        topics: vec![
            vec![topic(&[-1, 1])],
            vec![topic(&[-1, 1])],
            vec![topic(&[1, 1])],
        ],
        offsets: vec![ends(1, 7), ends(0, 5)],
        ..Script::default()
    });
    let mut cluster = Cluster::new(&address).expect("an address");
    let mut reader = TopicReader::open(&mut cluster, "t", Some(1), soon()).expect("opened");
    let found = reader.offsets(&mut cluster, Bound::Latest, soon());
    assert_eq!(found.expect("it is led"), BTreeMap::from([(1, 7)]));
    assert_eq!(asked(&script, ApiKey::Metadata), 1, "nobody waited for it");
    // The other one's offsets are there once somebody leads it.
    let mut reader = TopicReader::open(&mut cluster, "t", Some(0), soon()).expect("opened");
    let found = reader.offsets(&mut cluster, Bound::Latest, soon());
    assert_eq!(found.expect("it is led at last"), BTreeMap::from([(0, 5)]));
    assert_eq!(asked(&script, ApiKey::ListOffsets), 2);
}

#[test]
fn partitions_that_the_topic_got_since_are_read_from_their_beginning() {
    let topics = vec![vec![topic(&[1])], vec![topic(&[1, 1])]];
    let answer = fetched(vec![part(0, 0), part(1, 0)]);
    let (mut cluster, mut reader, _) = reader(topics, vec![answer]);
    reader.take_up_new(&mut cluster, soon()).expect("asked");
    assert_eq!(reader.partitions(), [0, 1]);
    assert_eq!(poll(&mut cluster, &mut reader, soon()).len(), 2);
}
