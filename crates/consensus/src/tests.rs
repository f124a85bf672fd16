use crate::frame::{Frame, FrameError, Item, Led, LedDelta, Seen};
use crate::{Body, Contradiction, Group, Message, Restored, RestoredEntry, Role, SumAsk, Verdict};
use base::record::Builder;
use base::{Batch, Configuration, GroupId, Member, NodeId, Offset, RaftIndex, Random, Term};
use bytes::Bytes;

mod members;

fn batch(offset: i64, term: u32, bytes: usize) -> Batch {
    let mut builder = Builder::new(7);
    builder.push(7, None, Some(&vec![b'v'; bytes]), &[]);
    let mut batch = builder.build();
    batch.stamp(Offset(offset), Term(term));
    batch
}

/// Steps messages between replicas until none is left; all writes are durable at once. Returns
/// what was sent, for those who look at it.
fn settle(groups: &mut [Group]) -> Vec<Message> {
    settle_without(groups, &[])
}

/// As [`settle`], but what these nodes are sent or send is lost.
fn settle_without(groups: &mut [Group], down: &[u32]) -> Vec<Message> {
    let mut all = Vec::new();
    loop {
        let mut sent = Vec::new();
        for group in groups.iter_mut() {
            while let Some(ready) = group.ready() {
                sent.extend(ready.now);
                sent.extend(ready.after);
                group.persisted(ready.number);
            }
        }
        let lost = |m: &Message| down.contains(&m.to().node.0) || down.contains(&m.from().node.0);
        sent.retain(|message| !lost(message));
        if sent.is_empty() {
            return all;
        }
        for message in sent {
            all.push(message.clone());
            let to = message.to().node.0 as usize - 1;
            groups[to].step(message).unwrap();
        }
    }
}

fn founded(node: NodeId, voters: &[NodeId], restored: Restored) -> Group {
    let configuration = Configuration::of_founders(voters);
    let restored = Restored {
        configuration,
        ..restored
    };
    Group::new(Member::founder(node), restored)
}

fn three() -> Vec<Group> {
    let voters = [NodeId(1), NodeId(2), NodeId(3)];
    voters
        .iter()
        .map(|n| founded(*n, &voters, Restored::default()))
        .collect()
}

/// To the crate the number 0 is nobody.
#[test]
fn node_0_is_somebody() {
    let voters = [NodeId(0), NodeId(1)];
    let new = |node: &NodeId| founded(*node, &voters, Restored::default());
    let mut groups: Vec<Group> = voters.iter().map(new).collect();
    groups[0].campaign();
    loop {
        let mut sent = Vec::new();
        for group in &mut groups {
            while let Some(ready) = group.ready() {
                sent.extend(ready.now);
                sent.extend(ready.after);
                group.persisted(ready.number);
            }
        }
        if sent.is_empty() {
            break;
        }
        for message in sent {
            groups[message.to().node.0 as usize].step(message).unwrap();
        }
    }
    assert_eq!(groups[0].role(), Role::Leader);
    for group in &groups {
        assert_eq!(group.leader(), Some(NodeId(0)));
        assert_eq!(group.vote(), Some(NodeId(0)));
    }
}

#[test]
fn a_batch_is_committed_by_all_with_its_bytes() {
    let mut groups = three();
    groups[0].campaign();
    settle(&mut groups);
    assert_eq!(groups[0].role(), Role::Leader);
    let sent = batch(0, groups[0].term().0, 100);
    let index = groups[0].propose_batch(sent.clone()).unwrap();
    settle(&mut groups);
    for group in &mut groups {
        group.ping();
    }
    settle(&mut groups);
    for group in &groups {
        assert_eq!(group.committed(), index);
        assert_eq!(group.body(index), Some(Body::Batch(sent.clone())));
    }
    assert!(
        groups[1].propose_batch(sent).is_err(),
        "a follower proposes nothing"
    );
}

#[test]
fn a_vote_is_refused_while_the_leader_is_heard_and_given_once_it_is_lost() {
    let mut groups = three();
    groups[0].campaign();
    settle(&mut groups);
    groups[1].campaign();
    settle(&mut groups);
    assert_eq!(
        groups[0].role(),
        Role::Leader,
        "a pre-vote doesn't unseat a live leader"
    );
    let mut pair = groups.split_off(1);
    // The old leader is gone; messages to it are dropped.
    for group in &mut pair {
        group.forget_leader();
    }
    pair[0].campaign();
    for _ in 0..6 {
        let mut sent = Vec::new();
        for group in &mut pair {
            while let Some(ready) = group.ready() {
                sent.extend(ready.now);
                sent.extend(ready.after);
                group.persisted(ready.number);
            }
        }
        for message in sent.into_iter().filter(|m| m.to().node != NodeId(1)) {
            pair[message.to().node.0 as usize - 2]
                .step(message)
                .unwrap();
        }
    }
    assert_eq!(pair[0].role(), Role::Leader);
    assert!(pair[0].term() > groups[0].term());
}

/// A replica that starts with these entries, each of its term, and knows some as committed.
fn restored(node: u32, entries: &[u32], commit: u64) -> Group {
    let voters = [NodeId(1), NodeId(2), NodeId(3)];
    let found = |(at, term): (usize, &u32)| RestoredEntry {
        index: RaftIndex(at as u64 + 1),
        term: Term(*term),
        body: Err(Bytes::new()),
    };
    let tail: Vec<_> = entries.iter().enumerate().map(found).collect();
    let restored = Restored {
        term: Term(*entries.last().unwrap()),
        commit: RaftIndex(commit),
        term_starts: tail.iter().map(|entry| (entry.index, entry.term)).collect(),
        tail: tail.into_iter().skip(commit as usize).collect(),
        ..Restored::default()
    };
    founded(NodeId(node), &voters, restored)
}

#[test]
fn a_follower_that_lost_what_it_acknowledged_says_so_and_lives() {
    let mut groups = three();
    groups[0].campaign();
    settle(&mut groups);
    let term = groups[0].term();
    groups[0].propose_batch(batch(0, term.0, 100)).unwrap();
    settle(&mut groups);
    let last = groups[0].last_index();
    assert_eq!((last, groups[0].committed()), (RaftIndex(2), RaftIndex(2)));
    // Its disk has lost the last entry.
    groups[1] = restored(2, &[term.0], 1);
    groups[0].unreachable(NodeId(2));
    groups[0].ping();
    let ready = groups[0].ready().unwrap();
    let beat = ready
        .now
        .into_iter()
        .find(|m| m.to().node == NodeId(2))
        .unwrap();
    let lost = Contradiction::Lost {
        acknowledged: last,
        last: RaftIndex(1),
    };
    assert_eq!(groups[1].step(beat), Err(lost));
    assert_eq!(groups[1].committed(), RaftIndex(1));
}

#[test]
fn a_leader_without_what_is_committed_here_is_contradicted() {
    // The second lost entries 2 and 3, and was elected by the third, which never had them.
    let mut whole = restored(1, &[1, 1, 1], 3);
    let mut pair = [restored(2, &[1], 1), restored(3, &[1], 1)];
    pair[0].forget_leader();
    pair[1].forget_leader();
    pair[0].campaign();
    let mut told = Vec::new();
    for _ in 0..6 {
        let mut sent = Vec::new();
        for group in &mut pair {
            while let Some(ready) = group.ready() {
                sent.extend(ready.now);
                sent.extend(ready.after);
                group.persisted(ready.number);
            }
        }
        for message in sent {
            match message.to().node {
                NodeId(1) => told.push(whole.step(message)),
                to => pair[to.0 as usize - 2].step(message).unwrap(),
            }
        }
    }
    assert_eq!(pair[0].role(), Role::Leader);
    let index = RaftIndex(2);
    let contradicted = Err(Contradiction::Replaced { index });
    assert!(told.contains(&contradicted), "{told:?}");
    assert!(whole.ready().is_none_or(|ready| ready.entries.is_empty()));
    assert_eq!(whole.last_index(), RaftIndex(3));
}

#[test]
fn entries_that_left_memory_are_asked_for_and_then_sent() {
    let mut groups = three();
    groups[0].campaign();
    settle(&mut groups);
    let term = groups[0].term();
    let mut kept = Vec::new();
    let mut lagging = groups.pop().unwrap();
    for offset in 0..20 {
        let sent = batch(offset, term.0, 2000);
        let index = groups[0].propose_batch(sent.clone()).unwrap();
        kept.push((index, sent));
        for _ in 0..4 {
            let mut out = Vec::new();
            for group in &mut groups {
                while let Some(ready) = group.ready() {
                    out.extend(ready.now);
                    out.extend(ready.after);
                    group.persisted(ready.number);
                }
            }
            for message in out.into_iter().filter(|m| m.to().node != NodeId(3)) {
                groups[message.to().node.0 as usize - 1]
                    .step(message)
                    .unwrap();
            }
        }
    }
    let last = groups[0].last_index();
    assert_eq!(groups[0].committed(), last);
    assert!(groups[0].evict(last) > 0);
    groups.push(lagging);
    groups[0].unreachable(NodeId(3));
    groups[0].ping();
    let mut jobs = 0;
    for _ in 0..50 {
        settle(&mut groups);
        for wanted in groups[0].take_cold() {
            assert_eq!(wanted.to, Member::founder(NodeId(3)));
            jobs += 1;
            let from = wanted.from;
            let entries = kept.iter().filter(|(i, _)| *i >= from).take(3);
            let entries = entries
                .map(|(index, batch)| crate::NewEntry {
                    index: *index,
                    term,
                    body: Body::Batch(batch.clone()),
                })
                .collect();
            groups[0].fetched(wanted, entries);
            settle(&mut groups);
            groups[0].drop_fetched();
        }
        groups[0].ping();
    }
    lagging = groups.pop().unwrap();
    assert!(jobs > 1);
    assert_eq!(lagging.last_index(), last);
    assert_eq!(lagging.body(last), groups[1].body(last));
}

fn sample_frame(random: &mut Random) -> Frame {
    let mut groups = three();
    groups[0].campaign();
    let mut items: Vec<_> = settle(&mut groups)
        .into_iter()
        .map(|m| Item::Raft(GroupId(9), m))
        .collect();
    for n in 0..3 {
        let size = [10, 900, 5000][n as usize];
        let sent = batch(n, groups[0].term().0, size);
        groups[0].propose_batch(sent).unwrap();
    }
    items.extend(
        settle(&mut groups)
            .into_iter()
            .map(|m| Item::Raft(GroupId(9), m)),
    );
    items.push(Item::Disown(GroupId(4), Term(7)));
    items.push(Item::Forward {
        ticket: 3,
        command: Bytes::from_static(b"command"),
    });
    items.push(Item::Answer {
        ticket: 3,
        index: RaftIndex(8),
        reply: None,
    });
    let reply = Some(Bytes::from_static(b"reply"));
    items.push(Item::Answer {
        ticket: 4,
        index: RaftIndex(9),
        reply,
    });
    let ask = SumAsk {
        term: Term(3),
        from: Offset(4),
        upto: Offset(9),
        crc: 77,
    };
    items.push(Item::AskSum(GroupId(4), ask));
    items.push(Item::Sum(GroupId(5), ask, Verdict::Same));
    items.extend([Item::Aside(GroupId(6), 2), Item::AskEnd(GroupId(7))]);
    items.push(Item::End(GroupId(8), Term(9), RaftIndex(10)));
    items.push(Item::Room(crate::Room::Gone, 1 << 40));
    items.push(Item::Coming(1 << 20));
    let changes = vec![
        (GroupId(1), Led::Gone),
        (
            GroupId(2),
            Led::Leads {
                term: Term(3),
                quiet: true,
                behind: Vec::new(),
            },
        ),
        (
            GroupId(5),
            Led::Leads {
                term: Term(4),
                quiet: false,
                behind: vec![NodeId(2), NodeId(7)],
            },
        ),
    ];
    let led = Some(LedDelta {
        from: 2,
        to: 9,
        changes,
    });
    Frame {
        boot: random.next(),
        beat: 77,
        seen: Seen {
            boot: random.next(),
            led: 4,
            beat: 70,
        },
        led,
        items,
    }
}

#[test]
fn a_frame_reads_back() {
    let frame = sample_frame(&mut Random::new(1));
    let bytes = Bytes::from(frame.encode().concat());
    assert_eq!(Frame::decode(bytes), Ok(frame));
}

/// What is new stands behind all that an earlier release reads; so does what a later one adds.
#[test]
fn a_frame_of_a_later_release_is_read_as_far_as_it_is_known() {
    let meta = |frame: &Frame| {
        let bytes = frame.encode().concat();
        let length = u32::from_be_bytes(bytes[4..8].try_into().unwrap()) as usize;
        bytes[8..8 + length].to_vec()
    };
    let new = sample_frame(&mut Random::new(1));
    let mut old = new.clone();
    let newest = |item: &Item| matches!(item, Item::Coming(_));
    old.items.retain(|item| !newest(item));
    assert!(meta(&new).starts_with(&meta(&old)));

    let bytes = new.encode().concat();
    let mut later = meta(&new);
    let bodies = &bytes[8 + later.len()..];
    later.extend([0, 0, 0, 1, 200, 0, 0, 0, 0, 0, 0, 0, 1]);
    let sum = base::checksum::crc32c(&later).to_be_bytes();
    let length = (later.len() as u32).to_be_bytes();
    let later = [&sum[..], &length, &later, bodies].concat();
    assert_eq!(Frame::decode(later.into()), Ok(new));
}

#[test]
fn no_flipped_bit_of_a_frame_goes_unnoticed() {
    let frame = sample_frame(&mut Random::new(2));
    let good = frame.encode().concat();
    for bit in 0..good.len() * 8 {
        let mut bad = good.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        assert!(Frame::decode(bad.into()).is_err(), "bit {bit}");
    }
    for cut in 0..good.len() {
        assert!(
            Frame::decode(Bytes::copy_from_slice(&good[..cut])).is_err(),
            "cut at {cut}"
        );
    }
}

#[test]
fn garbage_with_a_right_checksum_is_refused_without_a_panic() {
    let mut random = Random::new(3);
    let good = sample_frame(&mut random).encode().concat();
    for _ in 0..20_000 {
        let mut bad = good.clone();
        for _ in 0..random.between(1, 5) {
            let at = random.below(bad.len() as u64 - 8) as usize + 8;
            bad[at] = random.next() as u8;
        }
        let len = u32::from_be_bytes(bad[4..8].try_into().unwrap()) as usize;
        let sum = base::checksum::crc32c(&bad[8..8 + len]);
        bad[..4].copy_from_slice(&sum.to_be_bytes());
        let _ = Frame::decode(bad.into());
    }
    assert_eq!(Frame::decode(Bytes::new()), Err(FrameError::Short));
}

/// Three replicas of which the third is away while the others commit ten batches and forget nine.
fn behind_the_first_entry() -> Vec<Group> {
    let mut groups = three();
    groups[0].campaign();
    settle(&mut groups);
    let away = groups.pop().unwrap();
    for offset in 0..10 {
        let term = groups[0].term().0;
        groups[0].propose_batch(batch(offset, term, 10)).unwrap();
        settle_without(&mut groups, &[3]);
    }
    let first = groups[0].last_index();
    groups[0].evict(first.prev());
    groups[0].begin_at(first);
    groups.push(away);
    groups
}

#[test]
fn whoever_needs_what_is_gone_gets_a_snapshot_and_then_the_rest() {
    let mut groups = behind_the_first_entry();
    let last = groups[0].last_index();
    groups[0].unreachable(NodeId(3));
    groups[0].ping();
    let sent = settle(&mut groups);
    let snapshots: Vec<_> = sent.iter().filter_map(Message::snapshot).collect();
    assert_eq!(snapshots, [last.prev()]);
    assert_eq!(groups[2].last_index(), last);
    assert!(
        groups[2].body(last).is_some(),
        "what is there is sent as it is"
    );
    assert_eq!(groups[2].window_start(), last);
    let progress = groups[0].progress();
    assert!(progress.iter().all(|p| p.matched == last && !p.snapshot));
    // It may lead like any other.
    groups.iter_mut().for_each(Group::forget_leader);
    groups[2].campaign();
    settle(&mut groups);
    assert_eq!(groups[2].role(), Role::Leader);
}

#[test]
fn a_snapshot_is_answered_once_it_is_durable_and_nobody_campaigns_before() {
    let mut groups = behind_the_first_entry();
    groups[0].unreachable(NodeId(3));
    groups[0].ping();
    let snapshot = loop {
        let ready = groups[0].ready().expect("a snapshot is to come");
        groups[0].persisted(ready.number);
        let sent = ready.now.into_iter().chain(ready.after);
        let (snapshots, rest): (Vec<_>, Vec<_>) = sent.partition(|m| m.snapshot().is_some());
        if let Some(snapshot) = snapshots.into_iter().next() {
            break snapshot;
        }
        for message in rest.into_iter().filter(|m| m.to().node == NodeId(3)) {
            groups[2].step(message).unwrap();
        }
        while let Some(ready) = groups[2].ready() {
            groups[2].persisted(ready.number);
            for message in ready.now.into_iter().chain(ready.after) {
                groups[0].step(message).unwrap();
            }
        }
    };
    assert!(groups[0].progress().iter().any(|p| p.snapshot));
    groups[2].step(snapshot).unwrap();
    let ready = groups[2].ready().unwrap();
    let install = ready.install.as_ref().expect("the log is to be replaced");
    assert_eq!(install.index, groups[0].last_index().prev());
    assert_eq!(install.term, groups[0].term());
    assert!(ready.must_sync && ready.now.is_empty());
    groups[2].forget_leader();
    groups[2].campaign();
    assert!(groups[2].ready().is_none(), "it asks for no votes");
    groups[2].persisted(ready.number);
    for message in ready.after {
        groups[0].step(message).unwrap();
    }
    assert!(groups[0].progress().iter().all(|p| !p.snapshot));
    groups[2].campaign();
    assert!(groups[2].ready().is_some());
}

#[test]
fn a_snapshot_travels_with_its_configuration() {
    let mut groups = behind_the_first_entry();
    groups[0].unreachable(NodeId(3));
    groups[0].ping();
    let mut sent = settle(&mut groups).into_iter();
    let mut snapshot = sent.find(|m| m.snapshot().is_some()).unwrap();
    snapshot.set_snapshot_data(Bytes::from_static(b"where it begins"));
    let item = Item::Raft(GroupId(4), snapshot);
    let frame = Frame {
        items: vec![item],
        ..Frame::default()
    };
    let read = Frame::decode(frame.encode().concat().into());
    assert_eq!(read, Ok(frame));
}

#[test]
fn a_snapshot_says_for_which_aim_its_configuration_was_made() {
    for aim in [0, 7] {
        let mut groups = three();
        groups[0].campaign();
        settle(&mut groups);
        let away = groups.pop().unwrap();
        let aimed = Configuration {
            aim,
            ..groups[0].configuration().clone()
        };
        groups[0].propose_configuration(&aimed).unwrap();
        settle_without(&mut groups, &[3]);
        let first = groups[0].last_index().next();
        groups[0].propose_internal(Bytes::new()).unwrap();
        settle_without(&mut groups, &[3]);
        groups[0].begin_at(first);
        groups.push(away);
        groups[0].unreachable(NodeId(3));
        groups[0].ping();
        let sent = settle(&mut groups);
        assert!(sent.iter().any(|m| m.snapshot().is_some()));
        assert!(sent.iter().all(|m| m.snapshot_data().is_empty()));
        for group in &groups {
            assert_eq!(group.configuration(), &aimed);
            assert_eq!(group.configured(), first.prev());
        }
    }
}

/// It would lead at once, with entries that aren't durable.
#[test]
fn the_only_elector_campaigns_when_its_log_is_durable() {
    let mut groups = vec![founded(NodeId(1), &[NodeId(1)], Restored::default())];
    groups[0].campaign();
    settle(&mut groups);
    let group = &mut groups[0];
    let term = group.term().0;
    group.propose_batch(batch(0, term, 100)).unwrap();
    let ready = group.ready().expect("the batch is to be written");
    // Somebody who was a member once knows of a later term.
    let mut raft = raft::eraftpb::Message::default();
    raft.set_msg_type(raft::eraftpb::MessageType::MsgHeartbeat);
    raft.term = u64::from(term) + 5;
    (raft.to, raft.from) = (group.me().node.0.into(), 77);
    let bodies = Vec::new();
    let _ = group.step(Message { raft, bodies });
    assert_eq!(group.role(), Role::Follower);
    group.campaign();
    assert!(!group.may_campaign());
    assert_eq!(group.role(), Role::Follower);
    group.persisted(ready.number);
    group.campaign();
    settle_without(&mut groups, &[77]);
    assert_eq!(groups[0].role(), Role::Leader);
}
