//! Plans: where they begin and end, and what they refuse to serve.

use super::*;
use crate::testing::{Loss, MemDisk, SMALL, batch};
use crate::{GroupLog, Settings, Storage, Turn};
use base::record::Builder;
use base::{Bug, Term};

const GROUP: GroupId = GroupId(3);

struct Log {
    disk: MemDisk,
    storage: Storage,
    log: GroupLog,
    batches: Vec<Batch>,
    turn: u64,
}

impl Log {
    fn new() -> Log {
        let disk = MemDisk::new();
        let (mut storage, _) = Storage::open(disk.port(), SMALL).unwrap();
        let settings = Settings {
            segment_bytes: 200_000,
            incarnation: 0,
        };
        let mut turn = Turn::new(1);
        turn.create(GROUP, settings);
        storage.write(vec![turn]).unwrap();
        let log = GroupLog::new(GROUP, settings);
        Log {
            disk,
            storage,
            log,
            batches: Vec::new(),
            turn: 1,
        }
    }

    fn append(&mut self, batches: impl IntoIterator<Item = Batch>) {
        self.turn += 1;
        let mut turn = Turn::new(self.turn);
        for mut batch in batches {
            batch.stamp(self.log.end_offset(), Term(1));
            let index = self.log.last_index().next();
            self.log.append_batch(&mut turn, index, Term(1), &batch);
            self.batches.push(batch);
        }
        self.storage.write(vec![turn]).unwrap();
        self.storage.settle().unwrap();
        self.log.settled(self.log.last_index());
    }

    fn read(&self, from: i64, upto: i64, bytes_max: u32) -> Vec<Batch> {
        let plan = self.log.plan_read(Offset(from), Offset(upto), bytes_max);
        let pieces = plan.run(&self.storage.files(), false).unwrap().unwrap();
        let mut bytes: Bytes = pieces.concat().into();
        let mut batches = Vec::new();
        while !bytes.is_empty() {
            batches.push(Batch::split_from(&mut bytes).unwrap());
        }
        batches
    }
}

/// Twenty batches of three records and about 20 kB each: several blocks, two segments.
fn twenty() -> Log {
    let mut log = Log::new();
    log.append((0..20).map(|nth| three(nth * 10, 7000)));
    log
}

fn three(time: i64, len: usize) -> Batch {
    let mut builder = Builder::new(time);
    for nth in 0..3 {
        builder.push(time + nth, None, Some(&vec![nth as u8; len]), &[]);
    }
    builder.build()
}

#[test]
fn a_read_begins_with_the_batch_that_holds_the_offset() {
    let log = twenty();
    for from in 0..60 {
        let read = log.read(from, 60, u32::MAX);
        assert_eq!(read, log.batches[from as usize / 3..], "from {from}");
    }
}

#[test]
fn a_read_ends_before_a_batch_that_reaches_beyond() {
    let log = twenty();
    for upto in 1..60 {
        let read = log.read(0, upto, u32::MAX);
        assert_eq!(read, log.batches[..upto as usize / 3], "upto {upto}");
    }
}

#[test]
fn a_read_is_bounded_but_its_first_batch_is_whole() {
    let log = twenty();
    let len = log.batches[0].len() as u32;
    assert_eq!(log.read(0, 60, 0).len(), 1);
    assert_eq!(log.read(0, 60, len - 1).len(), 1);
    assert_eq!(log.read(4, 60, 2 * len - 1), log.batches[1..2]);
    assert_eq!(log.read(4, 60, 2 * len), log.batches[1..3]);
    assert_eq!(log.read(0, 60, 9 * len), log.batches[..9]);
}

#[test]
fn entries_are_read_by_index_and_bounded() {
    let log = twenty();
    let entries = |from, upto, bytes_max| {
        let plan = log
            .log
            .plan_entries(RaftIndex(from), RaftIndex(upto), bytes_max);
        let entries = plan.run(&log.storage.files()).unwrap();
        entries
            .into_iter()
            .map(|(index, _)| index.0)
            .collect::<Vec<_>>()
    };
    assert_eq!(entries(3, 9, u64::MAX), (3..=9).collect::<Vec<_>>());
    assert_eq!(entries(3, 9, 0), [3]);
    assert_eq!(entries(20, 50, u64::MAX), [20]);
    let two = 2 * log.batches[0].len() as u64;
    assert_eq!(entries(1, 20, two), [1, 2]);
}

#[test]
fn records_are_found_by_their_time() {
    let log = twenty();
    let files = log.storage.files();
    let at = |query, upto| {
        log.log
            .plan_time(query, Offset(upto))
            .run(&files, false)
            .unwrap()
            .unwrap()
    };
    assert_eq!(at(TimeQuery::At(0), 60), Some((Offset(0), 0)));
    assert_eq!(at(TimeQuery::At(1), 60), Some((Offset(1), 1)));
    assert_eq!(at(TimeQuery::At(3), 60), Some((Offset(3), 10)));
    assert_eq!(at(TimeQuery::At(192), 60), Some((Offset(59), 192)));
    assert_eq!(at(TimeQuery::At(193), 60), None);
    assert_eq!(
        at(TimeQuery::At(192), 57),
        None,
        "beyond the high watermark"
    );
    assert_eq!(at(TimeQuery::Max, 60), Some((Offset(59), 192)));
    assert_eq!(at(TimeQuery::Max, 30), Some((Offset(29), 92)));
    assert_eq!(
        Log::new().log.plan_time(TimeQuery::Max, Offset(0)).blocks,
        []
    );
}

/// Eight batches of three records and about 20 kB each, in segments of two or three, with these times.
fn timed(times: [i64; 8]) -> Log {
    let mut log = Log::new();
    log.log.roll_at(60_000, i64::MAX);
    log.append(times.map(|time| three(time, 7000)));
    assert!(log.log.segments().count() > 2);
    log
}

#[test]
fn the_latest_record_is_found_wherever_it_lies() {
    for place in 0..8 {
        let mut times = [5, 4, 7, 4, 3, 7, 1, 2];
        times[place] = 50;
        let log = timed(times);
        for upto in 1..=8 {
            let latest = |place: &i64| (times[*place as usize], -place);
            let expected = (0..upto).max_by_key(latest).unwrap();
            let plan = log.log.plan_time(TimeQuery::Max, Offset(upto * 3));
            assert!(plan.blocks.len() <= 2, "one, and one that is cut");
            let found = plan.run(&log.storage.files(), true).unwrap().unwrap();
            let time = times[expected as usize] + 2;
            assert_eq!(found, Some((Offset(expected * 3 + 2), time)));
        }
    }
}

#[test]
fn the_latest_record_is_looked_for_in_few_segments() {
    let log = timed([5, 4, 7, 4, 3, 7, 1, 2]);
    let segments = log.log.segments().count();
    let looked_at = log.log.latest_segments(Offset(24));
    assert_eq!(looked_at.len(), 2, "of {segments}: the best and the last");
    assert!(log.log.latest_segments(Offset(13)).len() <= 3);
}

/// The first batch, one whose first record was the latest, of which only the last is left; then another one.
fn cut_inside() -> Log {
    let mut log = Log::new();
    let mut builder = Builder::new(0);
    [100, 50, 20]
        .into_iter()
        .for_each(|time| builder.push(time, None, Some(&[7; 100]), &[]));
    log.append([builder.build(), three(30, 100)]);
    let mut turn = Turn::new(9);
    let index = log.log.last_index().next();
    let (offset, floor) = (Offset(2), RaftIndex(0));
    let start = crate::Shape::Start { offset, floor }.encode();
    log.log.append_internal(&mut turn, index, Term(1), start);
    log.log.commit(&mut turn, index);
    assert_eq!(log.log.start_offset(), Offset(2));
    log
}

#[test]
fn a_record_before_the_start_is_never_found_by_its_time() {
    let log = cut_inside();
    let files = log.storage.files();
    let at = |query| {
        let plan = log.log.plan_time(query, Offset(6));
        plan.run(&files, true).unwrap().unwrap()
    };
    assert_eq!(at(TimeQuery::At(10)), Some((Offset(2), 20)));
    assert_eq!(at(TimeQuery::At(25)), Some((Offset(3), 30)));
    assert_eq!(at(TimeQuery::At(40)), None);
    assert_eq!(at(TimeQuery::At(100)), None);
    assert_eq!(at(TimeQuery::Max), Some((Offset(5), 32)));
}

#[test]
fn a_compressed_batch_is_opened_by_the_caller_or_answered_by_its_first_offset() {
    let mut log = Log::new();
    let plain = three(100, 10);
    let mut builder = Builder::new(100).attributes(1);
    (0..3).for_each(|nth| builder.push(100 + nth, None, None, &[]));
    log.append([builder.build_with_body(vec![1, 2, 3])]);
    let plan = log.log.plan_time(TimeQuery::At(101), Offset(3));
    let files = log.storage.files();
    assert_eq!(
        plan.run(&files, true).unwrap(),
        Some(Some((Offset(0), 102)))
    );
    let opened = plan
        .run_with(&files, true, &|_| Some(plain.body().clone()))
        .unwrap();
    assert_eq!(opened, Some(Some((Offset(1), 101))));
}

#[test]
fn a_damaged_block_is_reported_and_never_served() {
    let log = twenty();
    let path = "groups/3/00000000000000000000.log";
    log.disk.flip(path, 100_000, 3);
    let plan = log.log.plan_read(Offset(0), Offset(60), u32::MAX);
    match plan.run(&log.storage.files(), true) {
        Err(ReadFault::Corrupt {
            file,
            offset,
            remedy,
            ..
        }) => {
            assert_eq!(file, path);
            assert!(
                offset <= 100_000 && 100_000 - offset < 2 * 65_536,
                "names the block"
            );
            assert!(!remedy.is_empty());
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(
        log.read(0, 9, u32::MAX),
        log.batches[..3],
        "other blocks are fine"
    );
    base::probe::plant(Some(Bug::SkipVerification));
    let served = plan.run(&log.storage.files(), true).is_ok();
    base::probe::plant(None);
    assert!(served, "the planted bug serves it");
}

#[test]
fn a_plan_of_what_was_cut_off_is_told_so() {
    let mut log = Log::new();
    log.append((0..4).map(|_| three(1, 500)));
    let plan = log.log.plan_entries(RaftIndex(1), RaftIndex(4), u64::MAX);
    let mut turn = Turn::new(10);
    log.log.truncate(&mut turn, RaftIndex(2));
    let other = batch(log.log.end_offset(), Term(2), 1, &[8; 3000]);
    log.log
        .append_batch(&mut turn, RaftIndex(2), Term(2), &other);
    log.storage.write(vec![turn]).unwrap();
    log.storage.settle().unwrap();
    let read = plan.run(&log.storage.files());
    assert!(matches!(read, Err(ReadFault::Gone)), "{read:?}");
}

#[test]
fn more_segments_than_open_files_can_be_read() {
    let mut log = Log::new();
    for _ in 0..8 {
        log.append((0..10).map(|_| three(5, 6000)));
    }
    let segments = log
        .disk
        .all()
        .iter()
        .filter(|(path, _)| path.ends_with(".log"))
        .count();
    assert!(segments > SMALL.open_files);
    for from in (0..240).step_by(7).chain([0, 239, 0]) {
        assert_eq!(
            log.read(from, 240, 1)[..],
            log.batches[from as usize / 3..][..1]
        );
    }
    log.disk.crash(Loss::Process);
}

#[test]
fn a_block_that_still_grows_is_read_up_to_what_is_in_its_file() {
    let mut log = Log::new();
    log.append([1u8, 2].map(|n| batch(Offset(0), Term(1), 1, &[n; 100])));
    let settled = log.log.end_offset();
    // Two more in the same block: one on its way to the file, one not even durable.
    let mut turn = Turn::new(2);
    for n in 3..5u8 {
        let next = batch(log.log.end_offset(), Term(1), 1, &[n; 100]);
        let index = log.log.last_index().next();
        log.log.append_batch(&mut turn, index, Term(1), &next);
    }
    let files = log.storage.files();
    let upto = log.log.end_offset();
    let read = log
        .log
        .plan_read(Offset(0), upto, u32::MAX)
        .run(&files, true);
    let bytes = read.unwrap().unwrap().concat();
    assert_eq!(
        bytes,
        log.batches
            .iter()
            .flat_map(|b| b.to_bytes())
            .collect::<Vec<u8>>()
    );
    let entries = log
        .log
        .plan_entries(RaftIndex(1), RaftIndex(9), u64::MAX)
        .run(&files);
    assert_eq!(entries.unwrap().len(), 2);
    let beyond = log.log.plan_read(settled, upto, u32::MAX).run(&files, true);
    assert!(beyond.unwrap().unwrap().is_empty());
}

#[test]
fn a_plan_is_made_to_fit_into_memory_but_keeps_its_first_block() {
    let log = twenty();
    let whole = log.log.plan_read(Offset(0), Offset(60), u32::MAX);
    let bytes: u64 = log.batches.iter().map(|batch| batch.len() as u64).sum();
    assert_eq!(whole.memory(), bytes, "all of its blocks");
    let shrunk = |to| {
        let mut plan = whole.clone();
        plan.shrink(to);
        let pieces = plan.run(&log.storage.files(), false).unwrap().unwrap();
        assert_eq!(plan.memory(), pieces.concat().len() as u64);
        plan.memory()
    };
    assert_eq!(shrunk(bytes), bytes);
    assert!((bytes / 2..bytes).contains(&shrunk(bytes - 1)));
    let first = shrunk(0);
    assert!(first > 0 && shrunk(first - 1) == first && shrunk(first + 1) == first);
}
