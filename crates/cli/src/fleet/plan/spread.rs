//! Replicas over nodes and racks.

use super::{Draft, NoRoom};
use std::cmp::Reverse;

/// Bytes of nodes may differ by this part of their mean: nobody notices, and copying costs.
const BYTES_SLACK_DIVISOR: u64 = 10;
/// And by this much in any case: what is small is different again a moment later.
const BYTES_SLACK_MIN: u64 = 64 << 20;
/// What is exchanged for the sake of bytes must take away this part of the difference at least.
const BYTES_GAIN_DIVISOR: u64 = 4;

/// An exchange of replicas between two nodes, or a move if nothing comes back.
struct Exchange {
    goes: usize,
    comes: Option<usize>,
    /// How far the two nodes are apart then.
    apart: u64,
}

impl Draft<'_> {
    /// Replicas leave the nodes that are to have none.
    pub(super) fn evacuate(&mut self) -> Result<(), NoRoom> {
        for at in 0..self.partitions.len() {
            let partition = &self.partitions[at];
            let closed = |node: &&i32| !self.racks.contains_key(node);
            let leaving: Vec<i32> = partition.replicas.iter().filter(closed).copied().collect();
            let keeps = |node: &&i32| self.racks.contains_key(node) && !self.open.contains(node);
            let open = self.open.len() + partition.replicas.iter().filter(keeps).count();
            if !leaving.is_empty() && partition.replicas.len() > open {
                return Err(NoRoom {
                    topic: partition.topic.clone(),
                    partition: partition.index,
                    replicas: partition.replicas.len(),
                    open,
                });
            }
            for node in leaving {
                let heir = self.heir(at, node);
                self.shift(at, node, heir);
            }
        }
        Ok(())
    }

    /// Who takes the replica that is on `from`: another rack first, then who carries least.
    fn heir(&self, at: usize, from: i32) -> i32 {
        let free = |node: &&i32| !self.placed[at].contains(node);
        let weight = |node: &&i32| {
            let share = self.shares[*node];
            let crowd = self.crowd(at, **node, from);
            (crowd, share.replicas, share.bytes, **node)
        };
        let heir = self.open.iter().filter(free).min_by_key(weight);
        *heir.expect("there are more open nodes than other replicas")
    }

    /// Of replicas that share a rack one goes to a rack that has fewer.
    pub(super) fn spread_over_racks(&mut self) {
        for at in 0..self.partitions.len() {
            while let Some((from, to)) = self.out_of_the_crowd(at) {
                self.shift(at, from, to);
            }
        }
    }

    fn out_of_the_crowd(&self, at: usize) -> Option<(i32, i32)> {
        let weight = |node: &&i32| {
            let replicas = self.shares[*node].replicas;
            (self.crowd(at, **node, **node), replicas, Reverse(**node))
        };
        // Nodes that keep what they have have no share.
        let replicas = self.placed[at].iter();
        let give = replicas.filter(|node| self.shares.contains_key(*node));
        let from = *give.max_by_key(weight)?;
        let crowd = self.crowd(at, from, from);
        if crowd == 0 || self.open.len() <= self.placed[at].len() {
            return None;
        }
        let to = self.heir(at, from);
        (self.crowd(at, to, from) < crowd).then_some((from, to))
    }

    /// Nodes get equally many replicas, as far as racks allow.
    pub(super) fn level_counts(&mut self) {
        while let Some((at, from, to)) = self.next_for_counts() {
            self.shift(at, from, to);
        }
    }

    fn next_for_counts(&self) -> Option<(usize, i32, i32)> {
        for (full, empty) in self.pairs(|share| share.replicas as u64) {
            let (more, fewer) = (self.shares[&full], self.shares[&empty]);
            if more.replicas < fewer.replicas + 2 {
                continue;
            }
            let ideal = more.bytes.saturating_sub(fewer.bytes) / 2;
            let may = |at: &usize| self.may_shift(*at, full, empty);
            let best = (0..self.partitions.len())
                .filter(may)
                .min_by_key(|at| (self.partitions[*at].bytes.abs_diff(ideal), *at));
            if let Some(at) = best {
                return Some((at, full, empty));
            }
        }
        None
    }

    /// Nodes get about equally many bytes, without changing how many replicas they have by more
    /// than one.
    pub(super) fn level_bytes(&mut self) {
        let sum: u64 = self.shares.values().map(|share| share.bytes).sum();
        let mean = sum / (self.shares.len().max(1) as u64);
        let slack = BYTES_SLACK_MIN.max(mean / BYTES_SLACK_DIVISOR);
        while let Some((full, empty, exchange)) = self.next_for_bytes(slack) {
            self.shift(exchange.goes, full, empty);
            if let Some(comes) = exchange.comes {
                self.shift(comes, empty, full);
            }
        }
    }

    fn next_for_bytes(&self, slack: u64) -> Option<(i32, i32, Exchange)> {
        for (full, empty) in self.pairs(|share| share.bytes) {
            let apart = self.shares[&full].bytes - self.shares[&empty].bytes;
            if apart <= slack {
                break;
            }
            let worth = apart - apart / BYTES_GAIN_DIVISOR;
            let found = self.best_exchange(full, empty, apart);
            if let Some(exchange) = found.filter(|e| e.apart <= worth && e.apart < apart) {
                return Some((full, empty, exchange));
            }
        }
        None
    }

    fn best_exchange(&self, full: i32, empty: i32, apart: u64) -> Option<Exchange> {
        let bytes = |at: usize| self.partitions[at].bytes;
        let from_to = |from, to| {
            let all = 0..self.partitions.len();
            all.filter(move |at| self.may_shift(*at, from, to))
        };
        let mut comes: Vec<usize> = from_to(empty, full).collect();
        comes.sort_by_key(|at| (bytes(*at), *at));
        let mut best: Option<Exchange> = None;
        let mut offer = |goes: usize, comes: Option<usize>| {
            let less = bytes(goes).saturating_sub(comes.map_or(0, bytes));
            let apart = apart.abs_diff(2 * less);
            if less > 0 && best.as_ref().is_none_or(|best| apart < best.apart) {
                best = Some(Exchange { goes, comes, apart });
            }
        };
        let more = self.shares[&full].replicas > self.shares[&empty].replicas;
        for at in from_to(full, empty) {
            if more {
                offer(at, None);
            }
            // The two that come nearest to halving the difference.
            let wanted = bytes(at).saturating_sub(apart / 2);
            let place = comes.partition_point(|other| bytes(*other) < wanted);
            for other in comes.iter().skip(place.saturating_sub(1)).take(2) {
                offer(at, Some(*other));
            }
        }
        best
    }

    fn may_shift(&self, at: usize, from: i32, to: i32) -> bool {
        let placed = &self.placed[at];
        let there = placed.contains(&from) && !placed.contains(&to);
        there && self.crowd(at, to, from) <= self.crowd(at, from, from)
    }

    /// All pairs of nodes that differ, those that are furthest apart first.
    fn pairs(&self, by: impl Fn(super::Share) -> u64) -> Vec<(i32, i32)> {
        let nodes: Vec<(u64, i32)> = self.shares.iter().map(|(id, s)| (by(*s), *id)).collect();
        let mut pairs = Vec::new();
        for (high, full) in &nodes {
            let lower = nodes.iter().filter(|(low, _)| low < high);
            pairs.extend(lower.map(|(low, empty)| (Reverse(high - low), *full, *empty)));
        }
        pairs.sort_unstable();
        let nodes = pairs.into_iter().map(|(_, full, empty)| (full, empty));
        nodes.collect()
    }
}
