//! PushTelemetry (key 72), version 0. Nobody was asked for metrics; what comes all the same is
//! checked as Kafka checks it and dropped.

use super::get_telemetry_subscriptions::{COMPRESSIONS, PUSH_BYTES_MAX, SUBSCRIPTION};
use super::{Api, Door, Request, Step};
use crate::refusals::codes;
use base::{Now, Uuid};
use wire_kafka::messages::push_telemetry_request::PushTelemetryRequest;
use wire_kafka::messages::push_telemetry_response::PushTelemetryResponse;
use wire_kafka::{ApiKey, Reader, WireError};

pub(crate) const API: Api = Api {
    key: ApiKey::PushTelemetry,
    versions: 0..=0,
    serve,
};

fn serve(_: &Door, _: Now, request: Request, reader: &mut Reader) -> Result<Step, WireError> {
    let body = PushTelemetryRequest::decode(request.version, reader)?;
    let plain = body.compression_type == 0;
    let error_code = if body.client_instance_id == Uuid::ZERO {
        codes::INVALID_REQUEST
    } else if body.subscription_id != SUBSCRIPTION {
        codes::UNKNOWN_SUBSCRIPTION_ID
    } else if !plain && !COMPRESSIONS.contains(&body.compression_type) {
        codes::UNSUPPORTED_COMPRESSION_TYPE
    } else if body.metrics.len() > PUSH_BYTES_MAX as usize {
        codes::TELEMETRY_TOO_LARGE
    } else {
        codes::NONE
    };
    Ok(request.answer(&PushTelemetryResponse {
        error_code,
        ..Default::default()
    }))
}
