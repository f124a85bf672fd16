//! Moves on their way, as far as anything about them is decided: which are asked for next, which have
//! arrived, which nobody waits for any more. It asks and changes nothing; [`super::carry`] does.

use super::plan::Move;
use super::survey::{self, Name, Placed};
use crate::output;
use base::Uuid;
use std::collections::{BTreeMap, BTreeSet};

/// How often a move that nobody lists and that isn't there is looked at before somebody else must
/// have taken it back: one look may go to a node that hasn't heard of it yet.
const LOOKS_IN_VAIN_MAX: u32 = 20;
/// How often a partition isn't found that was there when its move was asked for, before it is gone.
const LOOKS_FOR_GONE_MAX: u32 = 2;
/// How often a move is looked at that waits for a silent or full node before it is to go elsewhere.
const LOOKS_AT_SILENCE_MAX: u32 = 40;
/// Partitions named at most when it is said what waits.
pub const NAMED_MAX: usize = 5;

/// All partitions, as a look shows them.
pub type Seen = BTreeMap<Name, Placed>;

/// A move that was asked for.
#[derive(Debug)]
struct Flight {
    change: Move,
    /// The topic's id, if it was seen.
    topic: Option<Uuid>,
    /// What the new replicas have so far.
    bytes: u64,
    in_vain: u32,
    silence: u32,
}

/// What came of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Partitions that have the replicas they were to get.
    pub moved: usize,
    /// Partitions that were deleted meanwhile.
    pub gone: usize,
    /// Bytes that were copied for it, as estimated at the beginning.
    pub bytes: u64,
    /// Partitions that somebody else gave other replicas meanwhile.
    pub changed: Vec<Name>,
}

/// What is under way.
#[derive(Debug, Default)]
pub struct Convoy {
    at_once: usize,
    /// What is to be asked for, whatever replicas a partition has by then.
    absolute: bool,
    /// What waits for a silent or full node isn't waited for.
    elsewhere: bool,
    waiting: Vec<Move>,
    flying: BTreeMap<Name, Flight>,
    /// Moves that arrived, with their first replicas until those lead.
    to_lead: BTreeMap<Name, i32>,
    report: Report,
    count: usize,
    /// Steps in all: three a move, one a partition that only gets its first replica as leader.
    steps: usize,
    bytes: u64,
    bytes_done: u64,
}

impl Convoy {
    /// Will ask for these moves, so many at a time, watch those that are under way already, and have
    /// partitions led by their first replicas.
    pub fn new(
        at_once: usize,
        moves: Vec<Move>,
        under_way: Vec<Move>,
        to_lead: BTreeMap<Name, i32>,
    ) -> Convoy {
        let all = moves.iter().chain(&under_way);
        let mut convoy = Convoy {
            at_once,
            count: moves.len() + under_way.len(),
            steps: (moves.len() + under_way.len()) * 3 + to_lead.len(),
            bytes: all.map(Move::bytes).sum(),
            waiting: moves,
            to_lead,
            ..Convoy::default()
        };
        under_way.into_iter().for_each(|m| convoy.fly(m, None));
        convoy
    }

    /// Its moves say what a partition is to have, not what is to become of what it has.
    pub fn absolute(mut self) -> Convoy {
        self.absolute = true;
        self
    }

    /// Whoever carries it out plans anew what was to go to a node that fell silent or filled
    /// up: that counts as changed.
    pub fn elsewhere(mut self) -> Convoy {
        self.elsewhere = true;
        self
    }

    /// Nothing is left to be done.
    pub fn is_over(&self) -> bool {
        self.waiting.is_empty() && self.flying.is_empty() && self.to_lead.is_empty()
    }

    /// What came of it.
    pub fn report(mut self) -> Report {
        let left = self.report.gone + self.report.changed.len();
        self.report.moved = self.count.saturating_sub(left);
        self.report.bytes = self.bytes;
        self.report
    }

    /// Steps done and bytes copied, to see whether there is progress.
    pub fn ahead(&self) -> (usize, u64) {
        let left = self.waiting.len() * 3 + self.flying.len() * 2 + self.to_lead.len();
        (self.steps - left, self.copied())
    }

    fn copied(&self) -> u64 {
        self.bytes_done + self.flying.values().map(|flight| flight.bytes).sum::<u64>()
    }

    /// Takes note of what has arrived, and of what never will.
    pub fn land(&mut self, seen: &Seen) {
        let mut ended = Vec::new();
        for (name, flight) in &mut self.flying {
            let there = seen.get(name);
            // Another topic of the same name isn't the one that was to move.
            let there = there.filter(|p| *flight.topic.get_or_insert(p.topic) == p.topic);
            match there {
                Some(there) if there.moving => {
                    flight.in_vain = 0;
                    flight.silence += u32::from(!there.awaited().is_empty());
                }
                Some(there) if there.replicas == flight.change.target => {
                    self.to_lead.insert(name.clone(), flight.change.target[0]);
                    ended.push(name.clone());
                }
                _ => flight.in_vain += 1,
            }
            let gone = there.is_none() && flight.in_vain > LOOKS_FOR_GONE_MAX;
            if gone {
                self.report.gone += 1;
                ended.push(name.clone());
            } else if flight.in_vain > LOOKS_IN_VAIN_MAX
                || (self.elsewhere && flight.silence > LOOKS_AT_SILENCE_MAX)
            {
                self.report.changed.push(name.clone());
                ended.push(name.clone());
            }
        }
        for name in ended {
            let flight = self.flying.remove(&name).expect("looked at just now");
            self.bytes_done += flight.change.bytes();
        }
    }

    /// Which moves to ask for next. What others move counts too, as far as it gets on: what waits for
    /// a node that is silent or full keeps nobody else waiting. A partition without a leader can't move.
    pub fn next(&mut self, seen: &Seen) -> Vec<Move> {
        let busy = |p: &&Placed| p.moving && p.leader >= 0 && p.awaited().is_empty();
        let others = seen
            .iter()
            .filter(|(name, _)| !self.flying.contains_key(*name));
        let others = others.map(|(_, placed)| placed).filter(busy).count();
        let flying = self.flying.keys();
        let flying = flying.filter(|name| seen.get(*name).is_none_or(|p| p.can_go_on()));
        let room = self.at_once.saturating_sub(flying.count() + others);
        let mut next = Vec::new();
        let mut waiting = Vec::new();
        for change in std::mem::take(&mut self.waiting) {
            let name = super::name_of(&change.partition);
            match seen.get(&name) {
                None => self.pass(&change, None),
                Some(placed) if !self.absolute && !planned_from(&change, placed) => {
                    self.pass(&change, Some(name));
                }
                Some(placed) if placed.leader >= 0 && next.len() < room => next.push(change),
                Some(_) => waiting.push(change),
            }
        }
        self.waiting = waiting;
        next
    }

    /// A move that isn't asked for: its partition is gone, or somebody else changed it.
    fn pass(&mut self, change: &Move, changed: Option<Name>) {
        self.bytes_done += change.bytes();
        match changed {
            Some(name) => self.report.changed.push(name),
            None => self.report.gone += 1,
        }
    }

    /// A move was asked for.
    pub fn fly(&mut self, change: Move, topic: Option<Uuid>) {
        let flight = Flight {
            change,
            topic,
            bytes: 0,
            in_vain: 0,
            silence: 0,
        };
        self.flying
            .insert(super::name_of(&flight.change.partition), flight);
    }

    /// A move was asked for, and there is no such partition.
    pub fn is_gone(&mut self, change: &Move) {
        self.pass(change, None);
    }

    /// The partitions that should be led by their first replicas and aren't, a few of them. A first
    /// replica that isn't there, or has no room, leads when it is back and in sync; that isn't waited for.
    pub fn unled(&mut self, seen: &Seen) -> Vec<Name> {
        let waits = |name: &Name, first: i32| {
            let placed = seen.get(name);
            placed.is_some_and(|p| p.leader != first && p.takes(first))
        };
        self.to_lead.retain(|name, first| waits(name, *first));
        self.to_lead.keys().take(self.at_once).cloned().collect()
    }

    /// Nodes on whose room it depends what goes on: those that get replicas, for whomever, and those that
    /// are to lead.
    pub fn in_question(&self, seen: &Seen) -> BTreeSet<i32> {
        let silent = |node: &i32| seen.values().any(|placed| placed.offline.contains(node));
        let adding = seen.values().flat_map(|placed| &placed.adding);
        let landed = self.flying.values().filter_map(|f| f.change.target.first());
        let all = adding.chain(self.to_lead.values()).chain(landed);
        let mut nodes: BTreeSet<i32> = all.copied().collect();
        nodes.retain(|node| !silent(node));
        nodes
    }

    /// Nodes that get replicas now.
    pub fn receivers(&self) -> BTreeSet<i32> {
        let flying = self.flying.values();
        flying.flat_map(|flight| flight.change.adding()).collect()
    }

    /// What those have so far, where that is known.
    pub fn measure(&mut self, held: &BTreeMap<i32, BTreeMap<Name, u64>>) {
        for (name, flight) in &mut self.flying {
            let has = |node: &i32| held.get(node)?.get(name).copied();
            let copies = flight.change.adding();
            let bytes: u64 = copies.iter().filter_map(has).sum();
            flight.bytes = flight.bytes.max(bytes.min(flight.change.bytes()));
        }
    }

    /// Moves that are done, all moves, and how far they are, for people.
    pub fn told(&self) -> (usize, usize, String) {
        let done = self.count - self.waiting.len() - self.flying.len();
        let line = format!(
            "{done} of {}, {} of {} copied, {} moving",
            output::counted(self.count as u64, "partition"),
            output::bytes(self.copied()),
            output::bytes(self.bytes),
            self.flying.len(),
        );
        (done, self.count, line)
    }

    /// What it is that doesn't go on, and true if that is for want of nodes.
    pub fn stuck(&self, seen: &Seen) -> (String, bool) {
        let flying = self
            .flying
            .iter()
            .map(|(name, f)| (name.clone(), &f.change, f.bytes));
        let waiting = self
            .waiting
            .iter()
            .map(|m| (super::name_of(&m.partition), m, 0));
        let all: Vec<(Name, &Move, u64)> = flying.chain(waiting).collect();
        if all.is_empty() {
            let names = some(self.to_lead.keys());
            return (
                format!("waiting for the first replica to lead {names}"),
                false,
            );
        }
        let fine = |name: &Name| seen.get(name).is_none_or(Placed::can_go_on);
        let for_nodes = !all.iter().any(|(name, ..)| fine(name));
        // What waits only because others don't go on isn't the reason.
        let mut named: Vec<_> = all.iter().collect();
        named.sort_by_key(|(name, ..)| (fine(name) && !self.flying.contains_key(name), name));
        let why = |(name, change, bytes): &&(Name, &Move, u64)| {
            let reason = because(change, *bytes, seen.get(name));
            format!("{} ({reason})", survey::text(name))
        };
        let reasons: Vec<String> = named
            .iter()
            .copied()
            .take(NAMED_MAX)
            .map(|a| why(&a))
            .collect();
        let more = all.len().saturating_sub(NAMED_MAX);
        let more = match more {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        (
            format!("waiting for {}{more}", reasons.join(", ")),
            for_nodes,
        )
    }
}

/// True if a partition still has the replicas that a move was planned from.
fn planned_from(change: &Move, placed: &Placed) -> bool {
    let set = |nodes: &[i32]| nodes.iter().copied().collect::<BTreeSet<_>>();
    let planned = set(&change.partition.replicas);
    planned == set(&placed.replicas) || planned == set(&placed.before())
}

fn because(change: &Move, bytes: u64, placed: Option<&Placed>) -> String {
    let are = |nodes: &[i32], what: &str| match nodes {
        [] => String::new(),
        [one] => format!(": node {one} is {what}"),
        _ => format!(": nodes {} are {what}", output::list(nodes)),
    };
    match placed {
        Some(placed) if placed.leader < 0 => {
            let offline: Vec<i32> = placed.offline.iter().copied().collect();
            format!("nobody leads it{}", are(&offline, "silent"))
        }
        Some(placed) if !placed.awaited().is_empty() => {
            let is_silent = |node: &i32| placed.offline.contains(node);
            let (silent, full): (Vec<i32>, Vec<i32>) =
                placed.awaited().into_iter().partition(is_silent);
            let (silent, full) = (are(&silent, "silent"), are(&full, "full"));
            format!("it lacks a replica{silent}{full}")
        }
        _ => format!(
            "node {} has {} of {}",
            output::list(&change.adding()),
            output::bytes(bytes),
            output::bytes(change.bytes())
        ),
    }
}

/// Some partitions, by name.
pub fn some<'n>(names: impl ExactSizeIterator<Item = &'n Name>) -> String {
    let more = names.len().saturating_sub(NAMED_MAX);
    let named: Vec<String> = names.take(NAMED_MAX).map(survey::text).collect();
    match more {
        0 => named.join(", "),
        more => format!("{} and {more} more", named.join(", ")),
    }
}

#[cfg(test)]
mod tests;
