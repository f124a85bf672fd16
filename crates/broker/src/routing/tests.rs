use crate::tests::{AWAY, HERE, World};
use crate::{Append, Principal, ReadFrom, TopicKey, Verb};
use base::record::Builder;
use base::{Batch, GroupId, Mono, NodeId, Now, Offset, Refusal, Term};
use shard::{Acks, Appended, Command, OffsetAnswer, OffsetQuery, Reply};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

const WAIT: Duration = Duration::from_millis(5);

fn batch(bytes: usize) -> Batch {
    let mut builder = Builder::new(0);
    builder.push(0, None, Some(&vec![0; bytes]), &[]);
    builder.build()
}

fn appended(offset: i64) -> Appended {
    Appended {
        base_offset: Offset(offset),
        append_time: None,
        start_offset: Offset(0),
    }
}

fn now() -> Now {
    Now {
        mono: Mono(1000),
        ..Now::default()
    }
}

fn push(append: &mut Append<'_>, key: TopicKey<'_>, partition: i32, bytes: usize) {
    let target = append.topic(key);
    append.push(&target, partition, batch(bytes));
}

fn from(offset: i64) -> ReadFrom {
    let offset = Offset(offset);
    ReadFrom {
        offset,
        bytes_max: 100,
        leader_epoch: Some(3),
        last_fetched_epoch: None,
    }
}

#[test]
fn a_call_without_refused_parts_goes_through_as_it_is() {
    let world = World::with_topics();
    let mut append = world.broker.append(&Principal::ANONYMOUS, Acks::All);
    push(&mut append, TopicKey::Name("here"), 1, 10);
    push(&mut append, TopicKey::Id(HERE), 0, 20);
    append.submit(now(), WAIT, world.to(42));
    let (command, to) = world.post.one();
    let to = to.unwrap();
    assert_eq!(to.ticket, 42);
    assert!(std::ptr::addr_eq(
        Arc::as_ptr(&to.sink),
        Arc::as_ptr(&world.inbox)
    ));
    let Command::Append {
        acks: Acks::All,
        deadline,
        parts,
    } = command
    else {
        panic!()
    };
    assert_eq!(deadline, Mono(6000));
    assert_eq!(
        parts.iter().map(|part| part.group).collect::<Vec<_>>(),
        [GroupId(2), GroupId(1)]
    );
    assert!(parts[0].batch.len() < parts[1].batch.len());
    assert!(world.inbox.take().is_empty());
}

#[test]
fn refused_parts_stand_at_their_places_in_the_answer() {
    let world = World::with_topics();
    world
        .broker
        .publish_leaders(&[(GroupId(3), Term(9), Some(NodeId(2)))]);
    let mut append = world.broker.append(&Principal::ANONYMOUS, Acks::All);
    push(&mut append, TopicKey::Name("none"), 0, 1);
    push(&mut append, TopicKey::Name("here"), 0, 1);
    push(&mut append, TopicKey::Name("here"), 2, 1);
    push(&mut append, TopicKey::Name("here"), -1, 1);
    push(&mut append, TopicKey::Id(AWAY), 0, 1);
    push(&mut append, TopicKey::Id(AWAY), 1, 1);
    push(&mut append, TopicKey::Name("here"), 1, 1);
    push(&mut append, TopicKey::Id(base::Uuid([99; 16])), 0, 1);
    append.submit(now(), WAIT, world.to(7));
    let (command, to) = world.post.one();
    let Command::Append { parts, .. } = command else {
        panic!()
    };
    assert_eq!(parts.len(), 2);
    let answers = vec![Ok(appended(5)), Err(Refusal::Timeout)];
    let to = to.unwrap();
    to.sink.reply(to.ticket, Reply::Appended(answers));
    let (ticket, Reply::Appended(answers)) = world.inbox.one() else {
        panic!()
    };
    assert_eq!(ticket, 7);
    assert_eq!(
        answers,
        [
            Err(Refusal::UnknownTopic),
            Ok(appended(5)),
            Err(Refusal::UnknownTopic),
            Err(Refusal::UnknownTopic),
            Err(Refusal::NotLeader {
                leader: Some((NodeId(2), Term(9)))
            }),
            Err(Refusal::NotLeader { leader: None }),
            Err(Refusal::Timeout),
            Err(Refusal::UnknownTopicId),
        ]
    );
    assert_eq!(world.broker.stats().calls(Verb::Append), 1);
    assert_eq!(world.broker.stats().refusals(Verb::Append), 6);
}

#[test]
fn a_call_of_refused_parts_only_is_answered_at_once() {
    let world = World::with_topics();
    let mut append = world.broker.append(&Principal::ANONYMOUS, Acks::Leader);
    push(&mut append, TopicKey::Name("none"), 0, 1);
    push(&mut append, TopicKey::Name("away"), 0, 1);
    append.submit(now(), WAIT, world.to(1));
    let (_, Reply::Appended(answers)) = world.inbox.one() else {
        panic!()
    };
    let moved = Refusal::NotLeader { leader: None };
    assert_eq!(answers, [Err(Refusal::UnknownTopic), Err(moved)]);
    assert!(world.post.take().is_empty());
}

#[test]
fn a_full_mailbox_refuses_every_part_that_was_not_refused_before() {
    let world = World::with_topics();
    world.post.full.store(true, Ordering::Relaxed);
    let mut append = world.broker.append(&Principal::ANONYMOUS, Acks::All);
    push(&mut append, TopicKey::Name("here"), 0, 1);
    push(&mut append, TopicKey::Name("none"), 0, 1);
    push(&mut append, TopicKey::Name("here"), 1, 1);
    append.submit(now(), WAIT, world.to(1));
    let (_, Reply::Appended(answers)) = world.inbox.one() else {
        panic!()
    };
    let busy = Refusal::Busy("full".to_owned());
    assert_eq!(
        answers,
        [Err(busy.clone()), Err(Refusal::UnknownTopic), Err(busy)]
    );
}

#[test]
fn what_the_door_finds_invalid_comes_after_what_is_not_there() {
    let world = World::with_topics();
    let mut append = world.broker.append(&Principal::ANONYMOUS, Acks::All);
    let here = append.topic(TopicKey::Name("here"));
    let none = append.topic(TopicKey::Name("none"));
    assert!(here.settings().is_some() && none.settings().is_none());
    append.refuse(&here, 0, Refusal::InvalidRecord("bad".to_owned()));
    append.refuse(&none, 0, Refusal::InvalidRecord("bad".to_owned()));
    append.refuse(&here, 5, Refusal::InvalidRecord("bad".to_owned()));
    append.submit(now(), WAIT, world.to(1));
    let (_, Reply::Appended(answers)) = world.inbox.one() else {
        panic!()
    };
    let bad = Refusal::InvalidRecord("bad".to_owned());
    assert_eq!(
        answers,
        [
            Err(bad),
            Err(Refusal::UnknownTopic),
            Err(Refusal::UnknownTopic)
        ]
    );
}

#[test]
fn a_read_waits_unless_a_partition_has_moved() {
    let world = World::with_topics();
    for (topic, waits) in [("here", 500), ("none", 500), ("away", 0)] {
        let mut read = world.broker.read(&Principal::ANONYMOUS);
        let here = read.topic(TopicKey::Name("here"));
        read.push(&here, 0, from(17));
        let other = read.topic(TopicKey::Name(topic));
        read.push(&other, 1, from(18));
        read.submit(now(), 500, 1000, WAIT, world.to(1));
        let (command, _) = world.post.one();
        let Command::Read {
            bytes_min,
            bytes_max: 1000,
            deadline,
            parts,
        } = command
        else {
            panic!()
        };
        assert_eq!((bytes_min, deadline), (waits, Mono(6000)), "{topic}");
        assert_eq!((parts[0].group, parts[0].offset), (GroupId(1), Offset(17)));
        assert_eq!((parts[0].leader_epoch, parts[0].bytes_max), (Some(3), 100));
    }
}

#[test]
fn questions_are_merged_like_appends() {
    let world = World::with_topics();
    let mut offsets = world.broker.offsets(&Principal::ANONYMOUS);
    for (name, partition) in [("none", 0), ("here", 1)] {
        let target = offsets.topic(TopicKey::Name(name));
        offsets.push(&target, partition, OffsetQuery::Latest, Some(4));
    }
    offsets.submit(world.to(1));
    let (Command::Offsets { parts }, Some(to)) = world.post.one() else {
        panic!()
    };
    assert_eq!(
        (parts[0].group, parts[0].leader_epoch),
        (GroupId(2), Some(4))
    );
    let known = OffsetAnswer::Known {
        offset: Offset(3),
        timestamp: -1,
        leader_epoch: 4,
    };
    to.sink.reply(to.ticket, Reply::Offsets(vec![Ok(known)]));
    let (1, Reply::Offsets(answers)) = world.inbox.one() else {
        panic!()
    };
    assert!(matches!(answers[0], Err(Refusal::UnknownTopic)));
    assert!(matches!(
        answers[1],
        Ok(OffsetAnswer::Known {
            offset: Offset(3),
            ..
        })
    ));

    let mut ends = world.broker.epoch_ends(&Principal::ANONYMOUS);
    for (name, partition) in [("here", 0), ("here", 9)] {
        let target = ends.topic(TopicKey::Name(name));
        ends.push(&target, partition, 2, None);
    }
    ends.submit(world.to(2));
    let (Command::EpochEnds { parts }, Some(to)) = world.post.one() else {
        panic!()
    };
    assert_eq!(
        (parts[0].group, parts[0].epoch, parts[0].current_epoch),
        (GroupId(1), 2, None)
    );
    to.sink
        .reply(to.ticket, Reply::EpochEnds(vec![Ok((2, Offset(8)))]));
    let (2, Reply::EpochEnds(answers)) = world.inbox.one() else {
        panic!()
    };
    assert_eq!(answers, [Ok((2, Offset(8))), Err(Refusal::UnknownTopic)]);
}

#[test]
fn a_question_for_replicas_is_always_answered() {
    let world = World::with_topics();
    world.broker.replicas(vec![GroupId(1)], world.to(1));
    assert!(matches!(
        world.post.one(),
        (Command::Replicas { .. }, Some(_))
    ));
    world.post.full.store(true, Ordering::Relaxed);
    world.broker.replicas(vec![GroupId(1)], world.to(2));
    assert!(matches!(world.inbox.one(), (2, Reply::Replicas(list)) if list.is_empty()));
}
