//! Offsets are dense: from its start on a replica's log has no hole and no overlap; a fetch's
//! answer starts with the batch that contains the offset asked for.

use super::{Checked, Part, Seen, violation};

const NAME: &str = "offsets are contiguous";

/// A replica's whole log, which starts at an offset, perhaps inside its first batch.
pub(crate) fn log(part: Part, node: u32, start: i64, batches: &[Seen]) -> Checked {
    let mut due = start;
    whole(part, batches)?;
    for (nth, batch) in batches.iter().enumerate() {
        let holds_start = nth == 0 && batch.base <= start && start < batch.next;
        if batch.base != due && !holds_start {
            let what = format!("{part} on node {node}: {} follows on {due}", batch.base);
            return Err(violation(NAME, what));
        }
        due = batch.next;
    }
    Ok(())
}

fn whole(part: Part, batches: &[Seen]) -> Checked {
    match batches.iter().find(|batch| !batch.is_whole()) {
        Some(batch) => Err(violation(NAME, format!("{part}: holes in {batch:?}"))),
        None => Ok(()),
    }
}

/// An answer to a fetch from `from`.
pub(crate) fn answer(part: Part, from: i64, batches: &[Seen]) -> Checked {
    let Some(first) = batches.first() else {
        return Ok(());
    };
    if first.base > from || first.next <= from {
        let what = format!(
            "{part}: asked for {from}, got {}..{}",
            first.base, first.next
        );
        return Err(violation(NAME, what));
    }
    whole(part, batches)?;
    match batches.windows(2).find(|pair| pair[0].next != pair[1].base) {
        Some(pair) => {
            let what = format!("{part}: {} follows on {}", pair[1].base, pair[0].next);
            Err(violation(NAME, what))
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{PART, seen};
    use super::*;

    #[test]
    fn holes_overlaps_and_wrong_starts_are_caught() {
        assert_eq!(log(PART, 1, 0, &[seen(0, 0..3), seen(3, 3..4)]), Ok(()));
        assert_eq!(log(PART, 1, 2, &[seen(0, 0..3), seen(3, 3..4)]), Ok(()));
        assert!(log(PART, 1, 3, &[seen(0, 0..3), seen(3, 3..4)]).is_err());
        assert!(log(PART, 1, 0, &[seen(1, 0..3)]).is_err());
        assert!(log(PART, 1, 0, &[seen(0, 0..3), seen(4, 3..4)]).is_err());
        assert!(log(PART, 1, 0, &[seen(0, 0..3), seen(2, 3..4)]).is_err());
        assert_eq!(answer(PART, 2, &[seen(0, 0..3), seen(3, 3..4)]), Ok(()));
        assert!(answer(PART, 3, &[seen(0, 0..3)]).is_err());
        assert!(answer(PART, 0, &[seen(1, 0..3)]).is_err());
        assert!(answer(PART, 0, &[seen(0, 0..3), seen(5, 3..4)]).is_err());
    }
}
