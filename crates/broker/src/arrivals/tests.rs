use super::*;
use crate::Settings;
use meta::{Amount, Entity};
use std::sync::LazyLock;

fn at_ms(ms: u64) -> Mono {
    Mono(0).after(Duration::from_millis(ms))
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

/// One listener, on a node that takes so many a second.
fn taking(in_all: u32, by_listener: u32) -> Way<'static> {
    static LISTENER: LazyLock<Arc<str>> = LazyLock::new(|| "PLAINTEXT".into());
    Way {
        listener: &LISTENER,
        by_listener,
        in_all,
    }
}

fn unbounded() -> Way<'static> {
    taking(UNBOUNDED, UNBOUNDED)
}

fn quotas(of: &[(Whom, f64)]) -> Quotas {
    let row = |(whom, amount): &(Whom, f64)| {
        let entity = Entity {
            ip: Some(whom.clone()),
            ..Entity::default()
        };
        (entity, [(KEY.to_owned(), Amount::new(*amount))].into())
    };
    of.iter().map(row).collect()
}

fn named(name: &str) -> Whom {
    Whom::Named(name.to_owned())
}

/// How many of `tries` at this moment get in.
fn admitted(arrivals: &Arrivals, now: Mono, from: &str, tries: usize) -> usize {
    let tries = (0..tries).map(|_| arrivals.admit(now, ip(from), &unbounded()));
    tries.filter(Result::is_ok).count()
}

#[test]
fn what_comes_too_fast_waits_as_long_as_it_takes_but_a_second_at_most() {
    let arrivals = Arrivals::default();
    for _ in 0..110 {
        assert_eq!(
            arrivals.pace(at_ms(0), &taking(10, UNBOUNDED)),
            Duration::ZERO,
            "a burst"
        );
    }
    assert_eq!(arrivals.pace(at_ms(0), &taking(10, UNBOUNDED)), ms(100));
    assert_eq!(arrivals.pace(at_ms(100), &taking(10, UNBOUNDED)), ms(100));
    assert_eq!(
        arrivals.pace(at_ms(400), &taking(10, UNBOUNDED)),
        Duration::ZERO
    );
    // Lowered, the bound binds at once; none is no bound, and 0 is as one a second.
    assert_eq!(
        arrivals.pace(at_ms(400), &taking(1, UNBOUNDED)),
        Duration::ZERO
    );
    for _ in 0..3 {
        arrivals.pace(at_ms(400), &taking(0, UNBOUNDED));
    }
    assert_eq!(arrivals.pace(at_ms(400), &taking(0, UNBOUNDED)), WAIT_MAX);
    assert_eq!(arrivals.pace(at_ms(400), &unbounded()), Duration::ZERO);
}

#[test]
fn an_address_is_bound_by_its_own_quota_or_by_the_default() {
    let arrivals = Arrivals::default();
    assert_eq!(admitted(&arrivals, at_ms(0), "10.0.0.1", 100), 100);
    let set = [
        (Whom::Default, 1.0),
        (named("10.0.0.2"), 2.0),
        (named("0:0:0:0:0:0:0:1"), 3.0),
        (named("localhost"), 4.0),
    ];
    arrivals.take_quotas(&quotas(&set));
    for (address, a_second) in [
        ("10.0.0.1", 1),
        ("10.0.0.2", 2),
        ("::1", 3),
        ("127.0.0.1", 4),
    ] {
        let burst = admitted(&arrivals, at_ms(0), address, 100);
        assert_eq!(burst, 11 * a_second, "{address}");
        let later = admitted(&arrivals, at_ms(1000), address, 100);
        assert_eq!(later, a_second, "{address}");
    }
    let refused = arrivals.admit(at_ms(1250), ip("10.0.0.2"), &unbounded());
    assert_eq!(refused, Err(ms(250)));
    arrivals.take_quotas(&quotas(&[]));
    assert_eq!(admitted(&arrivals, at_ms(1250), "10.0.0.2", 100), 100);
}

#[test]
fn who_is_turned_away_for_its_address_takes_nothing_from_the_others() {
    let arrivals = Arrivals::default();
    arrivals.take_quotas(&quotas(&[(named("10.0.0.1"), 1.0)]));
    for _ in 0..1000 {
        assert_eq!(
            arrivals.pace(at_ms(0), &taking(10, UNBOUNDED)),
            Duration::ZERO
        );
        if arrivals
            .admit(at_ms(0), ip("10.0.0.1"), &taking(10, UNBOUNDED))
            .is_ok()
        {
            continue;
        }
    }
    // It got eleven in; the rest of the burst is for the others.
    for _ in 0..99 {
        assert_eq!(
            arrivals.pace(at_ms(0), &taking(10, UNBOUNDED)),
            Duration::ZERO
        );
        assert_eq!(
            arrivals.admit(at_ms(0), ip("10.0.0.2"), &taking(10, UNBOUNDED)),
            Ok(())
        );
    }
    assert_eq!(arrivals.pace(at_ms(0), &taking(10, UNBOUNDED)), ms(100));
}

#[test]
fn a_listener_has_a_bound_of_its_own_and_the_longer_wait_counts() {
    let arrivals = Arrivals::default();
    for _ in 0..22 {
        assert_eq!(arrivals.pace(at_ms(0), &taking(10, 2)), Duration::ZERO);
    }
    assert_eq!(arrivals.pace(at_ms(0), &taking(10, 2)), ms(500));
    // What came by it counts for the node as well.
    for _ in 0..87 {
        assert_eq!(arrivals.pace(at_ms(0), &taking(10, UNBOUNDED)), ms(0));
    }
    assert_eq!(arrivals.pace(at_ms(0), &taking(10, UNBOUNDED)), ms(100));
    assert_eq!(arrivals.pace(at_ms(0), &taking(10, 2)), WAIT_MAX);
}

#[test]
fn a_listener_is_named_in_any_case_and_without_a_bound_has_the_node_s() {
    let key = "listener.name.internal.max.connection.creation.rate";
    let set = [(key, "7"), ("max.connection.creation.rate", "9")];
    let settings = Settings::parse(&set).expect("keys that exist");
    assert!(
        settings
            .warnings
            .iter()
            .all(|line| !line.contains("creation"))
    );
    let bounds = ConnectionBounds::of(&settings, |_| None, []);
    let (internal, other): (Arc<str>, Arc<str>) = ("INTERNAL".into(), "PLAINTEXT".into());
    let way = bounds.way(&internal);
    assert_eq!((way.by_listener, way.in_all), (7, 9));
    let way = bounds.way(&other);
    assert_eq!((way.by_listener, way.in_all), (9, 9));
    let changed = |name: &str| (name == key).then(|| "8".to_owned());
    let bounds = ConnectionBounds::of(&settings, changed, [key.to_owned()]);
    assert_eq!(bounds.a_second_by("internal"), 8);
    assert!(Settings::parse(&[(key, "-1")]).is_err());
}

#[test]
fn a_listener_has_a_bound_of_what_is_open_at_a_time() {
    let key = "listener.name.internal.max.connections";
    let settings = Settings::parse(&[(key, "7"), ("max.connections", "9")]).expect("keys");
    let bounds = ConnectionBounds::of(&settings, |_| None, []);
    assert_eq!(bounds.at_a_time_by("INTERNAL"), 7);
    assert_eq!(bounds.at_a_time_by("PLAINTEXT"), 9);
    let changed = |name: &str| (name == key).then(|| "0".to_owned());
    let bounds = ConnectionBounds::of(&settings, changed, [key.to_owned()]);
    assert_eq!((bounds.at_a_time_by("internal"), bounds.all), (0, 9));
}
