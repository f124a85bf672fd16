//! What must hold, whatever happens. A checker sees what clients were answered, what shards announce, and
//! what lies on the disks. Part of that is told by the code under test: where replicas stand
//! (`Shard::replica_status` and `shard/inspect.rs`), what storage calls durable, and the final logs, which
//! come through the product's own index and reader, though their bytes are then looked for in the files
//! without either ([`raw`]). Each lives in a file of its own, with a test that feeds it a bad history.

pub(crate) mod acked;
pub(crate) mod answers;
pub(crate) mod commits;
pub(crate) mod committed;
pub(crate) mod compacted;
pub(crate) mod contiguous;
pub(crate) mod elections;
pub(crate) mod epochs;
pub(crate) mod eras;
pub(crate) mod idle;
pub(crate) mod kept;
pub(crate) mod monotone;
pub(crate) mod one_value;
pub(crate) mod order;
pub(crate) mod owners;
pub(crate) mod producer_ids;
pub(crate) mod raw;
pub(crate) mod replicas;
pub(crate) mod settled;
pub(crate) mod starts;
pub(crate) mod topics;
pub(crate) mod twice;
pub(crate) mod visible;

use crate::payload::{self, Ident};
use base::{Batch, record};
use bytes::Bytes;
use eras::Piece;
use std::fmt;

/// A partition of a topic; a topic's number is its place in the order in which the run made them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct Part {
    pub(crate) topic: u32,
    pub(crate) partition: u32,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "t{}-{}", self.topic, self.partition)
    }
}

/// A promise that was broken.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Violation {
    /// Which promise.
    pub checker: &'static str,
    /// How.
    pub what: String,
}

/// A replica in one life of its process.
pub(crate) type Life = (base::Member, u64);

pub(crate) type Checked = Result<(), Violation>;

pub(crate) fn violation(checker: &'static str, what: impl Into<String>) -> Violation {
    Violation {
        checker,
        what: what.into(),
    }
}

/// A batch that somebody saw, read to the last record.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Seen {
    pub(crate) base: i64,
    pub(crate) next: i64,
    pub(crate) epoch: i32,
    /// Over all its bytes, those that the leader stamps too.
    pub(crate) fingerprint: u32,
    pub(crate) producer: (i64, i16, i32),
    pub(crate) idents: Vec<Ident>,
    /// Where each of them is. In a compacted partition there are holes.
    pub(crate) offsets: Vec<i64>,
}

impl Seen {
    /// It as a whole. One without records of clients is nobody's.
    pub(crate) fn piece(&self) -> Piece {
        Piece {
            first: self.idents.first().copied().unwrap_or(Ident(u64::MAX)),
            base: self.base,
            next: self.next,
        }
    }

    /// True if there is a record at each of its offsets.
    pub(crate) fn is_whole(&self) -> bool {
        (self.base..self.next).eq(self.offsets.iter().copied())
    }
}

const CORRUPT: &str = "corrupted bytes are never served";

/// Reads batches that lie one after the other; `cut` allows the last to be cut off.
pub(crate) fn read_batches(mut bytes: Bytes, cut: bool) -> Result<Vec<Seen>, Violation> {
    let mut all = Vec::new();
    while !bytes.is_empty() {
        let at = bytes.len();
        let batch = match Batch::split_from(&mut bytes) {
            Ok(batch) => batch,
            Err(base::Invalid::Short) if cut => break,
            Err(invalid) => {
                return Err(violation(
                    CORRUPT,
                    format!("{invalid}, {at} bytes before the end"),
                ));
            }
        };
        batch
            .verify()
            .map_err(|e| violation(CORRUPT, format!("{e}: {batch:?}")))?;
        all.push(read_batch(&batch)?);
    }
    Ok(all)
}

fn read_batch(batch: &Batch) -> Result<Seen, Violation> {
    let header = batch.header();
    let mut idents = Vec::with_capacity(header.records.min(1024) as usize);
    let mut offsets = Vec::new();
    let mut pos = 0;
    while pos < batch.body().len() {
        let record = record::read(batch.body(), &mut pos)
            .map_err(|e| violation(CORRUPT, format!("{e}: {batch:?}")))?;
        let value = match (record.value, record.headers().as_slice()) {
            (Some(value), _) => value,
            (None, [(_, Some(value))]) => value,
            (None, _) => &[],
        };
        let ident =
            payload::read(value).map_err(|e| violation(CORRUPT, format!("{e}: {batch:?}")))?;
        idents.push(ident);
        offsets.push(record.offset(&header).0);
    }
    if idents.len() != header.records as usize {
        return Err(violation(
            CORRUPT,
            format!("{} records: {batch:?}", idents.len()),
        ));
    }
    Ok(Seen {
        base: header.base_offset.0,
        next: header.next_offset().0,
        epoch: header.leader_epoch,
        fingerprint: batch.full_checksum(),
        producer: (
            header.producer_id.0,
            header.producer_epoch,
            header.base_sequence,
        ),
        idents,
        offsets,
    })
}

/// All of them.
#[derive(Default)]
pub(crate) struct Checkers {
    pub(crate) acked: acked::Acked,
    pub(crate) answers: answers::Answers,
    pub(crate) commits: commits::Commits,
    pub(crate) committed: committed::Committed,
    pub(crate) compacted: compacted::Compacted,
    pub(crate) elections: elections::Elections,
    pub(crate) epochs: epochs::Epochs,
    pub(crate) eras: eras::Eras,
    pub(crate) idle: idle::Idle,
    pub(crate) kept: kept::Kept,
    pub(crate) monotone: monotone::Monotone,
    pub(crate) one_value: one_value::OneValue,
    pub(crate) order: order::Order,
    pub(crate) owners: owners::Owners,
    pub(crate) producer_ids: producer_ids::ProducerIds,
    pub(crate) starts: starts::Starts,
    pub(crate) topics: topics::Topics,
}

impl Checkers {
    /// Somebody saw a committed batch.
    pub(crate) fn saw(&mut self, part: Part, batch: &Seen, by: &str) -> Checked {
        match self.eras.voids(part, batch.epoch as u32, batch.piece()) {
            true => Ok(()),
            false => self.one_value.seen(part, batch, by),
        }
    }

    /// A replica of a node goes on alone with a log that ends here.
    pub(crate) fn goes_on_alone(&mut self, part: Part, node: u32, term: u32, end: i64) -> Checked {
        self.eras.began(part, node, term, end)?;
        let eras = &self.eras;
        self.one_value
            .lost(part, |term, piece| eras.lost(part, term, piece));
        self.committed.lost(part, end, term);
        Ok(())
    }
}

#[cfg(test)]
pub(crate) mod testing {
    //! Bad histories are built from these.

    use super::{Part, Seen};
    use crate::payload::Ident;

    pub(crate) const PART: Part = Part {
        topic: 1,
        partition: 0,
    };

    /// A batch of records with the identities `idents` at `base`, of no idempotent producer.
    pub(crate) fn seen(base: i64, idents: std::ops::Range<u64>) -> Seen {
        let next = base + (idents.end - idents.start) as i64;
        let fingerprint = (idents.start * 31 + base as u64) as u32;
        let idents = idents.map(Ident).collect();
        let offsets = (base..next).collect();
        Seen {
            base,
            next,
            epoch: 1,
            fingerprint,
            producer: (-1, -1, -1),
            idents,
            offsets,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base::record::Builder;

    fn batch() -> Batch {
        let mut builder = Builder::new(5);
        for ident in 0..3 {
            builder.push(5, None, Some(&payload::value(Ident(ident), 40)), &[]);
        }
        builder.build()
    }

    #[test]
    fn whole_batches_are_read_and_corrupted_ones_caught() {
        let whole = batch().to_bytes();
        let seen = read_batches(whole.clone(), false).unwrap();
        assert_eq!((seen[0].base, seen[0].next), (0, 3));
        assert_eq!(seen[0].idents, [Ident(0), Ident(1), Ident(2)]);

        let mut flipped = whole.to_vec();
        flipped[100] ^= 1;
        assert_eq!(
            read_batches(flipped.into(), false).unwrap_err().checker,
            CORRUPT
        );
        assert!(read_batches(whole.slice(..90), false).is_err());
        assert_eq!(read_batches(whole.slice(..90), true), Ok(vec![]));
    }
}
