//! A compacted partition: records keep their offsets, of each key the last one stays, and the
//! marker of a deleted key can be seen for as long as the topic says.

use super::acked::Acked;
use super::{Checked, Part, Seen, violation};
use crate::payload::{self, Ident};
use crate::scheduler::Micros;
use std::collections::{BTreeMap, BTreeSet};

/// A record that is known to be committed.
struct Known {
    ident: Ident,
    /// When that was known first.
    since: Micros,
    by: String,
}

/// The records of compacted partitions.
#[derive(Default)]
pub(crate) struct Compacted {
    parts: BTreeMap<Part, BTreeMap<i64, Known>>,
    /// Markers that clients wrote and when, whatever became of them.
    markers: BTreeMap<Part, BTreeMap<Ident, Micros>>,
}

const NAME: &str = "compaction keeps the last of each key";

/// An answer to a fetch from `from`: in order, and from there on.
pub(crate) fn answer(part: Part, from: i64, batches: &[Seen]) -> Checked {
    let late = batches.first().is_some_and(|first| first.next <= from);
    let back = batches.windows(2).find(|pair| pair[0].next > pair[1].base);
    if late || back.is_some() {
        let what = format!("{part}: asked for {from}, got {batches:?}");
        return Err(violation("offsets don't go back", what));
    }
    Ok(())
}

impl Compacted {
    /// A client writes a marker. Nobody may ever hear what became of it.
    pub(crate) fn wrote_marker(&mut self, part: Part, ident: Ident, now: Micros) {
        self.markers.entry(part).or_default().insert(ident, now);
    }

    /// Markers that are old enough to go, and keys of those among them that nobody saw: they may have
    /// come and gone.
    fn old_markers(&self, part: Part, upto: Micros) -> (BTreeSet<Ident>, BTreeSet<u64>) {
        let known = self.parts.get(&part).into_iter().flatten();
        let known: BTreeSet<Ident> = known.map(|(_, known)| known.ident).collect();
        let markers = self.markers.get(&part).into_iter().flatten();
        let old = markers.filter(|(_, wrote)| **wrote <= upto);
        let old: BTreeSet<Ident> = old.map(|(ident, _)| *ident).collect();
        let unseen = old.difference(&known).map(|ident| payload::key_of(*ident));
        let unseen = unseen.collect();
        (old, unseen)
    }

    /// Somebody saw committed records, or was told where they are.
    pub(crate) fn seen(&mut self, part: Part, batch: &Seen, now: Micros, by: &str) -> Checked {
        let places = batch.offsets.iter().zip(&batch.idents);
        for (offset, ident) in places {
            self.record(part, *offset, *ident, now, by)?;
        }
        Ok(())
    }

    fn record(&mut self, part: Part, offset: i64, ident: Ident, now: Micros, by: &str) -> Checked {
        let known = self.parts.entry(part).or_default();
        let first = known.entry(offset).or_insert_with(|| Known {
            ident,
            since: now,
            by: by.to_string(),
        });
        if first.ident == ident {
            return Ok(());
        }
        let what = format!(
            "{part}: at {offset} {by} saw record {}, {} saw {}",
            ident.0, first.by, first.ident.0
        );
        Err(violation("an offset has one value", what))
    }

    /// The log of a replica when everything has converged, and where it starts. A marker stays if
    /// less than its `retention` can have gone by on any clock until `now` since it was written. That a
    /// compaction finds it, from when on it counts in fact, comes later still.
    pub(crate) fn verify(
        &mut self,
        part: Part,
        (start, log): (i64, &[Seen]),
        acked: &Acked,
        (now, retention): (Micros, Micros),
        who: &str,
    ) -> Checked {
        for (base, ident, at) in acked.records(part) {
            self.record(part, base, ident, at, "an acknowledgement")?;
        }
        let mut there: BTreeMap<i64, Ident> = BTreeMap::new();
        for batch in log {
            self.seen(part, batch, now, who)?;
            there.extend(
                batch
                    .offsets
                    .iter()
                    .copied()
                    .zip(batch.idents.iter().copied()),
            );
        }
        let latest = now.checked_sub(retention);
        let (old, unseen) = latest
            .map(|upto| self.old_markers(part, upto))
            .unwrap_or_default();
        let mut last: BTreeMap<u64, (i64, &Known)> = BTreeMap::new();
        for (offset, known) in self.parts.entry(part).or_default() {
            last.insert(payload::key_of(known.ident), (*offset, known));
        }
        for (key, (offset, known)) in last {
            let gone = there.get(&offset) != Some(&known.ident);
            let deleted = old.contains(&known.ident) || unseen.contains(&key);
            let may_go = offset < start || deleted;
            if gone && !may_go {
                let what = format!(
                    "{part}: the last record of key {key}, {} at {offset} (seen by {} at {} us), \
                     is gone from {who}",
                    known.ident.0, known.by, known.since
                );
                return Err(violation(NAME, what));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{PART, seen};
    use super::*;

    /// Idents with the same key.
    fn later(ident: u64) -> u64 {
        ident + payload::KEYS
    }

    #[test]
    fn the_last_record_of_a_key_must_stay_and_those_before_need_not() {
        let mut compacted = Compacted::default();
        let acked = Acked::default();
        let (first, second) = (seen(0, 1..2), seen(1, later(1)..later(1) + 1));
        compacted.seen(PART, &first, 5, "a").unwrap();
        compacted.seen(PART, &second, 5, "a").unwrap();
        let check = |log: &[Seen]| {
            let mut compacted = Compacted::default();
            compacted.seen(PART, &first, 5, "a").unwrap();
            compacted.seen(PART, &second, 5, "a").unwrap();
            compacted.verify(PART, (0, log), &acked, (10, 100), "b")
        };
        assert_eq!(check(std::slice::from_ref(&second)), Ok(()));
        assert!(check(std::slice::from_ref(&first)).is_err());
        assert!(check(&[]).is_err());
        assert!(compacted.seen(PART, &seen(1, 9..10), 6, "c").is_err());
    }

    #[test]
    fn a_marker_may_go_when_its_time_may_be_up() {
        let marker = (0..1000).find(|n| payload::is_marker(Ident(*n))).unwrap();
        let mut compacted = Compacted::default();
        let acked = Acked::default();
        let one = seen(0, marker..marker + 1);
        compacted.wrote_marker(PART, Ident(marker), 50);
        compacted.seen(PART, &one, 55, "a").unwrap();
        let mut check = |now| compacted.verify(PART, (0, &[]), &acked, (now, 100), "b");
        assert!(check(100).is_err(), "the run is that old, it isn't");
        assert!(check(149).is_err());
        assert_eq!(check(150), Ok(()));
    }

    #[test]
    fn a_record_may_go_for_a_marker_that_nobody_saw_once_that_is_old_enough() {
        let marker = (0..1000).find(|n| payload::is_marker(Ident(*n))).unwrap();
        let same_key = marker + payload::KEYS;
        assert!(!payload::is_marker(Ident(same_key)));
        let mut compacted = Compacted::default();
        let one = seen(0, same_key..same_key + 1);
        compacted.seen(PART, &one, 5, "a").unwrap();
        compacted.wrote_marker(PART, Ident(marker), 50);
        let acked = Acked::default();
        let mut check = |now| compacted.verify(PART, (0, &[]), &acked, (now, 100), "b");
        assert!(check(149).is_err());
        assert_eq!(check(150), Ok(()));
    }

    #[test]
    fn answers_that_go_back_are_caught() {
        assert_eq!(answer(PART, 2, &[seen(5, 0..1), seen(9, 3..4)]), Ok(()));
        assert!(answer(PART, 7, &[seen(5, 0..1)]).is_err());
        assert!(answer(PART, 5, &[seen(5, 0..3), seen(6, 3..4)]).is_err());
    }
}
