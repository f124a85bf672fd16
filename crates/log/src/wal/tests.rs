//! Frames, generations, and what tells corruption from a torn tail.

use super::frame::{Encoder, FrameHeader};
use super::header::{FirstSector, Header};
use super::*;
use crate::testing::{Loss, MemDisk, SMALL, Shard, reopen};
use crate::{Storage, StorageSettings, Turn};

fn frame(turn: u64, records: &[crate::Record]) -> Frame {
    let mut encoder = Encoder::default();
    encoder.turn(turn);
    records
        .iter()
        .for_each(|record| encoder.record(record, false));
    encoder.finish().remove(0)
}

fn written(frame: &Frame) -> Vec<u8> {
    let disk = MemDisk::new();
    let file = disk.open("frame", Open::OrCreate).unwrap();
    frame.write_to(&*file, 0).unwrap();
    disk.bytes("frame")
}

#[test]
fn a_frame_is_valid_at_its_own_place_only() {
    let mut shard = Shard::new(1);
    let mut turn = Turn::new(1);
    shard.create(&mut turn);
    let id = base::GroupId(0);
    for len in [10, 3000, 5, 9000, 2100] {
        shard.append_bytes(&mut turn, id, 1, &vec![3; len]);
    }
    let mut frame = frame(1, &turn.records);
    let at = Position {
        generation: 9,
        pos: 1024,
    };
    let synced = Position {
        generation: 9,
        pos: 512,
    };
    frame.seal(at, synced);
    let bytes = written(&frame);
    assert_eq!(bytes.len() as u64, frame.len());
    assert_eq!(bytes.len() as u64 % SECTOR, 0);
    let header = FrameHeader::read(&bytes, at).expect("a frame");
    assert_eq!((header.frame_len(), header.synced), (frame.len(), synced));
    let body = &bytes[frame::FRAME_HEADER..][..header.body_len as usize];
    assert!(
        header.covers(body),
        "the checksum made of parts is that of the whole"
    );
    for other in [
        Position { pos: 1536, ..at },
        Position {
            generation: 8,
            ..at
        },
    ] {
        assert_eq!(FrameHeader::read(&bytes, other), None);
    }
}

#[test]
fn turns_that_are_too_large_for_a_frame_take_several() {
    let mut shard = Shard::new(1);
    let mut turn = Turn::new(1);
    shard.create(&mut turn);
    for _ in 0..6 {
        shard.append_bytes(&mut turn, base::GroupId(0), 1, &vec![3; 3 * 1024 * 1024]);
    }
    let disk = MemDisk::new();
    let settings = StorageSettings {
        direct_batch_bytes: u32::MAX,
        ..SMALL
    };
    let (mut storage, _) = Storage::open(disk.port(), settings).unwrap();
    storage.write(vec![turn]).unwrap();
    storage.settle().unwrap();
    shard.acknowledged();
    disk.crash(Loss::Power(1));
    let (storage, recovered) = Storage::open(disk.port(), settings).unwrap();
    shard.recover(recovered);
    crate::testing::check_reads(&shard.groups, &storage.files());
}

#[test]
fn a_first_sector_belongs_to_its_file() {
    let previous = Position {
        generation: 4,
        pos: 2048,
    };
    let header = Header {
        number: 7,
        generation: 6,
        len: 4096,
        previous,
    };
    let sector = header.encode();
    assert_eq!(sector.len() as u64, SECTOR);
    assert_eq!(FirstSector::read(&sector, 7), FirstSector::Header(header));
    assert_eq!(FirstSector::read(&sector, 8), FirstSector::Damaged);
    assert_eq!(FirstSector::read(&[0; 512], 7), FirstSector::Zeros);
}

/// One synced write, one after it; the disk as it was after each.
fn two_writes() -> (MemDisk, MemDisk, Shard, u64) {
    let disk = MemDisk::new();
    let mut shard = Shard::new(2);
    let (mut storage, _) = reopen(&disk).unwrap();
    let mut turn = Turn::new(1);
    shard.create(&mut turn);
    storage.write(vec![turn]).unwrap();
    let second = storage.wal.active.at.pos;
    let mut turn = Turn::new(2);
    shard.append_bytes(&mut turn, base::GroupId(0), 1, &[5; 2000]);
    storage.write(vec![turn]).unwrap();
    let untold = disk.fork();
    storage.idle().unwrap();
    (untold, disk, shard, second)
}

#[test]
fn the_last_frame_is_a_torn_tail_until_a_marker_tells_that_it_was_synced() {
    let (untold, told, _, second) = two_writes();
    for disk in [&untold, &told] {
        disk.flip("wal/00000001.wal", second as usize + 700, 0);
    }
    let (_, recovered) = reopen(&untold).unwrap();
    assert_eq!(recovered.groups[0].log.last_index(), base::RaftIndex(0));
    match reopen(&told).map(|_| ()) {
        Err(Fault::Corrupt { file, offset, .. }) => {
            assert_eq!((file.as_str(), offset), ("wal/00000001.wal", second));
        }
        other => panic!("{other:?}"),
    }
    base::probe::plant(Some(Bug::CorruptionAsTail));
    let cut = reopen(&told).is_ok();
    base::probe::plant(None);
    assert!(cut, "the planted bug cuts it off");
}

/// A write that went astray: the sectors lie at another place, and where they belong is what was
/// there before.
fn lead_astray(disk: &MemDisk, from: u64, upto: u64, to: u64) {
    let mut bytes = disk.bytes("wal/00000001.wal");
    let frame = bytes[from as usize..upto as usize].to_vec();
    bytes[from as usize..upto as usize].fill(0);
    bytes[to as usize..to as usize + frame.len()].copy_from_slice(&frame);
    disk.put("wal/00000001.wal", &bytes);
}

/// A batch with this value, and a checkpoint that covers it.
fn covered(value: &[u8]) -> (MemDisk, Storage, Shard) {
    let disk = MemDisk::new();
    let mut shard = Shard::new(2);
    let (mut storage, _) = reopen(&disk).unwrap();
    let mut turn = Turn::new(1);
    shard.create(&mut turn);
    shard.append_bytes(&mut turn, base::GroupId(0), 1, value);
    storage.write(vec![turn]).unwrap();
    storage.settle().unwrap();
    let mut turn = Turn::new(2);
    shard.checkpoint(&mut turn);
    storage.write(vec![turn]).unwrap();
    let mut flush = storage.take_flush().unwrap();
    flush.run().unwrap();
    storage.flushed(flush).unwrap();
    shard.acknowledged();
    (disk, storage, shard)
}

#[test]
fn a_last_frame_that_went_astray_is_no_torn_tail() {
    let (disk, mut storage, mut shard) = covered(&[4; 4000]);
    let from = storage.wal.active.at.pos;
    let mut turn = Turn::new(3);
    shard.append_bytes(&mut turn, base::GroupId(0), 1, &[5; 2000]);
    storage.write(vec![turn]).unwrap();
    let upto = storage.wal.active.at.pos;
    // Over the first frame, which the checkpoint covers; inside it; far beyond.
    for to in [SECTOR, 2 * SECTOR, upto + 3 * SECTOR] {
        let disk = disk.fork();
        lead_astray(&disk, from, upto, to);
        match reopen(&disk).map(|_| ()) {
            Err(fault @ Fault::Corrupt { .. }) => {
                let said = fault.to_string();
                let named = format!("wal/00000001.wal is corrupt at byte {from}");
                let place = format!("lies at byte {to}");
                assert!(said.contains(&named) && said.contains(&place), "{said}");
            }
            other => panic!("{to}: {other:?}"),
        }
    }
}

#[test]
fn records_that_look_like_a_frame_are_records() {
    let log = |disk: &MemDisk| disk.bytes("wal/00000001.wal");
    let mut value = vec![0xab; 3000];
    let (disk, storage, _) = covered(&value);
    let end = storage.wal.active.at;
    // A value that has, at the beginning of a sector, a frame for the place where the log ends.
    let first = log(&disk).windows(8).position(|bytes| bytes == [0xab; 8]);
    let first = first.unwrap();
    let sector = (first + 1).next_multiple_of(SECTOR as usize);
    let mut lure = Frame::marker();
    lure.seal(end, Position::default());
    let lure = &written(&lure)[..frame::FRAME_HEADER];
    value[sector - first..][..lure.len()].copy_from_slice(lure);

    let (disk, storage, mut shard) = covered(&value);
    assert_eq!(storage.wal.active.at, end);
    assert!(FrameHeader::read(&log(&disk)[sector..], end).is_some());
    let (_, recovered) = reopen(&disk).unwrap();
    shard.recover(recovered);
}

#[test]
fn a_header_that_went_astray_is_missed() {
    let disk = MemDisk::new();
    let mut shard = Shard::new(2);
    let (mut storage, _) = reopen(&disk).unwrap();
    let mut turn = Turn::new(1);
    shard.create(&mut turn);
    storage.write(vec![turn]).unwrap();
    // The write that goes on in the next file is the last one: no frame knows it to be synced.
    let mut number = 2;
    while storage.wal.active.number == 1 {
        let mut turn = Turn::new(number);
        number += 1;
        shard.append_bytes(&mut turn, base::GroupId(0), 1, &[5; 3000]);
        storage.write(vec![turn]).unwrap();
    }
    let path = path(storage.wal.active.number);
    let torn = disk.fork();
    let mut bytes = torn.bytes(&path);
    let header = bytes[..SECTOR as usize].to_vec();
    bytes[..SECTOR as usize].fill(0);
    torn.put(&path, &bytes);
    assert!(reopen(&torn).is_ok(), "the power was lost before the sync");
    let at = bytes.len() - SECTOR as usize;
    bytes[at..].copy_from_slice(&header);
    disk.put(&path, &bytes);
    match reopen(&disk).map(|_| ()) {
        Err(Fault::Corrupt { file, offset, .. }) => assert_eq!((file, offset), (path, 0)),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_marker_is_written_once_and_a_new_file_seals_the_old() {
    let disk = MemDisk::new();
    let mut shard = Shard::new(2);
    let (mut storage, _) = reopen(&disk).unwrap();
    let turn = Turn {
        checkpoint: None,
        ..shard.turn()
    };
    storage.write(vec![turn]).unwrap();
    storage.idle().unwrap();
    let at = storage.wal.active.at;
    storage.idle().unwrap();
    assert_eq!(storage.wal.active.at, at, "nothing new to tell");
    while storage.wal.sealed.is_empty() {
        let turn = Turn {
            checkpoint: None,
            ..shard.turn()
        };
        storage.write(vec![turn]).unwrap();
        storage.idle().unwrap();
    }
    assert!(storage.wants_checkpoint());
    // The marker was not synced of its own; the switch made it so.
    shard.acknowledged();
    disk.crash(Loss::Power(77));
    let (_, recovered) = reopen(&disk).unwrap();
    shard.recover(recovered);
}

#[test]
fn frames_of_a_recycled_file_are_never_read_again() {
    let disk = MemDisk::new();
    let (mut storage, _) = reopen(&disk).unwrap();
    let mut shard = Shard::new(4);
    let mut first = Turn::new(1);
    shard.create(&mut first);
    storage.write(vec![first]).unwrap();
    let mut number = 2;
    let mut seen = std::collections::BTreeSet::new();
    // The same frame size all along, so that old frames lie exactly after new ones.
    for _ in 0..400 {
        let mut turn = Turn::new(number);
        number += 1;
        let state = crate::HardState {
            commit: base::RaftIndex(0),
            ..Default::default()
        };
        turn.state(base::GroupId(0), state);
        if number % 40 == 0 {
            shard.checkpoint(&mut turn);
        }
        storage.write(vec![turn]).unwrap();
        storage.settle().unwrap();
        if let Some(mut flush) = storage.take_flush() {
            flush.run().unwrap();
            storage.flushed(flush).unwrap();
        }
        seen.insert((storage.wal.active.number, storage.wal.active.at.generation));
        let (_, recovered) = reopen(&disk.fork()).unwrap();
        assert_eq!(recovered.next_turn, number, "all turns, and no other");
    }
    let files: std::collections::BTreeSet<u64> = seen.iter().map(|(number, _)| *number).collect();
    assert!(seen.len() > files.len(), "a file had several generations");
    assert!(
        disk.all()
            .iter()
            .filter(|(path, _)| path.ends_with(".wal"))
            .count()
            <= 5
    );
}

#[test]
fn a_file_made_ahead_leaves_nothing_behind_when_the_disk_is_full() {
    let logs = |disk: &MemDisk| {
        let all = disk.all().into_iter();
        all.filter(|(path, _)| path.ends_with(".wal")).count()
    };
    let mut left_out = 0;
    for writes in 0.. {
        let disk = MemDisk::new();
        let mut shard = Shard::new(2);
        let (mut storage, _) = reopen(&disk).unwrap();
        let mut turn = Turn::new(1);
        shard.create(&mut turn);
        shard.checkpoint(&mut turn);
        storage.write(vec![turn]).unwrap();
        storage.settle().unwrap();
        let mut flush = storage.take_flush().unwrap();
        assert!(flush.prepare.is_some());
        let before = logs(&disk);
        disk.full_after(Some(writes));
        if flush.run().is_err() {
            continue;
        }
        if flush.prepared {
            break;
        }
        assert_eq!(logs(&disk), before);
        left_out += 1;
    }
    assert_eq!(left_out, 2, "its name, then its zeros had no room");
}

/// A vote for nobody is written as 0.
#[test]
fn a_vote_for_node_0_is_a_vote() {
    let disk = MemDisk::new();
    let (mut storage, _) = reopen(&disk).unwrap();
    let mut shard = Shard::new(5);
    let mut turn = Turn::new(1);
    shard.create(&mut turn);
    let state = crate::HardState {
        term: base::Term(2),
        vote: Some(base::NodeId(0)),
        commit: base::RaftIndex(0),
    };
    turn.state(base::GroupId(0), state);
    storage.write(vec![turn]).unwrap();
    drop(storage);
    let (mut storage, recovered) = reopen(&disk).unwrap();
    assert_eq!(recovered.groups[0].state, state);
    let mut turn = Turn::new(recovered.next_turn);
    let group = &recovered.groups[0];
    let part = (
        &group.log,
        group.state,
        Default::default(),
        base::RaftIndex(0),
    );
    turn.checkpoint = Some(crate::checkpoint([part].into_iter(), b""));
    storage.write(vec![turn]).unwrap();
    storage.settle().unwrap();
    let mut flush = storage.take_flush().expect("there is a checkpoint");
    flush.run().unwrap();
    storage.flushed(flush).unwrap();
    drop(storage);
    let (_, recovered) = reopen(&disk).unwrap();
    assert_eq!(recovered.groups[0].state, state);
}

/// The header that found no room may have got there all the same.
#[test]
fn a_file_that_was_to_be_next_stays_so_when_others_go_free_meanwhile() {
    let disk = MemDisk::new();
    let (mut storage, _) = reopen(&disk).unwrap();
    let wal = &mut storage.wal;
    let len = wal.active.len;
    let (next, larger) = (
        Free { number: 7, len },
        Free {
            number: 8,
            len: 2 * len,
        },
    );
    for free in [next, larger] {
        create(&disk, free).unwrap();
    }
    wal.free = vec![next];
    while wal.active.at.pos + SECTOR <= len {
        wal.write(&mut Frame::marker()).unwrap();
    }
    disk.full_after(Some(0));
    let full = wal.write(&mut Frame::marker());
    assert!(matches!(full, Err(Fault::Full { .. })), "{full:?}");
    disk.full_after(None);
    wal.free.push(larger);
    wal.recycle(Position::default()).unwrap();
    wal.write(&mut Frame::marker()).unwrap();
    assert_eq!(wal.active.number, next.number);
    assert_eq!(wal.free.len(), 1, "the other one");
}
