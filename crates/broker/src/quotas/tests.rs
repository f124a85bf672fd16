use super::*;
use meta::Amount;

fn entity(user: Option<Whom>, client: Option<Whom>) -> Entity {
    Entity {
        user,
        client,
        ip: None,
    }
}

fn named(name: &str) -> Option<Whom> {
    Some(Whom::Named(name.to_owned()))
}

fn quotas(of: &[(Entity, f64)]) -> Quotas {
    let row = |(entity, amount): &(Entity, f64)| {
        let set = [("producer_byte_rate".to_owned(), Amount::new(*amount))];
        (entity.clone(), set.into())
    };
    of.iter().map(row).collect()
}

#[test]
fn the_most_specific_quota_binds() {
    let all = [
        (entity(named("u"), named("c")), 1.0),
        (entity(named("u"), Some(Whom::Default)), 2.0),
        (entity(named("u"), None), 3.0),
        (entity(Some(Whom::Default), named("c")), 4.0),
        (entity(Some(Whom::Default), Some(Whom::Default)), 5.0),
        (entity(Some(Whom::Default), None), 6.0),
        (entity(None, named("c")), 7.0),
        (entity(None, Some(Whom::Default)), 8.0),
    ];
    for from in 0..all.len() {
        let found = binding(&quotas(&all[from..]), "u", "c", "producer_byte_rate");
        assert_eq!(found.unwrap().1, all[from].1);
    }
    assert!(binding(&quotas(&all), "u", "c", "consumer_byte_rate").is_none());
}

#[test]
fn everybody_under_a_default_has_a_bucket_of_his_own() {
    let all = quotas(&[(entity(None, Some(Whom::Default)), 8.0)]);
    let of = |client| binding(&all, "u", client, "producer_byte_rate").unwrap().0;
    assert_ne!(of("a"), of("b"));
    assert_eq!(of("a"), entity(None, named("a")));
}

fn at(seconds: u64) -> Mono {
    Mono(0).after(Duration::from_secs(seconds))
}

#[test]
fn what_is_taken_too_fast_is_paid_back_in_time() {
    let buckets = Buckets::default();
    let key = || (Bounded::Produced, entity(None, named("a")));
    let take = |amount: f64, now: Mono| {
        buckets.with(key(), 100.0, now, |bucket| {
            bucket.tokens -= amount;
            bucket.wait()
        })
    };
    assert_eq!(take(1100.0, at(0)), Duration::ZERO, "a burst is free");
    assert_eq!(take(200.0, at(0)), Duration::from_secs(2));
    assert_eq!(take(0.0, at(2)), Duration::ZERO);
    assert_eq!(take(100.0, at(2)), Duration::from_secs(1));
    assert_eq!(take(1e9, at(3)), THROTTLE_MAX, "bounded, but still owed");
    assert_eq!(take(0.0, at(40)), THROTTLE_MAX);
}

#[test]
fn over_a_long_time_the_rate_is_kept() {
    let buckets = Buckets::default();
    let mut now = Mono(0);
    let mut taken = 0.0;
    while now < at(300) {
        let key = (Bounded::Fetched, entity(None, named("a")));
        let wait = buckets.with(key, 1000.0, now, |bucket| {
            bucket.tokens -= 750.0;
            bucket.wait()
        });
        taken += 750.0;
        now = now.after(wait.max(Duration::from_millis(1)));
    }
    let rate = taken / 300.0;
    assert!((950.0..1100.0).contains(&rate), "{rate}");
}

#[test]
fn a_changed_rate_counts_at_once() {
    let buckets = Buckets::default();
    let wait = |rate: f64, now: Mono| {
        let key = (Bounded::Produced, entity(None, named("a")));
        buckets.with(key, rate, now, |bucket| {
            bucket.tokens -= 100.0;
            bucket.wait()
        })
    };
    assert_eq!(wait(1.0, at(0)), THROTTLE_MAX);
    assert_eq!(wait(1000.0, at(1)), Duration::ZERO);
}

#[test]
fn there_are_never_more_buckets_than_the_bound() {
    let buckets = Buckets::default();
    for client in 0..BUCKETS_MAX + 50 {
        let key = (Bounded::Produced, entity(None, named(&client.to_string())));
        buckets.with(key, 1.0, at(0), |bucket| bucket.tokens -= 5.0);
    }
    assert!(lock(&buckets.0).len() <= BUCKETS_MAX);
}
