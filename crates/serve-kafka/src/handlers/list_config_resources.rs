//! ListConfigResources (key 74), versions 0 to 1.
//!
//! 0: subscriptions to metrics of clients. 1: other types of resources; no types means all.

use super::alter_configs::resource_kind;
use super::{Api, Door, Request, Step};
use crate::refusals::codes;
use base::Now;
use meta::ResourceKind;
use wire_kafka::messages::list_config_resources_request::ListConfigResourcesRequest;
use wire_kafka::messages::list_config_resources_response::{
    ConfigResource, ListConfigResourcesResponse,
};
use wire_kafka::{ApiKey, Reader, WireError};

pub(crate) const API: Api = Api {
    key: ApiKey::ListConfigResources,
    versions: 0..=1,
    serve,
};

const TOPIC: i8 = 2;
const NODE: i8 = 4;
/// Levels of loggers; every node has them, though they can't be changed here.
const NODE_LOGGER: i8 = 8;
const CLIENT_METRICS: i8 = 16;
const GROUP: i8 = 32;
const ALL: [i8; 5] = [TOPIC, NODE, NODE_LOGGER, CLIENT_METRICS, GROUP];

fn serve(door: &Door, _: Now, request: Request, reader: &mut Reader) -> Result<Step, WireError> {
    let body = ListConfigResourcesRequest::decode(request.version, reader)?;
    let kinds = match (request.version, body.resource_types.is_empty()) {
        (0, _) => vec![CLIENT_METRICS],
        (_, true) => ALL.to_vec(),
        (_, false) => body.resource_types,
    };
    if kinds.iter().any(|kind| !ALL.contains(kind)) {
        return Ok(request.answer(&ListConfigResourcesResponse {
            error_code: codes::UNSUPPORTED_VERSION,
            ..Default::default()
        }));
    }
    let mut config_resources = Vec::new();
    for kind in ALL.into_iter().filter(|kind| kinds.contains(kind)) {
        let of = resource_kind(kind).unwrap_or(ResourceKind::Node);
        let names = door.broker.configured(&door.principal, of).into_iter();
        config_resources.extend(names.map(|resource_name| ConfigResource {
            resource_name,
            resource_type: kind,
        }));
    }
    Ok(request.answer(&ListConfigResourcesResponse {
        config_resources,
        ..Default::default()
    }))
}
