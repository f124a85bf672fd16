//! A broker between a mailbox that keeps what is posted and an inbox that keeps what is answered.

mod disk;

use super::*;
use base::{Machine, Now};
use meta::{Command, Defaults, Meta, NewTopic, NodeInfo, Placement};
use shard::{Event, Reply, ReplySink, ReplyTo};
use std::collections::BTreeMap;

/// Keeps events, or is full.
#[derive(Default)]
pub(crate) struct Post {
    events: Mutex<Vec<(shard::Command, Option<ReplyTo>)>>,
    pub(crate) full: std::sync::atomic::AtomicBool,
}

impl Mailbox for Post {
    fn post(&self, event: Event) -> Result<(), Refusal> {
        if self.full.load(std::sync::atomic::Ordering::Relaxed) {
            return Err(Refusal::Busy("full".to_owned()));
        }
        let Event::Command(command, to) = event else {
            panic!("a broker posts commands")
        };
        lock(&self.events).push((command, to));
        Ok(())
    }
}

impl Post {
    /// What was posted since the last call.
    pub(crate) fn take(&self) -> Vec<(shard::Command, Option<ReplyTo>)> {
        std::mem::take(&mut lock(&self.events))
    }

    /// The only thing that was posted.
    pub(crate) fn one(&self) -> (shard::Command, Option<ReplyTo>) {
        let mut all = self.take();
        assert_eq!(all.len(), 1);
        all.remove(0)
    }
}

/// Keeps answers.
#[derive(Default)]
pub(crate) struct Inbox(Mutex<Vec<(u64, Reply)>>);

impl ReplySink for Inbox {
    fn reply(&self, ticket: u64, reply: Reply) {
        lock(&self.0).push((ticket, reply));
    }
}

impl Inbox {
    /// What was answered since the last call.
    pub(crate) fn take(&self) -> Vec<(u64, Reply)> {
        std::mem::take(&mut lock(&self.0))
    }

    /// The only answer.
    pub(crate) fn one(&self) -> (u64, Reply) {
        let mut all = self.take();
        assert_eq!(all.len(), 1);
        all.remove(0)
    }
}

/// The broker of node 1 and both its ends.
pub(crate) struct World {
    pub(crate) broker: Broker,
    pub(crate) post: Arc<Post>,
    pub(crate) inbox: Arc<Inbox>,
}

impl World {
    pub(crate) fn new(settings: &[(&str, &str)]) -> World {
        let post = Arc::new(Post::default());
        let broker = Broker::new(
            NodeId(1),
            Uuid([3; 16]),
            Settings::parse(settings).unwrap(),
            disk::files(),
            post.clone(),
            7,
        );
        World {
            broker,
            post,
            inbox: Arc::default(),
        }
    }

    /// A cluster of three nodes with the topics `here` (groups 1 and 2, on all nodes) and `away`
    /// (groups 3 and 4, on nodes 2 and 3).
    pub(crate) fn with_topics() -> World {
        let world = World::new(&[]);
        world.broker.publish(meta().image(10));
        world
    }

    pub(crate) fn to(&self, ticket: u64) -> ReplyTo {
        ReplyTo {
            sink: self.inbox.clone(),
            ticket,
        }
    }
}

pub(crate) const HERE: Uuid = Uuid([11; 16]);
pub(crate) const AWAY: Uuid = Uuid([12; 16]);

pub(crate) fn meta() -> Meta {
    let mut meta = Meta::new(Defaults::default());
    for node in 1..=3 {
        let info = NodeInfo::new(&format!("n{node}"), 9092, None);
        run(
            &mut meta,
            Command::RegisterNode {
                node: NodeId(node),
                info,
            },
        );
    }
    let nodes = |nodes: &[u32]| nodes.iter().map(|node| NodeId(*node)).collect::<Vec<_>>();
    let topic = |name: &str, id, replicas: Vec<NodeId>| NewTopic {
        name: name.to_owned(),
        id,
        placement: Placement::Manual(vec![replicas.clone(), replicas]),
        configs: BTreeMap::new(),
    };
    let topics = vec![
        topic("here", HERE, nodes(&[1, 2, 3])),
        topic("away", AWAY, nodes(&[2, 3])),
    ];
    run(
        &mut meta,
        Command::CreateTopics {
            topics,
            validate_only: false,
        },
    );
    meta
}

pub(crate) fn run(meta: &mut Meta, command: Command) -> meta::Reply {
    let decision = meta.handle(Now::default(), command);
    decision
        .records
        .iter()
        .for_each(|record| meta.replay(record));
    decision.reply
}

#[test]
fn leader_epochs_never_go_back() {
    let world = World::with_topics();
    let broker = &world.broker;
    let (group, other) = (GroupId(1), GroupId(2));
    assert_eq!(broker.leader(group), None);
    broker.publish_leaders(&[(group, Term(5), Some(NodeId(2)))]);
    broker.publish_leaders(&[(group, Term(4), Some(NodeId(3))), (other, Term(1), None)]);
    assert_eq!(broker.leader(group), Some((NodeId(2), Term(5))));
    assert_eq!(
        (broker.leader(other), broker.leader_epoch(other)),
        (None, Some(Term(1)))
    );
    broker.publish_leaders(&[(group, Term(6), None)]);
    assert_eq!(
        (broker.leader(group), broker.leader_epoch(group)),
        (None, Some(Term(6)))
    );
    broker.publish_leaders(&[(group, Term(5), Some(NodeId(2)))]);
    assert_eq!(broker.leader(group), None);
    broker.publish_leaders(&[(group, Term(6), Some(NodeId(1)))]);
    assert_eq!(broker.leader(group), Some((NodeId(1), Term(6))));
    broker.publish_leaders(&[(GroupId::META, Term(2), Some(NodeId(3)))]);
    assert_eq!(broker.controller(), Some(NodeId(3)));
}

#[test]
fn an_older_image_is_ignored() {
    let world = World::new(&[]);
    let mut meta = meta();
    let old = meta.image(5);
    run(
        &mut meta,
        Command::DeleteTopics {
            topics: vec![TopicRef::Id(AWAY)],
        },
    );
    world.broker.publish(meta.image(6));
    world.broker.publish(old);
    assert!(world.broker.image().topic("away").is_none());
    assert_eq!(world.broker.image().version, 6);
}

#[test]
fn leaders_of_deleted_topics_are_forgotten() {
    let world = World::with_topics();
    let news = [1, 3, 4].map(|group| (GroupId(group), Term(2), Some(NodeId(2))));
    world.broker.publish_leaders(&news);
    let mut meta = meta();
    run(
        &mut meta,
        Command::DeleteTopics {
            topics: vec![TopicRef::Id(AWAY)],
        },
    );
    world.broker.publish(meta.image(11));
    assert_eq!(world.broker.leader_epoch(GroupId(3)), None);
    assert_eq!(world.broker.leader_epoch(GroupId(4)), None);
    assert_eq!(world.broker.leader_epoch(GroupId(1)), Some(Term(2)));
}
