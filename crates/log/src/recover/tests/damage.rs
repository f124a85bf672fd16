//! Bits turned over, files cut short or taken away: reported, or without any effect.

use super::example;
use crate::testing::{MemDisk, SMALL, Shard, matches};
use crate::{Fault, ReadFault, Storage, StorageSettings};
use base::Disk;

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
fn files_cut_short_or_taken_away_are_reported() {
    let (disk, shard) = example(TINY);
    let all = disk.all();
    let last = all
        .iter()
        .rfind(|(path, _)| path.ends_with(".wal"))
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
