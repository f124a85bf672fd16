//! The machine as its host uses it: dialogues from text files, and properties under random
//! commands.

mod bounds;
mod consumers;
mod dialogue;
mod garbage;
mod mixed;
mod properties;
mod script;
mod world;

use crate::command::*;
use crate::{Config, Reply};
use base::Refusal;
use std::sync::Arc;

/// A name that a record can't hold must not end up as another one.
#[test]
fn names_that_no_record_holds_are_refused() {
    let mut world = world::World::new(Config::default());
    let long = "n".repeat(40_000);
    let mut commit = OffsetCommit {
        group: long.clone(),
        member: String::new(),
        instance: None,
        generation_or_epoch: -1,
        retention_ms: None,
        knows_epochs: true,
        topics: vec![CommitTopic {
            name: Arc::from("t"),
            id: base::Uuid::ZERO,
            partitions: Vec::new(),
        }],
    };
    let mut refused = |caller, commit: &OffsetCommit| {
        let decision = world.ask(caller, Command::OffsetCommit(commit.clone()));
        let [(_, Reply::OffsetCommit(outcome))] = &decision.replies[..] else {
            panic!("{decision:?}");
        };
        matches!(outcome, Err(Refusal::InvalidRequest(_)))
    };
    assert!(refused(1, &commit));
    commit.group = "g".to_owned();
    assert!(!refused(2, &commit));
    commit.topics[0].name = Arc::from(long);
    assert!(refused(3, &commit));
}

/// A topic may be deleted, made again and deleted again before a coordinator hears of it.
#[test]
fn of_two_deleted_topics_of_one_name_both_are_forgotten() {
    let mut world = world::World::new(Config::default());
    let topic = |name: &str, id| CommitTopic {
        name: Arc::from(name),
        id: base::Uuid([id; 16]),
        partitions: vec![CommitPartition {
            partition: 0,
            offset: 5,
            leader_epoch: -1,
            metadata: Some(String::new()),
        }],
    };
    let groups = [
        ("early", vec![topic("t", 1)]),
        ("late", vec![topic("t", 2), topic("u", 3), topic("v", 4)]),
    ];
    for (caller, (group, topics)) in (1..).zip(groups) {
        let commit = OffsetCommit {
            group: group.to_owned(),
            member: String::new(),
            instance: None,
            generation_or_epoch: -1,
            retention_ms: None,
            knows_epochs: true,
            topics,
        };
        world.ask(caller, Command::OffsetCommit(commit));
    }
    let topics = [1, 2]
        .map(|id| ("t".to_owned(), base::Uuid([id; 16])))
        .to_vec();
    let decision = world.ask(3, Command::TopicsDeleted { topics });
    assert_eq!(decision.records.len(), 2, "{decision:?}");
}
