//! A consumer sees only what is committed: no batch of an answer reaches past the high watermark
//! of the same answer. (That the watermark itself is true is for `committed` and `one_value`.)

use super::{Checked, Part, Seen, violation};

/// An answer to a fetch.
pub(crate) fn answer(part: Part, high_watermark: i64, batches: &[Seen]) -> Checked {
    match batches.last() {
        Some(last) if last.next > high_watermark => {
            let what = format!(
                "{part}: batch {}..{} with a high watermark of {high_watermark}",
                last.base, last.next
            );
            Err(violation("only committed records are visible", what))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{PART, seen};
    use super::*;

    #[test]
    fn a_batch_past_the_watermark_is_caught() {
        assert_eq!(answer(PART, 3, &[seen(0, 0..3)]), Ok(()));
        assert!(answer(PART, 3, &[seen(0, 0..3), seen(3, 3..4)]).is_err());
        assert!(answer(PART, 2, &[seen(0, 0..3)]).is_err());
    }
}
