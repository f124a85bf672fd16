//! Logs whose start moves, and crashes.

use super::{checkpoint, filled};
use crate::testing::{Loss, MemDisk, Shard, check_reads, matches, reopen};
use crate::{ReadFault, Storage, Turn};
use base::{GroupId, Offset};

const ID: GroupId = GroupId(0);

/// Four segments, all committed, in a checkpoint.
fn four_segments() -> (MemDisk, Shard, Storage) {
    filled(8, 8)
}

fn write(shard: &mut Shard, storage: &mut Storage, steps: impl FnOnce(&mut Shard, &mut Turn)) {
    let mut turn = Turn::new(shard.next_turn);
    shard.next_turn += 1;
    steps(shard, &mut turn);
    storage.write(vec![turn]).unwrap();
    storage.settle().unwrap();
}

fn segments(disk: &MemDisk) -> usize {
    let all = disk.all();
    all.iter()
        .filter(|(path, _)| path.ends_with(".log"))
        .count()
}

#[test]
fn files_go_with_the_checkpoint_that_does_not_name_them_and_readers_are_told() {
    let (disk, mut shard, mut storage) = four_segments();
    let mut log = shard.groups[&ID].log.clone();
    log.settled(log.last_index());
    let plan = log.plan_read(Offset(0), log.end_offset(), u32::MAX);
    assert_eq!(segments(&disk), 4);
    assert!(!storage.wants_checkpoint());
    write(&mut shard, &mut storage, |shard, turn| {
        shard.clear(turn, ID);
    });
    assert_eq!(segments(&disk), 4, "a start would still look for them");
    assert!(plan.run(&storage.files(), true).is_ok());
    assert!(storage.wants_checkpoint());
    checkpoint(&mut shard, &mut storage);
    assert_eq!(segments(&disk), 0);
    let gone = plan.run(&storage.files(), true);
    assert!(matches!(gone, Err(ReadFault::Gone)), "{gone:?}");
    assert!(!storage.wants_checkpoint());
    disk.crash(Loss::Power(1));
    let (_, recovered) = reopen(&disk).unwrap();
    assert!(matches(&shard.groups, &recovered), "{:?}", recovered.report);
    assert_eq!(recovered.groups[0].suspect, None);
}

#[test]
fn a_checkpoint_from_before_a_drop_leaves_its_files_alone() {
    let (disk, mut shard, mut storage) = four_segments();
    let mut turn = Turn::new(shard.next_turn);
    shard.checkpoint(&mut turn);
    shard.next_turn += 1;
    storage.write(vec![turn]).unwrap();
    write(&mut shard, &mut storage, |shard, turn| {
        shard.clear(turn, ID);
    });
    let mut flush = storage.take_flush().expect("a checkpoint was written");
    flush.run().unwrap();
    storage.flushed(flush).unwrap();
    assert_eq!(segments(&disk), 4, "it names them");
    assert!(storage.wants_checkpoint());
}

/// Recovery may learn of the commit of a start before the batch that follows it, the shard after.
#[test]
fn a_batch_lies_where_it_was_put_whenever_the_start_before_it_is_known_as_committed() {
    let (disk, mut shard, mut storage) = four_segments();
    write(&mut shard, &mut storage, |shard, turn| {
        let start = shard.ask_to_clear(turn, ID);
        shard.record_commit(turn, ID, start);
        shard.append_bytes(turn, ID, 5, &[9; 300]);
    });
    disk.crash(Loss::Power(2));
    let (storage, recovered) = reopen(&disk).unwrap();
    assert!(matches(&shard.groups, &recovered), "{:?}", recovered.report);
    assert_eq!(recovered.groups[0].log.segments().count(), 1);
    shard.acknowledged();
    shard.recover(recovered);
    check_reads(&shard.groups, &storage.files());
}

#[test]
fn a_start_after_a_drop_may_be_cut_short_again_and_again() {
    let (disk, mut shard, mut storage) = four_segments();
    write(&mut shard, &mut storage, |shard, turn| {
        shard.clear(turn, ID);
        shard.append_bytes(turn, ID, 5, &[9; 300]);
    });
    for step in 0..200 {
        let disk = disk.fork();
        disk.crash(Loss::Process);
        disk.stop_after(step);
        let whole = reopen(&disk).is_ok();
        disk.crash(Loss::Power(step));
        let (storage, recovered) = reopen(&disk).unwrap_or_else(|e| panic!("{step}: {e}"));
        assert!(matches(&shard.groups, &recovered), "step {step}");
        assert_eq!(recovered.groups[0].suspect, None, "step {step}");
        check_reads(&shard.groups, &storage.files());
        if whole {
            return;
        }
    }
    panic!("a start has fewer steps than that");
}

#[test]
fn what_the_shard_keeps_comes_back_whole_however_large_it_is() {
    let (disk, mut shard, mut storage) = four_segments();
    let app = [7, 70_000, 0, 40_000, 16_384, 3].map(|bytes| vec![bytes as u8; bytes]);
    for parts in app.chunks(2) {
        write(&mut shard, &mut storage, |shard, turn| {
            let groups = shard.groups.values().map(|group| {
                let parts = [0, 1].map(|part| parts[part].clone().into());
                (&group.log, group.state, parts, group.log.committed())
            });
            turn.checkpoint = Some(crate::checkpoint(groups, b""));
        });
        let mut flush = storage.take_flush().expect("there is a checkpoint");
        flush.run().unwrap();
        storage.flushed(flush).unwrap();
        let (_, recovered) = reopen(&disk.fork()).expect("it can be read");
        for group in recovered.groups {
            assert!(group.app == parts.concat(), "{} bytes", group.app.len());
        }
    }
}
