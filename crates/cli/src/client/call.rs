//! The calls this client makes, and the newest version of each that it fills in rightly: topics
//! go by name here, so Produce and Fetch stop before the versions that know only ids.

use wire_kafka::Request;
use wire_kafka::messages::api_versions_request::ApiVersionsRequest;
use wire_kafka::messages::create_topics_request::CreateTopicsRequest;
use wire_kafka::messages::delete_topics_request::DeleteTopicsRequest;
use wire_kafka::messages::describe_configs_request::DescribeConfigsRequest;
use wire_kafka::messages::fetch_request::FetchRequest;
use wire_kafka::messages::init_producer_id_request::InitProducerIdRequest;
use wire_kafka::messages::list_offsets_request::ListOffsetsRequest;
use wire_kafka::messages::metadata_request::MetadataRequest;
use wire_kafka::messages::produce_request::ProduceRequest;

/// A request that the client knows how to fill in.
pub trait Call: Request {
    /// In the oldest of these versions,
    const OLDEST: i16;
    /// and up to the newest.
    const NEWEST: i16;
}

macro_rules! calls {
    ($($request:ident: $oldest:literal to $newest:literal;)*) => {
        $(impl Call for $request {
            const OLDEST: i16 = $oldest;
            const NEWEST: i16 = $newest;
        })*
    };
}

calls! {
    ApiVersionsRequest: 0 to 4;
    CreateTopicsRequest: 2 to 7;
    DeleteTopicsRequest: 1 to 5;
    DescribeConfigsRequest: 1 to 4;
    FetchRequest: 4 to 12;
    InitProducerIdRequest: 0 to 5;
    ListOffsetsRequest: 1 to 9;
    MetadataRequest: 4 to 12;
    ProduceRequest: 3 to 12;
}
