//! Where logs end, as asked before a replica is to lead alone.

use super::*;
use base::RaftIndex;
use consensus::{Frame, Item, Seen};
use log::{GroupLog, HardState, RecoveredGroup};

/// Which groups' ends node 1 tells node 2, if asked for these.
fn told(c: &mut Cluster, asked: &[GroupId]) -> Vec<GroupId> {
    let frame = Frame {
        boot: 7,
        beat: 1,
        seen: Seen::default(),
        led: None,
        items: asked.iter().map(|group| Item::AskEnd(*group)).collect(),
    };
    c.frames.clear();
    let (from, bytes) = (NodeId(2), frame.encode().concat().into());
    c.event(NodeId(1), Event::Frame { from, bytes });
    let frames = c.frames.iter().filter(|(_, to, _)| *to == NodeId(2));
    let items = frames.flat_map(|(.., bytes)| Frame::decode(bytes.clone()).unwrap().items);
    let end = |item| match item {
        Item::End(group, ..) => Some(group),
        _ => None,
    };
    items.filter_map(end).collect()
}

/// It isn't empty: metadata that tells of it hasn't come yet.
#[test]
fn a_log_that_is_not_open_yet_is_not_said_to_be_empty() {
    let (there, nowhere) = (GroupId(7), GroupId(8));
    let mut c = Cluster::new(3);
    let settings = log::Settings {
        segment_bytes: 1000,
        incarnation: 1,
    };
    let found = RecoveredGroup {
        log: GroupLog::new(there, settings),
        state: HardState::default(),
        app: Bytes::new(),
        app_index: RaftIndex(0),
        entries: Vec::new(),
        suspect: None,
    };
    let recovered = Recovered {
        groups: vec![found],
        next_turn: 1,
        ..Recovered::default()
    };
    let shard = Shard::new(c.settings(NodeId(1), 3, 200), recovered, c.now());
    c.shards.insert(NodeId(1), shard);
    c.event(NodeId(1), Event::PeerUp(NodeId(2)));
    assert_eq!(told(&mut c, &[there, nowhere]), [nowhere]);
}
