//! A broker that keeps nothing: it answers a producer at once, so that a bench shows what the
//! producer itself reaches on a machine. Every topic that is asked for exists, with as many
//! partitions as the one argument says. What this is not: a model of a broker; batches aren't
//! even looked at.

use base::Uuid;
use bytes::{Bytes, BytesMut};
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use wire_kafka::frame::{self, Frames, RequestHead};
use wire_kafka::messages::api_versions_response::{ApiVersion, ApiVersionsResponse};
use wire_kafka::messages::init_producer_id_response::InitProducerIdResponse;
use wire_kafka::messages::metadata_request::MetadataRequest;
use wire_kafka::messages::metadata_response::{
    MetadataResponse, MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use wire_kafka::messages::produce_request::ProduceRequest;
use wire_kafka::messages::produce_response::{
    PartitionProduceResponse, ProduceResponse, TopicProduceResponse,
};
use wire_kafka::{ApiKey, Reader, WireError};

/// What is served, up to the newest version of each.
const SERVED: [(ApiKey, i16); 4] = [
    (ApiKey::Produce, 13),
    (ApiKey::Metadata, 13),
    (ApiKey::ApiVersions, 4),
    (ApiKey::InitProducerId, 5),
];
const NODE: i32 = 1;
/// Largest request that is read.
const REQUEST_BYTES_MAX: u32 = 100 * 1024 * 1024;
/// Bytes read at once where no request has begun.
const READ_BYTES: usize = 64 * 1024;

fn main() -> io::Result<()> {
    let partitions = std::env::args().nth(1).and_then(|arg| arg.parse().ok());
    let partitions: i32 = partitions.expect("usage: stub_broker PARTITIONS");
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let port = listener.local_addr()?.port();
    println!("stub ready kafka=127.0.0.1:{port}");
    for stream in listener.incoming() {
        let stream = stream?;
        std::thread::spawn(move || serve(stream, port, partitions));
    }
    Ok(())
}

fn serve(mut stream: TcpStream, port: u16, partitions: i32) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut frames = Frames::new(REQUEST_BYTES_MAX);
    let mut scratch = vec![0; READ_BYTES];
    // Batches have no place: every one gets the next offset of the connection.
    let mut offset = 0;
    loop {
        while let Some(request) = frames.next_frame().map_err(io::Error::other)? {
            let answer = answer(request, port, partitions, &mut offset);
            let answer = answer.map_err(io::Error::other)?;
            stream.write_all(&answer)?;
        }
        let count = stream.read(&mut scratch)?;
        if count == 0 {
            return Ok(());
        }
        frames.push(Bytes::copy_from_slice(&scratch[..count]));
    }
}

fn answer(
    request: Bytes,
    port: u16,
    partitions: i32,
    offset: &mut i64,
) -> Result<BytesMut, WireError> {
    let mut reader = Reader::new(request);
    let head = RequestHead::decode(&mut reader)?;
    let (version, id) = (head.version, head.correlation_id);
    let pieces = match head.api {
        Some(api @ ApiKey::Produce) => {
            let request = ProduceRequest::decode(version, &mut reader)?;
            frame::respond(api, version, id, &stored(request, offset))
        }
        Some(api @ ApiKey::Metadata) => {
            let request = MetadataRequest::decode(version, &mut reader)?;
            frame::respond(api, version, id, &metadata(request, port, partitions))
        }
        Some(api @ ApiKey::InitProducerId) => {
            let body = InitProducerIdResponse {
                producer_id: 1,
                producer_epoch: 0,
                ..Default::default()
            };
            frame::respond(api, version, id, &body)
        }
        // Whatever else is asked can only be this: nothing else is offered.
        _ => frame::respond(ApiKey::ApiVersions, version, id, &versions()),
    };
    let mut frame = BytesMut::new();
    for piece in pieces {
        frame.extend_from_slice(&piece);
    }
    Ok(frame)
}

fn versions() -> ApiVersionsResponse {
    let served = SERVED.map(|(api, max_version)| ApiVersion {
        api_key: api.code(),
        min_version: 0,
        max_version,
    });
    ApiVersionsResponse {
        api_keys: served.into(),
        ..Default::default()
    }
}

fn metadata(request: MetadataRequest, port: u16, partitions: i32) -> MetadataResponse {
    let partition = |partition_index| MetadataResponsePartition {
        partition_index,
        leader_id: NODE,
        leader_epoch: 1,
        replica_nodes: vec![NODE],
        isr_nodes: vec![NODE],
        ..Default::default()
    };
    let topics = request.topics.unwrap_or_default().into_iter();
    let topic = |name| MetadataResponseTopic {
        name,
        topic_id: Uuid([7; 16]),
        partitions: (0..partitions).map(partition).collect(),
        ..Default::default()
    };
    MetadataResponse {
        brokers: vec![MetadataResponseBroker {
            node_id: NODE,
            host: "127.0.0.1".to_owned(),
            port: port.into(),
            ..Default::default()
        }],
        cluster_id: Some("stub".to_owned()),
        controller_id: NODE,
        topics: topics.map(|asked| topic(asked.name)).collect(),
        ..Default::default()
    }
}

fn stored(request: ProduceRequest, offset: &mut i64) -> ProduceResponse {
    let mut partition = |index| {
        *offset += 1;
        PartitionProduceResponse {
            index,
            base_offset: *offset,
            log_append_time_ms: -1,
            log_start_offset: 0,
            ..Default::default()
        }
    };
    let topics = request.topic_data.into_iter();
    let responses = topics.map(|topic| TopicProduceResponse {
        name: topic.name,
        topic_id: topic.topic_id,
        partition_responses: topic
            .partition_data
            .iter()
            .map(|data| partition(data.index))
            .collect(),
    });
    ProduceResponse {
        responses: responses.collect(),
        ..Default::default()
    }
}
