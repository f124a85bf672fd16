//! The table. Keys that are a node's default of a topic key come from the topic table, so that
//! type, bounds and default are the same there and here.

mod groups;

use base::limits;
use meta::config::{Kind, Rule};
use std::sync::LazyLock;

/// One key of a node's configuration.
#[derive(Clone, Debug)]
pub struct Key {
    /// Its name.
    pub name: &'static str,
    /// The type of its value.
    pub kind: Kind,
    /// Its default; none if unset means something of its own.
    pub default: Option<&'static str>,
    /// Which values it takes.
    pub rule: Rule,
    /// True if a change takes effect without a restart.
    pub dynamic: bool,
    /// The topic key whose default it is.
    pub topic: Option<&'static str>,
    /// Its meaning, in few words.
    pub doc: &'static str,
}

/// Every key, sorted by name.
pub fn keys() -> &'static [Key] {
    static ALL: LazyLock<Vec<Key>> = LazyLock::new(|| {
        let mut all = OWN.to_vec();
        all.extend_from_slice(groups::KEYS);
        all.extend(meta::config::KEYS.iter().filter_map(of_topic));
        all.sort_by_key(|key| key.name);
        all
    });
    &ALL
}

/// The key of this name.
pub fn key(name: &str) -> Option<&'static Key> {
    let all = keys();
    all.binary_search_by_key(&name, |key| key.name)
        .ok()
        .map(|at| &all[at])
}

fn of_topic(topic: &meta::config::Key) -> Option<Key> {
    Some(Key {
        name: topic.synonym?,
        kind: topic.kind,
        default: topic.default,
        rule: topic.rule,
        dynamic: true,
        topic: Some(topic.name),
        doc: topic.doc,
    })
}

const fn row(
    name: &'static str,
    kind: Kind,
    default: Option<&'static str>,
    rule: Rule,
    doc: &'static str,
) -> Key {
    Key {
        name,
        kind,
        default,
        rule,
        dynamic: false,
        topic: None,
        doc,
    }
}

const fn dynamic(
    name: &'static str,
    kind: Kind,
    default: Option<&'static str>,
    rule: Rule,
    doc: &'static str,
) -> Key {
    Key {
        dynamic: true,
        ..row(name, kind, default, rule, doc)
    }
}

/// What may be done to a key while the node runs.
#[derive(Clone, Copy, Debug)]
pub enum Standing {
    /// It can be changed. Keys of Kafka's that are kept and shown but mean nothing here have no
    /// row.
    Dynamic(Option<&'static Key>),
    /// Only a restart changes it.
    Static,
    /// There is no such key.
    Unknown,
}

/// The listener and the key, for the name of a key that single listeners have, too:
/// `listener.name.NAME.KEY`.
pub fn of_listener(name: &str) -> Option<(&str, &'static Key)> {
    let (listener, rest) = name.strip_prefix("listener.name.")?.split_once('.')?;
    let key = OF_LISTENERS.iter().find(|key| key.name == rest)?;
    Some((listener, key))
}

/// The keys that single listeners have, too; what isn't said of one is said of the node.
pub fn keys_of_listeners() -> &'static [Key] {
    OF_LISTENERS
}

/// What may be done to the key of this name.
pub fn standing(name: &str) -> Standing {
    match key(name) {
        Some(key) if key.dynamic => Standing::Dynamic(Some(key)),
        Some(_) => Standing::Static,
        None if of_listener(name).is_some() => Standing::Dynamic(of_listener(name).map(|of| of.1)),
        None if super::foreign::dynamic(name).is_some() => Standing::Dynamic(None),
        None if super::foreign::is_known(name) => Standing::Static,
        None => Standing::Unknown,
    }
}

const MIB: i64 = 1024 * 1024;
const PORT_MAP: &str =
    "PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT,SASL_SSL:SASL_SSL";

/// A listener may be closed to all, the node may not: nobody could open it again.
const OF_LISTENERS: &[Key] = &[
    dynamic(
        "max.connection.creation.rate",
        Kind::Int,
        Some("2147483647"),
        Rule::AtLeast(0),
        "Connections that this listener accepts a second; more wait, at least one a second gets in.",
    ),
    dynamic(
        "max.connections",
        Kind::Int,
        Some("16384"),
        Rule::AtLeast(0),
        "Connections that this listener accepts at a time; those of the node hold as well.",
    ),
    dynamic(
        super::foreign::NETWORK_THREADS,
        Kind::Text,
        None,
        Rule::Any,
        "Kept for tools that set it; it means nothing here.",
    ),
];

const OWN: &[Key] = &[
    row(
        "advertised.listeners",
        Kind::List,
        None,
        Rule::Any,
        "Addresses that clients are told, NAME://HOST:PORT; unset: those of listeners.",
    ),
    row(
        "auto.create.topics.enable",
        Kind::Boolean,
        Some("true"),
        Rule::Any,
        "Make a topic when a client that allows it asks about one that doesn't exist.",
    ),
    row(
        "auto.leader.rebalance.enable",
        Kind::Boolean,
        Some("true"),
        Rule::Any,
        "Whether partitions go back to their preferred leaders by themselves.",
    ),
    row(
        "broker.rack",
        Kind::Text,
        None,
        Rule::Any,
        "Where the node stands; replicas are spread.",
    ),
    row(
        "connections.max.idle.ms",
        Kind::Long,
        Some("600000"),
        Rule::BetweenOr(1, i64::MAX, -1),
        "Connections silent for this long are closed; -1: never.",
    ),
    row(
        "controller.listener.names",
        Kind::List,
        None,
        Rule::Any,
        "Listeners of Kafka's controller; those of these names are left out here.",
    ),
    dynamic(
        meta::CORDONED,
        Kind::List,
        Some(""),
        Rule::Any,
        "Directories on which the controller places no new replicas, * for all; a node has one. \
         'flotilla cluster drain' sets it.",
    ),
    row(
        "data.dir",
        Kind::Text,
        Some("./flotilla-data"),
        Rule::Any,
        "Directory of all data.",
    ),
    row(
        "default.replication.factor",
        Kind::Int,
        Some("-1"),
        Rule::BetweenOr(1, i16::MAX as i64, -1),
        "Replicas of a topic made without a number; -1: three, or as many as there are nodes.",
    ),
    row(
        "delete.topic.enable",
        Kind::Boolean,
        Some("true"),
        Rule::Any,
        "Whether topics can be deleted.",
    ),
    row(
        "direct.batch.bytes",
        Kind::Int,
        Some("262144"),
        Rule::AtLeast(4096),
        "Batches at least this long go to their segment only, past the write-ahead log.",
    ),
    row(
        "disk.reserve.bytes",
        Kind::Long,
        Some("67108864"),
        Rule::AtLeast(0),
        "Free bytes below which data is refused, so that metadata stays writable.",
    ),
    row(
        "hot.tail.bytes",
        Kind::Long,
        Some("33554432"),
        Rule::AtLeast(MIB),
        "Bytes of recent batches kept in memory for consumers and followers.",
    ),
    dynamic(
        "follower.replication.throttled.rate",
        Kind::Long,
        None,
        Rule::AtLeast(0),
        "Bytes a second that the others read from files for this node's replicas that a topic's \
         follower.replication.throttled.replicas names. Set while nodes run only.",
    ),
    row(
        "http.listener",
        Kind::Text,
        Some("127.0.0.1:9640"),
        Rule::Any,
        "Address of health and metrics, HOST:PORT; empty: none.",
    ),
    row(
        "listener.security.protocol.map",
        Kind::List,
        Some(PORT_MAP),
        Rule::Any,
        "Which protocol a listener's name stands for, NAME:PROTOCOL.",
    ),
    row(
        "join",
        Kind::List,
        Some(""),
        Rule::Any,
        "Nodes of a running cluster to join, where they listen for nodes, HOST:PORT; empty: none.",
    ),
    row(
        "leader.imbalance.check.interval.seconds",
        Kind::Long,
        Some("300"),
        Rule::AtLeast(1),
        "How often it is looked which partitions aren't led by their preferred leaders.",
    ),
    row(
        "leader.imbalance.per.broker.percentage",
        Kind::Int,
        Some("10"),
        Rule::AtLeast(0),
        "How many of a hundred partitions of a node may be led by others before they go back.",
    ),
    dynamic(
        "leader.replication.throttled.rate",
        Kind::Long,
        None,
        Rule::AtLeast(0),
        "Bytes a second that this node reads from files for followers of replicas that a topic's \
         leader.replication.throttled.replicas names. Set while nodes run only.",
    ),
    row(
        "listeners",
        Kind::List,
        Some("PLAINTEXT://127.0.0.1:9092"),
        Rule::Any,
        "Addresses for Kafka clients, NAME://HOST:PORT; no host: all; port 0: a free one.",
    ),
    dynamic(
        "log.cleaner.backoff.ms",
        Kind::Long,
        Some("15000"),
        Rule::AtLeast(1),
        "How often it is looked which logs are to be compacted.",
    ),
    dynamic(
        "log.cleaner.dedupe.buffer.size",
        Kind::Long,
        Some("134217728"),
        Rule::AtLeast(MIB),
        "Bytes of memory in which a compaction notes keys, 32 each; with more keys it goes through \
         the log several times.",
    ),
    dynamic(
        "log.cleaner.io.max.bytes.per.second",
        Kind::Double,
        Some("33554432"),
        Rule::AtLeast(1),
        "Bytes that compaction reads and writes in a second.",
    ),
    row(
        "log.retention.check.interval.ms",
        Kind::Long,
        Some("300000"),
        Rule::AtLeast(1),
        "How often it is looked which segments are past retention.ms or retention.bytes.",
    ),
    row(
        "logging.file",
        Kind::Text,
        Some(""),
        Rule::Any,
        "File for the node's own messages; empty: standard error.",
    ),
    row(
        "logging.file.bytes",
        Kind::Long,
        Some("104857600"),
        Rule::AtLeast(4096),
        "The file of messages is put aside when it is that large.",
    ),
    row(
        "logging.file.hours",
        Kind::Int,
        Some("24"),
        Rule::AtLeast(1),
        "The file of messages is put aside after that many hours.",
    ),
    row(
        "logging.files.max",
        Kind::Int,
        Some("7"),
        Rule::Between(1, 1000),
        "Files of messages that were put aside and are kept.",
    ),
    row(
        "logging.format",
        Kind::Text,
        Some("text"),
        Rule::OneOf(&["text", "json"]),
        "How the node's own messages are written: for people or one JSON object a line.",
    ),
    row(
        "mailbox.events.max",
        Kind::Int,
        Some("65536"),
        Rule::AtLeast(64),
        "Calls that may wait for the node's shard; more are refused.",
    ),
    dynamic(
        "max.connection.creation.rate",
        Kind::Int,
        Some("2147483647"),
        Rule::AtLeast(0),
        "Connections that the node accepts a second; more wait, at least one a second gets in.",
    ),
    dynamic(
        "max.connections",
        Kind::Int,
        Some("16384"),
        Rule::AtLeast(1),
        "Connections that the node accepts at a time.",
    ),
    dynamic(
        "max.connections.per.ip",
        Kind::Int,
        Some("2147483647"),
        Rule::AtLeast(0),
        "Connections that the node accepts at a time from one address.",
    ),
    dynamic(
        "max.connections.per.ip.overrides",
        Kind::Text,
        Some(""),
        Rule::Counts,
        "Addresses that may have another number of connections, ADDRESS:COUNT.",
    ),
    row(
        "node.id",
        Kind::Int,
        Some("1"),
        Rule::AtLeast(0),
        "This node's number, different from all others in the cluster.",
    ),
    row(
        "num.partitions",
        Kind::Int,
        Some("1"),
        Rule::Between(1, limits::PARTITIONS_PER_TOPIC_MAX as i64),
        "Partitions of a topic made without a number.",
    ),
    row(
        "open.files.max",
        Kind::Int,
        Some("4096"),
        Rule::AtLeast(16),
        "Segment files kept open at most.",
    ),
    row(
        "peer.listener",
        Kind::Text,
        None,
        Rule::Any,
        "Address for the other nodes, HOST:PORT; unset: this node's in peers.",
    ),
    row(
        "peers",
        Kind::List,
        Some(""),
        Rule::Any,
        "All nodes that form the cluster, ID@HOST:PORT, this one among them; empty: one node.",
    ),
    row(
        "producer.id.expiration.check.interval.ms",
        Kind::Int,
        Some("600000"),
        Rule::AtLeast(1),
        "How often it is looked which producers have been silent for producer.id.expiration.ms; an \
         eighth of that if it is less.",
    ),
    dynamic(
        "producer.id.expiration.ms",
        Kind::Int,
        Some("86400000"),
        Rule::AtLeast(1),
        "For how long a partition remembers an idempotent producer that writes nothing to it.",
    ),
    row(
        "queued.max.request.bytes",
        Kind::Long,
        Some("268435456"),
        Rule::BetweenOr(MIB, i64::MAX, -1),
        "Memory for requests in flight over all connections; -1: the default.",
    ),
    row(
        "reader.threads",
        Kind::Int,
        Some("2"),
        Rule::Between(1, 256),
        "Threads that read old records from files for clients; as many do so for other nodes and compaction.",
    ),
    dynamic(
        "replica.catch.up.bytes.per.second",
        Kind::Long,
        Some("33554432"),
        Rule::AtLeast(1),
        "Bytes a second that a node reads from files for replicas that are far behind; twice what it \
         takes from producers, if that is more.",
    ),
    row(
        "replica.check.bytes.per.second",
        Kind::Long,
        Some("8388608"),
        Rule::AtLeast(0),
        "Bytes a second at most that are read to see that replicas are whole and what their leaders \
         have; 0: none are, but where a client could not read.",
    ),
    row(
        "replica.check.interval.ms",
        Kind::Long,
        Some("86400000"),
        Rule::AtLeast(1000),
        "How often it is begun to look at all replicas of the node.",
    ),
    row(
        "replica.lag.time.max.ms",
        Kind::Long,
        Some("30000"),
        Rule::AtLeast(1),
        "A replica is in sync if it had caught up within this time.",
    ),
    row(
        "socket.request.max.bytes",
        Kind::Int,
        Some("104857600"),
        Rule::AtLeast(1024),
        "Largest request of a client.",
    ),
    row(
        "wal.file.bytes",
        Kind::Long,
        Some("67108864"),
        Rule::Between(4 * MIB, 1024 * MIB),
        "Size of a file of the write-ahead log.",
    ),
    row(
        "wal.files.max",
        Kind::Int,
        Some("4"),
        Rule::Between(2, 1024),
        "Files of the write-ahead log that are kept for reuse at most.",
    ),
];
