//! Nothing is there twice: a record is in the log at most once, and the batches of an idempotent
//! producer follow on each other by their sequences.

use super::{Checked, Part, Seen, violation};
use crate::payload::Ident;
use std::collections::BTreeMap;

/// No record is in the log of a partition twice, compacted or not.
pub(crate) fn records(part: Part, batches: &[Seen]) -> Checked {
    let mut places: BTreeMap<Ident, i64> = BTreeMap::new();
    for batch in batches {
        for (ident, offset) in batch.idents.iter().zip(&batch.offsets) {
            if let Some(first) = places.insert(*ident, *offset) {
                let what = format!("{part}: record {} is at {first} and at {offset}", ident.0);
                return Err(violation("nothing is there twice", what));
            }
        }
    }
    Ok(())
}

/// The sequences in the log of a partition. If it doesn't begin at 0, neither do they. Where batches
/// went from `compacted` logs, those that are left still come in order.
pub(crate) fn sequences(part: Part, batches: &[Seen], compacted: bool) -> Checked {
    let mut due: BTreeMap<(i64, i16), i32> = BTreeMap::new();
    let whole = batches.first().is_none_or(|first| first.base == 0) && !compacted;
    for batch in batches {
        let (id, epoch, sequence) = batch.producer;
        if id < 0 {
            continue;
        }
        let first = if whole { 0 } else { sequence };
        let due = due.entry((id, epoch)).or_insert(first);
        let fits = *due == sequence || compacted && *due < sequence;
        if !fits {
            let what = format!(
                "{part} at {}: producer {id} epoch {epoch} has sequence {sequence} after {due}",
                batch.base
            );
            return Err(violation("sequences follow on each other", what));
        }
        // Its records may have gone; its range of offsets stays.
        *due = sequence + (batch.next - batch.base) as i32;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::testing::{PART, seen};
    use super::*;

    fn of(producer: (i64, i16, i32), batch: Seen) -> Seen {
        Seen { producer, ..batch }
    }

    #[test]
    fn doubles_and_holes_are_caught() {
        let good = [
            of((1, 0, 0), seen(0, 0..3)),
            of((2, 0, 0), seen(3, 3..4)),
            of((1, 0, 3), seen(4, 4..6)),
            of((1, 1, 0), seen(6, 6..7)),
        ];
        let log =
            |part, batches: &[Seen]| records(part, batches).and(sequences(part, batches, false));
        assert_eq!(log(PART, &good), Ok(()));
        assert!(log(PART, &[of((1, 0, 3), seen(0, 0..3))]).is_err());
        assert_eq!(log(PART, &good[2..]), Ok(()), "what came before is gone");
        assert!(log(PART, &[seen(0, 0..3), seen(3, 2..4)]).is_err());
        assert!(log(PART, &[good[0].clone(), of((1, 0, 4), seen(3, 5..6))]).is_err());
    }

    #[test]
    fn what_compaction_left_may_have_holes_and_nothing_twice_or_back() {
        let left = |base, idents| Seen {
            next: base + 3,
            ..seen(base, idents)
        };
        let first = of((1, 0, 3), left(3, 4..5));
        let holes = [first.clone(), of((1, 0, 9), left(9, 9..10))];
        assert_eq!(records(PART, &holes), Ok(()));
        assert_eq!(sequences(PART, &holes, true), Ok(()));
        let back = [first.clone(), of((1, 0, 5), left(9, 9..10))];
        assert!(sequences(PART, &back, true).is_err());
        let twice = [first, of((1, 0, 9), left(9, 4..5))];
        assert!(records(PART, &twice).is_err());
    }
}
