//! Compaction against a plain list of records, and crashes at every step of it.

mod import;

use super::*;
use crate::testing::{Loss, MemDisk, SMALL};
use crate::{GroupLog, HardState, Settings, Shape, Storage, Turn};
use base::probe::plant;
use base::record::{self, Builder};
use base::{Bug, Random, Term};

const ID: GroupId = GroupId(1);
/// How long markers of deleted keys stay.
const RETENTION: i64 = 1000;

/// A compression that only the tests know: every byte is turned round.
const CODEC: Codec = Codec {
    unpack: |batch| match batch.header().compression().ok()? {
        Compression::None => Some(batch.body().clone()),
        _ => Some(batch.body().iter().map(|byte| !byte).collect()),
    },
    pack: |_, plain| Some(plain.iter().map(|byte| !byte).collect()),
};

#[derive(Clone, Debug, PartialEq, Eq)]
struct Plain {
    offset: i64,
    time: i64,
    key: Vec<u8>,
    value: Option<Vec<u8>>,
}

/// A log with keys, beside the list of all records it ever had.
pub(crate) struct Keyed {
    pub(crate) disk: MemDisk,
    storage: Storage,
    log: GroupLog,
    state: HardState,
    turn: u64,
    random: Random,
    now: i64,
    all: Vec<Plain>,
    /// The time of the latest compaction that was asked for.
    asked: i64,
    producers: BTreeMap<ProducerId, Offset>,
    keys_bytes: usize,
}

fn settings() -> Settings {
    Settings {
        segment_bytes: 3000,
        incarnation: 0,
    }
}

impl Keyed {
    pub(crate) fn new(seed: u64) -> Keyed {
        let disk = MemDisk::new();
        let (storage, _) = Storage::open(disk.port(), SMALL).unwrap();
        let mut keyed = Keyed {
            disk,
            storage,
            log: GroupLog::new(ID, settings()),
            state: HardState {
                term: Term(1),
                ..HardState::default()
            },
            turn: 0,
            random: Random::new(seed),
            now: 10_000,
            all: Vec::new(),
            asked: 0,
            producers: BTreeMap::new(),
            keys_bytes: usize::MAX,
        };
        keyed.write(|_, turn| turn.create(ID, settings()));
        keyed
    }

    fn write(&mut self, steps: impl FnOnce(&mut Keyed, &mut Turn)) {
        self.try_write(steps).unwrap();
    }

    fn try_write(&mut self, steps: impl FnOnce(&mut Keyed, &mut Turn)) -> Result<(), Fault> {
        self.turn += 1;
        let mut turn = Turn::new(self.turn);
        steps(self, &mut turn);
        self.storage.write(vec![turn])?;
        self.storage.settle()?;
        self.log.settled(self.log.last_index());
        Ok(())
    }

    /// Some batches of some records each, committed.
    pub(crate) fn append(&mut self, batches: u64) {
        self.write(|this, turn| {
            for _ in 0..batches {
                this.append_batch(turn);
            }
            this.commit(turn);
        });
    }

    fn append_batch(&mut self, turn: &mut Turn) {
        let random = &mut self.random;
        if random.percent(10) {
            self.state.term.0 += 1;
            let index = self.log.last_index().next();
            self.log
                .append_internal(turn, index, self.state.term, Bytes::new());
        }
        self.now += random.between(0, 20) as i64;
        let producer = ProducerId(random.between(1, 3) as i64);
        let packed = random.percent(40);
        let mut builder = Builder::new(self.now)
            .producer(producer, 0, self.all.len() as i32)
            .attributes(if packed { 4 } else { 0 });
        let base = self.log.end_offset();
        for nth in 0..random.between(1, 6) as i64 {
            let key = format!("key {}", random.below(30)).into_bytes();
            let value = (!random.percent(20)).then(|| vec![7; random.between(0, 60) as usize]);
            let time = self.now + random.between(0, 5) as i64;
            builder.push(time, Some(&key), value.as_deref(), &[(b"h", Some(b"v"))]);
            let offset = base.0 + nth;
            self.all.push(Plain {
                offset,
                time,
                key,
                value,
            });
        }
        let mut batch = builder.build();
        if packed {
            let body = (CODEC.pack)(Compression::Zstd, batch.body()).unwrap();
            batch = Batch::sealed(batch.header(), body.into());
        }
        batch.stamp(base, self.state.term);
        self.producers.insert(producer, base);
        let index = self.log.last_index().next();
        self.log.append_batch(turn, index, self.state.term, &batch);
    }

    fn commit(&mut self, turn: &mut Turn) {
        self.state.commit = self.log.last_index();
        self.log.commit(turn, self.state.commit);
        turn.state(ID, self.state);
    }

    /// Asks for a compaction of all but the last segment.
    pub(crate) fn ask(&mut self) {
        self.asked = self.now;
        self.write(|this, turn| {
            let facts: Vec<_> = this.log.segments().collect();
            let Some(last) = facts.len().checked_sub(2) else {
                return;
            };
            let shape = Shape::Compact(Compact {
                below: facts[last].end_offset,
                floor: this.log.last_index(),
                now: this.asked,
                retention: RETENTION,
            });
            let index = this.log.last_index().next();
            this.log
                .append_internal(turn, index, this.state.term, shape.encode());
            this.commit(turn);
        });
    }

    fn plan(&mut self) -> Option<Rewrite> {
        let producers = self.producers.clone();
        let codec = CODEC;
        self.log.plan_rewrite(Kept {
            producers,
            codec,
            keys_bytes: self.keys_bytes,
            secret: [1, 2],
        })
    }

    /// Runs a rewrite to its end and takes it in; false if there was nothing to do.
    fn rewrite(&mut self) -> Result<bool, RewriteFault> {
        let Some(mut rewrite) = self.plan() else {
            return Ok(false);
        };
        let files = self.storage.files();
        let mut left = u64::MAX;
        loop {
            assert!(rewrite.bytes_left() < left, "each step leaves less to do");
            left = rewrite.bytes_left();
            if let Step::Done(rewrote) = rewrite.step(&files)? {
                let counts = rewrote.counts;
                assert!(counts.records_after <= counts.records_before);
                self.try_write(|this, turn| {
                    assert!(this.log.replace(turn, rewrote));
                })?;
                return Ok(true);
            }
        }
    }

    pub(crate) fn compact(&mut self) {
        self.ask();
        while self.rewrite().unwrap() {}
    }

    pub(crate) fn checkpoint(&mut self) -> Result<(), Fault> {
        self.try_write(|this, turn| {
            let group = (&this.log, this.state, Default::default(), this.state.commit);
            turn.checkpoint = Some(crate::checkpoint([group].into_iter(), b""));
        })?;
        let mut flush = self.storage.take_flush().expect("a checkpoint was written");
        flush.run()?;
        self.storage.flushed(flush)
    }

    /// The same as this is in another directory.
    pub(crate) fn opens_as(mut self, disk: &MemDisk) {
        let log = self.log.clone();
        let records = self.read();
        self.disk = disk.clone();
        self.reopen();
        self.log.settled(log.last_index());
        assert_eq!(self.log, log);
        assert_eq!(self.read(), records);
        self.check();
    }

    /// Opens the directory again, as after a crash.
    fn reopen(&mut self) {
        let (storage, recovered) = Storage::open(self.disk.port(), SMALL).unwrap();
        let group = recovered.groups.into_iter().next().unwrap();
        assert_eq!(group.suspect, None, "{:?}", recovered.report);
        self.log = group.log;
        self.state = group.state;
        self.turn = recovered.next_turn;
        self.storage = storage;
        self.log.settled(self.log.last_index());
        self.log.roll_at(settings().segment_bytes, i64::MAX);
    }

    fn batches(&self) -> Vec<Batch> {
        let (start, end) = (self.log.start_offset(), self.log.end_offset());
        let plan = self.log.plan_read(start, end, u32::MAX);
        let pieces = plan.run(&self.storage.files(), true).unwrap().unwrap();
        let mut batches = Vec::new();
        for mut piece in pieces {
            while !piece.is_empty() {
                let batch = Batch::split_from(&mut piece).unwrap();
                batch.verify().unwrap();
                batches.push(batch);
            }
        }
        batches
    }

    fn read(&self) -> Vec<Plain> {
        let mut found = Vec::new();
        for batch in self.batches() {
            let header = batch.header();
            let plain = (CODEC.unpack)(&batch).unwrap();
            let mut pos = 0;
            for _ in 0..header.records {
                let record = record::read(&plain, &mut pos).unwrap();
                assert_eq!(record.headers(), [(&b"h"[..], Some(&b"v"[..]))]);
                found.push(Plain {
                    offset: header.base_offset.0 + i64::from(record.offset_delta),
                    time: header.base_timestamp + record.timestamp_delta,
                    key: record.key.unwrap().to_vec(),
                    value: record.value.map(<[u8]>::to_vec),
                });
            }
            assert_eq!(pos, plain.len());
            let latest = found.iter().rev().take(header.records as usize);
            if let Some(latest) = latest.map(|record| record.time).max() {
                assert_eq!(latest, header.max_timestamp);
            }
        }
        found
    }

    /// What is read is what was written, as far as compaction lets it be: nothing else, of each
    /// key the last, and in what is clean only that.
    fn check(&self) {
        let found = self.read();
        let mut last: BTreeMap<&[u8], &Plain> = BTreeMap::new();
        let mut last_clean: BTreeMap<&[u8], i64> = BTreeMap::new();
        let clean = self.log.clean_offset().0;
        for record in &self.all {
            last.insert(&record.key, record);
            if record.offset < clean {
                last_clean.insert(&record.key, record.offset);
            }
        }
        for record in &found {
            assert_eq!(Some(record), self.all.get(record.offset as usize));
            let latest = last_clean.get(&record.key[..]);
            assert!(
                record.offset >= clean || latest == Some(&record.offset),
                "{} is not the last of its key below {clean}",
                record.offset
            );
        }
        assert!(found.is_sorted_by_key(|record| record.offset));
        for record in last.into_values() {
            let there = found.contains(record);
            let may_go = record.value.is_none() && record.time + RETENTION <= self.asked;
            assert!(there || may_go, "the last record {record:?} is gone");
        }
        let raw = self.all.iter().filter(|record| record.offset >= clean);
        let kept = found.iter().filter(|record| record.offset >= clean);
        assert!(raw.eq(kept), "what isn't clean is whole");
    }
}

#[test]
fn of_each_key_the_last_record_stays_whatever_else_happens() {
    for seed in 0..20 {
        let mut keyed = Keyed::new(seed);
        if seed % 3 == 0 {
            keyed.keys_bytes = 200;
        }
        for _ in 0..12 {
            let batches = keyed.random.between(1, 40);
            keyed.append(batches);
            keyed.check();
            if keyed.random.percent(60) {
                keyed.compact();
                keyed.check();
                assert!(!keyed.log.is_dirty());
            }
            if keyed.random.percent(30) {
                keyed.now += 800;
            }
            if keyed.random.percent(30) {
                keyed.checkpoint().unwrap();
                keyed.check();
            }
            if keyed.random.percent(30) {
                let loss = Loss::Power(keyed.random.next());
                keyed.disk.crash(loss);
                keyed.reopen();
                keyed.check();
            }
        }
    }
}

/// The keys are not the only thing that is kept: epochs, times, and the ends of what was compacted.
#[test]
fn epochs_and_times_are_answered_on_a_compacted_log() {
    let mut keyed = Keyed::new(3);
    keyed.append(200);
    let before: Vec<_> = (0..keyed.all.len() as i64)
        .map(|offset| keyed.log.epoch_of(Offset(offset)))
        .collect();
    let ends: Vec<_> = (1..30).map(|e| keyed.log.epoch_end(e)).collect();
    keyed.compact();
    keyed.checkpoint().unwrap();
    keyed.reopen();
    assert!(keyed.log.first_index() > RaftIndex(100));
    for (offset, epoch) in before.into_iter().enumerate() {
        assert_eq!(keyed.log.epoch_of(Offset(offset as i64)), epoch);
    }
    let after: Vec<_> = (1..30).map(|e| keyed.log.epoch_end(e)).collect();
    assert_eq!(after, ends);
    let found = keyed.read();
    let files = keyed.storage.files();
    for time in (10_000..keyed.now).step_by(13) {
        let plan = keyed
            .log
            .plan_time(crate::TimeQuery::At(time), keyed.log.end_offset());
        let answer = plan.run_with(&files, true, &CODEC.unpack).unwrap().unwrap();
        // As in Kafka, the first batch that is late enough is looked through.
        let (offset, stamp) = answer.expect("there are later ones");
        assert!(stamp >= time);
        assert!(
            found
                .iter()
                .any(|r| (r.offset, r.time) == (offset.0, stamp))
        );
    }
}

#[test]
fn segments_are_merged_and_the_last_batch_of_each_producer_stays() {
    let mut keyed = Keyed::new(8);
    keyed.append(300);
    let before = keyed.log.segments().count();
    let producers = keyed.producers.clone();
    keyed.compact();
    let after = keyed.log.segments().count();
    assert!(after * 3 < before, "{before} segments became {after}");
    let bases: Vec<_> = keyed.batches().iter().map(|b| b.header()).collect();
    for (producer, base) in producers {
        let kept = |h: &base::BatchHeader| h.producer_id == producer && h.base_offset == base;
        assert!(bases.iter().any(kept), "the sequence of {producer} is gone");
    }
    // Whoever reads from the end of a hole finds what comes after.
    let end = keyed.log.end_offset();
    for offset in 0..end.0 {
        let plan = keyed.log.plan_read(Offset(offset), end, 1);
        let read = plan.run(&keyed.storage.files(), true).unwrap().unwrap();
        assert!(!read.is_empty(), "nothing from {offset} on");
    }
}

#[test]
fn markers_of_deleted_keys_are_seen_for_their_time_and_go_after_it() {
    let mut keyed = Keyed::new(4);
    keyed.append(100);
    let asked = keyed.now;
    keyed.compact();
    let markers = |keyed: &Keyed| {
        let clean = keyed.log.clean_offset().0;
        let found = keyed.read();
        found
            .iter()
            .filter(|r| r.value.is_none() && r.offset < clean)
            .count()
    };
    assert!(markers(&keyed) > 0);
    keyed.append(30);
    assert!(keyed.now < asked + RETENTION);
    keyed.compact();
    let dated = keyed.batches().into_iter().map(|batch| batch.header());
    let dated = dated
        .filter(|h| h.delete_horizon().is_some())
        .collect::<Vec<_>>();
    assert!(dated.iter().all(|h| h.base_timestamp >= asked + RETENTION));
    assert!(!dated.is_empty());
    keyed.now = dated.iter().map(|h| h.base_timestamp).max().unwrap();
    keyed.append(60);
    keyed.compact();
    let stay = keyed.read();
    let gone = |r: &&Plain| r.value.is_none() && r.time < asked;
    assert_eq!(stay.iter().find(gone), None);
}

/// A crash anywhere leaves the old segments or the new ones, and the log goes on.
#[test]
fn a_crash_at_any_step_leaves_the_old_segments_or_the_new_ones() {
    let whole = |step: u64| {
        let mut keyed = Keyed::new(11);
        keyed.append(60);
        keyed.compact();
        keyed.checkpoint().unwrap();
        keyed.append(40);
        keyed.ask();
        keyed.disk.stop_after(step);
        let done = keyed.rewrite().is_ok() && keyed.checkpoint().is_ok();
        (keyed, done)
    };
    let mut rewritten = 0;
    for step in 0.. {
        let (mut keyed, done) = whole(step);
        let loss = match step % 3 {
            0 => Loss::Process,
            _ => Loss::Power(step),
        };
        keyed.disk.crash(loss);
        keyed.reopen();
        keyed.check();
        rewritten += u32::from(!keyed.log.is_dirty());
        // Nothing is left behind that nobody knows.
        let files = keyed.disk.all();
        let segments = files.iter().filter(|(path, _)| path.ends_with(".log"));
        assert_eq!(
            segments.count(),
            keyed.log.segments().count(),
            "step {step}"
        );
        keyed.append(30);
        keyed.compact();
        keyed.check();
        keyed.checkpoint().unwrap();
        keyed.reopen();
        keyed.check();
        if done {
            assert!(step > 10);
            break;
        }
    }
    assert!(rewritten > 0);
}

#[test]
fn a_start_that_moves_while_a_rewrite_runs_is_kept() {
    for all in [false, true] {
        let mut keyed = Keyed::new(21);
        keyed.append(120);
        keyed.ask();
        let mut rewrite = keyed.plan().unwrap();
        let files = keyed.storage.files();
        let rewrote = loop {
            if let Step::Done(rewrote) = rewrite.step(&files).unwrap() {
                break rewrote;
            }
        };
        let start = match all {
            true => keyed
                .log
                .clean_offset()
                .max(keyed.log.compaction().unwrap().below),
            false => Offset(50),
        };
        keyed.write(|this, turn| {
            let floor = this.log.last_index();
            let shape = Shape::Start {
                offset: start,
                floor,
            };
            this.log
                .append_internal(turn, floor.next(), this.state.term, shape.encode());
            this.commit(turn);
        });
        keyed.write(|this, turn| assert_eq!(this.log.replace(turn, rewrote), !all));
        assert_eq!(keyed.log.start_offset(), start);
        let first = keyed.read()[0].offset;
        assert!(first >= start.0 || !all);
        keyed.checkpoint().unwrap();
        let files = keyed.disk.all();
        let segments = files.iter().filter(|(path, _)| path.ends_with(".log"));
        assert_eq!(segments.count(), keyed.log.segments().count());
        keyed.reopen();
        assert_eq!(keyed.read()[0].offset, first);
    }
}

#[test]
fn a_reader_with_an_old_plan_is_told_to_plan_again() {
    let mut keyed = Keyed::new(6);
    keyed.append(80);
    let plan = keyed
        .log
        .plan_read(Offset(0), keyed.log.end_offset(), u32::MAX);
    let files = keyed.storage.files();
    for _ in 0..3 {
        keyed.compact();
        keyed.checkpoint().unwrap();
        let read = plan.run(&files, true);
        assert!(matches!(read, Err(ReadFault::Gone)), "{read:?}");
        keyed.append(20);
    }
    keyed.check();
}

#[test]
fn a_damaged_sidecar_of_compacted_segments_is_made_again() {
    let mut keyed = Keyed::new(9);
    keyed.append(150);
    keyed.compact();
    keyed.append(50);
    keyed.ask();
    keyed.checkpoint().unwrap();
    let files = keyed.disk.all();
    let sidecars: Vec<_> = files
        .iter()
        .filter(|(path, _)| path.ends_with(".idx"))
        .collect();
    assert!(sidecars.iter().any(|(path, _)| path.contains("-1.idx")));
    for (path, len) in sidecars.into_iter().filter(|(_, len)| *len > 0) {
        let mut bytes = keyed.disk.bytes(path);
        bytes[len / 2] ^= 4;
        keyed.disk.put(path, &bytes);
        keyed.reopen();
        keyed.check();
    }
}

#[test]
fn planted_bugs_are_caught() {
    for bug in [
        Bug::CompactionDropsLast,
        Bug::SwitchBeforeSync,
        Bug::TombstoneTooEarly,
    ] {
        let caught = (0..20).any(|seed| {
            let run = std::panic::catch_unwind(|| {
                plant(Some(bug));
                let mut keyed = Keyed::new(seed);
                for _ in 0..4 {
                    keyed.append(60);
                    keyed.compact();
                    keyed.checkpoint().unwrap();
                    keyed.disk.crash(Loss::Power(seed));
                    keyed.reopen();
                    keyed.check();
                    keyed.checkpoint().unwrap();
                }
            });
            plant(None);
            run.is_err()
        });
        assert!(caught, "{bug:?} goes unnoticed");
    }
}
