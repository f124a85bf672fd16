//! Bits turned over, files cut short or taken away: reported, or without any effect.

use super::{example, example_of};
use crate::testing::{MemDisk, SMALL, Shard, matches};
use crate::wal::header::FirstSector;
use crate::{Fault, ReadFault, Storage, StorageSettings};
use base::{Disk, RaftIndex, Random, Term};

/// Small files: there is a flip for every byte.
const TINY: StorageSettings = StorageSettings {
    wal_file_bytes: 24 * 1024,
    ..SMALL
};

#[derive(Debug, PartialEq)]
enum Seen {
    Reported,
    Harmless,
}

/// Opens a damaged directory and reads everything. Panics if anything wrong is served, anything
/// is missing without a word, or a report doesn't name the file.
fn open_damaged(disk: &MemDisk, shard: &Shard, path: &str) -> Seen {
    let (storage, recovered) = match Storage::open(disk.port(), TINY) {
        Err(Fault::NewerFormat { .. }) => return Seen::Reported,
        Err(fault @ Fault::Corrupt { .. }) => {
            let said = fault.to_string();
            let named = said.contains(path) || said.contains(path.split('/').next().unwrap());
            assert!(named, "{said} doesn't name {path}");
            return Seen::Reported;
        }
        Err(fault) => panic!("{path}: {fault}"),
        Ok(opened) => opened,
    };
    let suspect = recovered.groups.iter().any(|group| group.suspect.is_some());
    assert!(
        suspect || matches(&shard.groups, &recovered),
        "{path}: something else was recovered, {:?}",
        recovered.report
    );
    let mut seen = if recovered.report.is_empty() {
        Seen::Harmless
    } else {
        Seen::Reported
    };
    if seen == Seen::Reported {
        let named = recovered.report.iter().any(|line| line.contains(path));
        assert!(named, "{:?} doesn't name {path}", recovered.report);
    }
    for found in &recovered.groups {
        let mut known = shard.groups[&found.log.group()].clone();
        known.log = found.log.clone();
        match known.read_back(&storage.files()) {
            Ok(()) => assert!(found.suspect.is_none(), "{path}: suspected without reason"),
            Err(ReadFault::Corrupt { file, .. }) => {
                assert!(
                    file == path || path.ends_with("idx"),
                    "{file} instead of {path}"
                );
                seen = Seen::Reported;
            }
            Err(fault) => panic!("{path}: {fault}"),
        }
    }
    seen
}

/// Which bytes are turned over: all of them with `FLOTILLA_LOG_EVERY_BYTE`, else a sample that
/// is dense where each byte means something of its own.
fn chosen(path: &str, bytes: &[u8]) -> Vec<usize> {
    let every = std::env::var_os("FLOTILLA_LOG_EVERY_BYTE").is_some();
    let stride = match path.rsplit('.').next() {
        _ if every => 1,
        Some("log") => 397,
        Some("idx") => 5,
        _ => 7,
    };
    // What was never written, and the insides of batches, are all alike.
    let dull = |byte: usize| {
        let around = &bytes[byte.saturating_sub(40)..(byte + 40).min(bytes.len())];
        around.windows(2).all(|pair| pair[0] == pair[1])
    };
    (0..bytes.len())
        .step_by(stride)
        .filter(|byte| every || !dull(*byte) || byte % 67 == 0)
        .collect()
}

#[test]
fn a_bit_turned_over_anywhere_is_reported_or_harmless() {
    let (disk, shard) = example(TINY);
    assert_eq!(
        open_damaged(&disk.fork(), &shard, "nothing"),
        Seen::Harmless
    );
    let mut reported = 0;
    for (path, _) in disk.all() {
        for byte in chosen(&path, &disk.bytes(&path)) {
            let disk = disk.fork();
            disk.flip(&path, byte, (byte % 8) as u8);
            reported += u32::from(open_damaged(&disk, &shard, &path) == Seen::Reported);
        }
    }
    assert!(reported > 1000, "only {reported} flips were found");
}

#[test]
fn a_write_that_went_elsewhere_is_reported_where_it_landed() {
    let (disk, shard) = example_of(TINY, 1);
    let mut random = Random::new(3);
    let all: Vec<(String, usize)> = disk
        .all()
        .into_iter()
        .filter(|(_, len)| *len >= 1024)
        .collect();
    let mut reported = 0;
    for _ in 0..300 {
        let (from, from_len) = &all[random.below(all.len() as u64) as usize];
        let (to, to_len) = &all[random.below(all.len() as u64) as usize];
        let sector =
            |random: &mut Random, len: usize| random.below(len as u64 / 512) as usize * 512;
        let source = sector(&mut random, *from_len);
        let target = sector(&mut random, *to_len);
        let disk = disk.fork();
        let mut bytes = disk.bytes(to);
        let landed = disk.bytes(from)[source..source + 512].to_vec();
        bytes[target..target + 512].copy_from_slice(&landed);
        disk.put(to, &bytes);
        reported += u32::from(open_damaged(&disk, &shard, to) == Seen::Reported);
    }
    assert!(reported > 100, "only {reported} were found");
}

#[test]
fn a_damaged_sidecar_is_made_again_from_its_segment() {
    let disk = MemDisk::new();
    let mut shard = Shard::new(1);
    let (mut storage, _) = Storage::open(disk.port(), TINY).unwrap();
    let id = base::GroupId(0);
    let mut turn = crate::Turn::new(1);
    shard.create(&mut turn);
    for len in [900, 4000, 7000, 7000, 3000, 500] {
        shard.append_bytes(&mut turn, id, 1, &vec![len as u8; len]);
    }
    let log = &mut shard.groups.get_mut(&id).unwrap().log;
    log.commit(&mut crate::Turn::new(0), log.last_index());
    storage.write(vec![turn]).unwrap();
    storage.settle().unwrap();
    shard.next_turn = 2;
    super::checkpoint(&mut shard, &mut storage);
    let path = "groups/0/00000000000000000000.idx";
    disk.flip(path, 9, 1);
    for start in 0..2 {
        let (storage, recovered) = Storage::open(disk.port(), TINY).unwrap();
        assert_eq!(recovered.groups[0].suspect, None);
        assert_eq!(recovered.report.len(), 1 - start, "said once, then mended");
        assert!(recovered.report.iter().all(|line| line.contains(path)));
        crate::testing::check_reads(&shard.groups, &storage.files());
    }
    // With the segment damaged as well there is nothing to make it from.
    disk.flip(path, 9, 1);
    disk.flip("groups/0/00000000000000000000.log", 3000, 1);
    let (storage, recovered) = Storage::open(disk.port(), TINY).unwrap();
    let group = &recovered.groups[0];
    assert!(group.suspect.as_ref().unwrap().contains(path));
    assert_eq!(group.log.last_index(), shard.groups[&id].log.last_index());
    let read = |from, upto| {
        let plan = group
            .log
            .plan_read(base::Offset(from), base::Offset(upto), u32::MAX);
        plan.run(&storage.files(), true)
    };
    match read(0, 6) {
        // Not tried: it would be read whole, and may be as long as a segment can be.
        Err(ReadFault::Corrupt { what, .. }) => assert!(what.contains("sidecar"), "{what}"),
        other => panic!("{other:?}"),
    }
    assert!(
        !read(4, 6).unwrap().unwrap().is_empty(),
        "other segments are fine"
    );
}

/// The no-op of a term that is cut off again closes a block, which then goes on in its old term.
#[test]
fn a_block_that_was_opened_again_is_not_taken_for_a_damaged_sidecar() {
    let disk = MemDisk::new();
    let mut shard = Shard::new(1);
    let (mut storage, _) = Storage::open(disk.port(), TINY).unwrap();
    let id = base::GroupId(0);
    let mut turn = crate::Turn::new(1);
    shard.create(&mut turn);
    shard.append_bytes(&mut turn, id, 1, &[1; 300]);
    let log = &mut shard.groups.get_mut(&id).unwrap().log;
    log.commit(&mut crate::Turn::new(0), log.last_index());
    log.append_internal(&mut turn, RaftIndex(2), Term(5), "no-op".into());
    storage.write(vec![turn]).unwrap();
    storage.settle().unwrap();
    shard.next_turn = 2;
    super::checkpoint(&mut shard, &mut storage);
    let mut turn = crate::Turn::new(shard.next_turn);
    let log = &mut shard.groups.get_mut(&id).unwrap().log;
    log.truncate(&mut turn, RaftIndex(2));
    shard.append_bytes(&mut turn, id, 1, &[2; 300]);
    let log = &mut shard.groups.get_mut(&id).unwrap().log;
    log.append_internal(&mut turn, RaftIndex(3), Term(6), "no-op".into());
    storage.write(vec![turn]).unwrap();
    storage.settle().unwrap();
    let (storage, recovered) = Storage::open(disk.port(), TINY).unwrap();
    assert_eq!(recovered.report, [""; 0]);
    assert_eq!(recovered.groups[0].suspect, None);
    crate::testing::check_reads(&shard.groups, &storage.files());
}

#[test]
fn a_damaged_direct_batch_makes_its_group_suspect() {
    let disk = MemDisk::new();
    let mut shard = Shard::new(1);
    let (mut storage, _) = Storage::open(disk.port(), TINY).unwrap();
    let mut turn = crate::Turn::new(1);
    shard.create(&mut turn);
    shard.create(&mut turn);
    for id in [0, 1] {
        shard.append_bytes(&mut turn, base::GroupId(id), 1, &[4; 8000]);
    }
    storage.write(vec![turn]).unwrap();
    let path = "groups/1/00000000000000000000.log";
    disk.flip(path, 4000, 1);
    let (_, recovered) = Storage::open(disk.port(), TINY).unwrap();
    assert_eq!(recovered.groups[0].suspect, None);
    let said = recovered.groups[1].suspect.as_ref().expect("it is damaged");
    assert!(
        said.contains(path) && said.contains("byte 0") && said.contains("made again"),
        "{said}"
    );
}

#[test]
fn files_cut_short_or_taken_away_are_reported() {
    let (disk, shard) = example_of(TINY, 1);
    let all = disk.all();
    let logs = all.iter().filter(|(path, _)| path.ends_with(".wal"));
    let generation = |path: &str| {
        let number: u64 = path[4..12].parse().unwrap();
        match FirstSector::read(&disk.bytes(path)[..512], number) {
            FirstSector::Header(header) => header.generation,
            _ => 0,
        }
    };
    let last = logs
        .max_by_key(|(path, _)| generation(path))
        .unwrap()
        .0
        .clone();
    let mut reported = 0;
    for (path, len) in all {
        // Nothing but its own frames tells of the latest file.
        if path != last {
            let gone = disk.fork();
            gone.remove(&path).unwrap();
            reported += u32::from(open_damaged(&gone, &shard, &path) == Seen::Reported);
        }
        let short = disk.fork();
        let file = short.open(&path, base::Open::Existing).unwrap();
        file.set_len(len as u64 / 2).unwrap();
        reported += u32::from(open_damaged(&short, &shard, &path) == Seen::Reported);
    }
    assert!(reported > 20, "only {reported} losses were found");
}

#[test]
fn an_existing_directory_without_its_format_is_refused() {
    let (disk, _) = example(TINY);
    disk.remove("FORMAT").unwrap();
    let opened = Storage::open(disk.port(), TINY).map(|_| ());
    assert!(matches!(opened, Err(Fault::Corrupt { .. })), "{opened:?}");
    disk.put("FORMAT", b"flotilla data directory, format 2\n");
    let opened = Storage::open(disk.port(), TINY).map(|_| ());
    assert!(
        matches!(opened, Err(Fault::NewerFormat { found: 2, known: 1 })),
        "{opened:?}"
    );
}
