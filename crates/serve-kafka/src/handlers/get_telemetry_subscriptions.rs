//! GetTelemetrySubscriptions (key 71), version 0: which metrics a client is to push, and how often.

use super::{Api, Door, Request, Step};
use crate::refusals::codes;
use base::{Now, Uuid};
use wire_kafka::messages::get_telemetry_subscriptions_request::GetTelemetrySubscriptionsRequest;
use wire_kafka::messages::get_telemetry_subscriptions_response::GetTelemetrySubscriptionsResponse;
use wire_kafka::{ApiKey, Reader, WireError};

pub(crate) const API: Api = Api {
    key: ApiKey::GetTelemetrySubscriptions,
    versions: 0..=0,
    serve,
};

/// Largest push that is taken, as Kafka's `telemetry.max.bytes`.
pub(crate) const PUSH_BYTES_MAX: i32 = 1_048_576;
/// zstd, LZ4, gzip, snappy: Kafka's order.
pub(crate) const COMPRESSIONS: [i8; 4] = [4, 3, 1, 2];

fn serve(door: &Door, now: Now, request: Request, reader: &mut Reader) -> Result<Step, WireError> {
    let body = GetTelemetrySubscriptionsRequest::decode(request.version, reader)?;
    let client_instance_id = match body.client_instance_id {
        Uuid::ZERO => door.broker.draw_id(),
        known => known,
    };
    let wanted = door.broker.wanted_of(&door.reporter(client_instance_id));
    if !door
        .telemetry
        .ask(now.mono, client_instance_id, wanted.interval)
    {
        return Ok(request.answer(&GetTelemetrySubscriptionsResponse {
            error_code: codes::THROTTLING_QUOTA_EXCEEDED,
            ..Default::default()
        }));
    }
    Ok(request.answer(&GetTelemetrySubscriptionsResponse {
        client_instance_id,
        subscription_id: wanted.id,
        accepted_compression_types: COMPRESSIONS.to_vec(),
        push_interval_ms: i32::try_from(wanted.interval.as_millis()).unwrap_or(i32::MAX),
        telemetry_max_bytes: PUSH_BYTES_MAX,
        delta_temporality: true,
        requested_metrics: wanted.metrics,
        ..Default::default()
    }))
}
