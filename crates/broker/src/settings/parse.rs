//! From keys and values to [`Settings`].

mod groups;

use super::listeners::{self, Given, HostPort, Wrong};
use super::{
    Connections, Key, Logging, Settings, SettingsError, foreign, key, nearest, of_listener,
};
use base::{NodeId, limits};
use meta::config;
use std::collections::BTreeMap;
use std::time::Duration;

/// Other names for a key.
const ALIASES: &[(&str, &str)] = &[("log.dirs", "data.dir"), ("log.dir", "data.dir")];

/// A key of Kafka's in a coarser unit than milliseconds.
#[derive(Clone, Copy, Debug)]
pub struct Coarser {
    /// Its name.
    pub name: &'static str,
    /// The key that has the same meaning in milliseconds, which wins over it.
    pub of: &'static str,
    /// Milliseconds of one.
    unit: i64,
    /// Kafka's default.
    pub default: Option<&'static str>,
}

const HOUR: i64 = 3_600_000;
const WEEK: Option<&str> = Some("168");

/// Of two for one key, the one listed first wins.
const COARSER: &[Coarser] = &[
    coarser("log.retention.minutes", "log.retention.ms", 60_000, None),
    coarser("log.retention.hours", "log.retention.ms", HOUR, WEEK),
    coarser("log.roll.hours", "log.roll.ms", HOUR, WEEK),
    coarser(
        "log.roll.jitter.hours",
        "log.roll.jitter.ms",
        HOUR,
        Some("0"),
    ),
];

const fn coarser(
    name: &'static str,
    of: &'static str,
    unit: i64,
    default: Option<&'static str>,
) -> Coarser {
    Coarser {
        name,
        of,
        unit,
        default,
    }
}

/// All keys in coarser units.
pub fn coarser_keys() -> impl Iterator<Item = &'static Coarser> {
    COARSER.iter()
}

/// Keys that may be given, beside those of the table.
pub(super) fn other_names() -> impl Iterator<Item = &'static str> {
    ALIASES
        .iter()
        .map(|(name, _)| *name)
        .chain(COARSER.iter().map(|key| key.name))
}

pub(super) fn parse<'a>(
    pairs: impl Iterator<Item = (&'a str, &'a str)>,
) -> Result<Settings, SettingsError> {
    let mut given = BTreeMap::new();
    let mut amounts = BTreeMap::new();
    let mut of_listeners = BTreeMap::new();
    let mut warnings = BTreeMap::new();
    for (name, value) in pairs {
        let canonical = ALIASES
            .iter()
            .find(|(alias, _)| *alias == name)
            .map_or(name, |a| a.1);
        if let Some(key) = key(canonical) {
            check(key, name, value)?;
            given.insert(key.name, value.trim().to_owned());
        } else if let Some(key) = COARSER.iter().find(|key| key.name == name) {
            amounts.insert(key.name, number(name, value)?);
        } else if let Some((_, key)) = of_listener(name).filter(|(_, key)| key.default.is_some()) {
            check(key, name, value)?;
            of_listeners.insert(name.to_owned(), value.trim().to_owned());
        } else if foreign::is_known(name) {
            let line = format!("{name}: a key of Kafka without a meaning here, ignored");
            warnings.insert(name, line);
        } else {
            return Err(unknown(name, value));
        }
    }
    let mut values = given.clone();
    for coarser in COARSER {
        if let (Some(amount), Some(target)) = (amounts.get(coarser.name), key(coarser.of)) {
            let ms = match *amount {
                ..0 => -1,
                amount => amount.saturating_mul(coarser.unit),
            };
            let value = ms.to_string();
            if !values.contains_key(target.name) {
                check(target, coarser.name, &value)?;
                values.insert(target.name, value);
            }
            given.insert(coarser.name, amount.to_string());
        }
    }
    let mut settings = Values(values).settings(warnings.into_values().collect())?;
    settings.given = given;
    settings.of_listeners = of_listeners;
    Ok(settings)
}

fn check(key: &Key, name: &str, value: &str) -> Result<(), SettingsError> {
    config::check(key.name, key.kind, key.rule, value).map_err(|text| {
        let prefix = format!(
            "Invalid value {} for configuration {}: ",
            value.trim(),
            key.name
        );
        let rule = key.rule.describe();
        SettingsError {
            key: name.to_owned(),
            value: value.to_owned(),
            why: text.strip_prefix(&prefix).unwrap_or(&text).to_owned(),
            allowed: Some(if rule.is_empty() {
                key.kind.name().to_owned()
            } else {
                rule
            }),
            nearest: None,
        }
    })
}

fn number(name: &str, value: &str) -> Result<i64, SettingsError> {
    value
        .trim()
        .parse::<i32>()
        .map(i64::from)
        .map_err(|_| SettingsError {
            key: name.to_owned(),
            value: value.to_owned(),
            why: "Not a number of type INT".to_owned(),
            allowed: Some("INT".to_owned()),
            nearest: None,
        })
}

fn unknown(name: &str, value: &str) -> SettingsError {
    SettingsError {
        key: name.to_owned(),
        value: value.to_owned(),
        why: "unknown key".to_owned(),
        allowed: None,
        nearest: nearest::nearest(name),
    }
}

/// Checked values of the table's keys.
struct Values(BTreeMap<&'static str, String>);

impl Values {
    /// The value in force; empty for a key that is unset and has no default.
    fn text(&self, name: &'static str) -> &str {
        let key = key(name).expect("a setting is read from a key of the table");
        self.0
            .get(name)
            .map(String::as_str)
            .or(key.default)
            .unwrap_or("")
    }

    fn number(&self, name: &'static str) -> i64 {
        self.text(name).parse().expect("a checked number parses")
    }

    fn count<T: TryFrom<i64>>(&self, name: &'static str) -> T {
        let fits = T::try_from(self.number(name)).ok();
        fits.expect("the bounds in the table are those of the field")
    }

    /// A whole number of something in a second; larger ones are as good as none.
    fn rate(&self, name: &'static str) -> u64 {
        let rate: f64 = self.text(name).parse().expect("a checked number parses");
        rate as u64
    }

    fn flag(&self, name: &'static str) -> bool {
        self.text(name).eq_ignore_ascii_case("true")
    }

    fn wrong(&self, name: &'static str, (why, allowed): Wrong) -> SettingsError {
        let value = self.text(name).to_owned();
        SettingsError {
            key: name.to_owned(),
            value,
            why,
            allowed,
            nearest: None,
        }
    }

    fn settings(self, mut warnings: Vec<String>) -> Result<Settings, SettingsError> {
        let node = NodeId(self.count("node.id"));
        let peers =
            listeners::peers(self.text("peers"), node).map_err(|e| self.wrong("peers", e))?;
        let join = listeners::join(self.text("join")).map_err(|e| self.wrong("join", e))?;
        if !join.is_empty() {
            let form = |what: &str| (what.to_owned(), None);
            if !peers.is_empty() {
                let what = "peers forms a cluster and join joins one: give one of them";
                return Err(self.wrong("join", form(what)));
            }
            if self.text("peer.listener").is_empty() {
                let what = "the others must know where this node listens: give peer.listener too";
                return Err(self.wrong("join", form(what)));
            }
        }
        let own = peers
            .iter()
            .find(|peer| peer.node == node)
            .map(|peer| peer.address.clone());
        let idle = self.number("connections.max.idle.ms");
        warnings.extend(self.left_out());
        warnings.extend(self.not_at_start());
        Ok(Settings {
            node,
            data_dir: self.data_dir()?,
            rack: Some(self.text("broker.rack"))
                .filter(|r| !r.is_empty())
                .map(str::to_owned),
            listeners: self.listeners()?,
            http: self.address("http.listener")?,
            peer_listener: self.address("peer.listener")?.or(own),
            join,
            peers,
            auto_create_topics: self.flag("auto.create.topics.enable"),
            delete_topics: self.flag("delete.topic.enable"),
            replica_lag_max: Duration::from_millis(self.count("replica.lag.time.max.ms")),
            retention_check: Duration::from_millis(self.count("log.retention.check.interval.ms")),
            producers: self.producers(),
            compaction_check: Duration::from_millis(self.count("log.cleaner.backoff.ms")),
            compaction_bytes_per_second: self.rate("log.cleaner.io.max.bytes.per.second"),
            compaction_keys_bytes: self.count("log.cleaner.dedupe.buffer.size"),
            catch_up_bytes_per_second: self.count("replica.catch.up.bytes.per.second"),
            balancing: self.balancing(),
            checking: self.checking(),
            request_bytes_max: self.count("socket.request.max.bytes"),
            connections_idle_max: u64::try_from(idle).ok().map(Duration::from_millis),
            connections: self.connections(),
            requests_in_flight_bytes: match self.number("queued.max.request.bytes") {
                -1 => limits::REQUESTS_IN_FLIGHT_BYTES,
                _ => self.count("queued.max.request.bytes"),
            },
            wal_file_bytes: self.count("wal.file.bytes"),
            wal_files_max: self.count("wal.files.max"),
            hot_tail_bytes: self.count("hot.tail.bytes"),
            disk_reserve_bytes: self.count("disk.reserve.bytes"),
            direct_batch_bytes: self.count("direct.batch.bytes"),
            open_files: self.count("open.files.max"),
            reader_threads: self.count("reader.threads"),
            mailbox_events: self.count("mailbox.events.max"),
            groups: self.groups()?,
            logging: self.logging(),
            warnings,
            topic_defaults: self.topic_defaults()?,
            given: BTreeMap::new(),
            of_listeners: BTreeMap::new(),
        })
    }

    fn connections(&self) -> Connections {
        Connections {
            max: self.count("max.connections"),
            each: self.count("max.connections.per.ip"),
            named: config::counts(self.text("max.connections.per.ip.overrides"))
                .expect("checked when it was taken"),
            a_second: self.count("max.connection.creation.rate"),
        }
    }

    fn balancing(&self) -> Option<shard::Balancing> {
        let balancing = shard::Balancing {
            check: Duration::from_secs(self.count("leader.imbalance.check.interval.seconds")),
            percent: self.count("leader.imbalance.per.broker.percentage"),
        };
        self.flag("auto.leader.rebalance.enable")
            .then_some(balancing)
    }

    fn producers(&self) -> shard::Expiration {
        let ms = |name| Duration::from_millis(self.count(name));
        shard::Expiration {
            expiration: ms("producer.id.expiration.ms"),
            check: ms("producer.id.expiration.check.interval.ms"),
        }
    }

    fn checking(&self) -> Option<shard::Checking> {
        let checking = shard::Checking {
            every: Duration::from_millis(self.count("replica.check.interval.ms")),
            bytes_per_second: self.count("replica.check.bytes.per.second"),
        };
        (checking.bytes_per_second > 0).then_some(checking)
    }

    /// As in Kafka, throttles are for the time of a move: the others have to know of them.
    fn not_at_start(&self) -> Option<String> {
        let throttles = [
            "leader.replication.throttled.rate",
            "follower.replication.throttled.rate",
        ];
        let given = throttles
            .into_iter()
            .find(|name| self.0.contains_key(name))?;
        Some(format!(
            "{given} counts only if it is set while nodes run ('flotilla config set node/ID {given}=BYTES')"
        ))
    }

    /// Names the listeners that belong to Kafka's controller.
    fn left_out(&self) -> Option<String> {
        let names = self.text("controller.listener.names");
        (!names.is_empty())
            .then(|| format!("controller.listener.names: listeners named {names} are left out"))
    }

    fn listeners(&self) -> Result<Vec<listeners::Listener>, SettingsError> {
        let given = Given {
            listeners: self.text("listeners"),
            advertised: Some(self.text("advertised.listeners")),
            protocols: self.text("listener.security.protocol.map"),
            controllers: self.text("controller.listener.names"),
        };
        listeners::listeners(&given).map_err(|(name, wrong)| self.wrong(name, wrong))
    }

    fn logging(&self) -> Logging {
        const HOUR: Duration = Duration::from_secs(3600);
        let file = self.text("logging.file");
        Logging {
            file: (!file.is_empty()).then(|| file.to_owned()),
            json: self.text("logging.format") == "json",
            file_bytes: self.count("logging.file.bytes"),
            file_time: HOUR.saturating_mul(self.count("logging.file.hours")),
            files_max: self.count("logging.files.max"),
        }
    }

    fn address(&self, name: &'static str) -> Result<Option<HostPort>, SettingsError> {
        let text = self.text(name);
        if text.is_empty() {
            return Ok(None);
        }
        let no = || {
            (
                format!("'{text}' is not an address"),
                Some("HOST:PORT".to_owned()),
            )
        };
        HostPort::parse(text)
            .map(Some)
            .ok_or_else(|| self.wrong(name, no()))
    }

    fn data_dir(&self) -> Result<String, SettingsError> {
        let dir = self.text("data.dir");
        if dir.is_empty() || dir.contains(',') {
            let allowed = Some("one directory".to_owned());
            return Err(self.wrong("data.dir", ("not one directory".to_owned(), allowed)));
        }
        Ok(dir.to_owned())
    }

    fn topic_defaults(&self) -> Result<meta::Defaults, SettingsError> {
        let topic: BTreeMap<String, String> = self
            .0
            .iter()
            .filter_map(|(name, value)| Some((key(name)?.topic?.to_owned(), value.clone())))
            .collect();
        config::validate(&topic, &BTreeMap::new())
            .map_err(|why| self.wrong("log.cleaner.min.compaction.lag.ms", (why, None)))?;
        let replicas = self.number("default.replication.factor");
        Ok(meta::Defaults {
            partitions: self.count("num.partitions"),
            replicas: u32::try_from(replicas).ok(),
            topic,
            node: Some(NodeId(self.count("node.id"))),
        })
    }
}
