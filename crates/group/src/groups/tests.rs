//! The machine as its host uses it: dialogues from text files, and properties under random
//! commands.

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
