//! How a shard hosts the coordinator of groups: what is answered when, and what is left of it
//! when leaders change. What the coordinator decides is tested in its own room.

#[path = "coordinators/cluster.rs"]
mod cluster;

use base::{NodeId, Offset, Refusal};
use cluster::Cluster;
use group::command::{Heartbeat, JoinGroup, ListGroups, Protocol, SyncGroup};
use shard::{Acks, AppendPart, Command, Event, Reply};
use std::time::Duration;

#[test]
fn what_was_committed_is_found_again_at_the_next_leader() {
    let mut c = Cluster::new(3);
    let first = c.leader();
    assert_eq!(c.fetches(first), None);
    c.commits(first, 7);
    assert_eq!(c.fetches(first), Some(7));
    c.run(1_000);
    for node in 1..=3 {
        assert_eq!(c.applied(node), c.applied(first), "followers replay along");
    }
    c.cut.insert(first);
    c.run(2_000);
    let next = c.leader();
    assert_ne!(next, first);
    assert_eq!(c.fetches(next), Some(7));
    c.commits(next, 9);
    c.cut.clear();
    c.run(2_000);
    let wrong = c.another(next);
    let ticket = c.fetch(wrong);
    assert_eq!(c.fetched(ticket), Some(Err(Refusal::NotCoordinator)));
    assert_eq!(c.fetches(next), Some(9));
}

#[test]
fn nothing_is_answered_before_its_commit_and_a_deposed_leader_forgets() {
    let mut c = Cluster::new(3);
    let first = c.leader();
    c.commits(first, 7);
    c.run(1_000);
    c.cut.insert(first);
    let commit = c.commit(first, 8);
    let fetch = c.fetch(first);
    c.run(100);
    assert!(c.group_answer(commit).is_none(), "nobody else has it");
    assert!(c.fetched(fetch).is_none(), "an answer would show it");
    c.run(2_000);
    // Without a quorum it stepped down.
    assert_eq!(c.group_answer(commit), Some(Err(Refusal::NotCoordinator)));
    assert_eq!(c.fetched(fetch), Some(Err(Refusal::NotCoordinator)));
    let next = c.leader();
    assert_eq!(c.fetches(next), Some(7));
    c.commits(next, 20);
    c.cut.clear();
    c.run(2_000);
    assert_eq!(c.applied(first), c.applied(next));
    // It may lead again, and knows nothing of what it once made up.
    c.event(next, Event::Drain);
    c.run(1_000);
    c.cut.insert(next);
    c.run(2_000);
    let last = c.leader();
    assert_eq!(c.fetches(last), Some(20));
}

#[test]
fn a_leader_that_does_not_know_of_its_successor_shows_nothing() {
    let mut c = Cluster::new(3);
    let first = c.leader();
    c.commits(first, 7);
    c.run(1_000);
    c.cut.insert(first);
    c.paused.insert(first);
    c.run(2_000);
    let next = c.leader();
    c.commits(next, 9);
    // The first one wakes up and has the question before anything else.
    assert!(c.serves(first));
    let ticket = c.fetch(first);
    assert!(c.fetched(ticket).is_none());
    // It would tell a member that joined meanwhile that there is no such group.
    let beat = c.group(first, beat("somebody", 1));
    assert!(c.group_answer(beat).is_none());
    c.cut.clear();
    c.paused.clear();
    c.run(1_000);
    assert_eq!(c.fetched(ticket), Some(Err(Refusal::NotCoordinator)));
    assert_eq!(c.group_answer(beat), Some(Err(Refusal::NotCoordinator)));
    assert_eq!(c.fetches(next), Some(9));
}

#[test]
fn what_a_deposed_leader_proposed_counts_if_it_came_through_after_all() {
    let mut c = Cluster::new(3);
    let first = c.leader();
    c.commits(first, 7);
    c.run(1_000);
    let others: Vec<u32> = (1..=3).filter(|n| *n != first).collect();
    // Alone with its proposal, then elected again with the proposal in its log.
    c.cut.extend(others.iter().copied());
    let commit = c.commit(first, 8);
    c.run(2_000);
    assert_eq!(c.group_answer(commit), Some(Err(Refusal::NotCoordinator)));
    assert!(!c.serves(first));
    c.cut.clear();
    c.run(3_000);
    assert_eq!(c.leader(), first, "only its log is complete");
    assert_eq!(c.fetches(first), Some(8));
}

#[test]
fn an_overdue_caller_is_answered_though_nothing_is_known() {
    let mut c = Cluster::new(1);
    c.commits(1, 1);
    c.event(1, Event::DiskFree(10));
    let ticket = c.commit(1, 2);
    assert!(matches!(
        c.group_answer(ticket),
        Some(Err(Refusal::CoordinatorNotAvailable(_)))
    ));
    assert_eq!(c.fetches(1), Some(1), "questions need no room");
}

/// One sync, and one frame to each follower, for all that is decided within a few milliseconds.
#[test]
fn what_is_decided_in_quick_succession_leaves_together() {
    let mut c = Cluster::new(3);
    let leader = c.leader();
    let before = c.written(leader);
    let first = c.commit(leader, 1);
    assert_eq!(c.written(leader), before + 1, "it waits for nobody");
    let (second, third) = (c.commit(leader, 2), c.commit(leader, 3));
    assert_eq!(c.written(leader), before + 1);
    c.run(100);
    assert_eq!(c.written(leader), before + 3);
    for ticket in [first, second, third] {
        assert!(matches!(c.group_answer(ticket), Some(Ok(_))));
    }
}

/// A client that asks one thing after the other isn't held up.
#[test]
fn whoever_asks_alone_waits_for_nobody() {
    let mut c = Cluster::new(1);
    for n in 1..=4 {
        let ticket = c.commit(1, n);
        assert!(matches!(c.group_answer(ticket), Some(Ok(_))));
    }
    assert_eq!(c.fetches(1), Some(4));
}

#[test]
fn a_join_waits_for_its_sync_and_ends_with_the_leadership() {
    let mut c = Cluster::new(3);
    let leader = c.leader();
    let ticket = c.group(leader, join(""));
    c.run(100);
    let Some(Ok(group::Reply::JoinGroup(told))) = c.group_answer(ticket) else {
        panic!("a member is given an id");
    };
    assert_eq!(told.outcome, Err(Refusal::MemberIdRequired));
    let ticket = c.group(leader, join(&told.member));
    c.run(500);
    let Some(Ok(group::Reply::JoinGroup(joined))) = c.group_answer(ticket) else {
        panic!("alone it leads its group");
    };
    let joined = joined.outcome.unwrap();
    let ticket = c.group(leader, sync(&told.member, joined.generation));
    c.run(100);
    assert!(matches!(
        c.group_answer(ticket),
        Some(Ok(group::Reply::SyncGroup(Ok(_))))
    ));
    // A second member joins: it waits for the first, which is not heard of.
    let ticket = c.group(leader, join("")); // its id
    c.run(100);
    let Some(Ok(group::Reply::JoinGroup(second))) = c.group_answer(ticket) else {
        panic!("a member is given an id");
    };
    let ticket = c.group(leader, join(&second.member));
    c.run(200);
    assert!(c.group_answer(ticket).is_none());
    c.cut.insert(leader);
    c.run(2_000);
    assert_eq!(c.group_answer(ticket), Some(Err(Refusal::NotCoordinator)));
    // The next leader knows the generation and its member.
    let next = c.leader();
    let ticket = c.group(next, beat(&told.member, joined.generation));
    c.run(100);
    assert!(matches!(
        c.group_answer(ticket),
        Some(Ok(group::Reply::Heartbeat(Ok(()))))
    ));
}

#[test]
fn a_silent_member_is_put_out_by_the_timer() {
    let mut c = Cluster::new(1);
    let ticket = c.group(1, join(""));
    let Some(Ok(group::Reply::JoinGroup(told))) = c.group_answer(ticket) else {
        panic!("a member is given an id");
    };
    let ticket = c.group(1, join(&told.member));
    c.run(100);
    let Some(Ok(group::Reply::JoinGroup(joined))) = c.group_answer(ticket) else {
        panic!("alone it leads its group");
    };
    let generation = joined.outcome.unwrap().generation;
    let ticket = c.group(1, sync(&told.member, generation));
    c.run(100);
    assert!(matches!(c.group_answer(ticket), Some(Ok(_))));
    assert_eq!(state(&mut c), "Stable");
    c.run(11_000);
    assert_eq!(state(&mut c), "Empty");
}

#[test]
fn while_copies_are_missing_nothing_is_written_and_heartbeats_go_on() {
    let mut c = Cluster::with(3, &[("min.insync.replicas", "3")]);
    let leader = c.leader();
    c.commits(leader, 7);
    let ticket = c.group(leader, join(""));
    c.run(200);
    let Some(Ok(group::Reply::JoinGroup(told))) = c.group_answer(ticket) else {
        panic!("a member is given an id");
    };
    let ticket = c.group(leader, join(&told.member));
    c.run(200);
    let Some(Ok(group::Reply::JoinGroup(joined))) = c.group_answer(ticket) else {
        panic!("alone it leads its group");
    };
    let generation = joined.outcome.unwrap().generation;
    let ticket = c.group(leader, sync(&told.member, generation));
    c.run(200);
    assert!(matches!(c.group_answer(ticket), Some(Ok(_))));
    let beats = |c: &mut Cluster| {
        let ticket = c.group(leader, beat(&told.member, generation));
        c.run(200);
        let answer = c.group_answer(ticket);
        assert!(
            matches!(answer, Some(Ok(group::Reply::Heartbeat(Ok(()))))),
            "{answer:?}"
        );
    };
    beats(&mut c);

    c.cut.insert(c.another(leader));
    let late = c.commit(leader, 8);
    beats(&mut c);
    assert!(c.group_answer(late).is_none(), "only two have it");
    c.run(5_000);
    assert!(matches!(
        c.group_answer(late),
        Some(Err(Refusal::CoordinatorNotAvailable(_)))
    ));
    beats(&mut c);
    c.run(5_000);
    beats(&mut c);
    let refused = c.commit(leader, 9);
    assert_eq!(
        c.group_answer(refused),
        Some(Err(Refusal::NotEnoughReplicas { min: 3 }))
    );
    beats(&mut c);
    assert_eq!(c.fetches(leader), Some(8), "it is committed, if late");
    c.cut.clear();
    c.run(2_000);
    c.commits(leader, 10);
    assert_eq!(c.fetches(leader), Some(10));
}

fn state(c: &mut Cluster) -> &'static str {
    let deadline = base::Mono(u64::MAX);
    let filter = ListGroups::default();
    match c.call(1, Command::Groups { filter, deadline }) {
        Reply::Groups(Ok(groups)) => groups[0].state,
        other => panic!("{other:?}"),
    }
}

#[test]
fn deleting_the_topic_ends_its_coordinators() {
    let mut c = Cluster::new(3);
    let leader = c.leader();
    c.commits(leader, 7);
    let ticket = c.group(leader, join("nobody"));
    c.delete_offsets_topic(leader);
    assert!(c.group_answer(ticket).is_some());
    let ticket = c.fetch(leader);
    assert_eq!(c.fetched(ticket), Some(Err(Refusal::NotCoordinator)));
    assert!(
        c.shards[&NodeId(leader)]
            .coordinator_status(c.partition)
            .is_none()
    );
}

#[test]
fn an_orderly_stop_hands_the_groups_over() {
    let mut c = Cluster::new(3);
    let first = c.leader();
    c.commits(first, 7);
    c.run(1_000);
    c.event(first, Event::Drain);
    c.run(500);
    let next = c.leader();
    assert_ne!(next, first);
    assert_eq!(c.fetches(next), Some(7));
}

#[test]
fn nobody_else_appends_to_the_topic() {
    let mut c = Cluster::new(1);
    let mut batch = base::record::Builder::new(5);
    batch.push(5, None, Some(b"x"), &[]);
    let group = c.partition;
    let command = Command::Append {
        acks: Acks::All,
        deadline: base::Mono(u64::MAX),
        parts: vec![AppendPart {
            group,
            batch: batch.build(),
        }],
    };
    match c.call(1, command) {
        Reply::Appended(parts) => assert!(matches!(parts[0], Err(Refusal::InvalidTopic(_)))),
        other => panic!("{other:?}"),
    }
    let status = c.shards[&NodeId(1)].replica_status(group).unwrap();
    assert_eq!(status.end_offset, Offset(0));
}

fn join(member: &str) -> group::Command {
    group::Command::JoinGroup(JoinGroup {
        group: "classic".into(),
        member: member.into(),
        instance: None,
        client: group::Client::default(),
        session_timeout_ms: Duration::from_secs(10).as_millis() as i32,
        rebalance_timeout_ms: Duration::from_secs(60).as_millis() as i32,
        protocol_type: "consumer".into(),
        protocols: vec![Protocol {
            name: "range".into(),
            metadata: bytes::Bytes::from_static(b"\0\0\0\0\0\0\0\0\0\0"),
        }],
        reason: None,
        requires_known_id: true,
        can_skip_assignment: true,
    })
}

fn beat(member: &str, generation: i32) -> group::Command {
    group::Command::Heartbeat(Heartbeat {
        group: "classic".into(),
        generation,
        member: member.into(),
        instance: None,
    })
}

fn sync(member: &str, generation: i32) -> group::Command {
    group::Command::SyncGroup(SyncGroup {
        group: "classic".into(),
        generation,
        member: member.into(),
        instance: None,
        protocol_type: None,
        protocol: None,
        assignments: vec![(member.into(), bytes::Bytes::from_static(b"mine"))],
    })
}
