//! An offset has one value: whoever sees a committed batch at an offset, on whatever node and
//! however often nodes died in between, sees the same bytes.

use super::eras::Piece;
use super::{Checked, Part, Seen, violation};
use std::collections::BTreeMap;

struct Known {
    epoch: u32,
    piece: Piece,
    fingerprint: u32,
    by: String,
}

/// The committed batches that anybody saw.
#[derive(Default)]
pub(crate) struct OneValue {
    batches: BTreeMap<Part, BTreeMap<i64, Known>>,
}

impl OneValue {
    /// Some batches are lost with those who had them, by their epoch: others may take their place.
    pub(crate) fn lost(&mut self, part: Part, lost: impl Fn(u32, Piece) -> bool) {
        if let Some(known) = self.batches.get_mut(&part) {
            known.retain(|_, batch| !lost(batch.epoch, batch.piece));
        }
    }

    /// Somebody saw a committed batch.
    pub(crate) fn seen(&mut self, part: Part, batch: &Seen, by: &str) -> Checked {
        let known = self.batches.entry(part).or_default();
        let clash = known.range(..batch.next).next_back();
        if let Some((base, other)) = clash.filter(|(_, other)| other.piece.next > batch.base) {
            let same = *base == batch.base
                && other.piece.next == batch.next
                && other.fingerprint == batch.fingerprint;
            if same {
                return Ok(());
            }
            let what = format!(
                "{part}: {by} saw {}..{} ({:08x}, epoch {}), {} saw {base}..{} ({:08x})",
                batch.base,
                batch.next,
                batch.fingerprint,
                batch.epoch,
                other.by,
                other.piece.next,
                other.fingerprint
            );
            return Err(violation("an offset has one value", what));
        }
        let fingerprint = batch.fingerprint;
        known.insert(
            batch.base,
            Known {
                epoch: batch.epoch as u32,
                piece: batch.piece(),
                fingerprint,
                by: by.to_string(),
            },
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{PART, seen};
    use super::*;

    #[test]
    fn another_value_and_another_cut_are_caught() {
        let mut one = OneValue::default();
        assert_eq!(one.seen(PART, &seen(0, 0..3), "a"), Ok(()));
        assert_eq!(one.seen(PART, &seen(3, 3..5), "a"), Ok(()));
        assert_eq!(one.seen(PART, &seen(0, 0..3), "b"), Ok(()));
        assert!(
            one.seen(PART, &seen(3, 9..11), "b").is_err(),
            "other records"
        );
        assert!(
            one.seen(PART, &seen(4, 4..5), "b").is_err(),
            "inside another batch"
        );
        assert!(
            one.seen(PART, &seen(2, 2..6), "b").is_err(),
            "over two others"
        );
    }
}
