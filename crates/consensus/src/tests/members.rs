//! Who belongs to a group changes, and what that is worth in votes and commits.

use super::*;

fn member(node: u32, incarnation: u32) -> Member {
    Member {
        node: NodeId(node),
        incarnation,
    }
}

fn configuration(voters: &[Member], outgoing: &[Member], learners: &[Member]) -> Configuration {
    Configuration {
        voters: voters.to_vec(),
        outgoing: outgoing.to_vec(),
        learners: learners.to_vec(),
        aim: 0,
    }
}

/// Three founders, led by the first, and a replica on a fourth node that isn't a member yet.
fn three_and_one() -> (Vec<Group>, [Member; 4]) {
    let founders = [NodeId(1), NodeId(2), NodeId(3)];
    let all = [member(1, 0), member(2, 0), member(3, 0), member(4, 7)];
    let group = |me: &Member| {
        let configuration = Configuration::of_founders(&founders);
        let restored = Restored {
            configuration,
            ..Restored::default()
        };
        Group::new(*me, restored)
    };
    let mut groups: Vec<Group> = all.iter().map(group).collect();
    groups[0].campaign();
    settle(&mut groups);
    (groups, all)
}

fn configure(groups: &mut [Group], next: &Configuration) {
    groups[0].propose_configuration(next).unwrap();
    settle(groups);
    for group in groups.iter_mut() {
        group.ping();
    }
    settle(groups);
}

#[test]
fn a_learner_gets_everything_and_has_no_say() {
    let (mut groups, [one, two, three, four]) = three_and_one();
    let sent = batch(0, groups[0].term().0, 100);
    let index = groups[0].propose_batch(sent.clone()).unwrap();
    settle(&mut groups);
    configure(
        &mut groups,
        &configuration(&[one, two, three], &[], &[four]),
    );
    assert_eq!(groups[3].body(index), Some(Body::Batch(sent)));
    assert_eq!(groups[3].configuration(), groups[0].configuration());
    groups[3].campaign();
    settle(&mut groups);
    assert_eq!(groups[3].role(), Role::Follower);
    // With the leader it is two of four, but one of three.
    let committed = groups[0].committed();
    let next = batch(1, groups[0].term().0, 100);
    groups[0].propose_batch(next).unwrap();
    settle_without(&mut groups, &[2, 3]);
    assert_eq!(groups[0].committed(), committed);
}

#[test]
fn the_only_elector_sends_nothing_in_a_term_that_it_might_forget() {
    let (one, two) = (member(1, 0), member(2, 7));
    let group = |me: Member| {
        let configuration = configuration(&[one], &[], &[two]);
        let restored = Restored {
            configuration,
            ..Restored::default()
        };
        Group::new(me, restored)
    };
    let mut groups = vec![group(one), group(two)];
    groups[0].campaign();
    let elected = groups[0].ready().expect("it leads at once");
    assert_eq!(groups[0].role(), Role::Leader);
    assert!(elected.now.is_empty() && !elected.after.is_empty());
    groups[0].propose_batch(batch(0, 1, 10)).unwrap();
    let next = groups[0].ready().expect("there is a batch");
    assert!(next.now.is_empty(), "the term isn't durable yet");
    groups[0].persisted(elected.number);
    groups[0].persisted(next.number);
    for message in elected.after.into_iter().chain(next.after) {
        groups[1].step(message).unwrap();
    }
    settle(&mut groups);
    groups[0].propose_batch(batch(1, 1, 10)).unwrap();
    let ready = groups[0].ready().expect("there is another one");
    assert!(!ready.now.is_empty(), "it needn't wait for its own disk");
}

#[test]
fn a_joint_configuration_needs_both_majorities_and_leaving_it_only_the_new_one() {
    let (mut groups, [one, two, three, four]) = three_and_one();
    configure(
        &mut groups,
        &configuration(&[one, two, three], &[], &[four]),
    );
    let joint = configuration(&[one, four], &[one, two, three], &[]);
    configure(&mut groups, &joint);
    let committed = groups[0].committed();
    groups[0].propose_batch(batch(0, 1, 10)).unwrap();
    settle_without(&mut groups, &[2, 3]);
    assert_eq!(
        groups[0].committed(),
        committed,
        "no majority of the old voters"
    );
    groups[0].ping();
    settle(&mut groups);
    let committed = groups[0].committed();
    groups[0].propose_batch(batch(1, 1, 10)).unwrap();
    settle_without(&mut groups, &[4]);
    assert_eq!(
        groups[0].committed(),
        committed,
        "no majority of the new voters"
    );
    groups[0].ping();
    settle(&mut groups);
    assert!(groups[0].committed() > committed);
    configure(&mut groups, &joint.left());
    let committed = groups[0].committed();
    groups[0].propose_batch(batch(2, 1, 10)).unwrap();
    settle_without(&mut groups, &[2, 3]);
    assert!(groups[0].committed() > committed);
    assert!(!groups[1].is_elector() || groups[1].configuration().is_joint());
}

#[test]
fn who_has_yet_to_take_up_a_configuration_asks_for_no_votes() {
    let (mut groups, [one, two, three, four]) = three_and_one();
    configure(
        &mut groups,
        &configuration(&[one, two, three], &[], &[four]),
    );
    // The third hears of the next two at once, with their commit.
    let joint = configuration(&[one, three, four], &[one, two, three], &[]);
    for next in [joint.clone(), joint.left()] {
        groups[0].propose_configuration(&next).unwrap();
        settle_without(&mut groups, &[3]);
    }
    let mut leader = groups.remove(0);
    leader.unreachable(NodeId(3));
    let mut third = groups.remove(1);
    leader.ping();
    let mut sent = Vec::new();
    while third.committed() < leader.committed() {
        while let Some(ready) = leader.ready() {
            sent.extend(ready.now.into_iter().chain(ready.after));
            leader.persisted(ready.number);
        }
        assert!(!sent.is_empty(), "the third is told");
        for message in sent.drain(..).filter(|m| m.to().node == NodeId(3)) {
            third.step(message).unwrap();
        }
        if third.committed() == leader.committed() {
            break;
        }
        while let Some(ready) = third.ready() {
            third.persisted(ready.number);
            for message in ready.now.into_iter().chain(ready.after) {
                leader.step(message).unwrap();
            }
        }
    }
    assert!(third.configured() < leader.configured());
    third.forget_leader();
    third.campaign();
    assert_eq!(third.role(), Role::Follower, "it would ask the second one");
    let written = third.ready().expect("entries");
    third.campaign();
    assert_eq!(third.role(), Role::Follower, "they aren't durable");
    third.persisted(written.number);
    while let Some(ready) = third.ready() {
        third.persisted(ready.number);
    }
    third.campaign();
    assert_eq!(third.role(), Role::Candidate);
    let asked = third.ready().expect("messages");
    let asked = asked.now.iter().chain(&asked.after);
    let mut asked: Vec<_> = asked.map(|message| message.to().node).collect();
    asked.sort();
    assert_eq!(asked, [NodeId(1), NodeId(4)]);
}

#[test]
fn one_change_at_a_time_and_none_by_a_leader_that_is_new() {
    let (mut groups, [one, two, three, four]) = three_and_one();
    let next = configuration(&[one, two, three], &[], &[four]);
    groups[0].propose_configuration(&next).unwrap();
    assert!(
        groups[0].propose_configuration(&next).is_err(),
        "in this turn"
    );
    settle_without(&mut groups, &[2, 3]);
    assert!(groups[0].configuration_is_pending());
    assert!(groups[0].propose_configuration(&next).is_err());
    settle_without(&mut groups, &[1]);
    groups[1].forget_leader();
    groups[2].forget_leader();
    groups[1].campaign();
    settle_without(&mut groups, &[1]);
    assert_eq!(groups[1].role(), Role::Leader);
    groups[0].resign();
    groups[1].ping();
    settle(&mut groups);
    assert!(!groups[0].configuration_is_pending(), "it was cut off");
    assert_eq!(groups[0].configuration().learners, []);
    groups[1].propose_configuration(&next).unwrap();
    settle(&mut groups);
    assert_eq!(groups[1].configuration().learners, [four]);
}

#[test]
fn a_start_takes_what_was_committed_and_waits_for_the_rest() {
    let [one, four] = [member(1, 0), member(4, 7)];
    let change = configuration(&[one], &[], &[four]);
    let entry = |index, next: &Configuration| RestoredEntry {
        index: RaftIndex(index),
        term: Term(1),
        body: Err(next.encode().into()),
    };
    let group = Group::new(
        one,
        Restored {
            term: Term(1),
            commit: RaftIndex(2),
            configuration: change.clone(),
            configured: RaftIndex(2),
            term_starts: vec![(RaftIndex(1), Term(1))],
            tail: vec![entry(3, &configuration(&[four], &[one], &[]))],
            ..Restored::default()
        },
    );
    assert_eq!(
        (group.configuration(), group.configured()),
        (&change, RaftIndex(2))
    );
    assert!(group.configuration_is_pending());
    assert!(group.is_elector());
}

/// A follower without room is sent what frees some, and the rest as soon as it has it.
#[test]
fn who_is_sent_no_batches_gets_other_entries_and_the_batches_later() {
    let mut groups = three();
    groups[0].campaign();
    settle(&mut groups);
    let third = Member::founder(NodeId(3));
    assert!(groups[0].withhold_from([third].into()));
    assert!(!groups[0].withhold_from([third].into()));
    let term = groups[0].term().0;
    let internal = Bytes::from_static(b"internal");
    let small = groups[0].propose_internal(internal.clone()).unwrap();
    settle(&mut groups);
    assert_eq!(groups[2].last_index(), small);
    for offset in 0..3 {
        groups[0].propose_batch(batch(offset, term, 10)).unwrap();
    }
    let behind = groups[0].propose_internal(internal).unwrap();
    settle(&mut groups);
    for _ in 0..3 {
        groups[0].ping();
        let sent = settle(&mut groups);
        assert!(!sent.iter().any(Message::has_entries));
    }
    assert_eq!(groups[0].committed(), behind, "two of three have it");
    assert_eq!(groups[2].last_index(), small);
    assert_eq!(groups[0].take_cold().len(), 0);
    assert!(groups[0].withhold_from(Default::default()));
    groups[0].ping();
    settle(&mut groups);
    groups[0].ping();
    settle(&mut groups);
    assert_eq!(groups[2].committed(), behind);
}
