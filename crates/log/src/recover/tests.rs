//! Damage, and crashes at every step.

mod damage;
mod garbage;
mod golden;
mod install;
mod start;

use crate::testing::{Loss, MemDisk, Shard, check_reads, matches, reopen};
use crate::{Fault, Settings, Storage, StorageSettings, Turn};
use base::{Bug, GroupId, RaftIndex};

/// A directory with something of everything, all of it durable and known to be.
fn example(settings: StorageSettings) -> (MemDisk, Shard) {
    example_of(settings, 4)
}

/// As [`example`], with what a version of the format knew: since 2 the start of logs moves, since
/// 4 replicas have incarnations.
fn example_of(settings: StorageSettings, version: u32) -> (MemDisk, Shard) {
    let disk = MemDisk::new();
    let mut shard = Shard::new(7);
    let starts = version >= 2;
    shard.starts = starts;
    shard.installs = false;
    shard.incarnations = u32::from(version >= 4);
    let (mut storage, _) = Storage::open(disk.port(), settings).unwrap();
    for round in 0..4 {
        let mut turn = Turn::new(shard.next_turn);
        shard.next_turn += 1;
        shard.create(&mut turn);
        for id in shard.groups.keys().copied().collect::<Vec<_>>() {
            for len in [30, 900, 2500, 7000] {
                shard.append_bytes(&mut turn, id, 1000 + len as i64, &vec![round as u8; len]);
            }
            // Before and after the checkpoint, with entries after it and without.
            if starts && (round as u64 + id.0) % 2 == 1 {
                shard.clear(&mut turn, id);
            }
        }
        storage.write(vec![turn, shard.turn()]).unwrap();
        storage.settle().unwrap();
        if round == 2 {
            checkpoint(&mut shard, &mut storage);
        }
    }
    storage.idle().unwrap();
    shard.acknowledged();
    (disk, shard)
}

/// A log of group 0 with two batches a segment, `commit` entries of it committed, in a checkpoint.
fn filled(batches: u8, commit: u64) -> (MemDisk, Shard, Storage) {
    let id = GroupId(0);
    let disk = MemDisk::new();
    let mut shard = Shard::new(1);
    let (mut storage, _) = reopen(&disk).unwrap();
    let mut turn = Turn::new(1);
    shard.create(&mut turn);
    for byte in 0..batches {
        shard.append_bytes(&mut turn, id, 5, &[byte; 9_000]);
    }
    shard.commit(&mut turn, id, RaftIndex(commit));
    shard.next_turn = 2;
    storage.write(vec![turn]).unwrap();
    storage.settle().unwrap();
    checkpoint(&mut shard, &mut storage);
    shard.acknowledged();
    (disk, shard, storage)
}

fn checkpoint(shard: &mut Shard, storage: &mut Storage) {
    try_checkpoint(shard, storage).unwrap();
}

fn try_checkpoint(shard: &mut Shard, storage: &mut Storage) -> Result<(), Fault> {
    let mut turn = Turn::new(shard.next_turn);
    shard.next_turn += 1;
    shard.checkpoint(&mut turn);
    storage.write(vec![turn])?;
    storage.settle()?;
    let mut flush = storage.take_flush().expect("a checkpoint was written");
    flush.run()?;
    storage.flushed(flush)
}

#[test]
fn a_crash_at_any_step_of_recovery_changes_nothing() {
    let (disk, shard) = example(crate::testing::SMALL);
    let whole = disk.fork();
    let before = whole.operations();
    reopen(&whole).unwrap();
    let steps = whole.operations() - before;
    assert!(steps > 10, "recovery does something");
    for step in 0..steps {
        for loss in [Loss::Process, Loss::Power(step)] {
            let disk = disk.fork();
            disk.stop_after(step);
            assert!(reopen(&disk).is_err());
            disk.crash(loss);
            let (storage, recovered) = reopen(&disk).unwrap_or_else(|e| panic!("{step}: {e}"));
            assert!(
                matches(&shard.groups, &recovered),
                "step {step}: {:?}",
                recovered.report
            );
            check_reads(&shard.groups, &storage.files());
        }
    }
}

/// A directory whose last turn is in the page cache only: it cuts off what is in the segments and
/// overwrites it.
fn unsynced_tail() -> (MemDisk, Shard) {
    for stop in 0.. {
        let (disk, mut shard) = example(crate::testing::SMALL);
        let (mut storage, recovered) = reopen(&disk).unwrap();
        shard.recover(recovered);
        let mut turn = Turn::new(shard.next_turn);
        for id in shard.groups.keys().copied().collect::<Vec<_>>() {
            shard.replace_tail(&mut turn, id);
        }
        disk.stop_after(stop);
        assert!(
            storage.write(vec![turn]).is_err(),
            "stopped before the sync"
        );
        disk.crash(Loss::Process);
        let (_, recovered) = reopen(&disk.fork()).unwrap();
        if matches(&shard.groups, &recovered) {
            return (disk, shard);
        }
    }
    unreachable!("some operation is the sync");
}

#[test]
fn a_tail_that_was_never_synced_is_made_durable_before_it_is_relied_on() {
    let (disk, shard) = unsynced_tail();
    let whole = disk.fork();
    let before = whole.operations();
    reopen(&whole).unwrap();
    let steps = whole.operations() - before;
    for seed in 0..steps * 8 {
        let disk = disk.fork();
        disk.stop_after(seed % steps);
        assert!(reopen(&disk).is_err());
        disk.crash(Loss::Power(seed));
        let (storage, recovered) = reopen(&disk).unwrap_or_else(|e| panic!("{seed}: {e}"));
        let mut shard = shard.fork();
        shard.recover(recovered);
        check_reads(&shard.groups, &storage.files());
    }
}

#[test]
fn what_a_failed_sync_left_in_the_cache_is_durable_once_a_start_has_read_it() {
    let mut lost = 0;
    for seed in 0..40 {
        for bug in [None, Some(Bug::TrustPageCache)] {
            let disk = MemDisk::new();
            let mut shard = Shard::new(seed);
            let (mut storage, _) = reopen(&disk).unwrap();
            for _ in 0..seed {
                storage.write(vec![shard.turn()]).unwrap();
                shard.acknowledged();
                storage.settle().unwrap();
            }
            disk.fail_syncs(true);
            assert!(storage.write(vec![shard.turn(), shard.turn()]).is_err());
            disk.crash(Loss::Process);
            base::probe::plant(bug);
            let (_, recovered) = reopen(&disk).unwrap();
            base::probe::plant(None);
            let next_turn = recovered.next_turn;
            shard.recover(recovered);
            // From here on others may have been told of it.
            disk.crash(Loss::Power(seed));
            match (bug, reopen(&disk)) {
                (None, Ok((storage, recovered))) => {
                    assert_eq!(recovered.next_turn, next_turn);
                    shard.recover(recovered);
                    check_reads(&shard.groups, &storage.files());
                }
                (None, Err(fault)) => panic!("{seed}: {fault}"),
                (Some(_), Ok((_, recovered))) => {
                    lost += u32::from(recovered.next_turn != next_turn);
                }
                (Some(_), Err(_)) => lost += 1,
            }
        }
    }
    assert!(lost > 10, "the planted bug shows");
}

#[test]
fn a_known_loss_is_told_at_every_start() {
    let disk = MemDisk::new();
    let mut shard = Shard::new(1);
    let (mut storage, recovered) = reopen(&disk).unwrap();
    assert_eq!(recovered.lost, None);
    let mut turn = shard.turn();
    turn.lost = Some("an entry is gone".to_string());
    storage.write(vec![turn]).unwrap();
    for seed in 0..5 {
        disk.crash(Loss::Power(seed));
        let (_, recovered) = reopen(&disk).unwrap();
        assert_eq!(recovered.lost.as_deref(), Some("an entry is gone"));
    }
}

#[test]
fn a_full_disk_loses_nothing_and_goes_on_when_there_is_room() {
    for writes in 0..60 {
        let disk = MemDisk::new();
        let mut shard = Shard::new(writes);
        let (mut storage, _) = reopen(&disk).unwrap();
        disk.full_after(Some(writes));
        let mut was_full = false;
        for _ in 0..30 {
            let full = |done: Result<(), Fault>| match done {
                Ok(()) => false,
                Err(Fault::Full { .. }) => true,
                Err(fault) => panic!("{fault}"),
            };
            let mut again = full(storage.write(vec![shard.turn()]));
            was_full |= again;
            if again {
                // More may come in before there is room.
                again = full(storage.write(vec![shard.turn(), shard.turn()]));
            }
            if again {
                disk.full_after(None);
                storage.retry().unwrap();
            }
            shard.acknowledged();
            if full(storage.settle()) {
                was_full = true;
                disk.full_after(None);
                storage.settle().unwrap();
            }
            if let Some(mut flush) = storage.take_flush() {
                if full(flush.run()) {
                    was_full = true;
                    disk.full_after(None);
                }
                storage.flushed(flush).unwrap();
            }
        }
        assert!(was_full || writes > 20);
        check_reads(&shard.groups, &storage.files());
        disk.crash(Loss::Power(writes));
        let (storage, recovered) = reopen(&disk).unwrap();
        shard.recover(recovered);
        check_reads(&shard.groups, &storage.files());
    }
}

#[test]
fn a_failed_sync_stops_the_storage_for_good() {
    let disk = MemDisk::new();
    let mut shard = Shard::new(1);
    let (mut storage, _) = reopen(&disk).unwrap();
    disk.fail_syncs(true);
    let failed = storage.write(vec![shard.turn()]);
    assert!(
        matches!(failed, Err(Fault::Io { op: "sync", .. })),
        "{failed:?}"
    );
    disk.fail_syncs(false);
    assert!(matches!(
        storage.write(vec![shard.turn()]),
        Err(Fault::Io { .. })
    ));
    assert!(matches!(storage.retry(), Err(Fault::Io { .. })));
    assert!(storage.take_flush().is_none());
}

#[test]
fn a_removed_group_leaves_nothing_and_its_id_can_come_again() {
    let disk = MemDisk::new();
    let mut shard = Shard::new(3);
    let (mut storage, _) = reopen(&disk).unwrap();
    let mut turn = Turn::new(1);
    shard.create(&mut turn);
    let id = GroupId(0);
    for _ in 0..10 {
        shard.append(&mut turn, id);
    }
    storage.write(vec![turn]).unwrap();
    storage.settle().unwrap();
    let log = &mut shard.groups.get_mut(&id).unwrap().log;
    log.settled(log.last_index());
    let old = shard.groups[&id]
        .log
        .plan_entries(RaftIndex(1), RaftIndex(9), u64::MAX);
    old.run(&storage.files()).unwrap();

    let mut turn = Turn::new(2);
    turn.remove(id);
    storage.write(vec![turn]).unwrap();
    storage.settle().unwrap();
    assert!(matches!(
        old.run(&storage.files()),
        Err(crate::ReadFault::Gone)
    ));
    assert!(
        disk.all()
            .iter()
            .all(|(path, _)| !path.starts_with("groups/"))
    );

    let mut turn = Turn::new(3);
    let settings = Settings {
        segment_bytes: 1000,
        incarnation: 0,
    };
    turn.create(id, settings);
    shard.groups.get_mut(&id).unwrap().log = crate::GroupLog::new(id, settings);
    shard.groups.get_mut(&id).unwrap().batches.clear();
    shard.append_bytes(&mut turn, id, 5, &[9; 7000]);
    storage.write(vec![turn]).unwrap();
    disk.crash(Loss::Power(5));
    let (storage, recovered) = reopen(&disk).unwrap();
    assert_eq!(recovered.groups[0].log.last_index(), RaftIndex(1));
    check_reads(&shard.groups, &storage.files());
}

#[test]
fn starts_in_a_row_take_no_room() {
    let (disk, _) = example(crate::testing::SMALL);
    reopen(&disk).unwrap();
    let files = disk.all();
    for _ in 0..20 {
        reopen(&disk).unwrap();
    }
    assert_eq!(disk.all(), files);
}

#[test]
fn a_log_is_fresh_at_its_first_start_only() {
    let disk = MemDisk::new();
    for fresh in [true, false, false] {
        let (_, recovered) = reopen(&disk).unwrap();
        assert_eq!(recovered.fresh, fresh);
        disk.crash(Loss::Power(3));
    }
    // A first start that didn't come to its end begins it again.
    let disk = MemDisk::new();
    disk.stop_after(6);
    assert!(reopen(&disk).is_err());
    disk.crash(Loss::Process);
    assert!(reopen(&disk).unwrap().1.fresh);
}
