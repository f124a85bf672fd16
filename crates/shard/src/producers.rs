//! What a partition knows of idempotent producers. Derived from batch headers alone, on every
//! replica alike, so failover finds it warm and the hot path logs nothing for it.
//!
//! Two layers: what is committed, and the appended batches that may still be cut off. A
//! truncation drops from the second layer only, so nothing has to be rebuilt.

use crate::api::ProducerStatus;
use base::{BatchHeader, Bug, Mark, Mono, Offset, ProducerId, RaftIndex, Refusal, limits};
use base::{mark, planted};
use bytes::Bytes;
use std::cell::OnceCell;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// How late a producer may be forgotten, as a part of the time for which it is remembered.
pub(crate) const LOOKS_PER_EXPIRATION: u32 = 8;

/// What an append of an idempotent producer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    /// The next batch.
    New,
    /// A batch that is in the log already.
    Duplicate {
        /// Where it begins.
        base_offset: Offset,
        /// Its entry.
        index: RaftIndex,
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
    /// The largest of its records, or when it was appended if the topic says so.
    timestamp: i64,
}

/// One producer's batches: what is committed and remembered, then what may still be cut off.
#[derive(Debug, Default, PartialEq, Eq, Clone)]
struct Producer {
    known: VecDeque<Remembered>,
    pending: VecDeque<Remembered>,
}

/// The producers of one partition.
#[derive(Debug, Default, PartialEq, Eq, Clone)]
pub(crate) struct Producers {
    producers: BTreeMap<ProducerId, Producer>,
    /// Producers by their last committed entry, so that the oldest can be forgotten.
    by_age: BTreeMap<RaftIndex, ProducerId>,
    /// Whose batches are appended and not committed, in order.
    pending: VecDeque<(RaftIndex, ProducerId)>,
    /// The latest of the producers that were forgotten: an unknown one up to it may be an old one.
    forgot: Option<ProducerId>,
    /// The last entry of an idempotent producer as of some moments of late, so that who is silent for
    /// long can be told. Each process counts for itself, by a clock that never jumps: what records
    /// say about their time is up to who writes them.
    looks: VecDeque<(Mono, RaftIndex)>,
    /// The last entry of either layer.
    last: RaftIndex,
    /// What is committed is known up to here. Later than the log, after a snapshot: then what comes
    /// up to here is known already.
    as_of: RaftIndex,
    written: Written,
}

/// The committed layer in bytes, from when it was last asked for until it changes. It says nothing beyond
/// the rest, so all are equal.
#[derive(Debug, Default, Eq, Clone)]
struct Written(OnceCell<Bytes>);

impl PartialEq for Written {
    fn eq(&self, _: &Written) -> bool {
        true
    }
}

/// The layout of the checkpointed state: the batches of each producer, behind all of them their
/// timestamps, and behind those the latest producer that was forgotten, if one was. Releases before
/// them didn't write the latter two, and read past them.
const FORMAT: u8 = 1;
/// What a state takes without producers, and what a producer with one batch takes.
const HEAD_BYTES: usize = 2 + 4 + 8;
const ONE_BATCH_BYTES: usize = 8 + 1 + (2 + 4 + 4 + 8 + 8) + 8;
/// The latest forgotten producer of a state that was written without it.
const ANY: ProducerId = ProducerId(i64::MAX);
/// The timestamp of a batch that was written down without one.
const UNKNOWN_TIME: i64 = -1;

impl Producers {
    /// Decides what the batch with this header is.
    pub(crate) fn admit(&self, header: &BatchHeader) -> Result<Admission, Refusal> {
        if !header.is_idempotent() || planted(Bug::ForgetSequences) {
            return Ok(Admission::New);
        }
        let id = header.producer_id;
        let newest = self.producers.get(&id).and_then(Producer::newest);
        let Some(newest) = newest else {
            return self.admit_unknown(header);
        };
        if header.producer_epoch < newest.epoch {
            let (epoch, current) = (header.producer_epoch, newest.epoch);
            return Err(Refusal::InvalidProducerEpoch { epoch, current });
        }
        if header.producer_epoch > newest.epoch {
            return self.admit_first(header);
        }
        if let Some(first) = self.producers[&id].find(header) {
            let (base_offset, index) = (first.base_offset, first.index);
            return Ok(Admission::Duplicate { base_offset, index });
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

    /// Producers up to this one may come from an earlier topic of the name.
    pub(crate) fn may_have_forgotten(&mut self, latest: ProducerId) {
        self.forgot = self.forgot.max(Some(latest));
        self.written = Written::default();
    }

    /// As in Kafka, a producer that was forgotten goes on where it was. But one that never wrote
    /// here starts at 0, unlike in Kafka: where its first batch was refused or came too late, a
    /// later one that is on its way already must not get in before it.
    fn admit_unknown(&self, header: &BatchHeader) -> Result<Admission, Refusal> {
        if self
            .forgot
            .is_some_and(|latest| header.producer_id <= latest)
        {
            return Ok(Admission::New);
        }
        self.admit_first(header)
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

    /// A batch was appended at `index`. Telling it twice changes nothing.
    pub(crate) fn appended(&mut self, index: RaftIndex, header: &BatchHeader) {
        if index <= self.last {
            return;
        }
        self.last = index;
        if header.is_idempotent() && !header.is_control() {
            let producer = self.producers.entry(header.producer_id).or_default();
            producer.pending.push_back(Remembered {
                epoch: header.producer_epoch,
                first: header.base_sequence,
                last: last_sequence(header),
                base_offset: header.base_offset,
                index,
                timestamp: header.max_timestamp,
            });
            self.pending.push_back((index, header.producer_id));
        }
    }

    /// All producers that are remembered, with their newest batch.
    pub(crate) fn list(&self) -> impl Iterator<Item = ProducerStatus> + '_ {
        self.producers.iter().filter_map(|(id, producer)| {
            let newest = producer.newest()?;
            Some(ProducerStatus {
                id: *id,
                epoch: newest.epoch,
                last_sequence: newest.last,
                last_timestamp: newest.timestamp,
            })
        })
    }

    /// The entry that the committed layer stands for.
    pub(crate) fn as_of(&self) -> RaftIndex {
        self.as_of
    }

    /// Where the last committed batch of each producer begins.
    pub(crate) fn last_batches(&self) -> impl Iterator<Item = (ProducerId, Offset)> + '_ {
        let producers = self.producers.iter();
        producers.filter_map(|(id, producer)| Some((*id, producer.known.back()?.base_offset)))
    }

    /// Everything up to `index` is committed.
    pub(crate) fn committed(&mut self, index: RaftIndex) {
        self.as_of = self.as_of.max(index);
        while let Some((_, id)) = self.pending.pop_front_if(|(at, _)| *at <= index) {
            let producer = self
                .producers
                .get_mut(&id)
                .expect("a pending batch has its producer");
            if let Some(previous) = producer.known.back() {
                self.by_age.remove(&previous.index);
            }
            self.by_age.insert(producer.commit_next(), id);
            self.written = Written::default();
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        while self.by_age.len() > limits::PRODUCERS_PER_PARTITION_MAX {
            self.forget_next();
        }
    }

    /// Forgets who committed nothing for `expiration`, at most an eighth of that too late. One that
    /// was read from a checkpoint is taken for one that is heard of just now.
    pub(crate) fn expire(&mut self, now: Mono, expiration: Duration) {
        let is_old = |look: &mut (Mono, RaftIndex)| look.0.after(expiration) <= now;
        while let Some((_, silent_since)) = self.looks.pop_front_if(is_old) {
            let silent = |(at, _): (&RaftIndex, &ProducerId)| *at <= silent_since;
            while self.by_age.first_key_value().is_some_and(silent) {
                self.forget_next();
                mark(Mark::ProducerExpired);
            }
        }
        let Some((last, _)) = self.by_age.last_key_value() else {
            self.looks.clear();
            return;
        };
        let between = expiration / LOOKS_PER_EXPIRATION;
        let looked = |(at, index): &(Mono, RaftIndex)| index == last || at.after(between) > now;
        if !self.looks.back().is_some_and(looked) {
            self.looks.push_back((now, *last));
        }
    }

    /// Forgets the one that was silent for longest.
    fn forget_next(&mut self) {
        let (_, id) = self.by_age.pop_first().expect("there is one");
        let producer = self
            .producers
            .get_mut(&id)
            .expect("each age has its producer");
        producer.known.clear();
        if producer.pending.is_empty() {
            self.producers.remove(&id);
        }
        self.forgot = self.forgot.max(Some(id));
        self.written = Written::default();
    }

    /// Everything from `from` on was cut off.
    pub(crate) fn truncated(&mut self, from: RaftIndex) {
        self.last = self.last.min(from.prev()).max(self.as_of);
        if planted(Bug::ProducersSurviveTruncation) {
            return;
        }
        while let Some((_, id)) = self.pending.pop_back_if(|(at, _)| *at >= from) {
            let producer = self
                .producers
                .get_mut(&id)
                .expect("a pending batch has its producer");
            producer.pending.pop_back();
            if producer.newest().is_none() {
                self.producers.remove(&id);
            }
        }
    }

    /// The committed layer in bytes.
    pub(crate) fn checkpoint(&self) -> Bytes {
        self.written.0.get_or_init(|| self.write().into()).clone()
    }

    fn write(&self) -> Vec<u8> {
        if self.by_age.is_empty() && self.forgot.is_none() {
            return Vec::new();
        }
        // Each age has its producer.
        let known = self.by_age.len();
        let mut timestamps = Vec::with_capacity(known);
        let mut out = Vec::with_capacity(HEAD_BYTES + known * ONE_BATCH_BYTES);
        out.extend_from_slice(&[FORMAT, u8::from(self.forgot.is_some())]);
        out.extend_from_slice(&(known as u32).to_be_bytes());
        for (id, producer) in self.producers.iter().filter(|(_, p)| !p.known.is_empty()) {
            let batches = &producer.known;
            out.extend_from_slice(&id.0.to_be_bytes());
            out.push(batches.len() as u8);
            for b in batches {
                out.extend_from_slice(&b.epoch.to_be_bytes());
                out.extend_from_slice(&b.first.to_be_bytes());
                out.extend_from_slice(&b.last.to_be_bytes());
                out.extend_from_slice(&b.base_offset.0.to_be_bytes());
                out.extend_from_slice(&b.index.0.to_be_bytes());
                timestamps.push(b.timestamp);
            }
        }
        for timestamp in timestamps {
            out.extend_from_slice(&timestamp.to_be_bytes());
        }
        if let Some(latest) = self.forgot {
            out.extend_from_slice(&latest.0.to_be_bytes());
        }
        out
    }

    /// Reads what [`Producers::checkpoint`] wrote; `last` is the entry it was taken at. None if
    /// the bytes are of another format.
    pub(crate) fn restore(bytes: &[u8], last: RaftIndex) -> Option<Producers> {
        let mut producers = Producers {
            last,
            as_of: last,
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
        producers.forgot = (forgot != 0).then_some(ANY);
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
                    timestamp: UNKNOWN_TIME,
                });
            }
            producers.by_age.insert(remembered.back()?.index, id);
            let producer = producers.producers.entry(id).or_default();
            producer.known = remembered;
        }
        if at < bytes.len() {
            let all = producers.producers.values_mut();
            for batch in all.flat_map(|producer| &mut producer.known) {
                batch.timestamp = i64::from_be_bytes(take(bytes, &mut at)?);
            }
        }
        if forgot != 0 && at < bytes.len() {
            producers.forgot = Some(ProducerId(i64::from_be_bytes(take(bytes, &mut at)?)));
        }
        Some(producers)
    }
}

impl Producer {
    fn newest(&self) -> Option<&Remembered> {
        self.pending.back().or(self.known.back())
    }

    /// The remembered batch that this one repeats.
    fn find(&self, header: &BatchHeader) -> Option<&Remembered> {
        let last = last_sequence(header);
        let newest_first = self.pending.iter().rev().chain(self.known.iter().rev());
        // What isn't committed is always remembered: as many batches as are in flight.
        let most = limits::PRODUCER_BATCHES_REMEMBERED.max(self.pending.len());
        newest_first.take(most).find(|b| {
            b.epoch == header.producer_epoch && b.first == header.base_sequence && b.last == last
        })
    }

    /// The oldest pending batch becomes known. Returns its entry.
    fn commit_next(&mut self) -> RaftIndex {
        let batch = self
            .pending
            .pop_front()
            .expect("the order says that it is pending");
        if self
            .known
            .back()
            .is_some_and(|previous| previous.epoch != batch.epoch)
        {
            self.known.clear();
        }
        self.known.push_back(batch);
        if self.known.len() > limits::PRODUCER_BATCHES_REMEMBERED {
            self.known.pop_front();
        }
        batch.index
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
