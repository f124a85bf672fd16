//! GetTelemetrySubscriptions (key 71), version 0: which metrics a client is to push. None yet, so
//! clients ask again after a while and push nothing.

use super::{Api, Door, Request, Step};
use base::{Now, Uuid};
use wire_kafka::messages::get_telemetry_subscriptions_request::GetTelemetrySubscriptionsRequest;
use wire_kafka::messages::get_telemetry_subscriptions_response::GetTelemetrySubscriptionsResponse;
use wire_kafka::{ApiKey, Reader, WireError};

pub(crate) const API: Api = Api {
    key: ApiKey::GetTelemetrySubscriptions,
    versions: 0..=0,
    serve,
};

/// When a client asks again.
const PUSH_INTERVAL_MS: i32 = 300_000;
/// The number of the empty subscription.
pub(crate) const SUBSCRIPTION: i32 = 0;
/// Largest push that is taken, as Kafka's `telemetry.max.bytes`.
pub(crate) const PUSH_BYTES_MAX: i32 = 1_048_576;
/// zstd, LZ4, gzip, snappy: Kafka's order.
pub(crate) const COMPRESSIONS: [i8; 4] = [4, 3, 1, 2];

fn serve(door: &Door, _: Now, request: Request, reader: &mut Reader) -> Result<Step, WireError> {
    let body = GetTelemetrySubscriptionsRequest::decode(request.version, reader)?;
    let client_instance_id = match body.client_instance_id {
        Uuid::ZERO => door.broker.draw_id(),
        known => known,
    };
    Ok(request.answer(&GetTelemetrySubscriptionsResponse {
        client_instance_id,
        subscription_id: SUBSCRIPTION,
        accepted_compression_types: COMPRESSIONS.to_vec(),
        push_interval_ms: PUSH_INTERVAL_MS,
        telemetry_max_bytes: PUSH_BYTES_MAX,
        delta_temporality: true,
        ..Default::default()
    }))
}
