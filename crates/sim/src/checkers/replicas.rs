//! Replicas are byte-equal up to what each of them has committed, and wholly so once everything
//! has converged.

use super::{Checked, Part, Seen, violation};
use crate::payload;
use std::collections::BTreeMap;

/// A replica's log and how far it is committed.
pub(crate) struct Replica<'a> {
    pub(crate) node: u32,
    pub(crate) batches: &'a [Seen],
    pub(crate) high_watermark: i64,
}

impl<'a> Replica<'a> {
    /// What is committed on both sides of a comparison.
    fn upto(&self, offset: i64, converged: bool) -> &'a [Seen] {
        let end = self
            .batches
            .partition_point(|batch| converged || batch.next <= offset);
        &self.batches[..end]
    }
}

/// Compares the replicas of a partition; `converged` if they must be equal to the end.
pub(crate) fn equal(part: Part, replicas: &[Replica<'_>], converged: bool) -> Checked {
    let Some((first, rest)) = replicas.split_first() else {
        return Ok(());
    };
    for other in rest {
        let upto = first.high_watermark.min(other.high_watermark);
        let (ours, theirs) = (first.upto(upto, converged), other.upto(upto, converged));
        if ours == theirs {
            continue;
        }
        let at = ours.iter().zip(theirs).position(|(a, b)| a != b);
        let at = at.unwrap_or(ours.len().min(theirs.len()));
        let what = format!(
            "{part}, nodes {} and {}, batch {at}: {} and {}",
            first.node,
            other.node,
            describe(ours.get(at)),
            describe(theirs.get(at))
        );
        return Err(violation("replicas are equal", what));
    }
    Ok(())
}

/// Compares replicas of a compacted partition: batches that no compaction touched, which are those that
/// have a record at each of their offsets and no marker, are the same wherever they are.
pub(crate) fn alike(part: Part, replicas: &[Replica<'_>]) -> Checked {
    let untouched = |batch: &&Seen| {
        batch.is_whole() && !batch.idents.iter().any(|ident| payload::is_marker(*ident))
    };
    let mut known: BTreeMap<i64, (u32, &Seen)> = BTreeMap::new();
    for replica in replicas {
        for batch in replica.batches.iter().filter(untouched) {
            let first = known.entry(batch.base).or_insert((replica.node, batch));
            let (node, other) = *first;
            // One of which the end went has another end.
            if other.next == batch.next && other != batch {
                let what = format!(
                    "{part}, nodes {node} and {}: {} and {}",
                    replica.node,
                    describe(Some(other)),
                    describe(Some(batch))
                );
                return Err(violation("replicas are equal", what));
            }
        }
    }
    Ok(())
}

fn describe(batch: Option<&Seen>) -> String {
    match batch {
        None => "nothing".to_string(),
        Some(b) => format!(
            "{}..{} epoch {} ({:08x})",
            b.base, b.next, b.epoch, b.fingerprint
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{PART, seen};
    use super::*;

    fn replica(node: u32, batches: &[Seen], high_watermark: i64) -> Replica<'_> {
        Replica {
            node,
            batches,
            high_watermark,
        }
    }

    #[test]
    fn compacted_replicas_may_lack_what_others_have_and_agree_on_what_is_whole() {
        let (a, b) = ([seen(0, 0..3), seen(3, 3..5)], [seen(3, 3..5)]);
        let check = |b: &[Seen]| alike(PART, &[replica(1, &a, 5), replica(2, b, 5)]);
        assert_eq!(check(&b), Ok(()));
        let other = [Seen {
            fingerprint: 7,
            ..b[0].clone()
        }];
        assert!(check(&other).is_err());
    }

    #[test]
    fn replicas_that_differ_below_their_watermarks_are_caught() {
        let (a, b) = (
            [seen(0, 0..3), seen(3, 3..5)],
            [seen(0, 0..3), seen(3, 7..9)],
        );
        let check =
            |high, converged| equal(PART, &[replica(1, &a, 5), replica(2, &b, high)], converged);
        assert_eq!(check(3, false), Ok(()));
        assert!(check(5, false).is_err());
        assert!(check(3, true).is_err());
        let short = [replica(1, &a, 5), replica(2, &a[..1], 3)];
        assert_eq!(equal(PART, &short, false), Ok(()));
        assert!(equal(PART, &short, true).is_err());
    }
}
