//! What is kept of pushes, under which names, and for how long.

use super::otlp::{Malformed, points};
use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn at(seconds: u64) -> Mono {
    Mono(1_000_000).after(SECOND * u32::try_from(seconds).unwrap())
}

fn pusher(instance: u8) -> Pusher<'static> {
    Pusher {
        instance: Uuid([instance; 16]),
        client: "billing",
        software: "apache-kafka-java",
    }
}

fn point(name: &str, value: Value) -> Point {
    Point {
        name: name.to_owned(),
        attributes: vec![("node.id".to_owned(), "1".to_owned())],
        value,
    }
}

/// A part of a message: the key of a field with bytes, their length, and they.
fn part(field: u8, bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![field << 3 | 2];
    let mut length = bytes.len();
    while length >= 0x80 {
        out.push(length as u8 | 0x80);
        length >>= 7;
    }
    out.push(length as u8);
    out.extend(bytes);
    out
}

fn attribute(name: &str, value: &str) -> Vec<u8> {
    [
        part(1, name.as_bytes()),
        part(2, &part(1, value.as_bytes())),
    ]
    .concat()
}

/// `MetricsData` with one gauge and one sum of deltas, as clients write it.
fn pushed() -> Vec<u8> {
    let double = [&[4 << 3 | 1][..], &2.5f64.to_le_bytes()].concat();
    let integer = [&[6 << 3 | 1][..], &7i64.to_le_bytes()].concat();
    let gauge_point = [double, part(7, &attribute("topic", "a"))].concat();
    let gauge = [part(1, b"x.latency.avg"), part(5, &part(1, &gauge_point))].concat();
    let sum_body = [part(1, &integer), vec![2 << 3, 1, 3 << 3, 1]].concat();
    let sum = [part(1, b"x.send.total"), part(7, &sum_body)].concat();
    let scope = [part(2, &gauge), part(2, &sum)].concat();
    let resource = part(1, &attribute("group_id", "g"));
    part(1, &[part(1, &resource), part(2, &scope)].concat())
}

#[test]
fn a_push_is_read_to_the_last_number() {
    let own = |more: &[(&str, &str)]| {
        let all = more.iter().chain(&[("group_id", "g")]);
        all.map(|(k, v)| (k.to_string(), v.to_string())).collect()
    };
    let gauge = Point {
        name: "x.latency.avg".to_owned(),
        attributes: own(&[("topic", "a")]),
        value: Value::Gauge(2.5),
    };
    let sum = Point {
        name: "x.send.total".to_owned(),
        attributes: own(&[]),
        value: Value::Delta(7.0),
    };
    // The resource's field 1 is its list of attributes.
    assert_eq!(points(&pushed()), Ok(vec![gauge, sum]));
}

#[test]
fn what_is_cut_short_is_refused_and_never_panics() {
    let whole = pushed();
    for length in 1..whole.len() {
        assert_eq!(points(&whole[..length]), Err(Malformed), "{length}");
    }
}

/// What is written down of a push is bounded, whatever it says in few bytes.
#[test]
fn a_push_that_says_much_costs_little() {
    let number = part(1, &[&[4 << 3 | 1][..], &1.5f64.to_le_bytes()].concat());
    let numbers = number.repeat(SERIES_MAX + 50);
    let pushed = |name: &str| {
        let metric = [part(1, name.as_bytes()), part(5, &numbers)].concat();
        let own = part(1, &attribute("key", &"v".repeat(100_000))).repeat(50);
        part(1, &[part(1, &own), part(2, &part(2, &metric))].concat())
    };
    let found = points(&pushed("a")).expect("it is well formed");
    assert_eq!(found.len(), SERIES_MAX);
    for point in &found {
        let long = |(_, value): &(String, String)| value.len() > TEXT_BYTES_MAX;
        assert!(point.attributes.len() <= LABELS_MAX && !point.attributes.iter().any(long));
    }
    assert_eq!(points(&pushed(&"n".repeat(TEXT_BYTES_MAX + 1))), Ok(vec![]));
}

#[test]
fn names_are_as_prometheus_wants_them() {
    let cases = [
        (
            "org.apache.kafka.producer.connection.creation.rate",
            false,
            "flotilla_client_producer_connection_creation_rate",
        ),
        (
            "org.apache.kafka.producer.record.send.total",
            true,
            "flotilla_client_producer_record_send_total",
        ),
        (
            "my.App-Counter",
            true,
            "flotilla_client_my_app_counters_total",
        ),
        ("records.count", false, "flotilla_client_records_count_now"),
    ];
    for (origin, counts, name) in cases {
        assert_eq!(named(origin, counts), Some((name.to_owned(), 1.0)));
    }
    let nanos = named("org.apache.kafka.producer.io.wait.time.ns.avg", false).unwrap();
    assert_eq!(nanos.0, "flotilla_client_producer_io_wait_time_seconds_avg");
    assert_eq!(nanos.1, 1e-9);
    assert_eq!(named("..", false), None);
}

#[test]
fn deltas_add_up_and_gauges_are_replaced() {
    let telemetry = Telemetry::default();
    assert!(telemetry.ask(at(0), pusher(1).instance, SECOND));
    for second in 1..=2 {
        let points = [
            point("a.total", Value::Delta(3.0)),
            point("b", Value::Gauge(second as f64)),
        ];
        assert!(telemetry.may_push(at(second), pusher(1).instance, false));
        telemetry.keep(at(second), &pusher(1), &points);
    }
    let told: Vec<(String, f64)> = telemetry
        .series(at(2))
        .into_iter()
        .map(|(series, value)| (series.name, value))
        .collect();
    let wanted = [("flotilla_client_a_total", 6.0), ("flotilla_client_b", 2.0)];
    assert_eq!(told, wanted.map(|(name, value)| (name.to_owned(), value)));
}

#[test]
fn a_silent_client_is_forgotten() {
    let telemetry = Telemetry::default();
    telemetry.ask(at(0), pusher(1).instance, SECOND);
    telemetry.keep(at(0), &pusher(1), &[point("a", Value::Gauge(1.0))]);
    assert_eq!(telemetry.series(at(3)).len(), 1);
    assert_eq!(telemetry.series(at(4)).len(), 0);
}

#[test]
fn series_are_bounded_and_what_is_left_out_is_counted() {
    let telemetry = Telemetry::default();
    telemetry.ask(at(0), pusher(1).instance, SECOND);
    let many: Vec<Point> = (0..SERIES_MAX + 5)
        .map(|n| point(&format!("a{n}"), Value::Gauge(1.0)))
        .collect();
    telemetry.keep(at(0), &pusher(1), &many);
    assert_eq!(telemetry.series(at(0)).len(), SERIES_MAX);
    assert_eq!(telemetry.dropped(), 5);
    // One that goes makes room.
    telemetry.series(at(10));
    telemetry.ask(at(10), pusher(2).instance, SECOND);
    telemetry.keep(at(10), &pusher(2), &many[..3]);
    assert_eq!(telemetry.series(at(10)).len(), 3);
}

#[test]
fn who_comes_too_early_waits() {
    let telemetry = Telemetry::default();
    let instance = pusher(1).instance;
    assert!(telemetry.ask(at(0), instance, SECOND * 10));
    assert!(!telemetry.ask(at(5), instance, SECOND * 10));
    assert!(
        telemetry.may_push(at(5), instance, false),
        "the first after the question"
    );
    assert!(!telemetry.may_push(at(9), instance, false));
    telemetry.ask_again(at(9), instance);
    assert!(
        telemetry.ask(at(9), instance, SECOND * 10),
        "it was told to"
    );
    assert!(telemetry.may_push(at(10), instance, true));
    assert!(
        !telemetry.may_push(at(30), instance, true),
        "that was the last"
    );
}

#[test]
fn clients_are_bounded_and_the_longest_silent_goes() {
    let telemetry = Telemetry::default();
    for n in 0..=CLIENTS_MAX {
        let mut id = [0; 16];
        id[..8].copy_from_slice(&(n as u64).to_be_bytes());
        assert!(telemetry.ask(Mono(1 + n as u64), Uuid(id), SECOND * 1000));
    }
    let clients = telemetry.lock();
    assert_eq!(clients.known.len(), CLIENTS_MAX);
    assert!(!clients.known.contains_key(&Uuid([0; 16])));
}
