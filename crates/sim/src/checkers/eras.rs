//! What may be lost where a partition went on without its majority: what its survivor didn't have,
//! written in terms before that. Everything else stays as sure as ever, and nothing of it happens
//! unasked, or while the majority is there.

use super::{Checked, Part, violation};
use crate::payload::Ident;
use std::collections::{BTreeMap, BTreeSet};

/// Since a replica went on alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Era {
    /// Its first term.
    term: u32,
    /// Where the survivor's log ended.
    end: i64,
}

/// What is known of one partition.
#[derive(Default)]
struct Known {
    /// The replicas that the metadata told to go on: node and how many were lost until then.
    told: BTreeSet<(u32, u32)>,
    eras: Vec<Era>,
    /// The first term in which each batch was appended anywhere, by its first record and offset.
    stamps: BTreeMap<(Ident, i64), u32>,
}

/// Partitions that went on without their majority.
#[derive(Default)]
pub(crate) struct Eras {
    parts: BTreeMap<Part, Known>,
}

impl Eras {
    /// The metadata says that the replica of a node is to go on alone. True if that is new.
    pub(crate) fn told(&mut self, part: Part, survivor: u32, given: u32) -> bool {
        let known = self.parts.entry(part).or_default();
        known.told.insert((survivor, given))
    }

    /// A replica appended a batch.
    pub(crate) fn stamped(&mut self, part: Part, batch: (Ident, i64), term: u32) {
        let known = self.parts.entry(part).or_default();
        let first = known.stamps.entry(batch).or_insert(term);
        *first = term.min(*first);
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
        known.eras.push(Era { term, end });
        if known.told.iter().any(|(survivor, _)| *survivor == node) {
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

    /// True if what lies before `next` and was written in a term may be gone.
    pub(crate) fn voids(&self, part: Part, term: u32, next: i64) -> bool {
        let mut eras = self.parts.get(&part).into_iter().flat_map(|it| &it.eras);
        eras.any(|era| term < era.term && next > era.end)
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
        placed.any(|((_, at), term)| self.voids(part, *term, at + len))
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::PART;
    use super::*;
    use base::limits::TERMS_LEFT_OUT as LEAP;

    #[test]
    fn only_what_the_survivor_lacked_may_be_gone() {
        let mut eras = Eras::default();
        eras.stamped(PART, (Ident(1), 0), 3);
        eras.stamped(PART, (Ident(5), 4), 3);
        eras.stamped(PART, (Ident(9), 4), LEAP + 3);
        assert!(!eras.voids_batch(PART, Ident(5), Some(4), 2));
        assert!(eras.told(PART, 2, 2));
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
    fn going_on_unasked_is_caught() {
        let mut eras = Eras::default();
        eras.told(PART, 2, 2);
        assert!(eras.began(PART, 3, LEAP, 4).is_err());
    }
}
