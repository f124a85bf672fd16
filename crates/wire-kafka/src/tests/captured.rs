//! Frames of real clients and brokers: each is read to its last byte and written again to the
//! same bytes, and the batches in them verify and unpack.

use super::samples::from_hex;
use crate::compress::decompress;
use crate::frame::{self, RequestHead};
use crate::messages::{
    api_versions_request::ApiVersionsRequest, create_topics_request::CreateTopicsRequest,
    delete_topics_request::DeleteTopicsRequest, describe_cluster_request::DescribeClusterRequest,
    describe_configs_request::DescribeConfigsRequest, fetch_request::FetchRequest,
    fetch_response::FetchResponse, find_coordinator_request::FindCoordinatorRequest,
    init_producer_id_request::InitProducerIdRequest, list_offsets_request::ListOffsetsRequest,
    metadata_request::MetadataRequest, produce_request::ProduceRequest,
};
use crate::{ApiKey, Message, Reader, Records, Request};
use base::Batch;
use bytes::Bytes;
use std::collections::BTreeSet;

const CAPTURED: &str = include_str!("../../testdata/captured.txt");

struct Frame {
    is_request: bool,
    api: ApiKey,
    version: i16,
    bytes: Bytes,
}

fn captured() -> Vec<Frame> {
    let frame = |line: &str| {
        let parts: Vec<&str> = line.split(' ').collect();
        let number = |at: usize| {
            parts[at]
                .parse::<i16>()
                .expect("key and version are numbers")
        };
        Frame {
            is_request: parts[0] == "request",
            api: ApiKey::from_code(number(1)).expect("only known APIs were captured"),
            version: number(2),
            bytes: from_hex(parts[3]),
        }
    };
    CAPTURED.lines().map(frame).collect()
}

fn without_length(pieces: Vec<Bytes>) -> Bytes {
    Bytes::from(pieces.concat()).slice(frame::LENGTH_BYTES..)
}

fn same_again<R: Request>(frame: &Frame) {
    let mut reader = Reader::new(frame.bytes.clone());
    let (api, version) = (frame.api, frame.version);
    let again = if frame.is_request {
        let head = RequestHead::decode(&mut reader).expect("a real header");
        assert_eq!((head.api, head.version), (Some(api), version));
        let body = R::decode(version, &mut reader).expect("a real request");
        frame::request(
            version,
            head.correlation_id,
            head.client_id.as_deref(),
            &body,
        )
    } else {
        let id = frame::response_head(api, version, &mut reader).expect("a real header");
        let body = R::Response::decode(version, &mut reader).expect("a real response");
        frame::respond(api, version, id, &body)
    };
    assert_eq!(reader.remaining(), 0, "{api} v{version} left bytes unread");
    assert_eq!(without_length(again), frame.bytes, "{api} v{version}");
}

#[test]
fn frames_of_real_clients_and_brokers_are_written_again_as_they_were() {
    let frames = captured();
    for frame in &frames {
        match frame.api {
            ApiKey::ApiVersions => same_again::<ApiVersionsRequest>(frame),
            ApiKey::CreateTopics => same_again::<CreateTopicsRequest>(frame),
            ApiKey::DeleteTopics => same_again::<DeleteTopicsRequest>(frame),
            ApiKey::DescribeCluster => same_again::<DescribeClusterRequest>(frame),
            ApiKey::DescribeConfigs => same_again::<DescribeConfigsRequest>(frame),
            ApiKey::Fetch => same_again::<FetchRequest>(frame),
            ApiKey::FindCoordinator => same_again::<FindCoordinatorRequest>(frame),
            ApiKey::InitProducerId => same_again::<InitProducerIdRequest>(frame),
            ApiKey::ListOffsets => same_again::<ListOffsetsRequest>(frame),
            ApiKey::Metadata => same_again::<MetadataRequest>(frame),
            ApiKey::Produce => same_again::<ProduceRequest>(frame),
            other => panic!("{other} was captured but is not compared"),
        }
    }
    assert!(frames.len() > 50);
}

fn records_of(frame: &Frame) -> Vec<Records> {
    let mut reader = Reader::new(frame.bytes.clone());
    if frame.api == ApiKey::Produce && frame.is_request {
        RequestHead::decode(&mut reader).expect("a real header");
        let request = ProduceRequest::decode(frame.version, &mut reader).expect("a real request");
        let partitions = request
            .topic_data
            .into_iter()
            .flat_map(|t| t.partition_data);
        return partitions.filter_map(|p| p.records).collect();
    }
    if frame.api == ApiKey::Fetch && !frame.is_request {
        frame::response_head(frame.api, frame.version, &mut reader).expect("a real header");
        let response = FetchResponse::decode(frame.version, &mut reader).expect("a real response");
        let partitions = response.responses.into_iter().flat_map(|t| t.partitions);
        return partitions.filter_map(|p| p.records).collect();
    }
    Vec::new()
}

#[test]
fn batches_of_real_clients_verify_and_unpack_in_every_compression() {
    let mut seen = BTreeSet::new();
    for records in captured().iter().flat_map(records_of) {
        let mut rest = records.to_bytes();
        while !rest.is_empty() {
            let batch = Batch::split_from(&mut rest).expect("a real batch");
            batch.verify().expect("a real checksum");
            let compression = batch.header().compression().expect("a known compression");
            let plain = decompress(compression, batch.body(), 10_000).expect("real records");
            let text = String::from_utf8_lossy(&plain);
            assert!(
                text.contains('v') && text.contains('k'),
                "{compression:?}: {text:?}"
            );
            seen.insert(format!("{compression:?}"));
        }
    }
    assert_eq!(
        seen,
        BTreeSet::from(["Gzip", "Lz4", "None", "Snappy", "Zstd"].map(String::from))
    );
}
