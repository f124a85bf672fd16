//! Which of its own metrics a client is to report (KIP-714): the subscriptions on record, held against what the client says of
//! itself. What comes in for it is the door's to keep.

use crate::Broker;
use base::{Refusal, Uuid, checksum};
use meta::config::client_metrics as keys;
use meta::{Edit, ResourceKind};
use regex::{Regex, RegexBuilder};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Bytes that a pattern may take when it is compiled.
const PATTERN_BYTES_MAX: usize = 64 * 1024;
/// Asks for all metrics.
const ALL: &str = "*";

/// What is known of a client.
#[derive(Clone, Debug)]
pub struct Reporter<'a> {
    /// Its number for metrics.
    pub instance: Uuid,
    /// The name that it gives itself.
    pub client: &'a str,
    /// Its software.
    pub software: &'a str,
    /// Its software's version.
    pub version: &'a str,
    /// Where it comes from.
    pub address: &'a str,
    /// By which port.
    pub port: u16,
}

/// What a client is to report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// How the names of the metrics begin; none are wanted if there are none.
    pub metrics: Vec<String>,
    /// How often.
    pub interval: Duration,
    /// Tells this answer from others, and from those to other clients.
    pub id: i32,
}

impl Broker {
    /// What all subscriptions that match this client ask for together.
    pub fn wanted_of(&self, client: &Reporter<'_>) -> Wanted {
        let image = self.image();
        let all = image.configs.iter();
        let of_clients = all.filter(|(resource, _)| resource.kind == ResourceKind::ClientMetrics);
        let matching = of_clients.map(|(_, configs)| configs);
        wanted(matching, client)
    }
}

fn wanted<'a>(
    subscriptions: impl Iterator<Item = &'a BTreeMap<String, String>>,
    client: &Reporter<'_>,
) -> Wanted {
    let (mut metrics, mut interval_ms) = (BTreeSet::new(), keys::INTERVAL_DEFAULT_MS);
    for configs in subscriptions {
        let list = configs.get("match").map_or("", String::as_str);
        if keys::matches(list).all(|(of, pattern)| is_match(client, of, pattern)) {
            metrics.extend(keys::metrics(configs).map(str::to_owned));
            interval_ms = interval_ms.min(keys::interval_ms(configs));
        }
    }
    let metrics: Vec<String> = match metrics.contains(ALL) {
        true => vec![ALL.to_owned()],
        false => metrics.into_iter().collect(),
    };
    let mut told = client.instance.0.to_vec();
    told.extend(metrics.join(",").bytes());
    told.extend(interval_ms.to_be_bytes());
    Wanted {
        id: checksum::crc32c(&told).cast_signed(),
        interval: Duration::from_millis(u64::try_from(interval_ms).unwrap_or(0)),
        metrics,
    }
}

fn is_match(client: &Reporter<'_>, of: &str, pattern: &str) -> bool {
    let (instance, port) = (client.instance.to_string(), client.port.to_string());
    let value = match of {
        "client_id" => client.client,
        "client_instance_id" => &instance,
        "client_software_name" => client.software,
        "client_software_version" => client.version,
        "client_source_address" => client.address,
        "client_source_port" => &port,
        _ => return false,
    };
    compiled(pattern).is_some_and(|pattern| pattern.is_match(value))
}

/// A pattern is held against the whole value.
fn compiled(pattern: &str) -> Option<Regex> {
    let whole = format!("^(?:{pattern})$");
    RegexBuilder::new(&whole)
        .size_limit(PATTERN_BYTES_MAX)
        .build()
        .ok()
}

/// Refuses patterns that can't be read.
pub(crate) fn check_patterns(edits: &[(String, Edit)]) -> Result<(), Refusal> {
    let of_matches = edits.iter().filter(|(name, _)| name == "match");
    for (_, edit) in of_matches {
        let (Edit::Set(list) | Edit::Append(list)) = edit else {
            continue;
        };
        if let Some((of, bad)) = keys::matches(list).find(|(_, p)| compiled(p).is_none()) {
            let why = format!("Illegal client matching pattern: {of}={bad}");
            return Err(Refusal::InvalidConfig(why));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
