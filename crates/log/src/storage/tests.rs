//! Random lives of a data directory, compared with what was acknowledged.

use crate::testing::{Loss, MemDisk, Shard, check_reads, reopen};
use crate::{Fault, Flush, Storage, Turn};
use base::{Bug, Mark, Random};

/// A life: turns, flushes and idle moments until the machine stops or the plan ends.
fn live(shard: &mut Shard, storage: &mut Storage, rounds: u64) -> Result<(), Fault> {
    let mut flush: Option<Flush> = None;
    for _ in 0..rounds {
        let turns = (0..shard.random.between(1, 3))
            .map(|_| shard.turn())
            .collect();
        storage.write(turns)?;
        shard.acknowledged();
        if shard.random.percent(80) {
            storage.settle()?;
        }
        if shard.random.percent(30) {
            storage.idle()?;
        }
        match flush.take() {
            None => flush = storage.take_flush(),
            Some(mut running) if shard.random.percent(60) => {
                running.run()?;
                storage.flushed(running)?;
            }
            still => flush = still,
        }
    }
    storage.settle()?;
    check_reads(&shard.groups, &storage.files());
    Ok(())
}

fn lives(seed: u64, power: bool) {
    let disk = MemDisk::new();
    disk.sync_at_once(seed % 2 == 1);
    let mut shard = Shard::new(seed);
    let mut chance = Random::new(!seed);
    for _ in 0..12 {
        // Any part of recovery may be cut off as well.
        if chance.percent(40) {
            disk.stop_after(chance.below(40));
        }
        let mut opened = reopen(&disk);
        while disk.stopped() {
            disk.crash(loss(&mut chance, power));
            if chance.percent(50) {
                disk.stop_after(chance.below(40));
            }
            opened = reopen(&disk);
        }
        let (mut storage, recovered) = opened.unwrap_or_else(|e| panic!("seed {seed}: {e}"));
        shard.recover(recovered);
        check_reads(&shard.groups, &storage.files());
        disk.stop_after(chance.below(300));
        let rounds = chance.between(1, 40);
        let ended = live(&mut shard, &mut storage, rounds);
        assert!(ended.is_ok() || disk.stopped(), "seed {seed}: {ended:?}");
        drop(storage);
        disk.crash(loss(&mut chance, power));
    }
}

fn loss(chance: &mut Random, power: bool) -> Loss {
    if power {
        Loss::Power(chance.next())
    } else {
        Loss::Process
    }
}

/// How many lives; more with `FLOTILLA_LOG_SEEDS`.
fn seeds() -> u64 {
    std::env::var("FLOTILLA_LOG_SEEDS")
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(12)
}

/// Every mutation of a decision in this room is noticed by the lives.
#[test]
fn planted_bugs_are_caught() {
    let caught = |bug: Bug| {
        base::probe::plant(Some(bug));
        let life = |seed| std::panic::catch_unwind(|| lives(seed, true)).is_err();
        let caught = (2000..2100).any(life);
        base::probe::plant(None);
        caught
    };
    std::panic::set_hook(Box::new(|_| {}));
    let missed: Vec<Bug> = [
        Bug::VoteNotPersisted,
        Bug::ForgetTruncation,
        Bug::RecycleBeforeSync,
        Bug::UnseededChecksum,
        Bug::CheckpointWithoutVotes,
    ]
    .into_iter()
    .filter(|bug| !caught(*bug))
    .collect();
    let _ = std::panic::take_hook();
    assert!(missed.is_empty(), "not caught: {missed:?}");
}

#[test]
fn what_was_acknowledged_survives_kills() {
    for seed in 0..seeds() {
        lives(seed, false);
    }
    let marks = base::probe::take_marks();
    for mark in [
        Mark::DirectBatch,
        Mark::WalRecycled,
        Mark::Checkpointed,
        Mark::SyncedAtOnce,
        Mark::SegmentRolled,
        Mark::ColdRead,
        Mark::Truncated,
    ] {
        assert!(
            marks.contains_key(&mark),
            "no life has been through {mark:?}"
        );
    }
}

#[test]
fn what_was_acknowledged_survives_power_losses() {
    for seed in 1000..1000 + seeds() {
        lives(seed, true);
    }
    assert!(
        base::probe::take_marks().contains_key(&Mark::TornTail),
        "no write was torn"
    );
}

#[test]
fn batches_settle_at_once_and_sidecars_with_the_flush_that_needs_them() {
    let disk = MemDisk::new();
    let mut shard = Shard::new(1);
    let (mut storage, _) = reopen(&disk).unwrap();
    let mut turn = Turn::new(1);
    shard.create(&mut turn);
    // The second one doesn't fit into the first one's segment, whose block is closed then.
    for value in [1, 2] {
        shard.append_bytes(&mut turn, base::GroupId(0), 1, &[value; 12_000]);
    }
    storage.write(vec![turn]).unwrap();
    let bytes = |ending: &str| disk.bytes(&format!("groups/0/{:020}.{ending}", 0)).len();
    storage.settle().unwrap();
    assert_eq!((bytes("log") > 12_000, bytes("idx")), (true, 0));
    shard.acknowledged();
    check_reads(&shard.groups, &storage.files());
    let mut turn = Turn::new(2);
    shard.checkpoint(&mut turn);
    storage.write(vec![turn]).unwrap();
    storage.settle().unwrap();
    assert_eq!(bytes("idx"), 64);
    let mut flush = storage.take_flush().expect("all is settled");
    flush.run().unwrap();
    shard.acknowledged();
    let (_, recovered) = reopen(&disk.fork()).unwrap();
    assert!(crate::testing::matches(&shard.groups, &recovered));
    assert!(recovered.report.is_empty(), "{:?}", recovered.report);
}

#[test]
fn turns_needn_t_wait_for_all_directories_of_a_large_topic() {
    let disk = MemDisk::new();
    let mut shard = Shard::new(1);
    let (mut storage, _) = reopen(&disk).unwrap();
    let mut turn = Turn::new(1);
    for _ in 0..5 {
        shard.create(&mut turn);
    }
    shard.append_bytes(&mut turn, base::GroupId(4), 1, b"last");
    storage.write(vec![turn]).unwrap();
    assert!(!storage.settle_some().unwrap());
    let mut turn = Turn::new(2);
    shard.append_bytes(&mut turn, base::GroupId(0), 1, b"meanwhile");
    storage.write(vec![turn]).unwrap();
    assert!(!storage.settle_some().unwrap());
    assert!(storage.settle_some().unwrap());
    shard.acknowledged();
    check_reads(&shard.groups, &storage.files());
}
