//! What nodes' disks still take: full ones no records, cordoned ones no new replicas.

use crate::client::{Cluster, Deadline};
use wire_kafka::messages::describe_configs_request::{
    DescribeConfigsRequest, DescribeConfigsResource,
};
use wire_kafka::messages::describe_log_dirs_request::DescribeLogDirsRequest;
use wire_kafka::messages::describe_log_dirs_response::DescribeLogDirsResult;

/// DescribeConfigs' word for a node.
const NODE: i8 = 4;
/// Free bytes below which a node takes no records.
const RESERVE: &str = "disk.reserve.bytes";

/// What a node's disk doesn't take.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Closed {
    /// It takes no records for want of room.
    pub(crate) full: bool,
    /// Nothing new is placed there: it is drained, or was.
    pub(crate) cordoned: bool,
}

/// What a node's disk doesn't take. One that doesn't say how much it has and how much it needs, as Apache
/// Kafka's, isn't full as far as anybody knows.
pub(crate) fn closed(cluster: &mut Cluster, node: i32, deadline: Deadline) -> Closed {
    let request = DescribeLogDirsRequest {
        topics: Some(Vec::new()),
    };
    let told = cluster.call_node(node, &request, deadline);
    let disks = told.map(|answer| answer.results).unwrap_or_default();
    let below = |usable| Some(usable < reserve(cluster, node, deadline)?);
    Closed {
        full: usable(&disks).and_then(below).unwrap_or(false),
        cordoned: !disks.is_empty() && disks.iter().all(|disk| disk.is_cordoned),
    }
}

fn usable(disks: &[DescribeLogDirsResult]) -> Option<i64> {
    let told = disks.iter().map(|disk| disk.usable_bytes);
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
