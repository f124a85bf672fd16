use super::*;
use crate::tests::World;

fn find<'a>(entries: &'a [ConfigEntry], name: &str) -> &'a ConfigEntry {
    entries.iter().find(|entry| entry.name == name).unwrap()
}

#[test]
fn a_topic_shows_its_own_value_over_the_nodes_over_the_default() {
    let world = World::new(&[("log.retention.ms", "7")]);
    let configs = BTreeMap::from([("retention.ms".to_owned(), "5".to_owned())]);
    let entries = world.broker.topic_configs(&configs);
    let entry = find(&entries, "retention.ms");
    assert_eq!(
        (entry.value.as_deref(), entry.source),
        (Some("5"), ConfigSource::Topic)
    );
    let all: Vec<_> = entry
        .synonyms
        .iter()
        .map(|synonym| {
            (
                &*synonym.name,
                synonym.value.as_deref().unwrap(),
                synonym.source,
            )
        })
        .collect();
    assert_eq!(
        all,
        [
            ("retention.ms", "5", ConfigSource::Topic),
            ("log.retention.ms", "7", ConfigSource::Node),
        ]
    );
    let entries = world.broker.topic_configs(&BTreeMap::new());
    let entry = find(&entries, "retention.ms");
    assert_eq!(
        (entry.value.as_deref(), entry.source),
        (Some("7"), ConfigSource::Node)
    );
    let entry = find(&entries, "cleanup.policy");
    assert_eq!(
        (entry.value.as_deref(), entry.source),
        (Some("delete"), ConfigSource::Default)
    );
    assert!(
        !entries
            .iter()
            .any(|entry| entry.name.starts_with("internal."))
    );
}

/// As real Kafka showed it, started with `log.retention.hours=2`.
#[test]
fn what_is_given_in_a_coarser_unit_is_shown_there_and_counts() {
    let world = World::new(&[("log.retention.hours", "2")]);
    let node = world.broker.node_configs();
    let shown = |name: &str| {
        let entry = find(&node, name);
        let synonyms = entry.synonyms.iter();
        let synonyms = synonyms.map(|s| (&*s.name, s.value.clone().unwrap(), s.source));
        (entry.value.clone(), synonyms.collect::<Vec<_>>())
    };
    assert_eq!(shown("log.retention.ms"), (None, vec![]));
    assert_eq!(shown("log.retention.minutes"), (None, vec![]));
    let hours = |value: &str, source| ("log.retention.hours", value.to_owned(), source);
    let both = vec![
        hours("2", ConfigSource::Node),
        hours("168", ConfigSource::Default),
    ];
    assert_eq!(shown("log.retention.hours"), (Some("2".to_owned()), both));
    let (roll, _) = shown("log.roll.hours");
    assert_eq!(roll.as_deref(), Some("168"));
    let topic = world.broker.topic_configs(&BTreeMap::new());
    let entry = find(&topic, "retention.ms");
    assert_eq!(entry.value.as_deref(), Some("7200000"));
    assert!(entry.synonyms.is_empty());
}

/// What was changed while nodes ran counts over what this node was started with, and what was
/// changed for this node over what was changed for all.
#[test]
fn changed_values_of_nodes_are_shown_in_their_order() {
    let world = World::new(&[("log.segment.bytes", "2000000")]);
    let configs = |node: &str, value: &str| {
        let of = meta::Resource::new(ResourceKind::Node, node);
        let set = [("log.segment.bytes".to_owned(), value.to_owned())];
        (of, BTreeMap::from(set))
    };
    let all = [
        configs("", "3000000"),
        configs("1", "4000000"),
        configs("2", "5"),
    ];
    world.broker.publish(std::sync::Arc::new(Image {
        version: 99,
        configs: std::sync::Arc::new(all.into()),
        ..Image::default()
    }));
    let anonymous = &Principal::ANONYMOUS;
    let sources = |entry: &ConfigEntry| -> Vec<_> {
        let synonyms = entry.synonyms.iter();
        synonyms
            .map(|s| (s.value.clone().unwrap(), s.source))
            .collect()
    };
    let expected = [
        ("4000000".to_owned(), ConfigSource::DynamicNode),
        ("3000000".to_owned(), ConfigSource::DynamicDefault),
        ("2000000".to_owned(), ConfigSource::Node),
        ("1073741824".to_owned(), ConfigSource::Default),
    ];
    let entries = world.broker.describe_node(anonymous, "1").unwrap();
    let entry = find(&entries, "log.segment.bytes");
    assert_eq!(sources(entry), expected);
    assert!(!entry.read_only);
    let entries = world.broker.topic_configs(&BTreeMap::new());
    assert_eq!(sources(find(&entries, "segment.bytes")), expected);
    let entries = world.broker.describe_node(anonymous, "").unwrap();
    assert_eq!(entries.len(), 1);
    assert_eq!(entries[0].value.as_deref(), Some("3000000"));
}

#[test]
fn a_group_shows_its_own_value_over_the_nodes() {
    let world = World::new(&[("group.consumer.session.timeout.ms", "46000")]);
    let describe = || {
        let entries = world.broker.describe_group(&Principal::ANONYMOUS, "g");
        find(&entries.unwrap(), "consumer.session.timeout.ms").clone()
    };
    assert_eq!(describe().value.as_deref(), Some("46000"));
    let set = [("consumer.session.timeout.ms".to_owned(), "50000".to_owned())];
    let of = meta::Resource::new(ResourceKind::Group, "g");
    world.broker.publish(std::sync::Arc::new(Image {
        version: 99,
        configs: std::sync::Arc::new(BTreeMap::from([(of, set.into())])),
        ..Image::default()
    }));
    let entry = describe();
    assert_eq!(entry.value.as_deref(), Some("50000"));
    assert_eq!(entry.source, ConfigSource::Group);
    let groups = world
        .broker
        .configured(&Principal::ANONYMOUS, ResourceKind::Group);
    assert_eq!(groups, ["g"]);
}

#[test]
fn topics_are_described_by_name() {
    let world = World::with_topics();
    let anonymous = &Principal::ANONYMOUS;
    let none = world.broker.describe_topic(anonymous, "none");
    assert_eq!(none.unwrap_err(), Refusal::UnknownTopic);
    let never = world.broker.describe_topic(anonymous, "a b");
    assert!(matches!(never.unwrap_err(), Refusal::InvalidTopic(_)));
    let entries = world.broker.describe_topic(anonymous, "here").unwrap();
    assert_eq!(find(&entries, "durability").value.as_deref(), Some("disk"));
}

#[test]
fn a_node_shows_itself_and_nobody_else() {
    let world = World::new(&[("num.partitions", "4")]);
    let describe = |node: &str| world.broker.describe_node(&Principal::ANONYMOUS, node);
    let entries = describe("1").unwrap();
    let entry = find(&entries, "num.partitions");
    assert_eq!(
        (entry.value.as_deref(), entry.source),
        (Some("4"), ConfigSource::Node)
    );
    assert_eq!(entry.synonyms.len(), 2);
    assert!(entry.read_only);
    let rack = find(&entries, "broker.rack");
    assert_eq!(
        (&rack.value, rack.source, rack.synonyms.len()),
        (&None, ConfigSource::Default, 0)
    );
    assert_eq!(describe("").unwrap(), []);
    let text = "Unexpected broker id, expected 1 or empty string, but received 2".to_owned();
    assert_eq!(describe("2").unwrap_err(), Refusal::InvalidRequest(text));
    assert!(matches!(describe("x"), Err(Refusal::InvalidRequest(_))));
}

/// As real Kafka showed it.
#[test]
fn a_key_of_one_listener_is_shown_where_it_was_set_and_falls_back_to_the_node_s() {
    let world = World::new(&[("max.connection.creation.rate", "9")]);
    let key = "listener.name.plaintext.max.connection.creation.rate";
    let set = |node: &str, value: &str| {
        let of = meta::Resource::new(ResourceKind::Node, node);
        (of, BTreeMap::from([(key.to_owned(), value.to_owned())]))
    };
    world.broker.publish(std::sync::Arc::new(Image {
        version: 99,
        configs: std::sync::Arc::new([set("1", "5"), set("", "6")].into()),
        ..Image::default()
    }));
    let anonymous = &Principal::ANONYMOUS;
    let entries = world.broker.describe_node(anonymous, "1").unwrap();
    let synonyms = find(&entries, key).synonyms.iter();
    let shown: Vec<_> = synonyms
        .map(|s| (&*s.name, s.value.as_deref().unwrap()))
        .collect();
    let of_node = "max.connection.creation.rate";
    let expected = [
        (key, "5"),
        (key, "6"),
        (of_node, "9"),
        (of_node, "2147483647"),
    ];
    assert_eq!(shown, expected);
    let entries = world.broker.describe_node(anonymous, "").unwrap();
    assert_eq!((entries.len(), &*entries[0].name), (1, key));
    assert_eq!(world.broker.connection_bounds().a_second_by("PLAINTEXT"), 5);
}
