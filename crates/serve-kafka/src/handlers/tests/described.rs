//! What one request may have described.

use crate::described::DESCRIBED_BYTES_MAX;
use crate::testing::{World, image_with};
use base::GroupId;
use bytes::Bytes;
use group::reply::{Described, DescribedMember, Reply};
use std::sync::Arc;
use wire_kafka::ApiKey;
use wire_kafka::messages::describe_configs_request::{
    DescribeConfigsRequest, DescribeConfigsResource,
};
use wire_kafka::messages::describe_groups_request::DescribeGroupsRequest;
use wire_kafka::messages::describe_groups_response::DescribeGroupsResponse;

/// The type of a node's configuration.
const NODE: i8 = 4;

#[test]
fn a_configuration_that_is_named_too_often_is_refused_in_the_end() {
    let times = 200;
    let node = DescribeConfigsResource {
        resource_type: NODE,
        resource_name: "1".to_owned(),
        configuration_keys: None,
    };
    let request = DescribeConfigsRequest {
        resources: vec![node; times],
        include_synonyms: true,
        include_documentation: true,
    };
    let answer = World::new().ask(4, &request);
    let codes = answer.results.iter().map(|part| part.error_code);
    let codes: Vec<i16> = codes.collect();
    assert_eq!((codes.len(), &codes[..2]), (times, &[0, 0][..]));
    assert_eq!(codes.last(), Some(&42));
    let last = answer
        .results
        .last()
        .and_then(|part| part.error_message.as_deref());
    assert!(
        last.is_some_and(|text| text.contains("1048576 bytes")),
        "{last:?}"
    );
}

#[test]
fn groups_behind_too_much_of_others_are_not_even_asked_for() {
    let mut world = World::new();
    let keeper = GroupId(60);
    world
        .broker
        .publish(Arc::new(image_with("__consumer_offsets", keeper.0)));
    world
        .broker
        .publish_leaders(&[(keeper, crate::testing::TERM, Some(crate::testing::HERE))]);
    let names = ["large", "next", "last"];
    let request = DescribeGroupsRequest {
        groups: names.map(str::to_owned).to_vec(),
        include_authorized_operations: false,
    };
    world.send(5, &request);
    let large = Described {
        members: vec![DescribedMember {
            member: "m".to_owned(),
            instance: None,
            client_id: String::new(),
            client_host: String::new(),
            metadata: Bytes::from(vec![0; DESCRIBED_BYTES_MAX]),
            assignment: Bytes::new(),
        }],
        ..Default::default()
    };
    let reply = Reply::DescribeGroups(vec![("large".to_owned(), Ok(large))]);
    world.answer_with(shard::Reply::Group(Ok(reply)));
    let answer: DescribeGroupsResponse = world.answer(ApiKey::DescribeGroups, 5);
    let codes: Vec<i16> = answer.groups.iter().map(|group| group.error_code).collect();
    assert_eq!(codes, [0, 42, 42]);
}
