//! UnregisterBroker (key 64), version 0: a node that is gone for good is forgotten. One that lives and has no
//! replicas is sent away; the replicas of one that was silent for a while are given up.

use super::{Api, Door, Request, Step};
use crate::refusals::{self, codes};
use base::{NodeId, Now, Refusal};
use std::time::Duration;
use wire_kafka::messages::unregister_broker_request::UnregisterBrokerRequest;
use wire_kafka::messages::unregister_broker_response::UnregisterBrokerResponse;
use wire_kafka::{ApiKey, Reader, WireError};

pub(crate) const API: Api = Api {
    key: ApiKey::UnregisterBroker,
    versions: 0..=0,
    serve,
};

/// How long the controller may take; the request doesn't say.
const PATIENCE: Duration = Duration::from_secs(30);

fn serve(door: &Door, now: Now, request: Request, reader: &mut Reader) -> Result<Step, WireError> {
    let body = UnregisterBrokerRequest::decode(request.version, reader)?;
    let Ok(id) = u32::try_from(body.broker_id) else {
        return Ok(request.answer(&UnregisterBrokerResponse {
            error_code: codes::BROKER_ID_NOT_REGISTERED,
            error_message: Some(format!(
                "Broker ID {} is not currently registered",
                body.broker_id
            )),
            ..Default::default()
        }));
    };
    let to = request.reply_to(door);
    door.broker
        .unregister(now, &door.principal, NodeId(id), PATIENCE, to);
    Ok(Step::Wait(super::Waiting::UnregisterBroker(request)))
}

/// Answers with what the controller says.
pub(crate) fn finish(request: Request, reply: Result<meta::Reply, Refusal>) -> Step {
    let Some(parts) = super::each(reply, 1) else {
        return super::other_question();
    };
    let why = parts.into_iter().find_map(Result::err);
    request.answer(&UnregisterBrokerResponse {
        error_code: why.as_ref().map_or(codes::NONE, refusals::code),
        error_message: why.map(|why| why.to_string()),
        ..Default::default()
    })
}
