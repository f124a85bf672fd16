//! The table of APIs, and every version of each from request to answer.

use super::super::*;
use crate::testing::{World, decode};
use base::{ProducerId, Refusal};
use bytes::Bytes;
use shard::Command;
use wire_kafka::messages::api_versions_request::ApiVersionsRequest;
use wire_kafka::messages::api_versions_response::ApiVersionsResponse;
use wire_kafka::messages::{
    create_topics_request::CreateTopicsRequest, delete_topics_request::DeleteTopicsRequest,
    describe_cluster_request::DescribeClusterRequest,
    describe_configs_request::DescribeConfigsRequest, fetch_request::FetchRequest,
    find_coordinator_request::FindCoordinatorRequest,
    init_producer_id_request::InitProducerIdRequest, list_offsets_request::ListOffsetsRequest,
    metadata_request::MetadataRequest,
    offset_for_leader_epoch_request::OffsetForLeaderEpochRequest, produce_request::ProduceRequest,
};

fn named(name: &str, version: &str) -> ApiVersionsRequest {
    ApiVersionsRequest {
        client_software_name: name.to_owned(),
        client_software_version: version.to_owned(),
    }
}

#[test]
fn api_versions_tells_what_is_served() {
    let mut world = World::new();
    let answer = world.ask(4, &named("apache-kafka-java", "4.3.1"));
    let told: Vec<(i16, i16, i16)> = answer
        .api_keys
        .iter()
        .map(|api| (api.api_key, api.min_version, api.max_version))
        .collect();
    let expected = [
        (0, 0, 13),
        (1, 0, 18),
        (2, 0, 11),
        (3, 0, 13),
        (8, 0, 10),
        (9, 0, 10),
        (10, 0, 6),
        (11, 0, 9),
        (12, 0, 4),
        (13, 0, 5),
        (14, 0, 5),
        (15, 0, 6),
        (16, 0, 5),
        (18, 0, 4),
        (19, 0, 7),
        (20, 0, 6),
        (21, 0, 2),
        (22, 0, 5),
        (23, 0, 4),
        (29, 0, 3),
        (30, 0, 3),
        (31, 0, 3),
        (32, 0, 4),
        (33, 0, 2),
        (34, 0, 2),
        (35, 0, 5),
        (37, 0, 3),
        (38, 0, 3),
        (39, 0, 2),
        (40, 0, 2),
        (41, 0, 3),
        (42, 0, 2),
        (43, 0, 2),
        (44, 0, 1),
        (45, 0, 1),
        (46, 0, 0),
        (47, 0, 0),
        (48, 0, 1),
        (49, 0, 1),
        (50, 0, 0),
        (55, 0, 2),
        (57, 0, 2),
        (60, 0, 2),
        (61, 0, 0),
        (64, 0, 0),
        (65, 0, 0),
        (66, 0, 2),
        (68, 0, 1),
        (69, 0, 1),
        (71, 0, 0),
        (72, 0, 0),
        (74, 0, 1),
        (75, 0, 0),
    ];
    assert_eq!(told, expected);
    assert_eq!(answer.finalized_features_epoch, 40);
    let features = answer.finalized_features.iter();
    let features: Vec<_> = features.map(|f| (&*f.name, f.max_version_level)).collect();
    assert_eq!(
        features,
        [("metadata.version", 30), ("flotilla.version", 1)]
    );
    assert!(!answer.zk_migration_ready);
}

#[test]
fn the_table_keeps_to_what_the_wire_defines() {
    assert!(APIS.is_sorted_by_key(|api| api.key.code()));
    for api in APIS {
        let stable = api.key.stable_versions();
        assert!(stable.contains(api.versions.start()), "{}", api.key);
        assert_eq!(stable.end(), api.versions.end(), "{}", api.key);
    }
}

#[test]
fn software_names_are_checked() {
    let bad = [
        ("", "1"),
        ("a", ""),
        ("-a", "1"),
        ("a", "1."),
        ("a b", "1"),
        ("é", "1"),
    ];
    for (name, version) in bad {
        let answer = World::new().ask(3, &named(name, version));
        assert_eq!(
            (answer.error_code, answer.api_keys.len()),
            (42, 0),
            "{name} {version}"
        );
    }
    assert_eq!(World::new().ask(3, &named("a", "1")).error_code, 0);
    assert_eq!(
        World::new()
            .ask(3, &named("kafka-python.x", "v2.1-rc1"))
            .error_code,
        0
    );
    // Before version 3 there are no names.
    assert_eq!(World::new().ask(2, &named("", "")).error_code, 0);
}

/// What a shard with nothing in it would answer.
fn empty_reply(command: &Command) -> Reply {
    match command {
        Command::Append { .. } => Reply::Appended(Vec::new()),
        Command::Read { .. } => Reply::Read(Vec::new()),
        Command::Offsets { .. } => Reply::Offsets(Vec::new()),
        Command::EpochEnds { .. } => Reply::EpochEnds(Vec::new()),
        Command::DeleteRecords { .. } => Reply::Deleted(Vec::new()),
        Command::Replicas { .. } => Reply::Replicas(Vec::new()),
        Command::Stamps { .. } => Reply::Stamps(Vec::new()),
        Command::Producers { .. } => Reply::Producers(Vec::new()),
        Command::Prefer { .. } => Reply::Preferred(Vec::new()),
        Command::AwaitLeader { .. } => Reply::Led(Err(Refusal::Timeout)),
        Command::Check { .. } => unreachable!("no request leads to it"),
        Command::Group { .. } => Reply::Group(Err(Refusal::NotCoordinator)),
        Command::Groups { .. } => Reply::Groups(Ok(Vec::new())),
        Command::Meta {
            command: meta::Command::AllocateProducerIds { .. },
            ..
        } => Reply::Meta(Ok(meta::Reply::ProducerIds(ProducerId(1000)))),
        Command::Meta { .. } => Reply::Meta(Err(Refusal::NoController)),
    }
}

fn every_version<R: wire_kafka::Request>(body: &R) {
    for version in versions(R::API).unwrap() {
        let mut world = World::new();
        world.send(version, body);
        while let Some((command, to)) = world.command() {
            let reply = empty_reply(&command);
            world.reply(to, reply);
        }
        let frames: Vec<Bytes> = world.frames();
        assert_eq!(
            frames.len(),
            1,
            "{} {version}: {:?}",
            R::API,
            world.out.close
        );
        let (correlation, _): (i32, R::Response) = decode(R::API, version, &frames[0]);
        assert_eq!(correlation, 1);
    }
}

#[test]
fn every_version_of_every_api_is_answered_in_its_own_form() {
    every_version(&named("test", "1"));
    every_version(&ProduceRequest {
        acks: 1,
        ..Default::default()
    });
    every_version(&FetchRequest::default());
    every_version(&ListOffsetsRequest::default());
    every_version(&MetadataRequest {
        topics: Some(Vec::new()),
        ..Default::default()
    });
    every_version(&FindCoordinatorRequest {
        key: "g".to_owned(),
        ..Default::default()
    });
    every_version(&CreateTopicsRequest::default());
    every_version(&DeleteTopicsRequest::default());
    every_version(&InitProducerIdRequest::default());
    every_version(&OffsetForLeaderEpochRequest::default());
    every_version(&DescribeConfigsRequest::default());
    every_version(&DescribeClusterRequest {
        endpoint_type: 1,
        ..Default::default()
    });
    every_admin_version();
}

fn every_admin_version() {
    use wire_kafka::messages as m;
    every_version(&m::alter_configs_request::AlterConfigsRequest::default());
    every_version(&m::incremental_alter_configs_request::IncrementalAlterConfigsRequest::default());
    every_version(&m::alter_replica_log_dirs_request::AlterReplicaLogDirsRequest::default());
    every_version(&m::describe_log_dirs_request::DescribeLogDirsRequest::default());
    every_version(&m::create_partitions_request::CreatePartitionsRequest::default());
    every_version(
        &m::alter_partition_reassignments_request::AlterPartitionReassignmentsRequest::default(),
    );
    every_version(&m::elect_leaders_request::ElectLeadersRequest::default());
    every_version(
        &m::list_partition_reassignments_request::ListPartitionReassignmentsRequest::default(),
    );
    every_version(&m::describe_client_quotas_request::DescribeClientQuotasRequest::default());
    every_version(&m::alter_client_quotas_request::AlterClientQuotasRequest::default());
    every_version(&m::describe_quorum_request::DescribeQuorumRequest::default());
    every_version(&m::update_features_request::UpdateFeaturesRequest::default());
    every_version(&m::describe_producers_request::DescribeProducersRequest::default());
    every_version(&m::unregister_broker_request::UnregisterBrokerRequest::default());
    every_version(&m::describe_transactions_request::DescribeTransactionsRequest::default());
    every_version(&m::list_transactions_request::ListTransactionsRequest::default());
    every_version(
        &m::get_telemetry_subscriptions_request::GetTelemetrySubscriptionsRequest::default(),
    );
    every_version(
        &m::describe_user_scram_credentials_request::DescribeUserScramCredentialsRequest::default(),
    );
    every_version(&m::describe_acls_request::DescribeAclsRequest::default());
    every_version(&m::create_acls_request::CreateAclsRequest::default());
    every_version(&m::delete_acls_request::DeleteAclsRequest::default());
    every_version(&m::create_delegation_token_request::CreateDelegationTokenRequest::default());
    every_version(&m::renew_delegation_token_request::RenewDelegationTokenRequest::default());
    every_version(&m::expire_delegation_token_request::ExpireDelegationTokenRequest::default());
    every_version(&m::describe_delegation_token_request::DescribeDelegationTokenRequest::default());
    every_version(&m::push_telemetry_request::PushTelemetryRequest::default());
    every_version(&m::list_config_resources_request::ListConfigResourcesRequest::default());
    every_version(&m::describe_topic_partitions_request::DescribeTopicPartitionsRequest::default());
}

#[test]
fn an_answer_in_the_oldest_form_is_readable() {
    let mut world = World::new();
    world.send(0, &named("", ""));
    let answer: ApiVersionsResponse = world.answer(ApiKey::ApiVersions, 0);
    assert_eq!(answer.api_keys.len(), APIS.len());
}
