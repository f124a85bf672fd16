//! What stays of a batch, as Kafka's cleaner decides it. Pure.
//!
//! Offsets keep their values: a batch keeps its first and last offset and its sequence whatever
//! goes from it. A record without a value marks its key as deleted; when its batch is first
//! compacted the batch is given the time from which that marker may go (its base timestamp, told
//! by an attribute bit), so a reader that isn't slower than that sees it.

use super::Kept;
use super::keys::Keys;
use crate::shape::Compact;
use base::batch::Compression;
use base::record::{self, Record};
use base::{Batch, BatchHeader, Bug, Offset, planted};
use bytes::Bytes;
use std::ops::Range;

/// What stays of a batch.
pub(super) enum Outcome {
    /// All of it, byte for byte.
    Same,
    /// Another batch over the same offsets.
    Less(Batch),
    /// Nothing.
    Nothing,
}

/// Decides over batches.
pub(super) struct Filter<'a> {
    pub(super) keys: &'a Keys,
    /// Keys of records from here on were not noted.
    pub(super) noted: Offset,
    /// Where the log starts.
    pub(super) start: Offset,
    /// The end of all that is rewritten.
    pub(super) last: Offset,
    pub(super) compact: &'a Compact,
    pub(super) kept: &'a Kept,
}

/// False for batches that stay as they are and whose keys count for nothing: markers of
/// transactions, and what belongs to one, for it may have been aborted.
pub(super) fn takes_part(header: &BatchHeader) -> bool {
    !header.is_control() && !header.is_transactional()
}

/// Notes the keys of a batch. One whose records can't be read is noted as far as they can.
pub(super) fn note(keys: &mut Keys, header: &BatchHeader, plain: &[u8]) {
    let mut pos = 0;
    for _ in 0..header.records {
        let Ok(record) = record::read(plain, &mut pos) else {
            return;
        };
        if let Some(key) = record.key {
            keys.note(key, record.offset(header));
        }
    }
}

/// What stays of a batch, told in less room than the records themselves take: there may be millions, of eight bytes each.
#[derive(Default)]
struct Stay {
    records: i32,
    /// One of them has no value.
    markers: bool,
    latest: i64,
    /// Where they lie; records that follow each other are one run.
    runs: Vec<Range<usize>>,
}

impl Stay {
    fn push(&mut self, header: &BatchHeader, record: &Record<'_>, at: Range<usize>) {
        self.records += 1;
        self.markers |= record.value.is_none();
        self.latest = self.latest.max(time_of(header, record));
        match self.runs.last_mut() {
            Some(run) if run.end == at.start => run.end = at.end,
            _ => self.runs.push(at),
        }
    }
}

fn time_of(header: &BatchHeader, record: &Record<'_>) -> i64 {
    header.base_timestamp.wrapping_add(record.timestamp_delta)
}

impl Filter<'_> {
    pub(super) fn pass(&self, batch: &Batch) -> Outcome {
        let header = batch.header();
        if header.next_offset() <= self.start {
            return Outcome::Nothing;
        }
        if !takes_part(&header) {
            return Outcome::Same;
        }
        let Some(plain) = (self.kept.codec.unpack)(batch) else {
            return Outcome::Same;
        };
        // What is malformed stays: a topic that was not compacted takes batches unread.
        self.sieve(&header, &plain).unwrap_or(Outcome::Same)
    }

    fn sieve(&self, header: &BatchHeader, plain: &[u8]) -> Option<Outcome> {
        let mut stay = Stay {
            latest: i64::MIN,
            ..Stay::default()
        };
        let mut pos = 0;
        for _ in 0..header.records {
            let begin = pos;
            let record = record::read(plain, &mut pos).ok()?;
            if self.stays(header, &record) {
                stay.push(header, &record, begin..pos);
            }
        }
        if stay.records == 0 {
            return Some(self.emptied(header));
        }
        let dated = header.delete_horizon().is_some() || !stay.markers;
        if stay.records == header.records && dated {
            return Some(Outcome::Same);
        }
        let mut less = *header;
        if !dated {
            let horizon = self.compact.now.saturating_add(self.compact.retention);
            less.set_delete_horizon(Some(horizon));
        }
        let mut body = Vec::with_capacity(plain.len());
        for run in &stay.runs {
            if dated {
                body.extend_from_slice(&plain[run.clone()]);
                continue;
            }
            let mut pos = run.start;
            while pos < run.end {
                let record = record::read(plain, &mut pos).ok()?;
                let delta = time_of(header, &record).wrapping_sub(less.base_timestamp);
                record.write_at(delta, &mut body);
            }
        }
        less.records = stay.records;
        if !header.has_append_time() {
            less.max_timestamp = stay.latest;
        }
        let body = match header.compression().ok()? {
            Compression::None => body,
            compression => (self.kept.codec.pack)(compression, &body)?,
        };
        Some(Outcome::Less(Batch::sealed(less, Bytes::from(body))))
    }

    fn stays(&self, header: &BatchHeader, record: &Record<'_>) -> bool {
        let offset = record.offset(header);
        if offset >= self.noted {
            return true;
        }
        // A record without a key, from before the topic was compacted, can't be asked for.
        let Some(key) = record.key else {
            return false;
        };
        let mut latest = self.keys.last(key).is_none_or(|last| last <= offset);
        if planted(Bug::CompactionDropsLast) && offset.0 % 16 == 0 {
            latest = false;
        }
        latest && (record.value.is_some() || !self.may_go(header))
    }

    /// True if the markers of a batch may go.
    fn may_go(&self, header: &BatchHeader) -> bool {
        if planted(Bug::TombstoneTooEarly) {
            return true;
        }
        let horizon = header.delete_horizon();
        horizon.is_some_and(|horizon| horizon <= self.compact.now)
    }

    /// A batch without records stays if it tells the last sequence of a live producer, or where
    /// what was rewritten ends.
    fn emptied(&self, header: &BatchHeader) -> Outcome {
        let producers = &self.kept.producers;
        let last_of_producer = header.is_idempotent()
            && producers.get(&header.producer_id) == Some(&header.base_offset);
        if !last_of_producer && header.next_offset() != self.last {
            return Outcome::Nothing;
        }
        if header.records == 0 {
            return Outcome::Same;
        }
        let mut empty = BatchHeader {
            base_timestamp: header.max_timestamp,
            records: 0,
            ..*header
        };
        empty.set_compression(Compression::None);
        empty.set_delete_horizon(None);
        Outcome::Less(Batch::sealed(empty, Bytes::new()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base::Term;
    use base::record::Builder;

    #[test]
    fn what_stays_of_millions_of_markers_is_told_in_less_room_than_they_take() {
        let mut builder = Builder::new(0);
        for key in 0..20_000u32 {
            builder.push(0, Some(&key.to_be_bytes()[2..]), None, &[]);
        }
        let mut batch = builder.build();
        batch.stamp(Offset(0), Term(1));
        let (header, plain) = (batch.header(), batch.body().clone());
        // All of them, and then every second one: the worst that can be.
        for every in [1, 2] {
            let mut stay = Stay::default();
            let mut pos = 0;
            for nth in 0..header.records {
                let begin = pos;
                let record = record::read(&plain, &mut pos).unwrap();
                if nth % every == 0 {
                    stay.push(&header, &record, begin..pos);
                }
            }
            assert_eq!((stay.records, stay.markers), (20_000 / every, true));
            assert!(stay.runs.len() * size_of::<Range<usize>>() <= plain.len());
        }
    }
}
