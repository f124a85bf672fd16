//! What a subscription to metrics of clients says (KIP-714): who is to report what, how often.

use super::{Key, Kind, Rule, items};
use std::collections::BTreeMap;

/// Shortest and longest interval in which clients may be asked to report.
const INTERVAL_MS: std::ops::RangeInclusive<i32> = 100..=3_600_000;
/// What a subscription may match clients by.
const MATCHES: [&str; 6] = [
    "client_id",
    "client_instance_id",
    "client_software_name",
    "client_software_version",
    "client_source_address",
    "client_source_port",
];

/// The interval of a subscription that names none, and the longest that clients are told.
pub const INTERVAL_DEFAULT_MS: i32 = 300_000;

const fn row(name: &'static str, kind: Kind, default: &'static str, doc: &'static str) -> Key {
    Key {
        name,
        kind,
        default: Some(default),
        rule: Rule::Any,
        synonym: None,
        internal: false,
        doc,
    }
}

/// Keys of subscriptions, sorted by name.
pub const KEYS: &[Key] = &[
    row(
        "interval.ms",
        Kind::Int,
        "300000",
        "How often clients are to report.",
    ),
    row(
        "match",
        Kind::List,
        "",
        "Which clients report, as KEY=PATTERN; empty: all.",
    ),
    row(
        "metrics",
        Kind::List,
        "",
        "Which metrics are reported, by how their names begin.",
    ),
];

/// True for keys whose value is a list.
pub fn is_list(name: &str) -> bool {
    KEYS.iter().any(|k| k.name == name && k.kind == Kind::List)
}

/// How often those whom a subscription matches are to report.
pub fn interval_ms(configs: &BTreeMap<String, String>) -> i32 {
    let set = configs.get("interval.ms");
    set.and_then(|value| value.trim().parse().ok())
        .unwrap_or(INTERVAL_DEFAULT_MS)
}

/// How the names of the metrics begin that it asks for; `*` asks for all.
pub fn metrics(configs: &BTreeMap<String, String>) -> impl Iterator<Item = &str> {
    items(configs.get("metrics").map_or("", String::as_str))
}

/// The patterns of a list of matches, each with what of the client it is held against. All of them are to match.
pub fn matches(list: &str) -> impl Iterator<Item = (&str, &str)> {
    items(list).filter_map(|item| {
        let (of, pattern) = item.split_once('=')?;
        Some((of.trim(), pattern.trim()))
    })
}

/// What is wrong: the request as a whole, or a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// The request.
    Request(String),
    /// A value.
    Value(String),
}

/// Checks a subscription.
pub fn validate(configs: &BTreeMap<String, String>) -> Result<(), Wrong> {
    let known = |name: &&String| KEYS.iter().any(|key| key.name == name.as_str());
    if let Some(name) = configs.keys().find(|name| !known(name)) {
        return Err(Wrong::Request(format!(
            "Unknown client metrics configuration: {name}"
        )));
    }
    if let Some(value) = configs.get("interval.ms") {
        match value.trim().parse::<i32>() {
            Err(_) => {
                return Err(Wrong::Value(format!(
                    "Invalid value {value} for configuration interval.ms: Not a number of type INT"
                )));
            }
            Ok(ms) if !INTERVAL_MS.contains(&ms) => {
                return Err(Wrong::Request(format!(
                    "Invalid value {ms} for interval.ms, interval must be between {} and {} (1 \
                     hour)",
                    INTERVAL_MS.start(),
                    INTERVAL_MS.end()
                )));
            }
            Ok(_) => {}
        }
    }
    for item in items(configs.get("match").map_or("", String::as_str)) {
        let Some((name, _)) = item.split_once('=') else {
            return Err(Wrong::Value(format!(
                "Illegal client matching pattern: {item}"
            )));
        };
        if !MATCHES.contains(&name.trim()) {
            return Err(Wrong::Value(format!(
                "Illegal client matching pattern: {name}"
            )));
        }
    }
    Ok(())
}
