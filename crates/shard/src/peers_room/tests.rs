use super::*;

fn member(node: u32) -> Member {
    Member::founder(NodeId(node))
}

fn seat(node: u32, room: Room, matched: u64) -> Seat {
    Seat {
        member: member(node),
        room,
        heard: true,
        in_sync: true,
        matched: RaftIndex(matched),
    }
}

/// What becomes of a group that node 1 leads: who is sent nothing, and who is in the way.
fn judge(electorates: &[&[u32]], all: Vec<Seat>) -> (Vec<u32>, Option<Vec<u32>>) {
    let members = |nodes: &&[u32]| nodes.iter().map(|n| member(*n)).collect::<Vec<_>>();
    let electorates: Vec<_> = electorates.iter().map(members).collect();
    let seats = Seats {
        me: member(1),
        electorates: electorates.iter().map(Vec::as_slice).collect(),
        all,
    };
    let withheld = seats.withheld().iter().map(|m| m.node.0).collect();
    let in_the_way = seats.in_the_way();
    let in_the_way = in_the_way.map(|nodes| nodes.iter().map(|n| n.0).collect());
    (withheld, in_the_way)
}

use Room::{Ample, Gone, Scarce};

#[test]
fn one_of_three_without_room_is_sent_nothing_and_is_in_nobodys_way() {
    for room in [Scarce, Gone] {
        let all = vec![seat(1, Ample, 9), seat(2, Ample, 9), seat(3, room, 9)];
        assert_eq!(judge(&[&[1, 2, 3]], all), (vec![3], None));
    }
}

#[test]
fn who_lacks_least_of_those_without_room_gets_what_is_left_to_commit() {
    let all = vec![seat(1, Ample, 9), seat(2, Scarce, 4), seat(3, Scarce, 8)];
    assert_eq!(judge(&[&[1, 2, 3]], all), (vec![2], Some(vec![2, 3])));
    let all = vec![seat(1, Ample, 9), seat(2, Scarce, 4), seat(3, Gone, 8)];
    assert_eq!(judge(&[&[1, 2, 3]], all), (vec![3], Some(vec![2, 3])));
    let all = vec![seat(1, Ample, 9), seat(2, Gone, 4), seat(3, Gone, 8)];
    assert_eq!(judge(&[&[1, 2, 3]], all), (vec![2, 3], Some(vec![2, 3])));
}

#[test]
fn who_is_silent_takes_nothing_but_is_not_blamed() {
    let silent = |node, room| Seat {
        heard: false,
        ..seat(node, room, 5)
    };
    let all = vec![seat(1, Ample, 9), silent(2, Ample), seat(3, Scarce, 8)];
    assert_eq!(judge(&[&[1, 2, 3]], all), (vec![], Some(vec![3])));
    let all = vec![seat(1, Ample, 9), silent(2, Ample), silent(3, Ample)];
    assert_eq!(judge(&[&[1, 2, 3]], all), (vec![], None));
    let all = vec![seat(1, Ample, 9), silent(2, Scarce), silent(3, Ample)];
    assert_eq!(judge(&[&[1, 2, 3]], all), (vec![2], None));
    let all = vec![seat(1, Ample, 9), silent(2, Scarce), seat(3, Ample, 8)];
    assert_eq!(judge(&[&[1, 2, 3]], all), (vec![2], None));
}

/// Until it has what others committed without it, nothing new is committed by its help.
#[test]
fn who_still_catches_up_doesnt_make_up_for_one_without_room() {
    let behind = Seat {
        in_sync: false,
        ..seat(2, Ample, 1)
    };
    let all = vec![seat(1, Ample, 9), behind, seat(3, Scarce, 9)];
    assert_eq!(judge(&[&[1, 2, 3]], all), (vec![], Some(vec![3])));
}

/// The leader refuses for itself, and has what it has.
#[test]
fn a_leader_without_room_counts_for_what_it_has() {
    let all = vec![seat(1, Gone, 9), seat(2, Ample, 9), seat(3, Scarce, 9)];
    assert_eq!(judge(&[&[1, 2, 3]], all), (vec![3], None));
}

#[test]
fn learners_wait_and_both_electorates_count() {
    let all = || {
        let room = |node| if node < 4 { Ample } else { Scarce };
        (1..=6).map(|n| seat(n, room(n), 9)).collect::<Vec<_>>()
    };
    assert_eq!(judge(&[&[1, 2, 3]], all()), (vec![4, 5, 6], None));
    let joint = judge(&[&[1, 4, 5], &[1, 2, 3]], all());
    assert_eq!(joint, (vec![5, 6], Some(vec![4, 5])));
}

#[test]
fn what_a_node_never_said_is_taken_for_room() {
    let mut peers = PeersRoom::default();
    assert_eq!(
        (peers.of(NodeId(2)), peers.knows(NodeId(2))),
        (Ample, false)
    );
    assert_eq!(peers.hear(NodeId(2), Scarce), Ample);
    assert_eq!(peers.hear(NodeId(2), Gone), Scarce);
    assert_eq!(peers.hear(NodeId(3), Ample), Ample);
    assert_eq!(peers.full().collect::<Vec<_>>(), [NodeId(2)]);
    peers.forget(NodeId(2));
    assert_eq!(
        (peers.of(NodeId(2)), peers.knows(NodeId(2))),
        (Ample, false)
    );
}
