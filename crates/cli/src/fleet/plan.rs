//! Where replicas should be: a pure function from what a cluster looks like to the partitions that
//! are to have other replicas. It decides; it asks and changes nothing.
//!
//! In this order: replicas leave the nodes that are to have none; no two replicas of a partition stand in
//! one rack while others have room; nodes have equally many replicas, then about equally many
//! bytes; nodes lead equally many partitions. As little as possible is copied for it, and a cluster
//! that is as it should be gets an empty plan.

mod leaders;
mod spread;

use std::collections::{BTreeMap, BTreeSet};

/// A node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Site {
    /// Its rack.
    pub rack: Option<String>,
    /// What it has to do with replicas.
    pub part: Part,
}

/// What a node has to do with replicas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// It may be given some.
    Takes,
    /// It keeps what it has and is given none.
    Keeps,
    /// It is to have none. So is a node that isn't known.
    Leaves,
}

/// A partition.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Partition {
    /// Its topic.
    pub topic: String,
    /// Its number.
    pub index: i32,
    /// Its replicas, the preferred leader first.
    pub replicas: Vec<i32>,
    /// Bytes of one replica.
    pub bytes: u64,
}

/// A partition that is to have other replicas, or to be led by another one first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Move {
    /// The partition as it is.
    pub partition: Partition,
    /// The replicas that it is to have, the preferred leader first.
    pub target: Vec<i32>,
}

impl Move {
    /// Nodes that get a replica.
    pub fn adding(&self) -> Vec<i32> {
        minus(&self.target, &self.partition.replicas)
    }

    /// Nodes that lose one.
    pub fn removing(&self) -> Vec<i32> {
        minus(&self.partition.replicas, &self.target)
    }

    /// What has to be copied.
    pub fn bytes(&self) -> u64 {
        self.partition.bytes * self.adding().len() as u64
    }
}

fn minus(these: &[i32], those: &[i32]) -> Vec<i32> {
    let left = these.iter().filter(|node| !those.contains(node));
    left.copied().collect()
}

/// How much is to be moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Goal {
    /// Replicas leave the nodes that are to have none; nothing else moves.
    Evacuate,
    /// All nodes that take replicas carry alike.
    Rebalance,
}

/// A partition with more replicas than there are nodes for them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoRoom {
    /// The partition's topic.
    pub topic: String,
    /// Its number.
    pub partition: i32,
    /// Its replicas.
    pub replicas: usize,
    /// The nodes that take some, or keep theirs.
    pub open: usize,
}

impl std::fmt::Display for NoRoom {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{}-{} has {} replicas, and {} nodes would be left to have one each",
            self.topic, self.partition, self.replicas, self.open
        )
    }
}

/// What has to move to reach `goal`.
pub fn plan(
    sites: &BTreeMap<i32, Site>,
    partitions: &[Partition],
    goal: Goal,
) -> Result<Vec<Move>, NoRoom> {
    let mut draft = Draft::new(sites, partitions);
    draft.evacuate()?;
    let touched: BTreeSet<usize> = match goal {
        Goal::Evacuate => (0..partitions.len())
            .filter(|at| draft.placed[*at] != partitions[*at].replicas)
            .collect(),
        Goal::Rebalance => {
            draft.settle();
            (0..partitions.len()).collect()
        }
    };
    draft.level_leaders(&touched);
    let changed = partitions.iter().zip(draft.placed);
    let changed = changed.filter(|(partition, target)| partition.replicas != *target);
    let moves = changed.map(|(partition, target)| Move {
        partition: partition.clone(),
        target,
    });
    Ok(moves.collect())
}

/// What a node carries.
#[derive(Clone, Copy, Debug, Default)]
struct Share {
    replicas: usize,
    bytes: u64,
}

/// The cluster as it would be after what was decided so far.
struct Draft<'a> {
    partitions: &'a [Partition],
    /// Replicas by the partition's place.
    placed: Vec<Vec<i32>>,
    /// The nodes that take replicas, or keep theirs, with their racks.
    racks: BTreeMap<i32, Option<&'a str>>,
    /// Those that take some.
    open: BTreeSet<i32>,
    /// What those carry.
    shares: BTreeMap<i32, Share>,
}

impl<'a> Draft<'a> {
    fn new(sites: &'a BTreeMap<i32, Site>, partitions: &'a [Partition]) -> Draft<'a> {
        let stay = sites.iter().filter(|(_, site)| site.part != Part::Leaves);
        let racks = stay.map(|(id, site)| (*id, site.rack.as_deref())).collect();
        let open = sites.iter().filter(|(_, site)| site.part == Part::Takes);
        let open: BTreeSet<i32> = open.map(|(id, _)| *id).collect();
        let mut shares: BTreeMap<i32, Share> =
            open.iter().map(|id| (*id, Share::default())).collect();
        for partition in partitions {
            for node in &partition.replicas {
                if let Some(share) = shares.get_mut(node) {
                    share.replicas += 1;
                    share.bytes += partition.bytes;
                }
            }
        }
        Draft {
            partitions,
            placed: partitions.iter().map(|p| p.replicas.clone()).collect(),
            racks,
            open,
            shares,
        }
    }

    /// Racks, then counts, then bytes. What helps one may make room for another, and each step makes
    /// one better and those before it no worse; so this ends.
    fn settle(&mut self) {
        loop {
            let before = self.placed.clone();
            self.spread_over_racks();
            self.level_counts();
            self.level_bytes();
            if self.placed == before {
                return;
            }
        }
    }

    /// The replica of a partition that is on one node goes to another.
    fn shift(&mut self, at: usize, from: i32, to: i32) {
        let bytes = self.partitions[at].bytes;
        let place = self.placed[at].iter().position(|node| *node == from);
        self.placed[at][place.expect("the node has a replica")] = to;
        if let Some(share) = self.shares.get_mut(&from) {
            share.replicas -= 1;
            share.bytes -= bytes;
        }
        let share = self
            .shares
            .get_mut(&to)
            .expect("only open nodes get replicas");
        share.replicas += 1;
        share.bytes += bytes;
    }

    /// Replicas of a partition that `node` would share its rack with, if it had the one of
    /// `instead_of`. Nodes without a rack share it with nobody that has one.
    fn crowd(&self, at: usize, node: i32, instead_of: i32) -> usize {
        let rack = self.racks.get(&node).copied().flatten();
        let others = self.placed[at].iter().filter(|other| **other != instead_of);
        // Without racks no node is nearer to another.
        let same = |other: &&i32| rack.is_some() && self.racks.get(other) == Some(&rack);
        others.filter(same).count()
    }
}

#[cfg(test)]
mod tests;
