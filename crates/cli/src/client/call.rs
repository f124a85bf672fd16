//! The calls this client makes, and the newest version of each that it fills in rightly: topics
//! go by name here, so some calls stop before the versions that know only ids.

use wire_kafka::Request;
use wire_kafka::messages::alter_partition_reassignments_request::AlterPartitionReassignmentsRequest;
use wire_kafka::messages::api_versions_request::ApiVersionsRequest;
use wire_kafka::messages::consumer_group_describe_request::ConsumerGroupDescribeRequest;
use wire_kafka::messages::consumer_group_heartbeat_request::ConsumerGroupHeartbeatRequest;
use wire_kafka::messages::create_partitions_request::CreatePartitionsRequest;
use wire_kafka::messages::create_topics_request::CreateTopicsRequest;
use wire_kafka::messages::delete_groups_request::DeleteGroupsRequest;
use wire_kafka::messages::delete_records_request::DeleteRecordsRequest;
use wire_kafka::messages::delete_topics_request::DeleteTopicsRequest;
use wire_kafka::messages::describe_cluster_request::DescribeClusterRequest;
use wire_kafka::messages::describe_configs_request::DescribeConfigsRequest;
use wire_kafka::messages::describe_groups_request::DescribeGroupsRequest;
use wire_kafka::messages::describe_log_dirs_request::DescribeLogDirsRequest;
use wire_kafka::messages::describe_quorum_request::DescribeQuorumRequest;
use wire_kafka::messages::elect_leaders_request::ElectLeadersRequest;
use wire_kafka::messages::fetch_request::FetchRequest;
use wire_kafka::messages::find_coordinator_request::FindCoordinatorRequest;
use wire_kafka::messages::heartbeat_request::HeartbeatRequest;
use wire_kafka::messages::incremental_alter_configs_request::IncrementalAlterConfigsRequest;
use wire_kafka::messages::init_producer_id_request::InitProducerIdRequest;
use wire_kafka::messages::join_group_request::JoinGroupRequest;
use wire_kafka::messages::leave_group_request::LeaveGroupRequest;
use wire_kafka::messages::list_groups_request::ListGroupsRequest;
use wire_kafka::messages::list_offsets_request::ListOffsetsRequest;
use wire_kafka::messages::list_partition_reassignments_request::ListPartitionReassignmentsRequest;
use wire_kafka::messages::metadata_request::MetadataRequest;
use wire_kafka::messages::offset_commit_request::OffsetCommitRequest;
use wire_kafka::messages::offset_delete_request::OffsetDeleteRequest;
use wire_kafka::messages::offset_fetch_request::OffsetFetchRequest;
use wire_kafka::messages::produce_request::ProduceRequest;
use wire_kafka::messages::sync_group_request::SyncGroupRequest;
use wire_kafka::messages::unregister_broker_request::UnregisterBrokerRequest;
use wire_kafka::messages::update_features_request::UpdateFeaturesRequest;

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
    AlterPartitionReassignmentsRequest: 0 to 1;
    ApiVersionsRequest: 0 to 4;
    ConsumerGroupDescribeRequest: 0 to 1;
    ConsumerGroupHeartbeatRequest: 0 to 0;
    CreatePartitionsRequest: 0 to 3;
    CreateTopicsRequest: 2 to 7;
    DeleteGroupsRequest: 0 to 2;
    DeleteRecordsRequest: 0 to 2;
    DeleteTopicsRequest: 1 to 5;
    DescribeClusterRequest: 0 to 2;
    DescribeConfigsRequest: 1 to 4;
    DescribeLogDirsRequest: 1 to 5;
    DescribeQuorumRequest: 0 to 2;
    ElectLeadersRequest: 1 to 2;
    DescribeGroupsRequest: 0 to 6;
    FetchRequest: 4 to 12;
    FindCoordinatorRequest: 0 to 6;
    HeartbeatRequest: 0 to 4;
    IncrementalAlterConfigsRequest: 0 to 1;
    InitProducerIdRequest: 0 to 5;
    JoinGroupRequest: 1 to 9;
    LeaveGroupRequest: 0 to 5;
    ListGroupsRequest: 0 to 5;
    ListOffsetsRequest: 1 to 9;
    ListPartitionReassignmentsRequest: 0 to 0;
    MetadataRequest: 4 to 12;
    OffsetCommitRequest: 2 to 9;
    OffsetDeleteRequest: 0 to 0;
    OffsetFetchRequest: 2 to 9;
    ProduceRequest: 3 to 12;
    SyncGroupRequest: 0 to 5;
    UnregisterBrokerRequest: 0 to 0;
    UpdateFeaturesRequest: 1 to 2;
}
