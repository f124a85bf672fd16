//! Nodes whose disks are full: they take no records, and nothing new should be put on them.

use crate::client::{Cluster, Deadline};
use wire_kafka::messages::describe_configs_request::{
    DescribeConfigsRequest, DescribeConfigsResource,
};
use wire_kafka::messages::describe_log_dirs_request::DescribeLogDirsRequest;

/// DescribeConfigs' word for a node.
const NODE: i8 = 4;
/// Free bytes below which a node takes no records.
const RESERVE: &str = "disk.reserve.bytes";

/// True if a node takes no records for want of room. One that doesn't say how much it has and how much it
/// needs, as Apache Kafka's, isn't full as far as anybody knows.
pub(crate) fn is_full(cluster: &mut Cluster, node: i32, deadline: Deadline) -> bool {
    let usable = usable(cluster, node, deadline);
    let below = |usable| Some(usable < reserve(cluster, node, deadline)?);
    usable.and_then(below).unwrap_or(false)
}

fn usable(cluster: &mut Cluster, node: i32, deadline: Deadline) -> Option<i64> {
    let request = DescribeLogDirsRequest {
        topics: Some(Vec::new()),
    };
    let answer = cluster.call_node(node, &request, deadline).ok()?;
    let told = answer.results.iter().map(|result| result.usable_bytes);
    told.filter(|bytes| *bytes >= 0).min()
}

fn reserve(cluster: &mut Cluster, node: i32, deadline: Deadline) -> Option<i64> {
    let request = DescribeConfigsRequest {
        resources: vec![DescribeConfigsResource {
            resource_type: NODE,
            resource_name: node.to_string(),
            configuration_keys: Some(vec![RESERVE.to_owned()]),
        }],
        ..DescribeConfigsRequest::default()
    };
    let answer = cluster.call_node(node, &request, deadline).ok()?;
    let mut entries = answer.results.into_iter().flat_map(|r| r.configs);
    let entry = entries.find(|entry| entry.name == RESERVE)?;
    entry.value?.parse().ok()
}
