use super::*;
use meta::Resource as Named;

fn set(key: &str, value: &str) -> (String, Edit) {
    (key.to_owned(), Edit::Set(value.to_owned()))
}

fn why(edits: &[(String, Edit)]) -> String {
    match check_node_keys(edits) {
        Err(Refusal::InvalidRequest(why)) => why,
        other => panic!("{other:?}"),
    }
}

#[test]
fn only_dynamic_keys_of_nodes_are_changed() {
    assert_eq!(check_node_keys(&[set("log.retention.ms", "5")]), Ok(()));
    assert_eq!(check_node_keys(&[set("max.connections", "5")]), Ok(()));
    for key in [
        "max.connections",
        "max.connection.creation.rate",
        "num.network.threads",
    ] {
        let key = format!("listener.name.external.{key}");
        assert_eq!(check_node_keys(&[set(&key, "5")]), Ok(()), "{key}");
    }
    let wrong = set("listener.name.external.max.connections", "-1");
    assert!(check_node_keys(&[wrong]).is_err());
    assert_eq!(check_node_keys(&[set("num.io.threads", "5")]), Ok(()));
    assert_eq!(
        why(&[set("num.partitions", "7"), set("node.id", "2")]),
        "Cannot update these configs dynamically: [num.partitions, node.id]"
    );
    assert_eq!(
        why(&[set("log.segment.bytes", "17")]),
        "Invalid value 17 for configuration log.segment.bytes: Value must be at least 1048576"
    );
    assert!(why(&[set("log.retention.mss", "1")]).ends_with("did you mean 'log.retention.ms'?"));
    assert!(why(&[set("process.roles", "x")]).contains("dynamically: [process.roles]"));
}

#[test]
fn what_a_group_sets_lies_within_the_nodes_bounds() {
    let config = group::Config::default();
    let check = |configs: &Configs, edits: Vec<(String, Edit)>| {
        let change = ConfigChange {
            resource: Named::new(ResourceKind::Group, "g"),
            replace: false,
            edits,
        };
        check_group_keys(&config, configs, &change).map_err(|why| why.to_string())
    };
    let none = Configs::new();
    assert_eq!(check(&none, vec![set(SESSION, "50000")]), Ok(()));
    assert_eq!(
        check(&none, vec![set(SESSION, "1")]).unwrap_err(),
        "consumer.session.timeout.ms must be greater than or equal to \
         group.consumer.min.session.timeout.ms"
    );
    assert_eq!(
        check(&none, vec![set(HEARTBEAT, "600000")]).unwrap_err(),
        "consumer.heartbeat.interval.ms must be less than or equal to \
         group.consumer.max.heartbeat.interval.ms"
    );
}
