use super::*;

fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect()
}

fn why(name: &str, value: &str) -> String {
    validate(&map(&[(name, value)]), &BTreeMap::new()).unwrap_err()
}

#[test]
fn the_table_is_sorted_and_its_defaults_are_valid() {
    assert!(KEYS.is_sorted_by(|a, b| a.name < b.name));
    for key in KEYS {
        if let Some(default) = key.default {
            assert_eq!(key.check(default), Ok(()), "{}", key.name);
        }
    }
}

/// What `kafka-configs` shows of a topic of Kafka 4.3, and our own.
#[test]
fn every_key_of_kafka_is_there() {
    let shown: Vec<&str> = KEYS
        .iter()
        .filter(|key| !key.internal)
        .map(|key| key.name)
        .collect();
    assert_eq!(shown.len(), 33 + 1);
    assert!(key("durability").is_some());
}

#[test]
fn wrong_values_are_refused_in_kafkas_words() {
    assert_eq!(
        why("retention.ms", "week"),
        "Invalid value week for configuration retention.ms: Not a number of type LONG"
    );
    assert_eq!(
        why("retention.ms", "-2"),
        "Invalid value -2 for configuration retention.ms: Value must be at least -1"
    );
    assert_eq!(
        why("segment.bytes", "3000000000"),
        "Invalid value 3000000000 for configuration segment.bytes: Not a number of type INT"
    );
    assert_eq!(
        why("cleanup.policy", "delete,archive"),
        "Invalid value archive for configuration cleanup.policy: String must be one of: \
         compact, delete"
    );
    assert_eq!(
        why("compression.type", "brotli"),
        "Invalid value brotli for configuration compression.type: String must be one of: \
         uncompressed, zstd, lz4, snappy, gzip, producer"
    );
    assert_eq!(
        why("min.cleanable.dirty.ratio", "1.01"),
        "Invalid value 1.01 for configuration min.cleanable.dirty.ratio: Value must be no more \
         than 1"
    );
    assert_eq!(
        why("compression.gzip.level", "10"),
        "Invalid value 10 for configuration compression.gzip.level: Value must be between 1 and 9 \
         or equal to -1"
    );
    assert_eq!(
        why("preallocate", "yes"),
        "Invalid value yes for configuration preallocate: Expected value to be either true or \
         false"
    );
    assert!(why("min.cleanable.dirty.ratio", "NaN").ends_with("Value must be at least 0"));
    assert!(why("cleanup.policy", "delete,delete").ends_with("values must not be duplicated."));
    assert!(why("leader.replication.throttled.replicas", "0:1,x").contains("the literal '*'"));
    assert!(why("remote.storage.enable", "TRUE").starts_with("Tiered Storage"));
}

#[test]
fn right_values_pass() {
    let right = [
        ("cleanup.policy", "compact, delete"),
        ("cleanup.policy", ""),
        ("compression.gzip.level", "-1"),
        ("compression.gzip.level", "9"),
        ("compression.zstd.level", "-131072"),
        ("follower.replication.throttled.replicas", "*"),
        ("leader.replication.throttled.replicas", "0:1,12:3"),
        ("max.message.bytes", " 10 "),
        ("preallocate", "True"),
        ("min.cleanable.dirty.ratio", "1"),
        ("remote.storage.enable", "false"),
        ("internal.segment.bytes", "1024"),
    ];
    for (name, value) in right {
        assert_eq!(
            validate(&map(&[(name, value)]), &BTreeMap::new()),
            Ok(()),
            "{name}"
        );
    }
}

#[test]
fn lags_of_compaction_must_not_contradict_each_other() {
    let text = "conflict topic config setting min.compaction.lag.ms (7) > \
                max.compaction.lag.ms (5)";
    let both = map(&[
        ("min.compaction.lag.ms", "7"),
        ("max.compaction.lag.ms", "5"),
    ]);
    assert_eq!(validate(&both, &BTreeMap::new()), Err(text.to_owned()));
    let one = map(&[("min.compaction.lag.ms", "7")]);
    let node = map(&[("max.compaction.lag.ms", "5")]);
    assert_eq!(validate(&one, &node), Err(text.to_owned()));
}

#[test]
fn an_unknown_name_comes_before_a_wrong_value() {
    let both = map(&[("retention.ms", "x"), ("zzz", "1")]);
    let text = "Unknown topic config name: zzz".to_owned();
    assert_eq!(validate(&both, &BTreeMap::new()), Err(text));
}

#[test]
fn a_weaker_durability_is_refused_and_says_so() {
    let weak = BTreeMap::from([("durability".to_owned(), "memory".to_owned())]);
    let refused = validate(&weak, &BTreeMap::new()).unwrap_err();
    assert!(refused.contains("only disk"), "{refused}");
}

#[test]
fn addresses_are_counted_whatever_their_kind() {
    let told = counts(" 127.0.0.1:2,[::1]:5, ::2:7").expect("addresses");
    let said: Vec<(String, u32)> = told.iter().map(|(a, n)| (a.to_string(), *n)).collect();
    let wanted = [("127.0.0.1", 2), ("::1", 5), ("::2", 7)];
    assert_eq!(said, wanted.map(|(a, n)| (a.to_owned(), n)));
    assert_eq!(counts("").map(|none| none.len()), Some(0));
    for wrong in [
        "here:2",
        "127.0.0.1",
        "127.0.0.1:",
        "127.0.0.1:-1",
        "1.1.1.1:1,",
    ] {
        assert_eq!(counts(wrong), None, "{wrong}");
        let why = check("k", Kind::Text, Rule::Counts, wrong).expect_err(wrong);
        assert!(why.contains("[address]:[count]"), "{why}");
    }
}
