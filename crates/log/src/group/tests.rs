//! The bookkeeping against a plain list of entries.

use super::*;
use crate::testing::batch;
use crate::turn::Record;
use crate::{Origin, Shape};
use base::Random;

#[derive(Clone, Debug)]
struct Plain {
    term: Term,
    /// Offset after the entry.
    next: Offset,
    batch: Option<Batch>,
}

/// A random life of one log, beside the plain list.
struct Pair {
    log: GroupLog,
    plain: Vec<Plain>,
    random: Random,
    term: Term,
    turn: Turn,
    /// Starts that are not committed.
    starts: Vec<(RaftIndex, Offset, RaftIndex)>,
    start: Offset,
    floor: RaftIndex,
}

impl Pair {
    fn new(seed: u64) -> Pair {
        let settings = Settings {
            segment_bytes: 300_000,
            incarnation: 0,
        };
        Pair {
            log: GroupLog::new(GroupId(1), settings),
            plain: Vec::new(),
            random: Random::new(seed),
            term: Term(1),
            turn: Turn::new(1),
            starts: Vec::new(),
            start: Offset(0),
            floor: RaftIndex(0),
        }
    }

    fn end(&self) -> Offset {
        self.plain.last().map_or(Offset(0), |last| last.next)
    }

    fn step(&mut self) {
        let index = RaftIndex(self.plain.len() as u64 + 1);
        match self.random.below(10) {
            0 => self.term.0 += 1,
            1 => {
                let data = Bytes::from(vec![index.0 as u8; 5]);
                self.log
                    .append_internal(&mut self.turn, index, self.term, data);
                self.plain.push(Plain {
                    term: self.term,
                    next: self.end(),
                    batch: None,
                });
            }
            2 => {
                let low = self.log.committed().0;
                let commit = self.random.between(low, self.plain.len() as u64);
                self.log.commit(&mut self.turn, RaftIndex(commit));
                self.apply_starts();
            }
            3 if self.random.percent(50) => self.ask_for_start(index),
            3 if self.log.committed() < self.log.last_index() => {
                let (low, high) = (self.log.committed().0 + 1, self.log.last_index().0);
                let from = self.random.between(low, high);
                self.log.truncate(&mut self.turn, RaftIndex(from));
                self.plain.truncate(from as usize - 1);
                self.starts.retain(|(index, ..)| index.0 < from);
            }
            _ => {
                let len = self.random.between(1, 60_000) as usize;
                let time = self.random.below(1000) as i64;
                let batch = batch(self.end(), self.term, time, &vec![7; len]);
                self.log
                    .append_batch(&mut self.turn, index, self.term, &batch);
                let next = Offset(self.end().0 + 1);
                self.plain.push(Plain {
                    term: self.term,
                    next,
                    batch: Some(batch),
                });
            }
        }
    }

    /// A start somewhere below the commit, as a leader would ask for it.
    fn ask_for_start(&mut self, index: RaftIndex) {
        let upto = self.random.between(0, self.log.committed().0) as usize;
        let offset = upto
            .checked_sub(1)
            .map_or(Offset(0), |nth| self.plain[nth].next);
        let floor = RaftIndex(self.random.between(0, self.log.committed().0));
        let start = Shape::Start { offset, floor };
        self.log
            .append_internal(&mut self.turn, index, self.term, start.encode());
        self.plain.push(Plain {
            term: self.term,
            next: self.end(),
            batch: None,
        });
        self.starts.push((index, offset, floor));
    }

    fn apply_starts(&mut self) {
        let committed = self.log.committed();
        for (_, offset, floor) in self.starts.iter().filter(|(i, ..)| *i <= committed) {
            self.start = self.start.max(*offset);
            self.floor = self.floor.max(*floor);
        }
        self.starts.retain(|(index, ..)| *index > committed);
    }

    fn check(&self) {
        let log = &self.log;
        assert_eq!(log.start_offset(), self.start);
        assert_eq!(log.floor(), self.floor);
        let first = log.first_index().0 as usize - 1;
        assert!(first <= self.floor.0 as usize, "only what all have goes");
        let gone = self.plain[..first].last().map_or(Offset(0), |e| e.next);
        assert!(gone <= self.start, "only what lies before the start goes");
        assert_eq!(log.end_offset(), self.end());
        assert_eq!(log.last_index().0, self.plain.len() as u64);
        assert_eq!(
            log.last_term(),
            self.plain.last().map_or(Term(0), |last| last.term)
        );
        if log.first_index() == RaftIndex(1) {
            assert_eq!(log.term_of(RaftIndex(0)), Some(Term(0)));
        }
        assert_eq!(log.term_of(log.last_index().next()), None);
        if first > 0 {
            let before = RaftIndex(first as u64);
            assert_eq!(log.term_of(before), Some(self.plain[first - 1].term));
            assert_eq!(log.term_of(RaftIndex(0)), None);
        }
        for (nth, entry) in self.plain.iter().enumerate().skip(first) {
            let index = RaftIndex(nth as u64 + 1);
            assert_eq!(log.term_of(index), Some(entry.term));
            assert_eq!(log.internal(index).is_none(), entry.batch.is_some());
            match log.next_offset_of(index) {
                Some(next) => assert_eq!(next, entry.next, "{index:?}"),
                None => assert!(index < log.committed(), "{index:?} must be exact"),
            }
            if let Some(batch) = &entry.batch {
                assert_eq!(log.epoch_of(batch.header().base_offset), Some(entry.term));
            }
        }
        assert_eq!(log.epoch_of(log.end_offset()), None);
        let mut starts: Vec<(RaftIndex, Term)> = Vec::new();
        for (nth, entry) in self.plain.iter().enumerate() {
            if nth + 1 < log.first_index().0 as usize {
                // The last term before the first entry is known still.
                starts.retain(|(_, term)| *term == entry.term);
            }
            if starts.last().is_none_or(|(_, term)| *term < entry.term) {
                starts.push((RaftIndex(nth as u64 + 1), entry.term));
            }
        }
        assert_eq!(log.term_starts(), starts);
        for epoch in -1..self.term.0 as i32 + 2 {
            let known = self.plain.iter().rposition(|e| e.term.epoch() <= epoch);
            // An epoch of entries that are gone ended where the first known term began.
            let began = starts.first().map_or(0, |(index, _)| index.0 as usize - 1);
            let forgotten = first > 0 && epoch >= 0 && epoch < starts[0].1.epoch();
            let expected = match known {
                _ if forgotten => {
                    let offset = self.plain[..began].last().map_or(Offset(0), |e| e.next);
                    (epoch, offset)
                }
                None => (-1, Offset(-1)),
                Some(last) => (self.plain[last].term.epoch(), self.plain[last].next),
            };
            assert_eq!(log.epoch_end(epoch), expected, "epoch {epoch}");
        }
    }

    /// What plans would read lies where the records said.
    fn check_blocks(&self) {
        let mut log = self.log.clone();
        log.settled(log.last_index());
        let plan = log.plan_entries(RaftIndex(1), log.last_index(), u64::MAX);
        // What lies before the first block is gone, and rightly so.
        let first = plan.blocks.first().map(|located| located.block);
        let first_index = first.map_or(log.last_index().next(), |block| block.first_index);
        assert!(first_index >= log.first_index());
        let mut batches = self
            .plain
            .iter()
            .enumerate()
            .skip(first_index.0 as usize - 1)
            .filter(|(_, e)| e.batch.is_some());
        let gone = self.plain[..first_index.0 as usize - 1]
            .iter()
            .rposition(|e| e.batch.is_some());
        assert!(
            gone.is_none_or(
                |last| last < self.floor.0 as usize && self.plain[last].next <= self.start
            )
        );
        for located in &plan.blocks {
            let block = located.block;
            let mut bytes = Vec::new();
            for nth in 0..u64::from(block.count) {
                let (at, entry) = batches.next().expect("a batch for each");
                assert_eq!(at as u64 + 1, block.first_index.0 + nth);
                assert_eq!(entry.term, block.term);
                bytes.extend_from_slice(&entry.batch.as_ref().unwrap().to_bytes());
            }
            assert_eq!(bytes.len(), block.len as usize);
            assert_eq!(base::checksum::crc32c(&bytes), block.crc);
        }
        assert!(batches.next().is_none(), "every batch is in a block");
    }
}

#[test]
fn the_bookkeeping_agrees_with_a_plain_list() {
    for seed in 0..30 {
        let mut pair = Pair::new(seed);
        for _ in 0..120 {
            pair.step();
            pair.check();
        }
        pair.check_blocks();
    }
}

#[test]
fn a_truncation_restores_the_very_state_before() {
    for seed in 100..130 {
        let mut pair = Pair::new(seed);
        (0..60).for_each(|_| pair.step());
        let before = pair.log.clone();
        let index = before.last_index().next();
        let mut turn = Turn::new(9);
        let term = Term(pair.term.0 + 1);
        let mut log = before.clone();
        for nth in 0..5 {
            let batch = batch(log.end_offset(), term, 1, &[1; 50_000]);
            log.append_batch(&mut turn, RaftIndex(index.0 + nth), term, &batch);
        }
        log.truncate(&mut turn, index);
        log.cuts = before.cuts;
        assert_eq!(log, before);
    }
}

#[test]
fn the_same_records_lead_to_the_same_places() {
    let mut pair = Pair::new(5);
    (0..200).for_each(|_| pair.step());
    let mut again = GroupLog::new(
        GroupId(1),
        Settings {
            segment_bytes: 300_000,
            incarnation: 0,
        },
    );
    let mut turn = Turn::new(1);
    for record in &pair.turn.records {
        match record {
            Record::Batch {
                index, term, batch, ..
            } => {
                again.append_batch(&mut turn, *index, *term, batch);
            }
            Record::Internal {
                index, term, data, ..
            } => {
                again.append_internal(&mut turn, *index, *term, data.clone());
            }
            Record::Truncate { from, .. } => again.truncate(&mut turn, *from),
            _ => {}
        }
    }
    let undropped = |records: &[Record]| -> Vec<Record> {
        let kept = records.iter().filter(|r| !matches!(r, Record::Drop { .. }));
        kept.cloned().collect()
    };
    assert_eq!(undropped(&turn.records), undropped(&pair.turn.records));
    let mut turn = Turn::new(2);
    pair.log.commit(&mut turn, pair.log.last_index());
    again.commit(&mut turn, again.last_index());
    assert_eq!(again, pair.log);
}

#[test]
#[should_panic(expected = "a committed entry can't be cut off")]
fn committed_entries_stay() {
    let mut log = GroupLog::new(
        GroupId(1),
        Settings {
            segment_bytes: 1000,
            incarnation: 0,
        },
    );
    let mut turn = Turn::new(1);
    log.append_internal(&mut turn, RaftIndex(1), Term(1), Bytes::new());
    log.commit(&mut turn, RaftIndex(1));
    log.truncate(&mut turn, RaftIndex(1));
}

/// Starts that are asked for again and again, where little is written.
#[test]
fn many_internal_entries_end_a_segment() {
    let mut pair = Pair::new(1);
    let mut append = |internals: usize| {
        let end = pair.log.end_offset();
        let index = pair.log.last_index().next();
        let batch = batch(end, Term(1), 1, b"value");
        let (log, turn) = (&mut pair.log, &mut pair.turn);
        log.append_batch(turn, index, Term(1), &batch);
        for _ in 0..internals {
            log.append_internal(turn, log.last_index().next(), Term(1), Bytes::new());
        }
        log.segments().count()
    };
    assert_eq!(append(limits::INTERNALS_PER_SEGMENT), 1);
    assert_eq!(append(limits::INTERNALS_PER_SEGMENT + 1), 1);
    assert_eq!(append(0), 2);
}

#[test]
fn a_truncation_past_the_end_does_nothing() {
    let mut log = GroupLog::new(
        GroupId(1),
        Settings {
            segment_bytes: 1000,
            incarnation: 0,
        },
    );
    let mut turn = Turn::new(1);
    log.truncate(&mut turn, RaftIndex(1));
    assert!(turn.is_empty());
}

/// A follower gets what comes before as an origin, the rest entry by entry, and is then like its leader.
#[test]
fn a_log_that_begins_after_an_origin_goes_on_like_the_one_it_is_of() {
    let mut made = 0;
    for seed in 200..240 {
        let mut pair = Pair::new(seed);
        (0..150).for_each(|_| pair.step());
        let leader = &pair.log;
        let Some(origin) = leader.origin() else {
            continue;
        };
        made += 1;
        let mut bytes = Vec::new();
        origin.put(&mut bytes);
        bytes.push(9);
        assert_eq!(Origin::take(&bytes), Some((origin.clone(), &[9][..])));
        let mut follower = GroupLog::new(GroupId(1), leader.settings());
        let mut turn = Turn::new(1);
        // What it has is another beginning, and goes.
        let old = batch(Offset(0), Term(1), 1, &[3; 1000]);
        follower.append_batch(&mut turn, RaftIndex(1), Term(1), &old);
        follower.install(&mut turn, origin, None, Bytes::new(), RaftIndex(0));
        assert_eq!(follower.last_index().next(), leader.first_index());
        for (nth, entry) in pair.plain.iter().enumerate() {
            let index = RaftIndex(nth as u64 + 1);
            match (&entry.batch, leader.internal(index)) {
                _ if index < leader.first_index() => {}
                (Some(batch), _) => follower.append_batch(&mut turn, index, entry.term, batch),
                (None, data) => {
                    let data = data.expect("what is there is known").clone();
                    follower.append_internal(&mut turn, index, entry.term, data);
                }
            }
        }
        follower.commit(&mut turn, leader.committed());
        let about = |log: &GroupLog| {
            let epochs = (-1..pair.term.0 as i32 + 2).map(|epoch| log.epoch_end(epoch));
            let offsets = (log.start_offset(), log.end_offset(), log.floor());
            let ends = (log.first_index(), log.last_index(), log.last_term());
            (offsets, ends, log.term_starts(), epochs.collect::<Vec<_>>())
        };
        assert_eq!(about(&follower), about(leader), "seed {seed}");
    }
    assert!(made > 10, "most logs have lost their beginning");
}

#[test]
fn an_origin_that_cannot_be_is_not_read() {
    let run = |term, index, offset| TermRun {
        term: Term(term),
        index: RaftIndex(index),
        offset: Offset(offset),
    };
    let good = Origin {
        index: RaftIndex(9),
        start_offset: Offset(4),
        next_offset: Offset(5),
        terms: vec![run(1, 2, 0), run(3, 4, 1)],
    };
    let reads = |origin: &Origin| {
        let mut bytes = Vec::new();
        origin.put(&mut bytes);
        assert_eq!(Origin::take(&bytes[..bytes.len() - 1]), None, "cut short");
        Origin::take(&bytes).is_some()
    };
    assert!(reads(&good));
    let with = |change: &dyn Fn(&mut Origin)| {
        let mut bad = good.clone();
        change(&mut bad);
        bad
    };
    let bad = [
        with(&|o| o.terms.clear()),
        with(&|o| o.terms.reverse()),
        with(&|o| o.terms[0].term = Term(0)),
        with(&|o| o.terms[1].index = RaftIndex(10)),
        with(&|o| o.terms[1].offset = Offset(6)),
        with(&|o| o.start_offset = Offset(6)),
        with(&|o| o.start_offset = Offset(-1)),
        with(&|o| o.index = RaftIndex(u64::MAX)),
    ];
    assert!(bad.iter().all(|bad| !reads(bad)));
}
