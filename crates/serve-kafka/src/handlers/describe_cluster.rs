//! DescribeCluster (key 60), versions 0 to 2.
//!
//! 0: the cluster's id, controller and nodes. 1: which kind of endpoint is asked for. 2: fenced
//! nodes may be asked for: here those that are registered and silent.

use super::{Api, Door, Request, Step};
use crate::hints::node_id;
use crate::refusals::codes;
use base::Now;
use wire_kafka::messages::describe_cluster_request::DescribeClusterRequest;
use wire_kafka::messages::describe_cluster_response::{
    DescribeClusterBroker, DescribeClusterResponse,
};
use wire_kafka::{ApiKey, Reader, WireError};

pub(crate) const API: Api = Api {
    key: ApiKey::DescribeCluster,
    versions: 0..=2,
    serve,
};

/// The kind of endpoint that a client port is.
const BROKERS: i8 = 1;
/// The kind of endpoint that a controller port would be.
const CONTROLLERS: i8 = 2;
/// What everybody may do to the cluster while there are no rules: create, alter, describe, act
/// as the cluster, describe and alter configurations, write idempotently.
pub(crate) const CLUSTER_OPERATIONS: i32 = 0x1fa0;

fn serve(door: &Door, _: Now, request: Request, reader: &mut Reader) -> Result<Step, WireError> {
    let body = DescribeClusterRequest::decode(request.version, reader)?;
    let asked = if request.version >= 1 {
        body.endpoint_type
    } else {
        BROKERS
    };
    if asked != BROKERS {
        return Ok(request.answer(&wrong_endpoint(asked)));
    }
    let image = door.broker.image();
    let brokers = image.nodes.iter().filter_map(|(node, info)| {
        let is_fenced = !door.broker.hears(*node);
        if is_fenced && !body.include_fenced_brokers {
            return None;
        }
        let at = info.at(&door.listener)?;
        Some(DescribeClusterBroker {
            broker_id: node_id(*node),
            host: at.host.clone(),
            port: i32::from(at.port),
            rack: info.rack.clone(),
            is_fenced,
        })
    });
    let operations = body
        .include_cluster_authorized_operations
        .then_some(CLUSTER_OPERATIONS);
    Ok(request.answer(&DescribeClusterResponse {
        endpoint_type: BROKERS,
        cluster_id: door.broker.cluster_id().to_string(),
        controller_id: node_id(door.broker.controller().unwrap_or(door.broker.node())),
        brokers: brokers.collect(),
        cluster_authorized_operations: operations.unwrap_or(i32::MIN),
        ..Default::default()
    }))
}

fn wrong_endpoint(asked: i8) -> DescribeClusterResponse {
    let (error_code, why) = match asked {
        CONTROLLERS => (
            codes::MISMATCHED_ENDPOINT_TYPE,
            "this port answers as a broker",
        ),
        _ => (
            codes::UNSUPPORTED_ENDPOINT_TYPE,
            "there is no such kind of endpoint",
        ),
    };
    DescribeClusterResponse {
        error_code,
        error_message: Some(why.to_owned()),
        endpoint_type: BROKERS,
        ..Default::default()
    }
}
