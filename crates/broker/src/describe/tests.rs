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
                synonym.name,
                synonym.value.as_deref().unwrap(),
                synonym.source,
            )
        })
        .collect();
    let week = "604800000";
    assert_eq!(
        all,
        [
            ("retention.ms", "5", ConfigSource::Topic),
            ("log.retention.ms", "7", ConfigSource::Node),
            ("log.retention.ms", week, ConfigSource::Default),
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
