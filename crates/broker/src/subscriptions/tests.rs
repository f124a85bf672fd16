//! Subscriptions held against clients.

use super::*;

const CLIENT: Reporter<'static> = Reporter {
    instance: Uuid([7; 16]),
    client: "billing-3",
    software: "apache-kafka-java",
    version: "4.3.1",
    address: "10.0.0.7",
    port: 4711,
};

fn subscription(metrics: &str, interval_ms: &str, of: &str) -> BTreeMap<String, String> {
    let pairs = [
        ("metrics", metrics),
        ("interval.ms", interval_ms),
        ("match", of),
    ];
    let set = pairs.into_iter().filter(|(_, value)| !value.is_empty());
    set.map(|(k, v)| (k.to_owned(), v.to_owned())).collect()
}

fn asked(subscriptions: &[BTreeMap<String, String>]) -> Wanted {
    wanted(subscriptions.iter(), &CLIENT)
}

#[test]
fn those_that_match_are_asked_for_together() {
    let all = [
        subscription("org.apache.kafka.producer.,a", "60000", ""),
        subscription(
            "a,b",
            "2000",
            "client_id=billing-.*,client_source_port=47.*",
        ),
        subscription("never", "100", "client_id=billing"),
        subscription(
            "never",
            "100",
            "client_id=billing-.*,client_software_version=3.*",
        ),
    ];
    let wanted = asked(&all);
    assert_eq!(wanted.metrics, ["a", "b", "org.apache.kafka.producer."]);
    assert_eq!(wanted.interval, Duration::from_secs(2));
    assert_eq!(asked(&[subscription("a,*", "", "")]).metrics, ["*"]);
}

/// A client is told the same number until what it is to report changes.
#[test]
fn the_number_is_that_of_what_is_asked() {
    let one = asked(&[subscription("a", "60000", "")]);
    assert_eq!(
        asked(&[subscription("a", "60000", "client_id=.*")]).id,
        one.id
    );
    assert_ne!(asked(&[subscription("a", "50000", "")]).id, one.id);
    assert_ne!(asked(&[subscription("b", "60000", "")]).id, one.id);
    let other = Reporter {
        instance: Uuid([8; 16]),
        ..CLIENT
    };
    let all = [subscription("a", "60000", "")];
    assert_ne!(wanted(all.iter(), &other).id, one.id);
}

#[test]
fn nobody_is_asked_without_a_subscription() {
    let none = asked(&[]);
    assert!(none.metrics.is_empty());
    assert_eq!(none.interval, Duration::from_secs(300));
}

#[test]
fn a_pattern_that_cannot_be_read_is_refused() {
    let edit = |value: &str| [("match".to_owned(), Edit::Set(value.to_owned()))];
    assert!(check_patterns(&edit("client_id=a(b")).is_err());
    assert!(check_patterns(&edit("client_id=a(b)?")).is_ok());
}
