//! What was acknowledged is never lost: a batch answered with an offset is at that offset in the
//! log that the cluster converges to.

use super::eras::Eras;
use super::{Checked, Part, Seen, violation};
use crate::payload::Ident;
use std::collections::BTreeMap;

struct Ack {
    /// `None` where the answer gives no offset (a duplicate older than those remembered).
    base: Option<i64>,
    first: Ident,
    records: usize,
    /// Time of the answer, for the report.
    at_us: u64,
}

/// The acknowledged batches.
#[derive(Default)]
pub(crate) struct Acked {
    acks: BTreeMap<Part, Vec<Ack>>,
}

const NAME: &str = "acked is never lost";

impl Acked {
    /// A batch whose first record is `first` was acknowledged.
    pub(crate) fn ack(
        &mut self,
        part: Part,
        base: Option<i64>,
        first: Ident,
        records: usize,
        at_us: u64,
    ) {
        self.acks.entry(part).or_default().push(Ack {
            base,
            first,
            records,
            at_us,
        });
    }

    /// Where each acknowledged record is, and when that was said.
    pub(crate) fn records(&self, part: Part) -> impl Iterator<Item = (i64, Ident, u64)> + '_ {
        let acks = self.acks.get(&part).into_iter().flatten();
        acks.flat_map(|ack| {
            let nth = 0..ack.base.map_or(0, |_| ack.records);
            let base = ack.base.unwrap_or_default();
            nth.map(move |n| (base + n as i64, Ident(ack.first.0 + n as u64), ack.at_us))
        })
    }

    /// The log of a partition when everything has converged, and where it starts: what lies
    /// before that was deleted, or is too old. What was lost with a majority is known to `eras`.
    pub(crate) fn verify(&self, part: Part, start: i64, log: &[Seen], eras: &Eras) -> Checked {
        let place: BTreeMap<Ident, (i64, usize)> = log
            .iter()
            .filter_map(|batch| Some((*batch.idents.first()?, (batch.base, batch.idents.len()))))
            .collect();
        let lost = |ack: &&Ack| eras.voids_batch(part, ack.first, ack.base, ack.records as i64);
        let acks = self.acks.get(&part).into_iter().flatten();
        for ack in acks.filter(|ack| !lost(ack)) {
            let told = ack
                .base
                .map_or("somewhere".to_string(), |base| format!("at {base}"));
            let promise = format!(
                "{part}: records {}..+{} were acknowledged {told} at {} us",
                ack.first.0, ack.records, ack.at_us
            );
            let next = ack.base.map(|base| base + ack.records as i64);
            let Some((base, records)) = place.get(&ack.first) else {
                if next.map_or(start > 0, |next| next <= start) {
                    continue;
                }
                return Err(violation(NAME, format!("{promise}, and are gone")));
            };
            if ack.base.is_some_and(|told| told != *base) || *records != ack.records {
                let what = format!("{promise}, and are {records} at {base}");
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

    #[test]
    fn a_lost_or_moved_batch_is_caught() {
        let mut acked = Acked::default();
        let verify =
            |acked: &Acked, start, log: &[Seen]| acked.verify(PART, start, log, &Eras::default());
        acked.ack(PART, Some(3), Ident(10), 2, 0);
        acked.ack(PART, None, Ident(0), 3, 0);
        assert_eq!(verify(&acked, 0, &[seen(0, 0..3), seen(3, 10..12)]), Ok(()));
        assert!(verify(&acked, 0, &[seen(0, 0..3)]).is_err(), "lost");
        assert!(verify(&acked, 4, &[]).is_err(), "its end is lost");
        assert_eq!(verify(&acked, 5, &[]), Ok(()), "deleted");
        assert!(
            verify(&acked, 0, &[seen(0, 10..12), seen(2, 0..3)]).is_err(),
            "moved"
        );
        assert!(
            verify(&acked, 0, &[seen(0, 0..3), seen(3, 10..11)]).is_err(),
            "cut"
        );
    }
}
