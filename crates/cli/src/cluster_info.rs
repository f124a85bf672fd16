//! `flotilla cluster ...` and `flotilla api-versions`: who is there, how they are, what they speak.

mod health;
mod level;
pub(crate) mod room;
mod view;

pub(crate) use level::level;

use crate::args::{ApiVersions, ClusterCommand, Info, Output};
use crate::client::{Cluster, Code, Deadline, Trouble};
use crate::fleet;
use crate::output::{self, Table};
use serde_json::json;
use std::collections::BTreeSet;
use wire_kafka::ApiKey;
use wire_kafka::messages::api_versions_request::ApiVersionsRequest;
use wire_kafka::messages::api_versions_response::ApiVersionsResponse;
use wire_kafka::messages::describe_cluster_request::DescribeClusterRequest;
use wire_kafka::messages::describe_cluster_response::DescribeClusterResponse;
use wire_kafka::messages::describe_quorum_request::{
    DescribeQuorumRequest, PartitionData, TopicData,
};
use wire_kafka::messages::describe_quorum_response::{
    DescribeQuorumResponse, PartitionData as Quorum,
};

/// Runs the command.
pub fn run(command: ClusterCommand) -> Result<(), Trouble> {
    match command {
        ClusterCommand::Info(args) => info(&args),
        ClusterCommand::Status(args) => health::status(&args),
        ClusterCommand::Nodes(args) => health::nodes(&args),
        ClusterCommand::Health(args) => health::health(&args),
        ClusterCommand::Plan(args) => fleet::show_plan(&args),
        ClusterCommand::Rebalance(args) => fleet::rebalance(&args),
        ClusterCommand::Drain(args) => fleet::drain(&args),
        ClusterCommand::Remove(args) => fleet::remove(&args),
        ClusterCommand::Finalize(args) => level::finalize(&args),
        ClusterCommand::Reassign(args) => fleet::reassign(&args),
    }
}

fn info(args: &Info) -> Result<(), Trouble> {
    let deadline = Deadline::after(args.target.timeout);
    let mut cluster = Cluster::new(&args.target.bootstrap)?;
    let mut known = describe(&mut cluster, false, deadline)?;
    known.brokers.sort_by_key(|node| node.broker_id);
    let topics = cluster.topics(None, deadline)?;
    let partitions: usize = topics.iter().map(|topic| topic.partitions.len()).sum();
    let quorum = quorum(&mut cluster, deadline)?;
    let votes = |id: i32| quorum.current_voters.iter().any(|v| v.replica_id == id);
    if args.target.output == Output::Json {
        let node =
            |node: &wire_kafka::messages::describe_cluster_response::DescribeClusterBroker| {
                json!({
                    "node": node.broker_id,
                    "address": format!("{}:{}", node.host, node.port),
                    "rack": node.rack,
                    "controller": node.broker_id == quorum.leader_id,
                    "votes": votes(node.broker_id),
                })
            };
        return output::json(&json!({
            "id": known.cluster_id,
            "topics": topics.len(),
            "partitions": partitions,
            "controller": quorum.leader_id,
            "epoch": quorum.leader_epoch,
            "nodes": known.brokers.iter().map(node).collect::<Vec<_>>(),
        }));
    }
    let mut table = Table::new(&["node", "address", "rack", "part"]);
    for node in &known.brokers {
        let part = match (node.broker_id == quorum.leader_id, votes(node.broker_id)) {
            (true, _) => "leads the metadata",
            (false, true) => "votes",
            (false, false) => "follows",
        };
        table.row(vec![
            node.broker_id.to_string(),
            format!("{}:{}", node.host, node.port),
            node.rack.clone().unwrap_or_else(|| "-".into()),
            part.into(),
        ]);
    }
    output::text(&format!(
        "cluster {}: {}, {}, {}\n{}",
        known.cluster_id,
        output::counted(known.brokers.len() as u64, "node"),
        output::counted(topics.len() as u64, "topic"),
        output::counted(partitions as u64, "partition"),
        table.text()
    ))
}

/// Who is there; with `silent`, those that aren't heard among them.
pub(crate) fn describe(
    cluster: &mut Cluster,
    silent: bool,
    deadline: Deadline,
) -> Result<DescribeClusterResponse, Trouble> {
    let request = describe_request(silent);
    cluster.persist(deadline, |cluster| {
        let known = cluster.call_any(&request, deadline)?;
        let code = Code(known.error_code);
        match code.is_ok() {
            true => Ok(known),
            false => Err(Trouble::refused("the cluster", code, known.error_message)),
        }
    })
}

fn describe_request(silent: bool) -> DescribeClusterRequest {
    DescribeClusterRequest {
        endpoint_type: 1,
        include_fenced_brokers: silent,
        ..DescribeClusterRequest::default()
    }
}

/// How the group stands that keeps the metadata.
pub(crate) fn quorum(cluster: &mut Cluster, deadline: Deadline) -> Result<Quorum, Trouble> {
    cluster.persist(deadline, |cluster| {
        stands(cluster.call_any(&quorum_request(), deadline)?)
    })
}

/// The same as one node says: who follows without a vote is as it knows.
fn quorum_at(cluster: &mut Cluster, node: i32, deadline: Deadline) -> Result<Quorum, Trouble> {
    stands(cluster.call_node(node, &quorum_request(), deadline)?)
}

fn quorum_request() -> DescribeQuorumRequest {
    DescribeQuorumRequest {
        topics: vec![TopicData {
            topic_name: "__cluster_metadata".into(),
            partitions: vec![PartitionData::default()],
        }],
    }
}

fn stands(answer: DescribeQuorumResponse) -> Result<Quorum, Trouble> {
    let code = Code(answer.error_code);
    let topics = answer.topics.into_iter();
    let mut partitions = topics.flat_map(|topic| topic.partitions);
    match partitions.next() {
        Some(quorum) if code.is_ok() => Ok(quorum),
        _ => Err(Trouble::refused("the quorum", code, answer.error_message)),
    }
}

/// The nodes of which one node knows.
fn known_at(
    cluster: &mut Cluster,
    node: i32,
    deadline: Deadline,
) -> Result<BTreeSet<i32>, Trouble> {
    let known = cluster.call_node(node, &describe_request(true), deadline)?;
    let code = Code(known.error_code);
    match code.is_ok() {
        true => Ok(known.brokers.iter().map(|node| node.broker_id).collect()),
        false => Err(Trouble::refused("the cluster", code, known.error_message)),
    }
}

/// What a node speaks, and the features of its cluster.
fn versions(cluster: &mut Cluster, deadline: Deadline) -> Result<ApiVersionsResponse, Trouble> {
    let request = ApiVersionsRequest {
        client_software_name: "flotilla".into(),
        client_software_version: env!("CARGO_PKG_VERSION").into(),
    };
    let answer = cluster.call_any(&request, deadline)?;
    let code = Code(answer.error_code);
    match code.is_ok() {
        true => Ok(answer),
        false => Err(Trouble::refused("the versions", code, None)),
    }
}

/// `flotilla api-versions`.
pub fn api_versions(args: &ApiVersions) -> Result<(), Trouble> {
    let deadline = Deadline::after(args.target.timeout);
    let mut cluster = Cluster::new(&args.target.bootstrap)?;
    let answer = versions(&mut cluster, deadline)?;
    let name = |key: i16| ApiKey::from_code(key).map_or("unknown", |api| api.name());
    if args.target.output == Output::Json {
        let rows = answer.api_keys.iter().map(|api| {
            json!({
                "key": api.api_key,
                "api": name(api.api_key),
                "min": api.min_version,
                "max": api.max_version,
            })
        });
        return output::json(&rows.collect());
    }
    let mut table = Table::new(&["key", "api", "from", "to"]);
    for api in &answer.api_keys {
        table.row(vec![
            api.api_key.to_string(),
            name(api.api_key).into(),
            api.min_version.to_string(),
            api.max_version.to_string(),
        ]);
    }
    output::text(&table.text())
}
