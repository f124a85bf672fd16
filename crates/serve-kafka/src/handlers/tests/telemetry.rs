//! A client is asked for its metrics, and pushes them.

use crate::refusals::codes;
use crate::testing::{World, image_with};
use base::Uuid;
use base::batch::Compression;
use meta::{Image, Resource, ResourceKind};
use std::collections::BTreeMap;
use std::sync::Arc;
use wire_kafka::compress::compress;
use wire_kafka::messages::api_versions_request::ApiVersionsRequest;
use wire_kafka::messages::get_telemetry_subscriptions_request::GetTelemetrySubscriptionsRequest as Ask;
use wire_kafka::messages::get_telemetry_subscriptions_response::GetTelemetrySubscriptionsResponse as Asked;
use wire_kafka::messages::push_telemetry_request::PushTelemetryRequest as Push;

/// `MetricsData` with one gauge, `a`, of 2.5.
const PUSHED: [u8; 22] = [
    10, 20, 18, 18, 18, 16, 10, 1, b'a', 42, 11, 10, 9, 33, 0, 0, 0, 0, 0, 0, 4, 64,
];

/// A node that asks clients of one software for everything.
fn world() -> World {
    let mut world = World::new();
    let set = [
        ("metrics", "*"),
        ("interval.ms", "2000"),
        ("match", "client_software_name=tester"),
    ];
    let set = set.map(|(k, v)| (k.to_owned(), v.to_owned()));
    let of = Resource::new(ResourceKind::ClientMetrics, "all");
    world.broker.publish(Arc::new(Image {
        configs: Arc::new(BTreeMap::from([(of, BTreeMap::from(set))])),
        version: 99,
        ..image_with("more", 77)
    }));
    world.ask(
        3,
        &ApiVersionsRequest {
            client_software_name: "tester".to_owned(),
            client_software_version: "1.0".to_owned(),
        },
    );
    world
}

fn push(asked: &Asked, compression: Compression) -> Push {
    Push {
        client_instance_id: asked.client_instance_id,
        subscription_id: asked.subscription_id,
        compression_type: i8::try_from(compression.bits()).unwrap(),
        metrics: compress(compression, &PUSHED).unwrap().into(),
        ..Default::default()
    }
}

#[test]
fn what_was_asked_for_is_pushed_and_kept() {
    let mut world = world();
    let asked = world.ask(0, &Ask::default());
    assert_eq!(asked.requested_metrics, ["*"]);
    assert_eq!(asked.push_interval_ms, 2000);
    assert_ne!(asked.client_instance_id, Uuid::ZERO);
    let answer = world.ask(0, &push(&asked, Compression::Zstd));
    assert_eq!(answer.error_code, codes::NONE);
    let kept = world.telemetry().series(crate::testing::NOW.mono);
    let (series, value) = &kept[0];
    assert_eq!((series.name.as_str(), *value), ("flotilla_client_a", 2.5));
    let label = |name: &str| {
        series
            .labels
            .iter()
            .find(|(n, _)| n == name)
            .unwrap()
            .1
            .clone()
    };
    assert_eq!(label("client_id"), "test");
    assert_eq!(label("client_software_name"), "tester");
    assert_eq!(
        label("client_instance_id"),
        asked.client_instance_id.to_string()
    );
}

#[test]
fn each_thing_that_is_wrong_has_its_code() {
    let mut world = world();
    let asked = world.ask(0, &Ask::default());
    let good = push(&asked, Compression::Gzip);
    let wrong = [
        (
            codes::INVALID_REQUEST,
            Push {
                client_instance_id: Uuid::ZERO,
                ..good.clone()
            },
        ),
        (
            codes::UNKNOWN_SUBSCRIPTION_ID,
            Push {
                subscription_id: 1,
                ..good.clone()
            },
        ),
        (codes::THROTTLING_QUOTA_EXCEEDED, good.clone()),
    ];
    for (code, push) in wrong {
        assert_eq!(world.ask(0, &push).error_code, code);
    }
    // Who was told that its subscription isn't known may ask at once, and then push.
    let again = Ask {
        client_instance_id: asked.client_instance_id,
    };
    assert_eq!(world.ask(0, &again).subscription_id, asked.subscription_id);
    assert_eq!(
        world.ask(0, &again).error_code,
        codes::THROTTLING_QUOTA_EXCEEDED
    );
}

#[test]
fn a_push_that_cannot_be_read_is_an_invalid_record() {
    let bad = [("packed", 4, &PUSHED[..]), ("cut", 0, &PUSHED[..9])];
    for (what, compression_type, bytes) in bad {
        let mut world = world();
        let asked = world.ask(0, &Ask::default());
        let push = Push {
            compression_type,
            metrics: bytes.to_vec().into(),
            ..push(&asked, Compression::None)
        };
        assert_eq!(
            world.ask(0, &push).error_code,
            codes::INVALID_RECORD,
            "{what}"
        );
    }
}
