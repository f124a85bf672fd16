use super::*;
use crate::{Command, Defaults, Image, NewTopic, NodeInfo, Placement};
use base::{Machine, NodeId, Now, Uuid};

fn meta() -> Meta {
    let mut meta = Meta::new(Defaults {
        node: Some(NodeId(1)),
        topic: BTreeMap::from([("segment.bytes".to_owned(), "2000000".to_owned())]),
        ..Defaults::default()
    });
    let info = NodeInfo::new("h", 1, None);
    let node = NodeId(1);
    meta.obey(Command::RegisterNode { node, info });
    let topic = NewTopic {
        name: "t".to_owned(),
        id: Uuid([1; 16]),
        placement: Placement::Spread {
            partitions: Some(1),
            replicas: None,
        },
        configs: BTreeMap::from([("retention.ms".to_owned(), "5".to_owned())]),
    };
    let (topics, validate_only) = (vec![topic], false);
    let create = Command::CreateTopics {
        topics,
        validate_only,
    };
    meta.obey(create);
    meta
}

fn alter(
    meta: &mut Meta,
    kind: ResourceKind,
    name: &str,
    replace: bool,
    edits: &[(&str, Edit)],
) -> Result<(), Refusal> {
    let edits = edits.iter().map(|(k, e)| (k.to_string(), e.clone()));
    let change = ConfigChange {
        resource: Resource::new(kind, name),
        replace,
        edits: edits.collect(),
    };
    let command = Command::AlterConfigs {
        changes: vec![change],
        validate_only: false,
    };
    match meta.obey(command) {
        Reply::Each(mut parts) => parts.pop().unwrap(),
        other => panic!("{other:?}"),
    }
}

fn set(value: &str) -> Edit {
    Edit::Set(value.to_owned())
}

fn topic(meta: &Meta) -> Arc<crate::Topic> {
    meta.image(0).topic("t").unwrap().clone()
}

use ResourceKind::{ClientMetrics, Group, Node, Topic};

#[test]
fn a_topics_keys_are_set_and_deleted_and_mean_something_at_once() {
    let mut meta = meta();
    alter(
        &mut meta,
        Topic,
        "t",
        false,
        &[("max.message.bytes", set("77"))],
    )
    .unwrap();
    assert_eq!(topic(&meta).settings.max_message_bytes, 77);
    assert_eq!(topic(&meta).settings.retention_ms, 5);
    alter(
        &mut meta,
        Topic,
        "t",
        false,
        &[("retention.ms", Edit::Delete)],
    )
    .unwrap();
    assert_eq!(topic(&meta).settings.retention_ms, 604_800_000);
    alter(
        &mut meta,
        Topic,
        "t",
        true,
        &[("retention.bytes", set("9"))],
    )
    .unwrap();
    let keys: Vec<_> = topic(&meta).configs.keys().cloned().collect();
    assert_eq!(keys, ["retention.bytes"], "a replacement forgets the rest");
}

#[test]
fn lists_grow_and_shrink_from_their_default() {
    let mut meta = meta();
    let policy =
        |edit: fn(String) -> Edit, items: &str| [("cleanup.policy", edit(items.to_owned()))];
    alter(
        &mut meta,
        Topic,
        "t",
        false,
        &policy(Edit::Append, "compact,delete"),
    )
    .unwrap();
    assert_eq!(topic(&meta).configs["cleanup.policy"], "delete,compact");
    alter(
        &mut meta,
        Topic,
        "t",
        false,
        &policy(Edit::Subtract, "delete"),
    )
    .unwrap();
    assert_eq!(topic(&meta).configs["cleanup.policy"], "compact");
    let why = alter(
        &mut meta,
        Topic,
        "t",
        false,
        &[("retention.ms", Edit::Append("1".into()))],
    );
    let text = "Can't APPEND to key retention.ms because its type is not LIST.";
    assert_eq!(why, Err(Refusal::InvalidConfig(text.to_owned())));
}

#[test]
fn what_is_wrong_changes_nothing() {
    let mut meta = meta();
    let before = meta.clone();
    let wrong = [("max.message.bytes", set("1")), ("retention.ms", set("-5"))];
    let why = alter(&mut meta, Topic, "t", false, &wrong).unwrap_err();
    assert_eq!(
        why.to_string(),
        "Invalid value -5 for configuration retention.ms: Value must be at least -1"
    );
    let why = alter(&mut meta, Topic, "no", false, &[("retention.ms", set("5"))]);
    assert_eq!(why, Err(Refusal::UnknownTopic));
    let why = alter(&mut meta, Topic, "a b", false, &[]).unwrap_err();
    assert!(matches!(why, Refusal::InvalidTopic(_)), "{why}");
    let why = alter(&mut meta, Node, "x", false, &[("a", set("1"))]).unwrap_err();
    assert!(why.to_string().starts_with("Unable to parse broker name"));
    let why = alter(&mut meta, Node, "99", false, &[("a", set("1"))]);
    assert!(matches!(why, Err(Refusal::UnknownNode(_))), "{why:?}");
    let why = alter(&mut meta, Group, "g", false, &[("a", set("1"))]).unwrap_err();
    assert_eq!(why.to_string(), "Unknown group config name: a");
    let why = alter(
        &mut meta,
        ClientMetrics,
        "m",
        false,
        &[("interval.ms", set("1"))],
    );
    assert!(matches!(why, Err(Refusal::InvalidRequest(_))), "{why:?}");
    assert_eq!(meta, before);
}

#[test]
fn the_same_resource_twice_and_validation_only_change_nothing() {
    let mut meta = meta();
    let before = meta.clone();
    let change = ConfigChange {
        resource: Resource::new(Topic, "t"),
        replace: false,
        edits: vec![("retention.ms".to_owned(), set("6"))],
    };
    let command = |changes: &[ConfigChange], validate_only| Command::AlterConfigs {
        changes: changes.to_vec(),
        validate_only,
    };
    let twice = meta.obey(command(&[change.clone(), change.clone()], false));
    assert!(matches!(twice, Reply::Each(parts) if parts.iter().all(Result::is_err)));
    let checked = meta.obey(command(&[change], true));
    assert_eq!(checked, Reply::Each(vec![Ok(())]));
    assert_eq!(meta, before);
}

#[test]
fn a_nodes_keys_change_topics_that_have_none_of_their_own() {
    let mut meta = meta();
    let (node, info) = (NodeId(2), NodeInfo::new("h", 2, None));
    meta.obey(Command::RegisterNode { node, info });
    let settings = |meta: &Meta| topic(meta).settings.clone();
    assert_eq!(settings(&meta).segment_bytes, 2_000_000);
    let keys = [
        ("log.segment.bytes", set("3000000")),
        ("log.retention.ms", set("7")),
    ];
    alter(&mut meta, Node, "", false, &keys).unwrap();
    assert_eq!(settings(&meta).segment_bytes, 3_000_000);
    assert_eq!(settings(&meta).retention_ms, 5, "the topic says otherwise");
    alter(
        &mut meta,
        Node,
        "1",
        false,
        &[("log.segment.bytes", set("4000000"))],
    )
    .unwrap();
    assert_eq!(settings(&meta).segment_bytes, 4_000_000);
    alter(
        &mut meta,
        Node,
        "2",
        false,
        &[("log.segment.bytes", set("5000000"))],
    )
    .unwrap();
    assert_eq!(settings(&meta).segment_bytes, 4_000_000, "another node's");
    alter(
        &mut meta,
        Node,
        "1",
        false,
        &[("log.segment.bytes", Edit::Delete)],
    )
    .unwrap();
    alter(
        &mut meta,
        Node,
        "",
        false,
        &[("log.segment.bytes", Edit::Delete)],
    )
    .unwrap();
    assert_eq!(settings(&meta).segment_bytes, 2_000_000);
}

#[test]
fn what_was_said_twice_is_logged_once() {
    let mut meta = meta();
    let keys = [("consumer.session.timeout.ms", set("50000"))];
    alter(&mut meta, Group, "g", false, &keys).unwrap();
    let command = Command::AlterConfigs {
        changes: vec![ConfigChange {
            resource: Resource::new(Group, "g"),
            replace: false,
            edits: keys
                .iter()
                .map(|(k, e)| (k.to_string(), e.clone()))
                .collect(),
        }],
        validate_only: false,
    };
    assert!(meta.handle(Now::default(), command).records.is_empty());
    let image: Arc<Image> = meta.image(1);
    assert_eq!(image.configs.len(), 1);
    alter(
        &mut meta,
        Group,
        "g",
        false,
        &[("consumer.session.timeout.ms", Edit::Delete)],
    )
    .unwrap();
    assert!(meta.image(2).configs.is_empty());
}
