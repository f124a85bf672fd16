//! `cargo xtask codegen`: writes the Kafka messages of `wire-kafka` from the definitions inside
//! the `kafka-clients` jars. The first jar has the word; the second adds the older versions that
//! the first one's release dropped.
//!
//! ```text
//! cargo xtask codegen [--check] [--jar NEWER --jar OLDER]
//! ```
//!
//! Without `--jar` the jars are looked for where the peers' script keeps them:
//! `${PEERS_DIR:-~/.cache/flotilla-peers}/kafka-jars-<version>/kafka-clients-<version>.jar`.

mod definition;
mod emit;
mod jar;
mod merge;
mod names;
mod output;
mod table;
mod value;

#[cfg(test)]
mod tests;

use definition::{Kind, Message};
use std::path::{Path, PathBuf};

/// The APIs whose messages are generated. One more is a line here.
const APIS: &[&str] = &[
    "AlterClientQuotas",
    "AlterConfigs",
    "AlterPartitionReassignments",
    "AlterReplicaLogDirs",
    "ApiVersions",
    "ConsumerGroupDescribe",
    "ConsumerGroupHeartbeat",
    "CreateAcls",
    "CreateDelegationToken",
    "CreatePartitions",
    "CreateTopics",
    "DeleteAcls",
    "DeleteGroups",
    "DeleteRecords",
    "DeleteTopics",
    "DescribeAcls",
    "DescribeClientQuotas",
    "DescribeCluster",
    "DescribeConfigs",
    "DescribeDelegationToken",
    "DescribeGroups",
    "DescribeLogDirs",
    "DescribeProducers",
    "DescribeQuorum",
    "DescribeTopicPartitions",
    "DescribeTransactions",
    "DescribeUserScramCredentials",
    "ElectLeaders",
    "ExpireDelegationToken",
    "Fetch",
    "FindCoordinator",
    "GetTelemetrySubscriptions",
    "Heartbeat",
    "IncrementalAlterConfigs",
    "InitProducerId",
    "JoinGroup",
    "LeaveGroup",
    "ListConfigResources",
    "ListGroups",
    "ListOffsets",
    "ListPartitionReassignments",
    "ListTransactions",
    "Metadata",
    "OffsetCommit",
    "OffsetDelete",
    "OffsetFetch",
    "OffsetForLeaderEpoch",
    "Produce",
    "PushTelemetry",
    "RenewDelegationToken",
    "SyncGroup",
    "UnregisterBroker",
    "UpdateFeatures",
];

/// What clients of a group tell each other through the coordinator, which no API carries as such.
const DATA: &[&str] = &["ConsumerProtocolAssignment", "ConsumerProtocolSubscription"];

/// The releases whose definitions are merged, the newer one first.
const RELEASES: [&str; 2] = ["4.3.1", "3.9.1"];

/// Where the generated files belong.
const OUTPUT: &str = "crates/wire-kafka/src/generated";

/// Runs the command; the arguments are those after `codegen`.
pub fn run(args: &[String]) -> Result<(), String> {
    let mut jars = Vec::new();
    let mut check = false;
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--check" => check = true,
            "--jar" => jars.push(PathBuf::from(args.next().ok_or("--jar needs a path")?)),
            other => return Err(format!("codegen: unknown argument {other:?}")),
        }
    }
    let jars = if jars.is_empty() {
        default_jars()?
    } else {
        jars
    };
    let files = generate(&jars)?;
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .join(OUTPUT);
    if check {
        output::check(&root, &files)
    } else {
        output::write(&root, &files)
    }
}

/// The jars in the peers' cache.
fn default_jars() -> Result<Vec<PathBuf>, String> {
    let cache = std::env::var_os("PEERS_DIR")
        .map(PathBuf::from)
        .or_else(|| {
            let home = std::env::var_os("HOME").map(|home| Path::new(&home).join(".cache"));
            let caches = std::env::var_os("XDG_CACHE_HOME")
                .map(PathBuf::from)
                .or(home);
            caches.map(|caches| caches.join("flotilla-peers"))
        });
    let cache = cache.ok_or("no --jar given and no cache directory known")?;
    let of = |v: &str| {
        cache
            .join(format!("kafka-jars-{v}"))
            .join(format!("kafka-clients-{v}.jar"))
    };
    let jars: Vec<PathBuf> = RELEASES.iter().map(|version| of(version)).collect();
    match jars.iter().find(|jar| !jar.exists()) {
        Some(missing) => Err(format!(
            "no --jar given and {} doesn't exist",
            missing.display()
        )),
        None => Ok(jars),
    }
}

/// All files as (name, text).
fn generate(jars: &[PathBuf]) -> Result<Vec<(String, String)>, String> {
    let messages = merged(jars)?;
    let mut files = Vec::new();
    let mut modules = Vec::new();
    for message in messages.iter().filter(|m| is_wanted(m)) {
        let module = names::snake(&message.name);
        files.push((
            format!("{module}.rs"),
            output::pretty(&emit::module(message)?)?,
        ));
        modules.push(message);
    }
    if modules.len() != APIS.len() * 2 + DATA.len() + 2 {
        return Err(format!(
            "{} of the wanted messages were found",
            modules.len()
        ));
    }
    files.push(("mod.rs".into(), output::pretty(&table::modules(&modules))?));
    files.push((
        "api_key.rs".into(),
        output::pretty(&table::api_keys(&messages))?,
    ));
    Ok(files)
}

/// Every message of the jars, sorted by name.
fn merged(jars: &[PathBuf]) -> Result<Vec<Message>, String> {
    let [newer, older @ ..] = jars else {
        return Err("a jar is needed".into());
    };
    let mut messages = jar::messages(newer)?;
    for older in older {
        let older = jar::messages(older)?;
        for message in &mut messages {
            // Headers and data have no key; an API may have got another name, but keeps its key.
            let twin = older.iter().find(|o| {
                o.kind == message.kind
                    && o.key == message.key
                    && (o.key.is_some() || o.name == message.name)
            });
            if let Some(twin) = twin {
                *message = merge::merge(message, twin)?;
            }
        }
    }
    messages.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(messages)
}

fn is_wanted(message: &Message) -> bool {
    match message.kind {
        Kind::Header => matches!(message.name.as_str(), "RequestHeader" | "ResponseHeader"),
        Kind::Request | Kind::Response => APIS.contains(&table::api_name(message)),
        Kind::Data => DATA.contains(&message.name.as_str()),
    }
}
