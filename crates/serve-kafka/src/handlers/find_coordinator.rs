//! FindCoordinator (key 10), versions 0 to 6.
//!
//! 0: for a group. 1: the kind of coordinator; a message beside the code. 2: nothing new. 3:
//! flexible. 4: several at once. 5: nothing new. 6: share groups.
//!
//! No coordinator is served yet, so each is answered as not available. The API is in the table
//! all the same: librdkafka takes its absence as a sign that a broker doesn't know LZ4.

use super::{Api, Door, Request, Step};
use crate::refusals::codes;
use base::Now;
use wire_kafka::messages::find_coordinator_request::FindCoordinatorRequest;
use wire_kafka::messages::find_coordinator_response::{Coordinator, FindCoordinatorResponse};
use wire_kafka::{ApiKey, Reader, WireError};

pub(crate) const API: Api = Api {
    key: ApiKey::FindCoordinator,
    versions: 0..=6,
    serve,
};

/// The last kind of coordinator that a version knows: groups, transactions, share groups.
fn last_kind(version: i16) -> i8 {
    if version >= 6 { 2 } else { 1 }
}

fn serve(_: &Door, _: Now, request: Request, reader: &mut Reader) -> Result<Step, WireError> {
    let body = FindCoordinatorRequest::decode(request.version, reader)?;
    let known = (0..=last_kind(request.version)).contains(&body.key_type);
    let (error_code, why) = match known {
        true => (
            codes::COORDINATOR_NOT_AVAILABLE,
            "this cluster has no coordinators yet",
        ),
        false => (
            codes::INVALID_REQUEST,
            "there is no such kind of coordinator",
        ),
    };
    let error_message = Some(why.to_owned());
    let nobody = |key| Coordinator {
        key,
        node_id: -1,
        host: String::new(),
        port: -1,
        error_code,
        error_message: error_message.clone(),
    };
    Ok(request.answer(&FindCoordinatorResponse {
        error_code,
        error_message: error_message.clone(),
        node_id: -1,
        port: -1,
        coordinators: body.coordinator_keys.into_iter().map(nobody).collect(),
        ..Default::default()
    }))
}
