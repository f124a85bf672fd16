//! The assignor `uniform`: loads that are as even as the subscriptions allow, and among those the
//! assignment that moves little from what was before.
//!
//! Three steps. Everybody keeps what it had and still wants. What nobody has goes to whoever has
//! least, a member in a rack of the partition first among equals. Then loads are levelled: within
//! the topics that the same members want (a *class*, see `level`), and, where classes overlap,
//! along chains of members (`chain`). Without a class of its own for everybody - that is in every
//! group whose members want the same - the outcome is balanced within one partition.
//!
//! Work is done on numbers: a partition is its place in one list over all topics, a member its
//! place among the members.

mod chain;
mod level;

use super::{Assignment, Member, Topic};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

/// Rounds of levelling over all classes; each about halves what is left of the imbalance.
const LEVEL_ROUNDS_MAX: usize = 16;
/// Members with equally little that are looked at for one in a rack of the partition.
const RACK_LOOKS_MAX: usize = 32;
/// Nobody's.
const NOBODY: u32 = u32::MAX;

/// Topics that the same members want.
struct Class {
    /// Those members, in order.
    wanting: Vec<u32>,
    /// The topics' partitions.
    partitions: Vec<u32>,
}

/// The assignment as it comes about.
struct Plan<'a> {
    members: &'a [Member<'a>],
    topics: &'a [Topic],
    /// Topic and number of each partition.
    names: Vec<(u32, i32)>,
    /// Who has each partition.
    owners: Vec<u32>,
    /// Who had each partition before; moving it away from there costs.
    before: Vec<u32>,
    /// How many partitions each member has.
    loads: Vec<u32>,
    classes: Vec<Class>,
}

pub(super) fn assign(members: &[Member<'_>], topics: &[Topic]) -> Vec<Assignment> {
    let mut plan = Plan::new(members, topics);
    plan.keep();
    for class in 0..plan.classes.len() {
        plan.fill(class);
    }
    plan.level();
    plan.finish()
}

impl<'a> Plan<'a> {
    fn new(members: &'a [Member<'a>], topics: &'a [Topic]) -> Plan<'a> {
        let mut names = Vec::new();
        for (at, topic) in (0u32..).zip(topics) {
            names.extend((0..topic.partitions).map(|partition| (at, partition as i32)));
        }
        let owners = vec![NOBODY; names.len()];
        Plan {
            members,
            topics,
            before: owners.clone(),
            owners,
            loads: vec![0; members.len()],
            classes: classes(members, topics),
            names,
        }
    }

    /// Everybody keeps what it had, if it still wants it and it still exists.
    fn keep(&mut self) {
        let firsts = firsts(self.topics);
        for (at, member) in (0u32..).zip(self.members) {
            for topic in member.topics {
                let Some(kept) = member.before.get(&self.topics[*topic].id) else {
                    continue;
                };
                for partition in kept {
                    let known = u32::try_from(*partition)
                        .ok()
                        .filter(|known| *known < self.topics[*topic].partitions);
                    let Some(known) = known else {
                        continue;
                    };
                    let place = firsts[*topic] + known as usize;
                    if self.owners[place] == NOBODY {
                        self.owners[place] = at;
                        self.before[place] = at;
                        self.loads[at as usize] += 1;
                    }
                }
            }
        }
    }

    /// Partitions of the class that nobody has go to whoever has least.
    fn fill(&mut self, class: usize) {
        let class = &self.classes[class];
        let mut least: BinaryHeap<Reverse<(u32, u32)>> = class
            .wanting
            .iter()
            .map(|member| Reverse((self.loads[*member as usize], *member)))
            .collect();
        for partition in &class.partitions {
            if self.owners[*partition as usize] != NOBODY {
                continue;
            }
            let Some((load, member)) = self.take_least(*partition, &mut least) else {
                return;
            };
            self.owners[*partition as usize] = member;
            self.loads[member as usize] = load + 1;
            least.push(Reverse((load + 1, member)));
        }
    }

    /// Takes one of those with the least load out of the heap: one near the partition, if there is
    /// one among the first few.
    fn take_least(
        &self,
        partition: u32,
        least: &mut BinaryHeap<Reverse<(u32, u32)>>,
    ) -> Option<(u32, u32)> {
        let Reverse(first) = least.pop()?;
        if !self.has_racks(partition) || self.near(first.1, partition) {
            return Some(first);
        }
        let mut passed = vec![first];
        let mut found = None;
        while found.is_none() && passed.len() < RACK_LOOKS_MAX {
            match least.peek() {
                Some(Reverse((load, _))) if *load == first.0 => {}
                _ => break,
            }
            let Some(Reverse(next)) = least.pop() else {
                break;
            };
            if self.near(next.1, partition) {
                found = Some(next);
            } else {
                passed.push(next);
            }
        }
        let chosen = found.unwrap_or_else(|| passed.remove(0));
        least.extend(passed.into_iter().map(Reverse));
        Some(chosen)
    }

    fn has_racks(&self, partition: u32) -> bool {
        !self.topics[self.names[partition as usize].0 as usize]
            .racks
            .is_empty()
    }

    /// True if a replica of the partition is in the member's rack.
    fn near(&self, member: u32, partition: u32) -> bool {
        let (topic, number) = self.names[partition as usize];
        let racks = self.topics[topic as usize].racks.get(number as usize);
        match (self.members[member as usize].rack, racks) {
            (Some(rack), Some(racks)) => racks.iter().any(|known| &**known == rack),
            _ => false,
        }
    }

    /// How much a member minds giving a partition away: what it just got least, what it had
    /// before and has near most.
    fn attachment(&self, member: u32, partition: u32) -> (bool, bool) {
        let kept = self.before[partition as usize] == member;
        (kept, self.near(member, partition))
    }

    fn give(&mut self, partition: u32, to: u32) {
        let from = self.owners[partition as usize];
        self.loads[from as usize] -= 1;
        self.loads[to as usize] += 1;
        self.owners[partition as usize] = to;
    }

    fn level(&mut self) {
        for _ in 0..LEVEL_ROUNDS_MAX {
            let mut moved = false;
            for class in 0..self.classes.len() {
                moved |= level::level(self, class);
            }
            if !moved || self.classes.len() == 1 {
                break;
            }
        }
        if self.classes.len() > 1 {
            chain::shorten(self);
        }
    }

    fn finish(self) -> Vec<Assignment> {
        let mut all = vec![Assignment::new(); self.members.len()];
        for ((topic, partition), owner) in self.names.iter().zip(&self.owners) {
            if *owner != NOBODY {
                all[*owner as usize]
                    .entry(self.topics[*topic as usize].id)
                    .or_default()
                    .push(*partition);
            }
        }
        all
    }
}

/// Where each topic's partitions begin in the list over all topics.
fn firsts(topics: &[Topic]) -> Vec<usize> {
    let mut next = 0;
    let first = |topic: &Topic| {
        let first = next;
        next += topic.partitions as usize;
        first
    };
    topics.iter().map(first).collect()
}

/// Topics by who wants them, those with the fewest wanting members first, because they leave the
/// least choice. Members with equal wishes are told apart once, so that this costs about as much
/// as reading all wishes.
fn classes(members: &[Member<'_>], topics: &[Topic]) -> Vec<Class> {
    let mut wishes: BTreeMap<&[usize], Vec<u32>> = BTreeMap::new();
    for (at, member) in (0u32..).zip(members) {
        wishes.entry(member.topics).or_default().push(at);
    }
    let mut wished: Vec<Vec<u32>> = vec![Vec::new(); topics.len()];
    for (wish, wanted) in (0u32..).zip(wishes.keys()) {
        for topic in *wanted {
            wished[*topic].push(wish);
        }
    }
    let firsts = firsts(topics);
    let mut by_wishes: BTreeMap<&[u32], Vec<u32>> = BTreeMap::new();
    for (at, topic) in topics.iter().enumerate() {
        let first = firsts[at] as u32;
        by_wishes
            .entry(&wished[at])
            .or_default()
            .extend(first..first + topic.partitions);
    }
    by_wishes.remove(&[][..]);
    let wanting: Vec<&Vec<u32>> = wishes.values().collect();
    let class = |(wishes, partitions): (&[u32], Vec<u32>)| {
        let of = |wish: &u32| wanting[*wish as usize].iter().copied();
        let mut wanting: Vec<u32> = wishes.iter().flat_map(of).collect();
        wanting.sort_unstable();
        Class {
            wanting,
            partitions,
        }
    };
    let mut classes: Vec<Class> = by_wishes.into_iter().map(class).collect();
    classes.sort_by_key(|class| class.wanting.len());
    classes
}
