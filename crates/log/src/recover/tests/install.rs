//! Logs that begin anew after a leader's snapshot, and crashes at every step of it.

use super::{checkpoint, filled, try_checkpoint};
use crate::testing::{Loss, MemDisk, SMALL, Shard, check_reads, matches, reopen};
use crate::{Origin, Storage, TermRun, Turn};
use base::{GroupId, Offset, RaftIndex, Term};
use bytes::Bytes;

const ID: GroupId = GroupId(0);

/// Five segments, the records of three of them committed, all in a checkpoint.
fn a_tail() -> (MemDisk, Shard, Storage) {
    filled(10, 6)
}

/// Another leader's log takes the place of it, whose next segment is called like one of the tail.
fn begin_anew(shard: &mut Shard, turn: &mut Turn) {
    let group = shard.groups.get_mut(&ID).unwrap();
    let taken = Offset(8);
    assert!(
        group
            .batches
            .values()
            .any(|b| b.header().base_offset == taken)
    );
    group.state.term = Term(4);
    let run = TermRun {
        term: Term(4),
        index: RaftIndex(7),
        offset: Offset(6),
    };
    let origin = Origin {
        index: RaftIndex(20),
        start_offset: taken,
        next_offset: taken,
        terms: vec![run],
    };
    let (app, as_of) = (Bytes::from_static(b"app"), RaftIndex(23));
    group.log.install(turn, origin, None, app, as_of);
    group.batches.clear();
    shard.states.push(shard.groups.clone());
    for byte in 20..23 {
        shard.append_bytes(turn, ID, 5, &[byte; 5_000]);
        shard.states.push(shard.groups.clone());
    }
}

#[test]
fn the_old_log_is_there_until_the_new_one_is() {
    let mut seen = [false; 2];
    for step in 0.. {
        for loss in [Loss::Process, Loss::Power(step)] {
            let (disk, mut shard, mut storage) = a_tail();
            let mut turn = Turn::new(shard.next_turn);
            shard.next_turn += 1;
            begin_anew(&mut shard, &mut turn);
            disk.stop_after(step);
            let written = storage.write(vec![turn]);
            let mut whole = false;
            if written.is_ok() {
                shard.acknowledged();
                whole =
                    storage.settle().is_ok() && try_checkpoint(&mut shard, &mut storage).is_ok();
            }
            disk.crash(loss);
            let (storage, recovered) = reopen(&disk).unwrap_or_else(|e| panic!("{step}: {e}"));
            let anew = recovered.groups[0].log.first_index() > RaftIndex(1);
            seen[usize::from(anew)] = true;
            if anew {
                assert_eq!(recovered.groups[0].app, "app");
                // As of the record, or of the checkpoint after it.
                assert!([23, 20].contains(&recovered.groups[0].app_index.0));
            }
            shard.recover(recovered);
            check_reads(&shard.groups, &storage.files());
            if whole && loss != Loss::Process {
                assert_eq!(seen, [true; 2]);
                return;
            }
        }
    }
}

#[test]
fn the_files_of_the_old_log_go_with_the_next_checkpoint() {
    let (disk, mut shard, mut storage) = a_tail();
    let names = |disk: &MemDisk| disk.port().list("groups/0").unwrap().len();
    let before = names(&disk);
    let mut turn = Turn::new(shard.next_turn);
    shard.next_turn += 1;
    begin_anew(&mut shard, &mut turn);
    storage.write(vec![turn]).unwrap();
    storage.settle().unwrap();
    assert!(names(&disk) >= before, "a start would still look for them");
    assert!(storage.wants_checkpoint());
    checkpoint(&mut shard, &mut storage);
    shard.acknowledged();
    drop(storage);
    let (storage, recovered) = Storage::open(disk.port(), SMALL).unwrap();
    assert!(matches(&shard.groups, &recovered), "{:?}", recovered.report);
    check_reads(&shard.groups, &storage.files());
    let left = disk.all().into_iter().map(|(path, _)| path);
    let left: Vec<_> = left.filter(|path| path.ends_with(".log")).collect();
    let base = format!("groups/0/{:020}.log", 8);
    assert_eq!(left, [base]);
}
