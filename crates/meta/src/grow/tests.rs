use super::*;
use crate::{Command, Defaults, NewTopic, NodeInfo, Placement};
use base::Uuid;

/// Three nodes, and topic `t` with two partitions of two replicas.
fn meta() -> Meta {
    let mut meta = Meta::new(Defaults::default());
    for node in 1..=3 {
        let node = NodeId(node);
        let info = NodeInfo::new("h", 1, None);
        meta.obey(Command::RegisterNode { node, info });
    }
    let topics = vec![NewTopic {
        name: "t".to_owned(),
        id: Uuid([1; 16]),
        placement: Placement::Spread {
            partitions: Some(2),
            replicas: Some(2),
        },
        configs: BTreeMap::new(),
    }];
    let validate_only = false;
    meta.obey(Command::CreateTopics {
        topics,
        validate_only,
    });
    meta
}

fn more(topic: &str, count: i32, assignment: Option<&[&[u32]]>) -> MorePartitions {
    let nodes = |nodes: &&[u32]| nodes.iter().copied().map(NodeId).collect();
    MorePartitions {
        topic: topic.to_owned(),
        count,
        assignment: assignment.map(|parts| parts.iter().map(nodes).collect()),
    }
}

fn add(meta: &mut Meta, topics: Vec<MorePartitions>) -> Vec<Result<(), String>> {
    let validate_only = false;
    let command = Command::AddPartitions {
        topics,
        validate_only,
    };
    match meta.obey(command) {
        Reply::Each(parts) => parts
            .into_iter()
            .map(|part| part.map_err(|why| why.to_string()))
            .collect(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn new_partitions_get_groups_of_their_own_and_as_many_replicas() {
    let mut meta = meta();
    assert_eq!(add(&mut meta, vec![more("t", 5, None)]), [Ok(())]);
    let image = meta.image(1);
    let topic = image.topic("t").unwrap();
    let groups: Vec<u64> = topic.partitions.iter().map(|p| p.group.0).collect();
    assert_eq!(groups, [1, 2, 3, 4, 5]);
    assert!(topic.partitions.iter().all(|p| p.replicas.len() == 2));
    assert_eq!(image.groups.len(), 5);
    assert_eq!(image.groups[&GroupId(5)].1, base::Partition(4));
    assert_eq!(meta.next_group(), GroupId(6));
}

#[test]
fn replicas_are_placed_by_hand() {
    let mut meta = meta();
    assert_eq!(
        add(&mut meta, vec![more("t", 3, Some(&[&[3, 1]]))]),
        [Ok(())]
    );
    let image = meta.image(1);
    let last = &image.topic("t").unwrap().partitions[2];
    assert_eq!(last.replicas, [NodeId(3), NodeId(1)]);
}

#[test]
fn what_cannot_be_is_refused_in_kafkas_words() {
    let mut meta = meta();
    let before = meta.clone();
    let mut why = |wanted| add(&mut meta, vec![wanted]).pop().unwrap().unwrap_err();
    assert_eq!(why(more("t", 2, None)), "Topic already has 2 partition(s).");
    let fewer = "The topic t currently has 2 partition(s); 1 would not be an increase.";
    assert_eq!(why(more("t", 1, None)), fewer);
    assert!(why(more("t", -7, None)).contains("; -7 would not be an increase."));
    assert!(why(more("t", 10_001, None)).contains("at most 10000"));
    let many = "Excessively large number of partitions per request: 10001, at most 10000.";
    assert_eq!(why(more("t", 10_003, None)), many);
    assert_eq!(why(more("no", 3, None)), Refusal::UnknownTopic.to_string());
    assert_eq!(
        why(more("t", 4, Some(&[&[1, 2]]))),
        "Attempted to add 2 additional partition(s), but only 1 assignment(s) were specified."
    );
    for count in [10_003, i32::MAX] {
        let told = why(more("t", count, Some(&[&[1, 2]])));
        assert!(
            told.ends_with("but only 1 assignment(s) were specified."),
            "{told}"
        );
    }
    assert!(why(more("t", 3, Some(&[&[1, 9]]))).contains("no such broker is registered"));
    assert!(why(more("t", 3, Some(&[&[1, 1]]))).contains("more than once"));
    assert!(why(more("t", 3, Some(&[&[1]]))).contains("not consistent"));
    assert_eq!(meta, before);
}

#[test]
fn a_topic_that_is_named_twice_does_not_grow() {
    let mut meta = meta();
    let parts = add(&mut meta, vec![more("t", 3, None), more("t", 4, None)]);
    assert_eq!(parts, vec![Err("Duplicate topic name.".to_owned()); 2]);
    assert_eq!(meta.image(1).topic("t").unwrap().partitions.len(), 2);
}
