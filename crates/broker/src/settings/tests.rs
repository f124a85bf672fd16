use super::*;

fn why(key: &str, value: &str) -> SettingsError {
    Settings::parse(&[(key, value)]).unwrap_err()
}

fn address(host: &str, port: u16) -> HostPort {
    HostPort {
        host: host.to_owned(),
        port,
    }
}

#[test]
fn without_any_key_a_node_stands_alone_on_this_machine() {
    let settings = Settings::default();
    assert_eq!(settings.node, NodeId(1));
    assert_eq!(settings.data_dir, "./flotilla-data");
    assert_eq!(settings.listeners.len(), 1);
    assert_eq!(settings.listeners[0].bind, address("127.0.0.1", 9092));
    assert_eq!(settings.http, Some(address("127.0.0.1", 9640)));
    assert!(settings.peers.is_empty() && settings.peer_listener.is_none());
    let defaults = meta::Defaults {
        node: Some(NodeId(1)),
        ..meta::Defaults::default()
    };
    assert_eq!(settings.topic_defaults(), &defaults);
    assert!(settings.warnings.is_empty());
}

/// The defaults stand in the table as text and in `base::limits` as numbers.
#[test]
fn the_defaults_are_the_bounds_of_the_house() {
    let settings = Settings::default();
    assert_eq!(settings.request_bytes_max, base::limits::REQUEST_BYTES_MAX);
    assert_eq!(
        settings.requests_in_flight_bytes,
        base::limits::REQUESTS_IN_FLIGHT_BYTES
    );
    assert_eq!(settings.connections.max, base::limits::CONNECTIONS_MAX);
    assert_eq!(settings.hot_tail_bytes, base::limits::HOT_TAIL_BYTES);
    assert_eq!(
        settings.disk_reserve_bytes,
        base::limits::DISK_RESERVE_BYTES
    );
    assert_eq!(
        settings.direct_batch_bytes,
        base::limits::DIRECT_BATCH_BYTES
    );
    assert_eq!(settings.open_files, base::limits::OPEN_FILES_DEFAULT);
    let storage = log::StorageSettings::default();
    assert_eq!(settings.wal_file_bytes, storage.wal_file_bytes);
    assert_eq!(settings.wal_files_max, storage.wal_files_max);
}

#[test]
fn the_table_is_sorted_and_names_no_key_twice() {
    assert!(keys().is_sorted_by(|a, b| a.name < b.name));
    for key in keys() {
        assert!(!foreign::is_known(key.name), "{} has a meaning", key.name);
        if let Some(default) = key.default {
            assert_eq!(
                meta::config::check(key.name, key.kind, key.rule, default),
                Ok(())
            );
        }
    }
}

#[test]
fn an_unknown_key_stops_the_start_with_the_nearest_known_one() {
    for (wrong, right) in [
        ("num.partitons", "num.partitions"),
        ("num_partitions", "num.partitions"),
        ("Node.Id", "node.id"),
        ("mininsync.replicas", "min.insync.replicas"),
        ("log.retention.hour", "log.retention.hours"),
        ("log.dris", "log.dirs"),
        ("advertised.listner", "advertised.listeners"),
    ] {
        let error = why(wrong, "1");
        assert_eq!(
            (error.nearest, error.why.as_str()),
            (Some(right), "unknown key"),
            "{wrong}"
        );
    }
    assert_eq!(why("something.else.entirely", "1").nearest, None);
    assert_eq!(
        why("num.partitons", "4").to_string(),
        "num.partitons = '4': unknown key; did you mean 'num.partitions'?"
    );
}

#[test]
fn a_wrong_value_stops_the_start_with_what_is_allowed() {
    assert_eq!(
        why("num.partitions", "0").to_string(),
        "num.partitions = '0': Value must be at least 1; allowed: [1,...,10000]"
    );
    assert_eq!(
        why("auto.create.topics.enable", "yes").to_string(),
        "auto.create.topics.enable = 'yes': Expected value to be either true or false; allowed: \
         BOOLEAN"
    );
    assert_eq!(
        why("log.message.timestamp.type", "now").allowed.as_deref(),
        Some("[CreateTime, LogAppendTime]")
    );
    for (key, value) in [
        ("node.id", "-1"),
        ("log.retention.hours", "x"),
        ("log.cleanup.policy", "delete,shred"),
        ("http.listener", "nowhere"),
        ("data.dir", "/a,/b"),
        ("default.replication.factor", "0"),
    ] {
        assert_eq!(why(key, value).key, key);
    }
}

#[test]
fn a_servers_properties_of_kafka_work_as_they_are() {
    let pairs = [
        ("process.roles", "broker,controller"),
        ("node.id", "1"),
        ("controller.quorum.bootstrap.servers", "localhost:9093"),
        ("listeners", "PLAINTEXT://:9092,CONTROLLER://:9093"),
        ("inter.broker.listener.name", "PLAINTEXT"),
        (
            "advertised.listeners",
            "PLAINTEXT://localhost:9092,CONTROLLER://localhost:9093",
        ),
        ("controller.listener.names", "CONTROLLER"),
        (
            "listener.security.protocol.map",
            "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT",
        ),
        ("num.network.threads", "3"),
        ("num.io.threads", "8"),
        ("socket.send.buffer.bytes", "102400"),
        ("socket.request.max.bytes", "104857600"),
        ("log.dirs", "/tmp/kraft-combined-logs"),
        ("num.partitions", "1"),
        ("offsets.topic.replication.factor", "1"),
        ("log.retention.hours", "168"),
        ("log.segment.bytes", "1073741824"),
        ("log.retention.check.interval.ms", "300000"),
    ];
    let settings = Settings::parse(&pairs).unwrap();
    assert_eq!(settings.data_dir, "/tmp/kraft-combined-logs");
    assert_eq!(settings.listeners.len(), 1);
    assert_eq!(settings.listeners[0].bind, address("", 9092));
    assert_eq!(
        settings.listeners[0].advertised,
        Some(address("localhost", 9092))
    );
    assert_eq!(settings.warnings.len(), 7, "{:#?}", settings.warnings);
    let one = |name: &str| {
        settings
            .warnings
            .iter()
            .filter(|line| line.starts_with(name))
            .count()
    };
    assert_eq!(
        (one("num.io.threads:"), one("controller.listener.names:")),
        (1, 1)
    );
    assert_eq!(settings.topic_defaults().topic["retention.ms"], "604800000");
}

#[test]
fn a_later_value_wins_and_a_finer_unit_wins_over_a_coarser() {
    let pairs = [
        ("num.partitions", "2"),
        ("log.dir", "/a"),
        ("num.partitions", "3"),
    ];
    let settings = Settings::parse(&pairs).unwrap();
    assert_eq!(
        (
            settings.topic_defaults().partitions,
            settings.data_dir.as_str()
        ),
        (3, "/a")
    );
    assert_eq!(settings.given("num.partitions"), Some("3"));
    let retention = |pairs: &[(&str, &str)]| {
        Settings::parse(pairs).unwrap().topic_defaults().topic["retention.ms"].clone()
    };
    let hours = ("log.retention.hours", "2");
    assert_eq!(retention(&[hours]), "7200000");
    assert_eq!(
        retention(&[hours, ("log.retention.minutes", "5")]),
        "300000"
    );
    assert_eq!(retention(&[("log.retention.ms", "9"), hours]), "9");
    assert_eq!(retention(&[("log.retention.hours", "-1")]), "-1");
}

#[test]
fn topic_defaults_come_from_the_keys_that_kafka_has_for_them() {
    let pairs = [
        ("message.max.bytes", "5000"),
        ("min.insync.replicas", "2"),
        ("default.replication.factor", "3"),
        ("log.message.timestamp.type", "LogAppendTime"),
    ];
    let settings = Settings::parse(&pairs).unwrap();
    let defaults = settings.topic_defaults();
    assert_eq!(defaults.replicas, Some(3));
    let topic = meta::TopicSettings::parse(&BTreeMap::new(), &defaults.topic);
    assert_eq!(
        (topic.max_message_bytes, topic.min_insync_replicas),
        (5000, 2)
    );
    assert!(topic.log_append_time);
}

#[test]
fn an_empty_group_waits_a_moment_for_more_members_in_any_case() {
    let delay = |ms: &str| {
        let settings = Settings::parse(&[("group.initial.rebalance.delay.ms", ms)]).unwrap();
        settings.groups.config.initial_rebalance_delay_ms
    };
    assert_eq!([delay("0"), delay("60"), delay("61")], [60, 60, 61]);
    let settings = Settings::parse::<&str, &str>(&[]).unwrap();
    assert_eq!(settings.groups.config.initial_rebalance_delay_ms, 3_000);
}

#[test]
fn listeners_have_names_addresses_and_a_protocol_that_is_served() {
    let pairs = [
        ("listeners", "INSIDE://0.0.0.0:9092,outside://[::1]:9094"),
        ("advertised.listeners", "OUTSIDE://public.example:19094"),
        (
            "listener.security.protocol.map",
            "INSIDE:PLAINTEXT,OUTSIDE:plaintext",
        ),
    ];
    let settings = Settings::parse(&pairs).unwrap();
    let [inside, outside] = &settings.listeners[..] else {
        panic!()
    };
    assert_eq!(
        (&inside.bind, &inside.advertised),
        (&address("0.0.0.0", 9092), &None)
    );
    assert_eq!(outside.bind.to_string(), "[::1]:9094");
    assert_eq!(outside.advertised, Some(address("public.example", 19094)));
    assert_eq!(
        why("listeners", "SSL://:9093").allowed.as_deref(),
        Some("PLAINTEXT")
    );
    for (key, value) in [
        ("listeners", ""),
        ("listeners", "PLAINTEXT://:99999"),
        ("listeners", "PLAINTEXT://:1,PLAINTEXT://:2"),
        ("advertised.listeners", "PLAINTEXT://0.0.0.0:9092"),
        ("advertised.listeners", "OTHER://host:9092"),
    ] {
        assert_eq!(why(key, value).key, key, "{value}");
    }
    assert_eq!(
        why("listeners", "OTHER://:9092").key,
        "listener.security.protocol.map"
    );
    let plain = Settings::parse(&[("listeners", "0.0.0.0:1")]).unwrap();
    assert_eq!(plain.listeners[0].name, "PLAINTEXT");
}

#[test]
fn peers_name_every_node_once_and_this_one_too() {
    let three = "2@b:1,1@a:1,3@c:1";
    let settings = Settings::parse(&[("peers", three), ("node.id", "2")]).unwrap();
    let nodes: Vec<u32> = settings.peers.iter().map(|peer| peer.node.0).collect();
    assert_eq!(nodes, [1, 2, 3]);
    assert_eq!(settings.peer_listener, Some(address("b", 1)));
    let pairs = [("peers", three), ("peer.listener", "0.0.0.0:5")];
    assert_eq!(
        Settings::parse(&pairs).unwrap().peer_listener,
        Some(address("0.0.0.0", 5))
    );
    let zero = [("peers", "0@a:1,1@b:1"), ("node.id", "0")];
    assert_eq!(Settings::parse(&zero).unwrap().node, NodeId(0));
    for value in [
        "2@b:1",
        "1@a:1,1@b:1",
        "1@a:1,2@a:1",
        "4294967295@a:1,1@b:1",
        "1@a",
        "1@:5",
        "x",
    ] {
        assert_eq!(why("peers", value).key, "peers", "{value}");
    }
}

#[test]
fn the_reference_has_every_key() {
    let text = reference();
    for key in keys() {
        assert!(text.contains(&format!(
            "{}\n    {}",
            key.name,
            key.kind.name().to_lowercase()
        )));
    }
    assert!(text.contains(
        "node.id\n    int, default 1, [0,...]\n    This node's number, different from all others"
    ));
}

/// What Kafka 4.3.1 takes while its brokers run (`DynamicBrokerConfig.ALL_DYNAMIC_CONFIGS`), but for what is of TLS and SASL.
const KAFKA_S_DYNAMIC: &str = "background.threads compression.gzip.level compression.lz4.level compression.type \
    compression.zstd.level config.providers cordoned.log.dirs follower.fetch.last.tiered.offset.enable \
    follower.replication.throttled.rate group.consumer.assignment.interval.ms \
    group.coordinator.cached.buffer.max.bytes group.share.assignment.interval.ms \
    group.streams.assignment.interval.ms leader.replication.throttled.rate listener.security.protocol.map listeners \
    log.cleaner.backoff.ms log.cleaner.dedupe.buffer.size log.cleaner.delete.retention.ms \
    log.cleaner.io.buffer.load.factor log.cleaner.io.buffer.size log.cleaner.io.max.bytes.per.second \
    log.cleaner.max.compaction.lag.ms log.cleaner.min.cleanable.ratio log.cleaner.min.compaction.lag.ms \
    log.cleaner.threads log.cleanup.policy log.flush.interval.messages log.flush.interval.ms \
    log.index.interval.bytes log.index.size.max.bytes log.local.retention.bytes log.local.retention.ms \
    log.message.timestamp.after.max.ms log.message.timestamp.before.max.ms log.message.timestamp.type \
    log.preallocate log.retention.bytes log.retention.ms log.roll.jitter.ms log.roll.ms log.segment.bytes \
    log.segment.delete.delay.ms max.connection.creation.rate max.connections max.connections.per.ip \
    max.connections.per.ip.overrides message.max.bytes metric.reporters min.insync.replicas num.io.threads \
    num.network.threads num.recovery.threads.per.data.dir num.replica.fetchers principal.builder.class \
    producer.id.expiration.ms remote.fetch.max.wait.ms remote.list.offsets.request.timeout.ms \
    remote.log.index.file.cache.total.size.bytes remote.log.manager.copier.thread.pool.size \
    remote.log.manager.copy.max.bytes.per.second remote.log.manager.expiration.thread.pool.size \
    remote.log.manager.fetch.max.bytes.per.second remote.log.manager.follower.thread.pool.size \
    remote.log.reader.threads replica.alter.log.dirs.io.max.bytes.per.second \
    share.coordinator.cached.buffer.max.bytes transaction.partition.verification.enable \
    unclean.leader.election.enable";

/// The sockets are bound at the start, and who a client is isn't asked of a class.
const ONLY_AT_A_START: &[&str] = &[
    "listener.security.protocol.map",
    "listeners",
    "principal.builder.class",
];

#[test]
fn what_kafka_changes_while_it_runs_changes_here_but_for_what_is_named() {
    for name in KAFKA_S_DYNAMIC.split_whitespace() {
        let changes = matches!(standing(name), Standing::Dynamic(_));
        assert_ne!(changes, ONLY_AT_A_START.contains(&name), "{name}");
    }
}

#[test]
fn keys_of_listeners_have_the_defaults_of_the_node_s() {
    for of in keys_of_listeners() {
        if let Some(node) = key(of.name) {
            assert_eq!(
                (of.kind, of.default),
                (node.kind, node.default),
                "{}",
                of.name
            );
        }
    }
}
