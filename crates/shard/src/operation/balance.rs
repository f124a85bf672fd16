//! Leaders go back to the replicas that are named first, by themselves. Now and then the node that
//! leads the metadata looks how many partitions of each node are led by others, and if they are too
//! many, asks for them back: a few at each beat, and only where the replica that is named first is
//! in sync. What is asked for at a caller's wish is in `prefer.rs`.
//!
//! Nothing is remembered but the round under way. It is looked at again before each hand-over, so
//! what changed since the round began is never undone.

use crate::Shard;
use base::{Bug, GroupId, Mark, Mono, NodeId, mark, planted};
use consensus::Item;
use meta::PartitionInfo;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// Leaders asked to hand over at one beat, in the whole cluster.
const AT_A_BEAT: usize = 16;
/// Partitions that one round asks back at most, as in Kafka.
const IN_A_ROUND: usize = 1_000;

/// When leaders go back (`auto.leader.rebalance.enable`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Balancing {
    /// How often it is looked (`leader.imbalance.check.interval.seconds`).
    pub check: Duration,
    /// How many of a hundred partitions of a node may be led by others
    /// (`leader.imbalance.per.broker.percentage`).
    pub percent: u32,
}

/// The round under way.
#[derive(Debug, Default)]
pub(crate) struct Balance {
    next_round: Option<Mono>,
    left: VecDeque<(GroupId, NodeId)>,
}

/// The partitions of which a node's replica is named first.
#[derive(Default)]
struct Share {
    all: usize,
    /// Those that another node leads.
    elsewhere: Vec<GroupId>,
}

impl Shard {
    /// Begins a round if it is time, and goes on with the one under way.
    pub(crate) fn balance_leaders(&mut self) {
        let Some(balancing) = self.settings.balancing else {
            return;
        };
        let meta = &self.replicas[&GroupId::META];
        if !meta.was_leader || !meta.group.committed_in_term() || self.leaving {
            self.balance = Balance::default();
            self.stats.leaders_elsewhere = 0;
            return;
        }
        let now = self.now.mono;
        let next = self
            .balance
            .next_round
            .get_or_insert(now.after(balancing.check));
        if *next <= now {
            *next = now.after(balancing.check);
            self.begin_round(balancing.percent as usize);
        }
        for _ in 0..AT_A_BEAT {
            let Some((group, to)) = self.balance.left.pop_front() else {
                break;
            };
            self.ask_back(group, to);
        }
    }

    fn begin_round(&mut self, percent: usize) {
        let image = self.image();
        let mut shares: BTreeMap<NodeId, Share> = BTreeMap::new();
        for group in image.groups.keys() {
            let Some(wanted) = image.partition(*group).and_then(wanted_leader) else {
                continue;
            };
            let share = shares.entry(wanted).or_default();
            share.all += 1;
            if self
                .leader_heard(*group)
                .is_none_or(|(node, _)| node != wanted)
            {
                share.elsewhere.push(*group);
            }
        }
        let elsewhere = shares.values().map(|share| share.elsewhere.len() as u64);
        self.stats.leaders_elsewhere = elsewhere.sum();
        let mut round = VecDeque::new();
        for (node, share) in &shares {
            if share.elsewhere.len() * 100 <= share.all * percent {
                continue;
            }
            let groups = share.elsewhere.iter();
            let back = groups.filter(|group| self.leader_in_the_place_of(**group, *node).is_some());
            let before = round.len();
            round.extend(back.map(|group| (*group, *node)).take(IN_A_ROUND - before));
            if round.len() > before {
                self.note(format!(
                    "others lead {} of the {} partitions that node {node} is to lead; {} are asked \
                     back (auto.leader.rebalance.enable)",
                    share.elsewhere.len(),
                    share.all,
                    round.len() - before,
                ));
            }
        }
        self.balance.left = round;
    }

    /// The leader that may hand the group over to `to` now, if there is one.
    fn leader_in_the_place_of(&self, group: GroupId, to: NodeId) -> Option<NodeId> {
        let image = self.image();
        let steady = image.partition(group).is_some_and(|info| {
            let wanted = wanted_leader(info) == Some(to);
            wanted && !info.is_moving()
        });
        let heard = to == self.settings.node || self.hears(to);
        if !steady || !heard || !self.has_room(to) || image.is_cordoned(to) {
            return None;
        }
        let (leader, _) = self.leader_heard(group).filter(|(node, _)| *node != to)?;
        (!self.is_behind(group, leader, to)).then_some(leader)
    }

    /// True if a group's leader says that the replica of `node` isn't in sync, or nothing is known of it.
    pub(super) fn is_behind(&self, group: GroupId, leader: NodeId, node: NodeId) -> bool {
        match self.peers.get(&leader) {
            Some(peer) => peer.led.lacks(group, node),
            None => {
                let replica = self.replicas.get(&group);
                replica.is_none_or(|replica| replica.behind.contains(&node))
            }
        }
    }

    fn ask_back(&mut self, group: GroupId, to: NodeId) {
        let Some(leader) = self.leader_in_the_place_of(group, to) else {
            return;
        };
        mark(Mark::LeaderAskedBack);
        self.stats.leaders_asked_back += 1;
        if leader == self.settings.node {
            self.hand_over(group, to);
        } else if let Some(peer) = self.peers.get_mut(&leader) {
            peer.outbox.push(Item::HandOver(group, to));
        }
    }
}

/// Who is to lead a partition.
fn wanted_leader(info: &PartitionInfo) -> Option<NodeId> {
    match planted(Bug::BalanceTakesTheLast) {
        true => info.replicas.last().copied(),
        false => info.replicas.first().copied(),
    }
}
