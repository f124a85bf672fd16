use super::*;
use meta::{Amount, Entity};

fn at_ms(ms: u64) -> Mono {
    Mono(0).after(Duration::from_millis(ms))
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
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
    let tries = (0..tries).map(|_| arrivals.admit(now, ip(from), UNBOUNDED));
    tries.filter(Result::is_ok).count()
}

#[test]
fn what_comes_too_fast_waits_as_long_as_it_takes_but_a_second_at_most() {
    let arrivals = Arrivals::default();
    for _ in 0..110 {
        assert_eq!(arrivals.pace(at_ms(0), 10), Duration::ZERO, "a burst");
    }
    assert_eq!(arrivals.pace(at_ms(0), 10), ms(100));
    assert_eq!(arrivals.pace(at_ms(100), 10), ms(100));
    assert_eq!(arrivals.pace(at_ms(400), 10), Duration::ZERO);
    // Lowered, the bound binds at once; none is no bound, and 0 is as one a second.
    assert_eq!(arrivals.pace(at_ms(400), 1), Duration::ZERO);
    for _ in 0..3 {
        arrivals.pace(at_ms(400), 0);
    }
    assert_eq!(arrivals.pace(at_ms(400), 0), WAIT_MAX);
    assert_eq!(arrivals.pace(at_ms(400), UNBOUNDED), Duration::ZERO);
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
    let refused = arrivals.admit(at_ms(1250), ip("10.0.0.2"), UNBOUNDED);
    assert_eq!(refused, Err(ms(250)));
    arrivals.take_quotas(&quotas(&[]));
    assert_eq!(admitted(&arrivals, at_ms(1250), "10.0.0.2", 100), 100);
}

#[test]
fn who_is_turned_away_for_its_address_takes_nothing_from_the_others() {
    let arrivals = Arrivals::default();
    arrivals.take_quotas(&quotas(&[(named("10.0.0.1"), 1.0)]));
    for _ in 0..1000 {
        assert_eq!(arrivals.pace(at_ms(0), 10), Duration::ZERO);
        if arrivals.admit(at_ms(0), ip("10.0.0.1"), 10).is_ok() {
            continue;
        }
    }
    // It got eleven in; the rest of the burst is for the others.
    for _ in 0..99 {
        assert_eq!(arrivals.pace(at_ms(0), 10), Duration::ZERO);
        assert_eq!(arrivals.admit(at_ms(0), ip("10.0.0.2"), 10), Ok(()));
    }
    assert_eq!(arrivals.pace(at_ms(0), 10), ms(100));
}
