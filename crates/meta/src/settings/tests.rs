use super::*;

fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect()
}

#[test]
fn without_configuration_a_topic_is_as_in_kafka() {
    let settings = TopicSettings::default();
    assert_eq!(settings.segment_bytes, base::limits::SEGMENT_BYTES_DEFAULT);
    assert_eq!(
        settings.max_message_bytes,
        base::limits::BATCH_BYTES_DEFAULT
    );
    assert_eq!(settings.durability, Durability::Disk);
    assert_eq!(
        settings.cleanup,
        Cleanup {
            delete: true,
            compact: false
        }
    );
    assert_eq!(settings.retention_ms, 7 * 24 * 3_600_000);
    assert!(!settings.log_append_time);
}

#[test]
fn the_topic_comes_before_the_node_and_both_before_the_table() {
    let node = map(&[("min.insync.replicas", "2"), ("retention.ms", "9")]);
    let topic = map(&[
        ("retention.ms", " -1 "),
        ("cleanup.policy", "compact,delete"),
    ]);
    let settings = TopicSettings::parse(&topic, &node);
    assert_eq!(
        (settings.min_insync_replicas, settings.retention_ms),
        (2, -1)
    );
    assert_eq!(
        settings.cleanup,
        Cleanup {
            delete: true,
            compact: true
        }
    );
}

#[test]
fn tests_may_have_small_segments() {
    let small = map(&[
        ("internal.segment.bytes", "5000"),
        ("segment.bytes", "2000000"),
    ]);
    assert_eq!(
        TopicSettings::parse(&small, &BTreeMap::new()).segment_bytes,
        5000
    );
}

/// Replay is total: a value that a later release no longer takes must not stop it.
#[test]
fn a_value_that_does_not_parse_leaves_the_default() {
    let broken = map(&[("retention.ms", "soon"), ("max.message.bytes", "-5")]);
    assert_eq!(
        TopicSettings::parse(&broken, &BTreeMap::new()),
        TopicSettings::default()
    );
}
