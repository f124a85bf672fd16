//! Partitions that have lost their majority go on with a replica that is left, if somebody says so.

use super::*;

/// The name of a call that is waited for longer than others.
const TICKET: u64 = 1 << 40;

impl Cluster {
    fn elect_unclean(&mut self, node: u32, group: GroupId) -> Result<(), Refusal> {
        let command = Command::Prefer {
            groups: vec![group],
            unclean: true,
            deadline: self.now.after(Duration::from_secs(2)),
        };
        self.post(TICKET, node, command);
        self.run(Duration::from_millis(2_500));
        let reply = self.inbox.0.lock().unwrap().remove(&TICKET);
        match reply.expect("an answer by the deadline") {
            Reply::Preferred(mut parts) => parts.remove(0),
            other => panic!("{other:?}"),
        }
    }

    fn values(&mut self, node: u32, group: GroupId) -> usize {
        self.read(node, group, 0).len()
    }
}

/// Five nodes, a partition on three of them, and a record that the third one lacks. Then only the
/// third is left.
fn only_the_third_is_left(configs: &[(&str, &str)]) -> (Cluster, GroupId) {
    only_the_third_is_left_of(Cluster::new(5), configs)
}

fn only_the_third_is_left_of(mut c: Cluster, configs: &[(&str, &str)]) -> (Cluster, GroupId) {
    c.run(Duration::from_secs(2));
    let manual = meta::Placement::Manual(vec![vec![NodeId(1), NodeId(2), NodeId(3)]]);
    let group = c.create(4, manual, configs);
    c.run(Duration::from_secs(1));
    let leader = c.leader(group).expect("a leader within a second");
    assert_eq!(c.append(leader, group, batch(1, 0, "a")), Ok(Offset(0)));
    c.down = vec![NodeId(3)];
    c.run(Duration::from_secs(2));
    let leader = c.leader(group).expect("two of three");
    assert_eq!(c.append(leader, group, batch(1, 1, "b")), Ok(Offset(1)));
    c.down = vec![NodeId(1), NodeId(2)];
    c.run(Duration::from_secs(5));
    assert_eq!(c.leader(group), None);
    (c, group)
}

#[test]
fn what_is_left_leads_when_somebody_asks_for_it_and_the_others_begin_anew() {
    let (mut c, group) = only_the_third_is_left(&[]);
    let before = c.shards[&NodeId(3)].replica_status(group).unwrap();
    assert_eq!(c.elect_unclean(4, group), Ok(()));
    assert_eq!(c.leader(group), Some(3));
    assert_eq!(c.values(3, group), 1, "what only the others had is lost");
    assert_eq!(c.append(3, group, batch(2, 0, "c")), Ok(Offset(1)));
    let term = c.shards[&NodeId(3)].replica_status(group).unwrap().leader;
    let known = before.leader.map_or(0, |(_, term)| term.0);
    assert!(term.unwrap().1.0 > known + base::limits::TERMS_LEFT_OUT);

    // They come back with another record at that offset. Nobody counts them for what they were.
    c.down.clear();
    c.run(Duration::from_secs(5));
    let leader = c.leader(group).expect("a leader");
    assert_eq!(c.values(leader, group), 2);
    for node in [1, 2, 3] {
        let status = c.shards[&NodeId(node)].replica_status(group).unwrap();
        assert_eq!(status.high_watermark, Offset(2));
        assert_eq!(status.suspect, None);
        assert_eq!(status.member.incarnation > 0, node != 3);
    }
    let image = c.shards[&NodeId(4)].image();
    assert!(!image.partition(group).unwrap().is_moving());
    assert_eq!(c.append(leader, group, batch(2, 1, "d")), Ok(Offset(2)));
    // Any of the three can go away again.
    c.down = vec![NodeId(3)];
    c.run(Duration::from_secs(3));
    let leader = c.leader(group).expect("the new two are a majority");
    assert_eq!(c.values(leader, group), 3);
}

/// They are a majority of what the group was, and hear of each other before they hear of the metadata.
#[test]
fn a_majority_that_comes_back_unknowing_is_not_listened_to() {
    let (mut c, group) = only_the_third_is_left(&[]);
    assert_eq!(c.elect_unclean(4, group), Ok(()));
    assert_eq!(c.append(3, group, batch(2, 0, "c")), Ok(Offset(1)));
    let until = c.now.after(Duration::from_secs(2));
    c.unsaid = Some(reassign::Unsaid::all_of(GroupId::META, until));
    c.down.clear();
    c.run(Duration::from_millis(1_900));
    let leads = |c: &Cluster, node| {
        let status = c.shards[&NodeId(node)].replica_status(group).unwrap();
        status
            .leader
            .is_some_and(|(leader, _)| leader == NodeId(node))
    };
    assert!(leads(&c, 1) || leads(&c, 2), "as they were");
    assert!(leads(&c, 3));
    c.run(Duration::from_secs(8));
    for node in [1, 2, 3] {
        let status = c.shards[&NodeId(node)].replica_status(group).unwrap();
        assert_eq!((status.high_watermark, status.suspect), (Offset(2), None));
        assert_eq!(status.leader.map(|(leader, _)| leader), Some(NodeId(3)));
    }
}

#[test]
fn nothing_of_it_happens_unasked_or_needlessly() {
    let (mut c, group) = only_the_third_is_left(&[]);
    c.run(Duration::from_secs(30));
    assert_eq!(c.leader(group), None);
    c.down = vec![NodeId(1)];
    c.run(Duration::from_secs(3));
    let leader = c.leader(group).expect("two of three");
    assert_eq!(c.values(leader, group), 2, "nothing was lost");
    let needless = c.elect_unclean(4, group);
    assert!(
        matches!(needless, Err(Refusal::ElectionNotNeeded(_))),
        "{needless:?}"
    );
    c.down = vec![NodeId(1), NodeId(2), NodeId(3)];
    c.run(Duration::from_secs(2));
    // Two of five have no say on metadata either; but that nobody is left is known here.
    let nobody = c.elect_unclean(4, group);
    assert!(
        matches!(nobody, Err(Refusal::EligibleLeadersNotAvailable(_))),
        "{nobody:?}"
    );
}

/// Its connections to the others are broken, theirs to everybody else aren't: the controller hears them.
#[test]
fn a_node_that_hears_nobody_does_not_have_others_give_up_a_majority() {
    let mut c = Cluster::new(5);
    c.run(Duration::from_secs(2));
    let three = [1, 2, 3].map(NodeId).to_vec();
    let group = c.create_placed(4, meta::Placement::Manual(vec![three]));
    c.run(Duration::from_secs(1));
    let leader = c.leader(group).expect("a leader within a second");
    assert_eq!(c.append(leader, group, batch(1, 0, "a")), Ok(Offset(0)));
    let before = c.shards[&NodeId(3)].image();
    let command = meta::Command::GoOnAlone {
        groups: vec![(group, NodeId(3))],
        silent: vec![NodeId(1), NodeId(2)],
    };
    for _ in 0..8 {
        let (command, deadline) = (command.clone(), c.now.after(Duration::from_secs(5)));
        c.call(4, Command::Meta { command, deadline });
        c.run(Duration::from_secs(1));
    }
    let after = c.shards[&NodeId(3)].image();
    assert_eq!(after.partition(group), before.partition(group));
    assert_eq!(c.leader(group), Some(leader));
}

#[test]
fn a_topic_that_allows_it_goes_on_by_itself_after_a_while() {
    let allowed = [("unclean.leader.election.enable", "true")];
    let (mut c, group) = only_the_third_is_left(&allowed);
    assert_eq!(c.leader(group), None, "a restart takes less");
    c.run(Duration::from_secs(8));
    assert_eq!(c.leader(group), Some(3));
    assert_eq!(c.append(3, group, batch(2, 0, "c")), Ok(Offset(1)));
}

/// What it has can't be trusted, and those that are away have everything.
#[test]
fn a_damaged_replica_is_not_the_one_that_goes_on() {
    let allowed = [("unclean.leader.election.enable", "true")];
    let mut c = Cluster::new(5);
    c.look_at_everything(5);
    let (mut c, group) = only_the_third_is_left_of(c, &allowed);
    c.end_look(3, group, Err(damage::damage(group)));
    c.run(Duration::from_secs(20));
    assert_eq!(c.leader(group), None);
    assert!(c.elect_unclean(4, group).is_err());
    c.down.clear();
    c.run(Duration::from_secs(5));
    let leader = c.leader(group).expect("those that were away");
    assert_eq!(c.values(leader, group), 2, "nothing was lost");
    let status = c.shards[&NodeId(3)].replica_status(group).unwrap();
    assert_eq!((status.high_watermark, status.suspect), (Offset(2), None));
}

/// Two of four are left, and the one that is named later has more.
#[test]
fn of_those_that_are_left_the_one_with_the_most_goes_on() {
    let mut c = Cluster::new(7);
    c.run(Duration::from_secs(2));
    let four = [4, 5, 6, 7].map(NodeId).to_vec();
    let group = c.create_placed(1, meta::Placement::Manual(vec![four]));
    c.run(Duration::from_secs(1));
    let leader = c.leader(group).expect("a leader within a second");
    assert_eq!(c.append(leader, group, batch(1, 0, "a")), Ok(Offset(0)));
    // The first one misses something, and comes back when others are gone.
    c.down = vec![NodeId(4)];
    c.run(Duration::from_secs(2));
    let leader = c.leader(group).expect("three of four");
    assert_eq!(c.append(leader, group, batch(1, 1, "b")), Ok(Offset(1)));
    c.run(Duration::from_secs(1));
    c.down = [4, 5, 6, 7].map(NodeId).to_vec();
    c.run(Duration::from_secs(2));
    // One that led would still tell the first one what it misses.
    let stays = (5..=7)
        .find(|node| *node != leader)
        .expect("there are others");
    c.down.retain(|node| node.0 != 4 && node.0 != stays);
    c.run(Duration::from_secs(3));
    assert_eq!(c.leader(group), None);
    assert_eq!(c.elect_unclean(1, group), Ok(()));
    let leader = c.leader(group).expect("one of the two");
    assert_eq!(c.values(leader, group), 2, "nothing was lost");
    let status = c.shards[&NodeId(4)].replica_status(group).unwrap();
    assert_eq!(status.suspect, None);
}
