//! PushTelemetry (key 72), version 0: a client's own metrics, as it was asked for them.

use super::get_telemetry_subscriptions::{COMPRESSIONS, PUSH_BYTES_MAX};
use super::{Api, Door, Request, Step};
use crate::refusals::codes;
use crate::telemetry::{Pusher, otlp};
use base::batch::Compression;
use base::{Now, Uuid};
use wire_kafka::compress::decompress;
use wire_kafka::messages::push_telemetry_request::PushTelemetryRequest;
use wire_kafka::messages::push_telemetry_response::PushTelemetryResponse;
use wire_kafka::{ApiKey, Reader, WireError};

pub(crate) const API: Api = Api {
    key: ApiKey::PushTelemetry,
    versions: 0..=0,
    serve,
};

/// Bytes that a push may have when it is unpacked.
const UNPACKED_BYTES_MAX: usize = 8 * PUSH_BYTES_MAX as usize;

fn serve(door: &Door, now: Now, request: Request, reader: &mut Reader) -> Result<Step, WireError> {
    let body = PushTelemetryRequest::decode(request.version, reader)?;
    let error_code = taken(door, now, &body).err().unwrap_or(codes::NONE);
    Ok(request.answer(&PushTelemetryResponse {
        error_code,
        ..Default::default()
    }))
}

/// Keeps what was pushed, or says the code of what is wrong with it, in the order in which Kafka looks.
fn taken(door: &Door, now: Now, body: &PushTelemetryRequest) -> Result<(), i16> {
    let instance = body.client_instance_id;
    if instance == Uuid::ZERO {
        return Err(codes::INVALID_REQUEST);
    }
    if !door
        .telemetry
        .may_push(now.mono, instance, body.terminating)
    {
        return Err(match body.terminating {
            true => codes::INVALID_REQUEST,
            false => codes::THROTTLING_QUOTA_EXCEEDED,
        });
    }
    let reporter = door.reporter(instance);
    if body.subscription_id != door.broker.wanted_of(&reporter).id {
        door.telemetry.ask_again(now.mono, instance);
        return Err(codes::UNKNOWN_SUBSCRIPTION_ID);
    }
    let compression = match body.compression_type {
        0 => Compression::None,
        known if COMPRESSIONS.contains(&known) => {
            Compression::of_bits(known.into()).map_err(|_| codes::INVALID_RECORD)?
        }
        _ => {
            door.telemetry.ask_again(now.mono, instance);
            return Err(codes::UNSUPPORTED_COMPRESSION_TYPE);
        }
    };
    if body.metrics.len() > PUSH_BYTES_MAX as usize {
        return Err(codes::TELEMETRY_TOO_LARGE);
    }
    let plain = decompress(compression, &body.metrics, UNPACKED_BYTES_MAX);
    let plain = plain.map_err(|_| codes::INVALID_RECORD)?;
    let points = otlp::points(&plain).map_err(|_| codes::INVALID_RECORD)?;
    let pusher = Pusher {
        instance,
        client: reporter.client,
        software: reporter.software,
    };
    door.telemetry.keep(now.mono, &pusher, &points);
    Ok(())
}
