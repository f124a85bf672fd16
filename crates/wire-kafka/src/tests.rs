//! Tests that go through all messages. `every_message!` names them once.

mod captured;
mod garbage;
mod oracle;
mod round_trip;
mod samples;
mod splice;

use crate::dream::Dream;
use crate::{Message, Reader, Writer};
use base::Random;
use bytes::Bytes;

/// Calls a macro with (module, message) of everything that is generated.
macro_rules! every_message {
    ($call:ident) => {
        $call!(api_versions_request, ApiVersionsRequest);
        $call!(api_versions_response, ApiVersionsResponse);
        $call!(create_topics_request, CreateTopicsRequest);
        $call!(create_topics_response, CreateTopicsResponse);
        $call!(delete_topics_request, DeleteTopicsRequest);
        $call!(delete_topics_response, DeleteTopicsResponse);
        $call!(describe_cluster_request, DescribeClusterRequest);
        $call!(describe_cluster_response, DescribeClusterResponse);
        $call!(describe_configs_request, DescribeConfigsRequest);
        $call!(describe_configs_response, DescribeConfigsResponse);
        $call!(fetch_request, FetchRequest);
        $call!(fetch_response, FetchResponse);
        $call!(find_coordinator_request, FindCoordinatorRequest);
        $call!(find_coordinator_response, FindCoordinatorResponse);
        $call!(init_producer_id_request, InitProducerIdRequest);
        $call!(init_producer_id_response, InitProducerIdResponse);
        $call!(list_offsets_request, ListOffsetsRequest);
        $call!(list_offsets_response, ListOffsetsResponse);
        $call!(metadata_request, MetadataRequest);
        $call!(metadata_response, MetadataResponse);
        $call!(offset_for_leader_epoch_request, OffsetForLeaderEpochRequest);
        $call!(
            offset_for_leader_epoch_response,
            OffsetForLeaderEpochResponse
        );
        $call!(produce_request, ProduceRequest);
        $call!(produce_response, ProduceResponse);
        $call!(request_header, RequestHeader);
        $call!(response_header, ResponseHeader);
    };
}
pub(crate) use every_message;

/// A random message that this version can carry.
fn dreamt<M: Message>(version: i16, random: &mut Random) -> M {
    let mut reader = Reader::new(Bytes::new());
    reader.dream = Some(Dream(random.fork()));
    M::decode(version, &mut reader).expect("a dream has no malformed bytes")
}

fn encoded<M: Message>(message: &M, version: i16) -> Bytes {
    let mut writer = Writer::new();
    message.encode(version, &mut writer);
    writer.into_bytes()
}

/// Reads a message and asserts that it ends where the bytes do.
fn decoded<M: Message>(bytes: &Bytes, version: i16) -> M {
    let mut reader = Reader::new(bytes.clone());
    let message =
        M::decode(version, &mut reader).unwrap_or_else(|e| panic!("{} v{version}: {e}", M::NAME));
    assert_eq!(
        reader.remaining(),
        0,
        "{} v{version} left bytes unread",
        M::NAME
    );
    message
}
