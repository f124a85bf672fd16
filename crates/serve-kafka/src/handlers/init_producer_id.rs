//! InitProducerId (key 22), versions 0 to 5.
//!
//! 0: an id for a producer. 1: nothing new. 2: flexible. 3: the id and epoch that the producer
//! has. 4: another code for a fenced producer. 5: nothing new here (transactions).
//!
//! A producer without a transactional id always gets a fresh id at epoch 0, whatever it had. One
//! with a transactional id is refused in a way that no client tries again: there are no
//! transactions yet.

use super::{Api, Door, Request, Step};
use crate::refusals::{self, codes};
use base::{Now, Refusal};
use std::time::Duration;
use wire_kafka::messages::init_producer_id_request::InitProducerIdRequest;
use wire_kafka::messages::init_producer_id_response::InitProducerIdResponse;
use wire_kafka::{ApiKey, Reader, WireError};

pub(crate) const API: Api = Api {
    key: ApiKey::InitProducerId,
    versions: 0..=5,
    serve,
};

/// How long the controller may take; the request has no time-out of its own.
const WAIT: Duration = Duration::from_secs(5);

fn serve(door: &Door, now: Now, request: Request, reader: &mut Reader) -> Result<Step, WireError> {
    let body = InitProducerIdRequest::decode(request.version, reader)?;
    let half = (body.producer_id == -1) != (body.producer_epoch == -1);
    let error_code = match body.transactional_id.as_deref() {
        _ if half => codes::INVALID_REQUEST,
        Some("") => codes::INVALID_REQUEST,
        Some(_) => codes::UNSUPPORTED_VERSION,
        None => {
            door.broker
                .init_producer(now, &door.principal, WAIT, request.reply_to(door));
            return Ok(Step::Wait(super::Waiting::InitProducerId(request)));
        }
    };
    Ok(refused(request, error_code))
}

fn refused(request: Request, error_code: i16) -> Step {
    request.answer(&InitProducerIdResponse {
        error_code,
        producer_id: -1,
        producer_epoch: -1,
        ..Default::default()
    })
}

/// Answers with the id.
pub(crate) fn finish(request: Request, reply: Result<meta::Reply, Refusal>) -> Step {
    match reply {
        Ok(meta::Reply::ProducerIds(id)) => request.answer(&InitProducerIdResponse {
            producer_id: id.0,
            producer_epoch: 0,
            ..Default::default()
        }),
        Ok(_) => refused(request, codes::UNKNOWN_SERVER_ERROR),
        Err(why) => refused(request, refusals::producer_id_code(&why)),
    }
}
