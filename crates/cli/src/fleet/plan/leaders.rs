//! Preferred leaders over nodes: only the order of replicas changes, so nothing is copied.

use super::Draft;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

impl Draft<'_> {
    /// Nodes are first replica of equally many partitions, as far as their replicas allow. Only
    /// `touched` partitions get another order.
    pub(super) fn level_leaders(&mut self, touched: &BTreeSet<usize>) {
        let mut firsts: BTreeMap<i32, usize> = self.open.iter().map(|id| (*id, 0)).collect();
        for placed in &self.placed {
            if let Some(count) = placed.first().and_then(|node| firsts.get_mut(node)) {
                *count += 1;
            }
        }
        while let Some(way) = self.way_down(&firsts, touched) {
            let (first, last) = (self.placed[way[0].0][0], way[way.len() - 1].1);
            for (at, node) in way {
                let place = self.placed[at].iter().position(|n| *n == node);
                self.placed[at].swap(0, place.expect("it has a replica"));
            }
            *firsts.get_mut(&first).expect("an open node") -= 1;
            *firsts.get_mut(&last).expect("an open node") += 1;
        }
    }

    /// Partitions that are handed on, each to the node that hands on the next one, from a node that
    /// leads many to one that leads two fewer at least.
    fn way_down(
        &self,
        firsts: &BTreeMap<i32, usize>,
        touched: &BTreeSet<usize>,
    ) -> Option<Vec<(usize, i32)>> {
        let mut led: BTreeMap<i32, Vec<usize>> = BTreeMap::new();
        for at in touched {
            if let Some(node) = self.placed[*at].first() {
                led.entry(*node).or_default().push(*at);
            }
        }
        let mut starts: Vec<(usize, i32)> = firsts.iter().map(|(id, n)| (*n, *id)).collect();
        starts.sort_unstable();
        let starts = starts.into_iter().rev();
        let mut ways = starts.map(|(count, start)| self.way_from(start, count, firsts, &led));
        ways.find_map(|way| way)
    }

    fn way_from(
        &self,
        start: i32,
        count: usize,
        firsts: &BTreeMap<i32, usize>,
        led: &BTreeMap<i32, Vec<usize>>,
    ) -> Option<Vec<(usize, i32)>> {
        let mut came: BTreeMap<i32, (usize, i32)> = BTreeMap::new();
        let mut next = VecDeque::from([start]);
        while let Some(node) = next.pop_front() {
            for at in led.get(&node).map_or(&[][..], Vec::as_slice) {
                for other in &self.placed[*at][1..] {
                    let known = *other == start || came.contains_key(other);
                    if known || !firsts.contains_key(other) {
                        continue;
                    }
                    came.insert(*other, (*at, node));
                    if firsts[other] + 2 <= count {
                        return Some(walk_back(*other, start, &came));
                    }
                    next.push_back(*other);
                }
            }
        }
        None
    }
}

fn walk_back(end: i32, start: i32, came: &BTreeMap<i32, (usize, i32)>) -> Vec<(usize, i32)> {
    let mut way = Vec::new();
    let mut node = end;
    while node != start {
        let (at, before) = came[&node];
        way.push((at, node));
        node = before;
    }
    way.reverse();
    way
}
