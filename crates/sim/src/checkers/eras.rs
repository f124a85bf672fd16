//! What may be lost where a partition went on without its majority: what its survivor didn't have,
//! written in terms before that. Everything else stays as sure as ever, and nothing of it happens
//! unasked, or while the majority is there.

use super::{Checked, Part, violation};
use crate::payload::Ident;
use std::collections::BTreeMap;

/// No batch of the workload has as many records.
const LONGEST: i64 = 1_000;

/// A batch of records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    /// Its first record.
    pub(crate) first: Ident,
    /// Where it begins.
    pub(crate) base: i64,
    /// Where the next one begins.
    pub(crate) next: i64,
}

/// What was ever appended to a log, with the terms, by where each batch begins. What was cut off stays: a
/// crash may give it back.
type Appended = BTreeMap<i64, Vec<(Piece, u32)>>;

/// Since a replica went on alone.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Era {
    /// Its first term.
    term: u32,
    /// Where the survivor's log ended.
    end: i64,
    /// What is known of it.
    log: Appended,
}

impl Era {
    /// True if the survivor may not have had a batch: its log ended before that, or it had another one
    /// there, that others had never agreed on.
    fn lacks(&self, piece: Piece) -> bool {
        piece.next > self.end || self.there(piece).any(|(there, _)| there != piece)
    }

    /// The same of a batch that a leader stamped with its term.
    fn lacks_of(&self, piece: Piece, term: u32) -> bool {
        self.lacks(piece) || self.there(piece).any(|(_, stamp)| stamp != term)
    }

    /// What it ever had where a batch is.
    fn there(&self, piece: Piece) -> impl Iterator<Item = (Piece, u32)> {
        let near = self.log.range(piece.base - LONGEST..piece.next);
        let there = near.flat_map(|(_, there)| there.iter().copied());
        there.filter(move |(there, _)| there.next > piece.base)
    }
}

/// What is known of one partition.
#[derive(Default)]
struct Known {
    /// The replicas that the metadata told to go on: node and the last successor of those that were given up.
    told: BTreeMap<u32, u32>,
    eras: Vec<Era>,
    /// The first term in which each batch was appended anywhere, by its first record and offset.
    stamps: BTreeMap<(Ident, i64), u32>,
    /// What each node's replica appended itself. What came as a snapshot is missing; that was committed.
    logs: BTreeMap<u32, Appended>,
}

/// Partitions that went on without their majority.
#[derive(Default)]
pub(crate) struct Eras {
    parts: BTreeMap<Part, Known>,
}

impl Eras {
    /// The metadata says that the replica of a node is to go on alone; `given` grows each time that the others
    /// are given up for it. True if that is new.
    pub(crate) fn told(&mut self, part: Part, survivor: u32, given: u32) -> bool {
        let known = self.parts.entry(part).or_default();
        let new = known
            .told
            .get(&survivor)
            .is_none_or(|before| *before < given);
        if new {
            known.told.insert(survivor, given);
        }
        new
    }

    /// A node's replica appended a batch.
    pub(crate) fn appended(&mut self, part: Part, node: u32, piece: Piece, term: u32) {
        let known = self.parts.entry(part).or_default();
        let stamp = known.stamps.entry((piece.first, piece.base));
        let stamp = stamp.or_insert(term);
        *stamp = term.min(*stamp);
        let log = known.logs.entry(node).or_default();
        let there = log.entry(piece.base).or_default();
        if !there.contains(&(piece, term)) {
            there.push((piece, term));
        }
    }

    /// A node's replica begins anew, or what it had is replaced.
    pub(crate) fn begins_anew(&mut self, part: Part, node: u32) {
        if let Some(known) = self.parts.get_mut(&part) {
            known.logs.remove(&node);
        }
    }

    /// True if a term is of an era that isn't known yet.
    pub(crate) fn is_new(&self, part: Part, term: u32) -> bool {
        term >= base::limits::TERMS_LEFT_OUT && !self.has_begun(part, term)
    }

    fn has_begun(&self, part: Part, term: u32) -> bool {
        let number = |term: u32| term / base::limits::TERMS_LEFT_OUT;
        let mut eras = self.parts.get(&part).into_iter().flat_map(|it| &it.eras);
        eras.any(|era| number(era.term) == number(term))
    }

    /// A replica goes on alone with what it has.
    pub(crate) fn began(&mut self, part: Part, node: u32, term: u32, end: i64) -> Checked {
        let known = self.parts.entry(part).or_default();
        let log = known.logs.get(&node).cloned().unwrap_or_default();
        known.eras.push(Era { term, end, log });
        if known.told.contains_key(&node) {
            return Ok(());
        }
        let what = format!("{part}: node {node} goes on in term {term}, and nobody said so");
        Err(violation("nobody goes on alone unasked", what))
    }

    /// True if a partition has gone on without its majority.
    pub(crate) fn any(&self, part: Part) -> bool {
        let known = self.parts.get(&part);
        known.is_some_and(|known| !known.eras.is_empty())
    }

    /// The first term since which nothing was lost.
    pub(crate) fn since(&self, part: Part) -> u32 {
        let eras = self.parts.get(&part).into_iter().flat_map(|it| &it.eras);
        eras.map(|era| era.term).max().unwrap_or(0)
    }

    /// True if a batch that a leader stamped with its term may be gone.
    pub(crate) fn voids(&self, part: Part, term: u32, piece: Piece) -> bool {
        let mut eras = self.parts.get(&part).into_iter().flat_map(|it| &it.eras);
        eras.any(|era| term < era.term && era.lacks_of(piece, term))
    }

    /// True if the replica that went on last didn't have a batch.
    pub(crate) fn lost(&self, part: Part, term: u32, piece: Piece) -> bool {
        let last = self.parts.get(&part).and_then(|known| known.eras.last());
        last.is_some_and(|era| era.lacks_of(piece, term))
    }

    /// True if an acknowledged batch may be gone: `base` is none if it wasn't said where it is.
    pub(crate) fn voids_batch(
        &self,
        part: Part,
        first: Ident,
        base: Option<i64>,
        len: i64,
    ) -> bool {
        let Some(known) = self.parts.get(&part) else {
            return false;
        };
        let placed = known.stamps.range((first, i64::MIN)..=(first, i64::MAX));
        let mut placed = placed.filter(|((_, at), _)| base.is_none_or(|base| base == *at));
        placed.any(|((_, base), term)| {
            let (base, next) = (*base, base + len);
            let piece = Piece { first, base, next };
            known
                .eras
                .iter()
                .any(|era| *term < era.term && era.lacks(piece))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::PART;
    use super::*;
    use base::limits::TERMS_LEFT_OUT as LEAP;

    fn piece(first: u64, base: i64, next: i64) -> Piece {
        let first = Ident(first);
        Piece { first, base, next }
    }

    #[test]
    fn only_what_the_survivor_lacked_may_be_gone() {
        let mut eras = Eras::default();
        eras.appended(PART, 1, piece(1, 0, 4), 3);
        eras.appended(PART, 1, piece(5, 4, 6), 3);
        eras.appended(PART, 3, piece(9, 4, 6), LEAP + 3);
        assert!(!eras.voids_batch(PART, Ident(5), Some(4), 2));
        assert!(eras.told(PART, 2, 2));
        assert!(!eras.told(PART, 2, 1), "old news");
        assert!(eras.told(PART, 2, 3), "the others are given up again");
        assert!(eras.is_new(PART, LEAP + 3));
        assert_eq!(eras.began(PART, 2, LEAP + 3, 4), Ok(()));
        assert!(!eras.is_new(PART, LEAP + 9));
        assert!(eras.voids_batch(PART, Ident(5), Some(4), 2));
        assert!(eras.voids_batch(PART, Ident(5), None, 2));
        assert!(!eras.voids_batch(PART, Ident(1), Some(0), 4), "it has that");
        assert!(
            !eras.voids_batch(PART, Ident(9), Some(4), 2),
            "written since"
        );
        assert!(
            !eras.voids_batch(PART, Ident(7), Some(4), 2),
            "nobody had it"
        );
    }

    #[test]
    fn what_the_survivor_had_another_batch_for_may_be_gone() {
        let mut eras = Eras::default();
        eras.appended(PART, 2, piece(1, 0, 4), 3);
        eras.appended(PART, 2, piece(5, 4, 6), 3);
        // Others elected a leader without it.
        eras.appended(PART, 1, piece(1, 0, 4), 3);
        eras.appended(PART, 1, piece(7, 4, 5), 4);
        eras.told(PART, 2, 2);
        assert_eq!(eras.began(PART, 2, LEAP, 6), Ok(()));
        assert!(eras.voids_batch(PART, Ident(7), Some(4), 1));
        assert!(!eras.voids_batch(PART, Ident(5), Some(4), 2));
        assert!(!eras.voids_batch(PART, Ident(1), Some(0), 4));
        assert!(!eras.voids(PART, 3, piece(5, 4, 6)));
        assert!(eras.voids(PART, 4, piece(5, 4, 6)), "stamped by another");
    }

    /// It had cut its own batch off for that of the others, which was not durable when its power went.
    #[test]
    fn what_was_cut_off_may_be_there_again() {
        let mut eras = Eras::default();
        eras.appended(PART, 2, piece(5, 4, 6), 3);
        eras.appended(PART, 1, piece(7, 4, 6), 4);
        eras.appended(PART, 2, piece(7, 4, 6), 4);
        eras.told(PART, 2, 2);
        assert_eq!(eras.began(PART, 2, LEAP, 6), Ok(()));
        assert!(eras.voids_batch(PART, Ident(7), Some(4), 2));
    }

    #[test]
    fn going_on_unasked_is_caught() {
        let mut eras = Eras::default();
        eras.told(PART, 2, 2);
        assert!(eras.began(PART, 3, LEAP, 4).is_err());
    }
}
