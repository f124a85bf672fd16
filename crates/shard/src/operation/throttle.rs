//! How much is read from files for replicas that are far behind. Every node has a bound of its own, so
//! that one that was away for long doesn't take the disk and the network from the others; it rises with
//! what the node takes from its producers, or who is behind would stay behind. Below that the throttles
//! of Kafka's tools bind, for the replicas that a topic names:
//!
//! - `leader.replication.throttled.rate` of this node, where its replica is named in the topic's
//!   `leader.replication.throttled.replicas`;
//! - `follower.replication.throttled.rate` of a node that lacks something, where its replica is named
//!   in `follower.replication.throttled.replicas`. Each leader keeps to its share of that: a node can't
//!   tell by itself how much the others send it.
//!
//! Nor does more go to a node than arrives there (`under_way.rs`): all else that goes to it would wait behind that.
//!
//! Each is filled at every beat, and what was read too much is made up for first. What binds is asked for
//! each follower by itself, and as in Kafka the throttles are for those that are not in sync: what others
//! lack of what left memory they get under the node's own bound alone.

use crate::Shard;
use crate::replica::Replica;
use crate::under_way::UnderWay;
use base::{GroupId, Mark, NodeId, limits, mark};
use std::collections::BTreeMap;

/// The keys of nodes and of topics; but for the first one as Kafka names them.
const OWN_RATE: &str = "replica.catch.up.bytes.per.second";
const LEADER_RATE: &str = "leader.replication.throttled.rate";
const FOLLOWER_RATE: &str = "follower.replication.throttled.rate";
const LEADER_REPLICAS: &str = "leader.replication.throttled.replicas";
const FOLLOWER_REPLICAS: &str = "follower.replication.throttled.replicas";

/// What may be on its way to a node beside what it takes is what may be read in a beat, over this.
const AHEAD_OF_A_BEAT: u64 = 3;

/// What bounds a read.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Bound {
    /// The node's own.
    Node,
    /// This node leads replicas that are throttled.
    Leader,
    /// This follower is throttled.
    Follower(NodeId),
}

/// Bytes that may still be read until the next beat; negative: too many were.
#[derive(Debug, Default)]
pub(crate) struct Throttles {
    left: BTreeMap<Bound, i64>,
    /// What is on its way, by node.
    under_way: BTreeMap<NodeId, UnderWay>,
    /// What may be on its way to each beside what it takes.
    ahead: u64,
    /// Bytes that were appended here until the last beat.
    appended: u64,
    /// Bytes that are appended in a beat, as it was lately: producers that wait for a follower that fell
    /// behind append nothing, and must not make it slower by that.
    pace: u64,
}

impl Throttles {
    fn left(&self, bound: Bound) -> i64 {
        self.left.get(&bound).copied().unwrap_or(0)
    }
}

impl Shard {
    /// A beat: so much more may be read for followers.
    pub(crate) fn allow_catch_up(&mut self) {
        let image = self.image();
        let rate = |node: NodeId, key: &str| image.of_node(node, key)?.trim().parse::<u64>().ok();
        let own = self.changed(OWN_RATE);
        let own = own.unwrap_or(self.settings.catch_up_bytes_per_second);
        let appended = self.stats.bytes_appended - self.throttles.appended;
        let pace = pace(self.throttles.pace, appended);
        let own = own_rate(own, pace);
        let mut rates = vec![(Bound::Node, own)];
        let leader = rate(self.settings.node, LEADER_RATE);
        rates.extend(leader.map(|rate| (Bound::Leader, rate)));
        let shares = self.peers.values().filter(|peer| !peer.lost).count().max(1) as u64;
        for node in self.peers.keys() {
            let follower = rate(*node, FOLLOWER_RATE);
            rates.extend(follower.map(|rate| (Bound::Follower(*node), rate / shares)));
        }
        let filled = rates.into_iter().map(|(bound, rate)| {
            let beat = i64::try_from(rate / limits::BEATS_A_SECOND).unwrap_or(i64::MAX);
            // Of the slowest rate something comes through in the end.
            let left = self.throttles.left(bound).saturating_add(beat.max(1));
            (bound, left.min(beat.max(1)))
        });
        self.throttles = Throttles {
            left: filled.collect(),
            under_way: self.heard_of(),
            ahead: (own / limits::BEATS_A_SECOND / AHEAD_OF_A_BEAT).max(1),
            appended: self.stats.bytes_appended,
            pace,
        };
    }

    /// What is still on its way. What was on a connection that broke is lost.
    fn heard_of(&mut self) -> BTreeMap<NodeId, UnderWay> {
        let mut under_way = std::mem::take(&mut self.throttles.under_way);
        under_way.retain(|node, way| {
            let peer = self.peers.get(node).filter(|peer| !peer.lost);
            peer.inspect(|peer| way.beat(peer.reached.0)).is_some()
        });
        under_way
    }

    /// What may be sent to a node beside what is on its way there, or being read for it.
    fn room_on_the_way(&self, node: NodeId) -> u64 {
        let (ahead, way) = (self.throttles.ahead, self.throttles.under_way.get(&node));
        let room = way.map_or(ahead, |way| way.room(ahead));
        room.saturating_sub(self.being_read_for(node))
    }

    /// What may be read now of a group for its replica on a node; 0: nothing, it has to wait.
    pub(crate) fn catch_up_left(&mut self, group: GroupId, follower: NodeId) -> u64 {
        // Without the metadata a node doesn't know what it is to do; it is small, and waits for nobody.
        if group == GroupId::META {
            return limits::APPEND_MESSAGE_BYTES;
        }
        let bounds = self.bounds(group, follower);
        let left = bounds.into_iter().map(|bound| self.throttles.left(bound));
        let left = left.min().map_or(0, |left| left.max(0)) as u64;
        let left = left.min(self.room_on_the_way(follower));
        if left == 0 {
            mark(Mark::CatchUpWaited);
            self.stats.catch_up_waits += 1;
        }
        left
    }

    /// So much was read.
    pub(crate) fn spend_catch_up(&mut self, group: GroupId, follower: NodeId, bytes: u64) {
        self.stats.catch_up_bytes += bytes;
        let way = self.throttles.under_way.entry(follower).or_default();
        way.send(self.beats, bytes);
        for bound in self.bounds(group, follower) {
            let left = self.throttles.left.entry(bound).or_default();
            *left = left.saturating_sub(i64::try_from(bytes).unwrap_or(i64::MAX));
        }
    }

    fn bounds(&self, group: GroupId, follower: NodeId) -> Vec<Bound> {
        let mut bounds = vec![Bound::Node];
        let image = self.image();
        let Some((topic, partition)) = image.groups.get(&group) else {
            return bounds;
        };
        let named = |key: &str, node: NodeId| {
            let list = topic.configs.get(key).map_or("", |list| list.trim());
            names(list, partition.0, node)
        };
        let has_rate = |bound: &Bound| self.throttles.left.contains_key(bound);
        // One that has just come was never in sync, although the last beat didn't say so.
        let lag = self.settings.replica_lag_max;
        let is_in_sync = |replica: &Replica| {
            let members = replica.group.configuration().members();
            let newest = members.filter(|m| m.node == follower).max();
            let keeps_up = newest.is_none_or(|m| replica.is_in_sync(m, self.now.mono, lag));
            keeps_up && !replica.behind.contains(&follower)
        };
        if self.replicas.get(&group).is_none_or(|r| is_in_sync(r)) {
            return bounds;
        }
        if named(LEADER_REPLICAS, self.settings.node) {
            bounds.extend(Some(Bound::Leader).filter(has_rate));
        }
        if named(FOLLOWER_REPLICAS, follower) {
            bounds.extend(Some(Bound::Follower(follower)).filter(has_rate));
        }
        bounds
    }
}

/// The pace after a beat with so many bytes: it rises at once, and is forgotten in a second or two.
fn pace(before: u64, appended: u64) -> u64 {
    appended.max(before - before.div_ceil(8))
}

/// The bound of a node that appends so many bytes in a beat.
fn own_rate(least: u64, pace: u64) -> u64 {
    least.max(pace * limits::BEATS_A_SECOND * limits::CATCH_UP_AHEAD)
}

/// True if a list of replicas names this one: `*`, or `PARTITION:NODE,...`.
fn names(list: &str, partition: u32, node: NodeId) -> bool {
    let is = |item: &str| {
        let (of, on) = item.split_once(':')?;
        let of: u32 = of.trim().parse().ok()?;
        let on: u32 = on.trim().parse().ok()?;
        Some((of, on) == (partition, node.0))
    };
    list == "*" || list.split(',').any(|item| is(item) == Some(true))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_behind_gets_nearer_however_much_comes() {
        assert_eq!(own_rate(1_000, 0), 1_000);
        let a_second = 1_000_000;
        let rate = own_rate(1_000, a_second / limits::BEATS_A_SECOND);
        assert!(rate >= 2 * a_second, "{rate}");
    }

    #[test]
    fn producers_that_wait_do_not_slow_down_whom_they_wait_for() {
        let busy = pace(0, 1_000_000);
        assert_eq!(busy, 1_000_000);
        let soon = pace(pace(busy, 0), 0);
        assert!(soon > busy / 2, "{soon}");
        let beats = 3 * limits::BEATS_A_SECOND;
        let later = (0..beats).fold(busy, |before, _| pace(before, 0));
        assert!(later < busy / 10, "{later}");
    }

    #[test]
    fn a_list_names_replicas_by_partition_and_node() {
        let on = |list: &str| names(list, 1, NodeId(20));
        assert!(on("*") && on("1:20") && on("0:20, 1:20"));
        assert!(!on("") && !on("1:2") && !on("0:20,1:2") && !on("1"));
    }
}
