//! A node that answers what a test tells it to: enough of the protocol for a client to talk to.

use bytes::Bytes;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use wire_kafka::frame::{self, RequestHead};
use wire_kafka::messages::api_versions_response::{ApiVersion, ApiVersionsResponse};
use wire_kafka::messages::consumer_group_describe_response::ConsumerGroupDescribeResponse;
use wire_kafka::messages::consumer_group_heartbeat_request::ConsumerGroupHeartbeatRequest;
use wire_kafka::messages::consumer_group_heartbeat_response::ConsumerGroupHeartbeatResponse;
use wire_kafka::messages::create_topics_response::CreateTopicsResponse;
use wire_kafka::messages::describe_cluster_response::{
    DescribeClusterBroker, DescribeClusterResponse,
};
use wire_kafka::messages::describe_configs_response::DescribeConfigsResponse;
use wire_kafka::messages::fetch_response::FetchResponse;
use wire_kafka::messages::find_coordinator_response::FindCoordinatorResponse;
use wire_kafka::messages::incremental_alter_configs_response::{
    AlterConfigsResourceResponse, IncrementalAlterConfigsResponse,
};
use wire_kafka::messages::init_producer_id_response::InitProducerIdResponse;
use wire_kafka::messages::list_groups_response::ListGroupsResponse;
use wire_kafka::messages::list_offsets_response::ListOffsetsResponse;
use wire_kafka::messages::metadata_response::{
    MetadataResponse, MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use wire_kafka::messages::produce_request::ProduceRequest;
use wire_kafka::messages::produce_response::{
    PartitionProduceResponse, ProduceResponse, TopicProduceResponse,
};
use wire_kafka::{ApiKey, Message, Reader};

/// What the node does with one Produce.
#[derive(Clone, Copy, Debug)]
pub enum Act {
    /// Answers with this code and base offset.
    Answer(i16, i64),
    /// Closes the connection without an answer.
    Hang,
    /// The same once the time for an answer is over.
    Over(&'static AtomicBool),
}

/// What the node is told and what it saw.
#[derive(Debug, Default)]
pub struct Script {
    /// The newest version of each API that it speaks; ApiVersions among them.
    pub spoken: Vec<(ApiKey, i16)>,
    /// What it does with each Produce, in order.
    pub acts: Vec<Act>,
    /// What it answers to each ConsumerGroupHeartbeat, in order.
    pub beats: Vec<ConsumerGroupHeartbeatResponse>,
    /// What it answers to each ConsumerGroupDescribe.
    pub described: ConsumerGroupDescribeResponse,
    /// What it answers to each Metadata, in order, the last one again and again; if there is
    /// nothing, that it leads the only partition of topic `t`.
    pub topics: Vec<Vec<MetadataResponseTopic>>,
    /// What it answers to each ListOffsets, in order.
    pub offsets: Vec<ListOffsetsResponse>,
    /// What it answers to each Fetch, in order; nothing more, and it closes the connection.
    pub fetched: Vec<FetchResponse>,
    /// What it answers to each CreateTopics, in order; nothing at `None`, where it closes the connection.
    pub created: Vec<Option<CreateTopicsResponse>>,
    /// The codes of its answers to each IncrementalAlterConfigs, in order.
    pub altered: Vec<i16>,
    /// Whom it calls the controller beside itself, node 1, and where that is.
    pub controller: Option<(i32, u16)>,
    /// The heartbeats that it saw.
    pub heard: Vec<ConsumerGroupHeartbeatRequest>,
    /// The versions of the requests that it saw.
    pub seen: Vec<(ApiKey, i16)>,
    /// The batches that it saw.
    pub batches: Vec<Bytes>,
}

/// Starts the node; it lives as long as the test's process. Gives its address.
pub fn start(script: Script) -> (String, Arc<Mutex<Script>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("bound").port();
    let script = Arc::new(Mutex::new(script));
    let shared = script.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let shared = shared.clone();
            std::thread::spawn(move || serve(stream, &shared, i32::from(port)));
        }
    });
    (format!("127.0.0.1:{port}"), script)
}

fn serve(mut stream: TcpStream, script: &Mutex<Script>, port: i32) -> Option<()> {
    loop {
        let mut length = [0; 4];
        stream.read_exact(&mut length).ok()?;
        let mut frame = vec![0; u32::from_be_bytes(length) as usize];
        stream.read_exact(&mut frame).ok()?;
        let mut reader = Reader::new(frame.into());
        let head = RequestHead::decode(&mut reader).expect("a client's header");
        let pieces = answer(
            &mut script.lock().expect("no panic"),
            &head,
            &mut reader,
            port,
        )?;
        pieces
            .iter()
            .try_for_each(|piece| stream.write_all(piece))
            .ok()?;
    }
}

fn answer(
    script: &mut Script,
    head: &RequestHead,
    reader: &mut Reader,
    port: i32,
) -> Option<Vec<Bytes>> {
    let api = head.api.expect("a known API");
    script.seen.push((api, head.version));
    let newest = script
        .spoken
        .iter()
        .find(|(key, _)| *key == api)
        .map_or(0, |(_, max)| *max);
    if api == ApiKey::ApiVersions {
        let error_code = if head.version > newest { 35 } else { 0 };
        let spoken = script.spoken.iter().map(|(key, max)| ApiVersion {
            api_key: key.code(),
            min_version: 0,
            max_version: *max,
        });
        let api_keys = if error_code == 0 {
            spoken.collect()
        } else {
            Vec::new()
        };
        let answer = ApiVersionsResponse {
            error_code,
            api_keys,
            ..Default::default()
        };
        let version = if error_code == 0 { head.version } else { 0 };
        return Some(frame::respond(api, version, head.correlation_id, &answer));
    }
    assert!(
        head.version <= newest,
        "{api} version {} isn't spoken",
        head.version
    );
    match api {
        ApiKey::Metadata => {
            let topics = match script.topics.len() {
                0 => vec![topic(&[1])],
                1 => script.topics[0].clone(),
                _ => script.topics.remove(0),
            };
            Some(reply(head, &metadata(port, script.controller, topics)))
        }
        ApiKey::DescribeConfigs => {
            let answer = DescribeConfigsResponse {
                results: vec![Default::default()],
                ..Default::default()
            };
            Some(reply(head, &answer))
        }
        ApiKey::ListOffsets => Some(reply(head, &script.offsets.remove(0))),
        ApiKey::Fetch if script.fetched.is_empty() => None,
        ApiKey::Fetch => Some(reply(head, &script.fetched.remove(0))),
        ApiKey::InitProducerId => {
            let answer = InitProducerIdResponse {
                producer_id: 7,
                ..Default::default()
            };
            Some(reply(head, &answer))
        }
        ApiKey::FindCoordinator => {
            let answer = FindCoordinatorResponse {
                node_id: 1,
                host: "127.0.0.1".into(),
                port,
                ..Default::default()
            };
            Some(reply(head, &answer))
        }
        ApiKey::ConsumerGroupDescribe => Some(reply(head, &script.described)),
        ApiKey::ConsumerGroupHeartbeat => {
            let request = ConsumerGroupHeartbeatRequest::decode(head.version, reader);
            script.heard.push(request.expect("a client's request"));
            Some(reply(head, &script.beats.remove(0)))
        }
        ApiKey::Produce => {
            let request = ProduceRequest::decode(head.version, reader).expect("a client's request");
            let records = request.topic_data[0].partition_data[0].records.clone();
            script.batches.push(records.expect("records").to_bytes());
            match script.acts.remove(0) {
                Act::Hang => None,
                Act::Over(over) => {
                    over.store(true, Ordering::Relaxed);
                    None
                }
                Act::Answer(code, offset) => Some(reply(head, &produced(code, offset))),
            }
        }
        ApiKey::ListGroups => Some(reply(head, &ListGroupsResponse::default())),
        ApiKey::DescribeCluster => {
            let answer = DescribeClusterResponse {
                brokers: vec![DescribeClusterBroker {
                    broker_id: 1,
                    ..Default::default()
                }],
                ..Default::default()
            };
            Some(reply(head, &answer))
        }
        ApiKey::IncrementalAlterConfigs => {
            let answer = IncrementalAlterConfigsResponse {
                responses: vec![AlterConfigsResourceResponse {
                    error_code: script.altered.remove(0),
                    ..Default::default()
                }],
                ..Default::default()
            };
            Some(reply(head, &answer))
        }
        ApiKey::CreateTopics => Some(reply(head, &script.created.remove(0)?)),
        other => panic!("{other} is not expected"),
    }
}

fn reply<M: Message>(head: &RequestHead, message: &M) -> Vec<Bytes> {
    let api = head.api.expect("a known API");
    frame::respond(api, head.version, head.correlation_id, message)
}

/// Topic `t` with a partition for each of these leaders.
pub fn topic(leaders: &[i32]) -> MetadataResponseTopic {
    let partition = |(index, leader): (usize, &i32)| MetadataResponsePartition {
        partition_index: index as i32,
        leader_id: *leader,
        ..Default::default()
    };
    MetadataResponseTopic {
        name: Some("t".into()),
        partitions: leaders.iter().enumerate().map(partition).collect(),
        ..Default::default()
    }
}

fn metadata(
    port: i32,
    controller: Option<(i32, u16)>,
    topics: Vec<MetadataResponseTopic>,
) -> MetadataResponse {
    let broker = |node_id, port| MetadataResponseBroker {
        node_id,
        host: "127.0.0.1".into(),
        port,
        rack: None,
    };
    let other = controller.map(|(id, port)| broker(id, port.into()));
    MetadataResponse {
        brokers: [broker(1, port)].into_iter().chain(other).collect(),
        controller_id: controller.map_or(1, |(id, _)| id),
        topics,
        ..Default::default()
    }
}

fn produced(error_code: i16, base_offset: i64) -> ProduceResponse {
    ProduceResponse {
        responses: vec![TopicProduceResponse {
            name: "t".into(),
            partition_responses: vec![PartitionProduceResponse {
                error_code,
                base_offset,
                ..Default::default()
            }],
            ..Default::default()
        }],
        ..Default::default()
    }
}
