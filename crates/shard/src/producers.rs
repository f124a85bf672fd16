//! What a partition knows of idempotent producers. Derived from batch headers alone, on every
//! replica alike, so failover finds it warm and the hot path logs nothing for it.
//!
//! Two layers: what is committed, and the appended batches that may still be cut off. A
//! truncation drops from the second layer only, so nothing has to be rebuilt.

use base::{BatchHeader, Bug, Offset, ProducerId, RaftIndex, Refusal, limits, planted};
use std::collections::{BTreeMap, VecDeque};

/// What an append of an idempotent producer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    /// The next batch.
    New,
    /// A batch that is in the log already.
    Duplicate {
        /// Where it begins.
        base_offset: Offset,
        /// Its entry, if it isn't committed yet.
        pending: Option<RaftIndex>,
    },
}

/// A batch that is remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Remembered {
    epoch: i16,
    first: i32,
    last: i32,
    base_offset: Offset,
    index: RaftIndex,
}

/// The producers of one partition.
#[derive(Debug, Default, PartialEq, Eq, Clone)]
pub(crate) struct Producers {
    /// The last committed batches of each producer, oldest first.
    known: BTreeMap<ProducerId, VecDeque<Remembered>>,
    /// Producers by their last committed entry, so that the oldest can be forgotten.
    by_age: BTreeMap<RaftIndex, ProducerId>,
    /// Appended and not committed, in order.
    pending: VecDeque<(ProducerId, Remembered)>,
    /// Producers were forgotten for want of room, so an unknown one may be an old one.
    forgot: bool,
    /// The last entry of either layer.
    last: RaftIndex,
}

/// The layout of the checkpointed state.
const FORMAT: u8 = 1;

impl Producers {
    /// Decides what the batch with this header is.
    pub(crate) fn admit(&self, header: &BatchHeader) -> Result<Admission, Refusal> {
        if !header.is_idempotent() || planted(Bug::ForgetSequences) {
            return Ok(Admission::New);
        }
        let id = header.producer_id;
        let Some(newest) = self.batches(id).next_back() else {
            return self.admit_unknown(header);
        };
        if header.producer_epoch < newest.epoch {
            let (epoch, current) = (header.producer_epoch, newest.epoch);
            return Err(Refusal::InvalidProducerEpoch { epoch, current });
        }
        if header.producer_epoch > newest.epoch {
            return self.admit_first(header);
        }
        let last = last_sequence(header);
        let mut remembered = self
            .batches(id)
            .rev()
            .take(limits::PRODUCER_BATCHES_REMEMBERED);
        let same = |b: &&Remembered| {
            b.epoch == header.producer_epoch && b.first == header.base_sequence && b.last == last
        };
        if let Some(b) = remembered.find(same) {
            let committed = self.pending.front().is_none_or(|(_, p)| b.index < p.index);
            let pending = (!committed).then_some(b.index);
            return Ok(Admission::Duplicate {
                base_offset: b.base_offset,
                pending,
            });
        }
        let expected = if newest.last == i32::MAX {
            0
        } else {
            newest.last + 1
        };
        if header.base_sequence != expected {
            return Err(Refusal::OutOfOrderSequence(format!(
                "Out of order sequence number for producer {id}: {} (incoming seq. number), {} \
                 (current end sequence number)",
                header.base_sequence, newest.last
            )));
        }
        Ok(Admission::New)
    }

    fn admit_unknown(&self, header: &BatchHeader) -> Result<Admission, Refusal> {
        // A producer that was forgotten goes on where it was; one that never wrote starts at 0,
        // and anything else means that its first batch is still on its way.
        if self.forgot {
            Ok(Admission::New)
        } else {
            self.admit_first(header)
        }
    }

    fn admit_first(&self, header: &BatchHeader) -> Result<Admission, Refusal> {
        if header.base_sequence == 0 {
            return Ok(Admission::New);
        }
        Err(Refusal::OutOfOrderSequence(format!(
            "Invalid sequence number for new epoch {} of producer {}: {} (incoming seq. number), \
             expected 0",
            header.producer_epoch, header.producer_id, header.base_sequence
        )))
    }

    /// All batches of a producer that are remembered, oldest first.
    fn batches(&self, id: ProducerId) -> impl DoubleEndedIterator<Item = &Remembered> {
        let known = self.known.get(&id).into_iter().flatten();
        known.chain(
            self.pending
                .iter()
                .filter(move |(p, _)| *p == id)
                .map(|(_, b)| b),
        )
    }

    /// A batch was appended at `index`. Telling it twice changes nothing.
    pub(crate) fn appended(&mut self, index: RaftIndex, header: &BatchHeader) {
        if index <= self.last {
            return;
        }
        self.last = index;
        if header.is_idempotent() && !header.is_control() {
            let batch = Remembered {
                epoch: header.producer_epoch,
                first: header.base_sequence,
                last: last_sequence(header),
                base_offset: header.base_offset,
                index,
            };
            self.pending.push_back((header.producer_id, batch));
        }
    }

    /// Everything up to `index` is committed.
    pub(crate) fn committed(&mut self, index: RaftIndex) {
        while self.pending.front().is_some_and(|(_, b)| b.index <= index) {
            let (id, batch) = self.pending.pop_front().expect("looked at just now");
            let batches = self.known.entry(id).or_default();
            if let Some(previous) = batches.back() {
                self.by_age.remove(&previous.index);
                if previous.epoch != batch.epoch {
                    batches.clear();
                }
            }
            batches.push_back(batch);
            if batches.len() > limits::PRODUCER_BATCHES_REMEMBERED {
                batches.pop_front();
            }
            self.by_age.insert(batch.index, id);
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        while self.known.len() > limits::PRODUCERS_PER_PARTITION_MAX {
            let (_, id) = self
                .by_age
                .pop_first()
                .expect("each known producer has an age");
            self.known.remove(&id);
            self.forgot = true;
        }
    }

    /// Everything from `from` on was cut off.
    pub(crate) fn truncated(&mut self, from: RaftIndex) {
        self.last = self.last.min(from.prev());
        if planted(Bug::ProducersSurviveTruncation) {
            return;
        }
        while self.pending.back().is_some_and(|(_, b)| b.index >= from) {
            self.pending.pop_back();
        }
    }

    /// Writes the committed layer.
    pub(crate) fn checkpoint(&self) -> Vec<u8> {
        if self.known.is_empty() && !self.forgot {
            return Vec::new();
        }
        let mut out = vec![FORMAT, u8::from(self.forgot)];
        out.extend_from_slice(&(self.known.len() as u32).to_be_bytes());
        for (id, batches) in &self.known {
            out.extend_from_slice(&id.0.to_be_bytes());
            out.push(batches.len() as u8);
            for b in batches {
                out.extend_from_slice(&b.epoch.to_be_bytes());
                out.extend_from_slice(&b.first.to_be_bytes());
                out.extend_from_slice(&b.last.to_be_bytes());
                out.extend_from_slice(&b.base_offset.0.to_be_bytes());
                out.extend_from_slice(&b.index.0.to_be_bytes());
            }
        }
        out
    }

    /// Reads what [`Producers::checkpoint`] wrote; `last` is the entry it was taken at. None if
    /// the bytes are of another format.
    pub(crate) fn restore(bytes: &[u8], last: RaftIndex) -> Option<Producers> {
        let mut producers = Producers {
            last,
            ..Producers::default()
        };
        if bytes.is_empty() {
            return Some(producers);
        }
        let mut at = 0;
        let [format, forgot] = take(bytes, &mut at)?;
        if format != FORMAT {
            return None;
        }
        producers.forgot = forgot != 0;
        let count = u32::from_be_bytes(take(bytes, &mut at)?);
        for _ in 0..count {
            let id = ProducerId(i64::from_be_bytes(take(bytes, &mut at)?));
            let [batches] = take(bytes, &mut at)?;
            let mut remembered = VecDeque::new();
            for _ in 0..batches {
                remembered.push_back(Remembered {
                    epoch: i16::from_be_bytes(take(bytes, &mut at)?),
                    first: i32::from_be_bytes(take(bytes, &mut at)?),
                    last: i32::from_be_bytes(take(bytes, &mut at)?),
                    base_offset: Offset(i64::from_be_bytes(take(bytes, &mut at)?)),
                    index: RaftIndex(u64::from_be_bytes(take(bytes, &mut at)?)),
                });
            }
            producers.by_age.insert(remembered.back()?.index, id);
            producers.known.insert(id, remembered);
        }
        Some(producers)
    }
}

fn take<const N: usize>(bytes: &[u8], at: &mut usize) -> Option<[u8; N]> {
    let piece = bytes.get(*at..*at + N)?.try_into().ok()?;
    *at += N;
    Some(piece)
}

/// The sequence of the last record; sequences go back to 0 after 2^31 - 1.
fn last_sequence(header: &BatchHeader) -> i32 {
    let last = i64::from(header.base_sequence) + i64::from(header.last_offset_delta);
    (last & i64::from(i32::MAX)) as i32
}

#[cfg(test)]
mod tests;
