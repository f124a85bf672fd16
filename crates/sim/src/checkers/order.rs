//! What a client sent over one connection to one partition is in the log in that order, whatever of it
//! got there. Producers with sequences have those; this is for the others, who have several batches under
//! way as well, and try none of them twice.

use super::{Checked, Part, Seen, violation};
use crate::payload::Ident;
use std::collections::BTreeMap;

/// The checker.
#[derive(Default)]
pub(crate) struct Order {
    /// The first record of each batch, in the order in which they were sent.
    sent: BTreeMap<Part, BTreeMap<u64, Vec<Ident>>>,
}

impl Order {
    /// A batch that begins with `first` was sent over a connection.
    pub(crate) fn sent(&mut self, connection: u64, part: Part, first: Ident) {
        let connections = self.sent.entry(part).or_default();
        connections.entry(connection).or_default().push(first);
    }

    /// The log of a partition when everything has converged.
    pub(crate) fn verify(&self, part: Part, log: &[Seen]) -> Checked {
        let firsts = log
            .iter()
            .filter_map(|batch| Some((*batch.idents.first()?, batch.base)));
        let places: BTreeMap<Ident, i64> = firsts.collect();
        for (connection, sent) in self.sent.get(&part).into_iter().flatten() {
            let there = sent
                .iter()
                .filter_map(|first| Some((first.0, *places.get(first)?)));
            let there: Vec<(u64, i64)> = there.collect();
            if let Some(pair) = there.windows(2).find(|pair| pair[0].1 > pair[1].1) {
                let what = format!(
                    "{part}: connection {connection} carried record {} before {}, which are at {} and {}",
                    pair[0].0, pair[1].0, pair[0].1, pair[1].1
                );
                return Err(violation("batches of a connection keep their order", what));
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
    fn batches_that_overtake_each_other_are_caught() {
        let mut order = Order::default();
        for first in [10, 20, 30] {
            order.sent(1, PART, Ident(first));
        }
        order.sent(2, PART, Ident(40));
        let good = [seen(0, 10..12), seen(2, 40..41), seen(3, 30..31)];
        assert_eq!(
            order.verify(PART, &good),
            Ok(()),
            "one is lost, one is another's"
        );
        let bad = [seen(0, 20..21), seen(1, 10..12), seen(3, 30..31)];
        assert!(order.verify(PART, &bad).is_err());
    }
}
