//! A start finds what storage called durable: each group's term, vote and entries, as of one turn,
//! and that no earlier one than the last that was reported. If bits flipped, a start that isn't
//! refused may have lost the last writes, but none before them.

use super::{Checked, violation};
use log::{Record, Recovered, Turn};
use std::collections::{BTreeMap, VecDeque};

/// Writes that flipped bits can hide: each later one tells what was synced before it.
const SHIELD: usize = 4;

/// What a turn does to a group.
#[derive(Clone, Copy)]
enum Step {
    Create,
    Remove,
    State { term: u32, vote: u32 },
    Entry { index: u64, term: u32 },
    Cut { from: u64 },
    Install { last: u64, term: u32 },
}

/// A group's log, without its bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Known {
    term: u32,
    vote: u32,
    last: u64,
    /// The first index of each term.
    terms: Vec<(u64, u32)>,
}

impl Known {
    /// True if it has lost entries by that.
    fn apply(&mut self, step: Step) -> bool {
        match step {
            Step::Create | Step::Remove => false,
            Step::State { term, vote } => {
                (self.term, self.vote) = (term, vote);
                false
            }
            Step::Cut { from } => self.cut(from),
            Step::Install { last, term } => {
                let cuts = self.last > 0;
                (self.last, self.terms) = (last, vec![(last, term)]);
                cuts
            }
            Step::Entry { index, term } => {
                let cut = self.cut(index);
                if self.terms.last().is_none_or(|(_, last)| *last < term) {
                    self.terms.push((index, term));
                }
                self.last = index;
                cut
            }
        }
    }

    fn cut(&mut self, from: u64) -> bool {
        let cuts = from <= self.last;
        self.last = self.last.min(from.saturating_sub(1));
        while self.terms.last().is_some_and(|(start, _)| *start >= from) {
            self.terms.pop();
        }
        cuts
    }

    fn last_term(&self) -> u32 {
        self.terms.last().map_or(0, |(_, term)| *term)
    }
}

type Groups = BTreeMap<u64, Known>;

/// Says which group has lost entries by that.
fn apply(groups: &mut Groups, steps: &[(u64, Step)]) -> Option<u64> {
    let mut cut = None;
    for (group, step) in steps {
        match step {
            Step::Create => drop(groups.insert(*group, Known::default())),
            Step::Remove => drop(groups.remove(group)),
            _ if groups.entry(*group).or_default().apply(*step) => cut = Some(*group),
            _ => {}
        }
    }
    cut
}

/// One node's.
#[derive(Default)]
struct Node {
    /// As of turn `upto`, the last that was called durable.
    durable: Groups,
    upto: u64,
    /// What `upto` was after each of the last writes, and after the start if it is as recent.
    recent: VecDeque<u64>,
    /// Turns after it that were handed to storage.
    open: VecDeque<(u64, Vec<(u64, Step)>)>,
    /// As of the last of them.
    handed: Groups,
}

impl Node {
    fn advance(&mut self, upto: u64) {
        while let Some((number, steps)) = self.open.pop_front_if(|(number, _)| *number <= upto) {
            apply(&mut self.durable, &steps);
            self.upto = number;
        }
    }
}

/// What a start found.
pub(crate) struct Found {
    turn: u64,
    groups: BTreeMap<u64, (Known, u32)>,
}

impl Found {
    pub(crate) fn new(recovered: &Recovered) -> Found {
        let groups = recovered.groups.iter().map(|group| {
            let known = Known {
                term: group.state.term.0,
                vote: group.state.vote.map_or(0, |node| node.0),
                last: group.log.last_index().0,
                terms: Vec::new(),
            };
            (group.log.group().0, (known, group.log.last_term().0))
        });
        Found {
            turn: recovered.next_turn - 1,
            groups: groups.collect(),
        }
    }
}

/// What storage has promised to keep, by node.
#[derive(Default)]
pub(crate) struct Kept {
    nodes: BTreeMap<u32, Node>,
}

impl Kept {
    /// A shard hands a turn to storage. Says which group's log is cut in it.
    pub(crate) fn handed(&mut self, node: u32, turn: &Turn) -> Option<u64> {
        let node = self.nodes.entry(node).or_default();
        let steps: Vec<(u64, Step)> = turn.records.iter().filter_map(step).collect();
        let cut = apply(&mut node.handed, &steps);
        node.open.push_back((turn.number, steps));
        cut
    }

    /// Storage says that all turns up to this one are durable.
    pub(crate) fn durable(&mut self, node: u32, turn: u64) {
        let node = self.nodes.entry(node).or_default();
        node.advance(turn);
        node.recent.push_back(node.upto);
        if node.recent.len() > SHIELD + 1 {
            node.recent.pop_front();
        }
    }

    /// A node's disk is lost.
    pub(crate) fn erased(&mut self, node: u32) {
        self.nodes.remove(&node);
    }

    /// A node whose data is whole has started.
    pub(crate) fn started(&mut self, name: u32, found: &Found) -> Checked {
        let node = self.nodes.entry(name).or_default();
        let lost = |what: String| {
            let what = format!("node {name}: {what}");
            Err(violation("a start finds what was durable", what))
        };
        if found.turn < node.upto {
            return lost(format!(
                "turn {} was durable, the start found those up to {}",
                node.upto, found.turn
            ));
        }
        // Later turns may have made it. What a start has found is durable.
        node.advance(found.turn);
        node.upto = found.turn;
        node.recent = [found.turn].into();
        node.open.clear();
        node.handed = node.durable.clone();
        for (group, known) in &node.durable {
            let Some((there, last_term)) = found.groups.get(group) else {
                return lost(format!("group {group} is gone"));
            };
            let of =
                |known: &Known, last_term: u32| (known.term, known.vote, known.last, last_term);
            let (was, is) = (of(known, known.last_term()), of(there, *last_term));
            if was != is {
                return lost(format!(
                    "group {group} had term, vote, last index, last term {was:?}, and has {is:?}"
                ));
            }
        }
        match found
            .groups
            .keys()
            .find(|id| !node.durable.contains_key(id))
        {
            Some(group) => lost(format!("group {group} is there again")),
            None => Ok(()),
        }
    }

    /// A node has started of whose data some was destroyed: by flipped bits only, or also by
    /// writes that went astray, which can take the place of several.
    pub(crate) fn damaged(&mut self, name: u32, found: &Found, flips_only: bool) -> Checked {
        let node = self.nodes.entry(name).or_default();
        let safe = node.recent.front().copied().unwrap_or(0);
        *node = Node {
            upto: found.turn,
            recent: [found.turn].into(),
            ..Node::default()
        };
        if flips_only && found.turn < safe {
            let what = format!(
                "node {name}: turn {safe} was durable and {SHIELD} writes came after it, the start \
                 found those up to {} and said nothing",
                found.turn
            );
            return Err(violation("damage is told from a torn tail", what));
        }
        Ok(())
    }
}

fn step(record: &Record) -> Option<(u64, Step)> {
    Some(match record {
        Record::Create { group, .. } => (group.0, Step::Create),
        Record::Remove { group } => (group.0, Step::Remove),
        Record::State { group, state } => {
            let (term, vote) = (state.term.0, state.vote.map_or(0, |node| node.0));
            (group.0, Step::State { term, vote })
        }
        Record::Batch {
            group, index, term, ..
        }
        | Record::Internal {
            group, index, term, ..
        } => {
            let (index, term) = (index.0, term.0);
            (group.0, Step::Entry { index, term })
        }
        Record::Truncate { group, from, .. } => (group.0, Step::Cut { from: from.0 }),
        Record::Install { group, origin, .. } => {
            let (last, term) = (origin.index.0, origin.term().0);
            (group.0, Step::Install { last, term })
        }
        Record::Block { .. } | Record::Drop { .. } => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::{Found, Kept, Known};
    use base::{GroupId, NodeId, RaftIndex, Term};
    use bytes::Bytes;
    use log::{HardState, Record, Settings, Turn};

    fn turn(number: u64, records: Vec<Record>) -> Turn {
        let mut turn = Turn::new(number);
        turn.records = records;
        turn
    }

    fn entry(index: u64, term: u32) -> Record {
        Record::Internal {
            group: GroupId(1),
            index: RaftIndex(index),
            term: Term(term),
            data: Bytes::new(),
        }
    }

    fn vote(term: u32, node: u32) -> Record {
        let state = HardState {
            term: Term(term),
            vote: Some(NodeId(node)),
            commit: RaftIndex(0),
        };
        Record::State {
            group: GroupId(1),
            state,
        }
    }

    fn found(turn: u64, vote: u32, last: u64, last_term: u32) -> Found {
        let known = Known {
            term: 4,
            vote,
            last,
            terms: Vec::new(),
        };
        Found {
            turn,
            groups: [(1, (known, last_term))].into(),
        }
    }

    /// Two turns, the first durable: entries 1 and 2, a vote; then entry 2 is another one.
    fn two_turns() -> Kept {
        let mut kept = Kept::default();
        let create = Record::Create {
            group: GroupId(1),
            settings: Settings {
                segment_bytes: 9,
                incarnation: 0,
            },
        };
        let first = vec![create, entry(1, 1), entry(2, 3), vote(4, 2)];
        assert_eq!(kept.handed(1, &turn(1, first)), None);
        kept.durable(1, 1);
        assert_eq!(kept.handed(1, &turn(2, vec![entry(2, 4)])), Some(1));
        kept
    }

    #[test]
    fn what_was_durable_and_what_may_have_become_so_is_found() {
        assert_eq!(two_turns().started(1, &found(1, 2, 2, 3)), Ok(()));
        assert_eq!(two_turns().started(1, &found(2, 2, 2, 4)), Ok(()));
    }

    #[test]
    fn flipped_bits_take_the_last_writes_at_most() {
        let written = |writes: u64| {
            let mut kept = Kept::default();
            kept.damaged(1, &found(0, 0, 0, 0), true).unwrap();
            for number in 1..=writes {
                kept.handed(1, &turn(number, vec![vote(number as u32, 1)]));
                kept.durable(1, number);
            }
            kept
        };
        assert_eq!(written(9).damaged(1, &found(5, 1, 0, 0), true), Ok(()));
        assert!(written(9).damaged(1, &found(4, 1, 0, 0), true).is_err());
        assert_eq!(written(9).damaged(1, &found(4, 1, 0, 0), false), Ok(()));
        assert_eq!(written(2).damaged(1, &found(0, 1, 0, 0), true), Ok(()));
    }

    #[test]
    fn a_lost_turn_vote_or_entry_is_caught() {
        let bad = [
            found(0, 2, 2, 3),
            found(1, 0, 2, 3),
            found(1, 2, 1, 1),
            found(1, 2, 2, 4),
            found(2, 2, 2, 3),
        ];
        for bad in bad {
            assert!(two_turns().started(1, &bad).is_err());
        }
        let none = Found {
            turn: 1,
            groups: Default::default(),
        };
        assert!(two_turns().started(1, &none).is_err());
    }
}
