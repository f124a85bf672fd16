//! A data directory as version 1 wrote it. It opens and reads for ever.
//!
//! To make it again while the format is not released:
//! `cargo test -p flotilla-log write_golden -- --ignored`

use super::{checkpoint, example};
use crate::testing::{MemDisk, SMALL, matches};
use crate::{Storage, StorageSettings};
use base::Disk;
use std::path::{Path, PathBuf};

const SETTINGS: StorageSettings = StorageSettings {
    wal_file_bytes: 16 * 1024,
    ..SMALL
};

fn dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/v1")
}

fn load(disk: &MemDisk, at: &Path, prefix: &str) {
    for entry in std::fs::read_dir(at).unwrap() {
        let entry = entry.unwrap();
        let name = format!("{prefix}{}", entry.file_name().to_str().unwrap());
        if entry.file_type().unwrap().is_dir() {
            disk.create_dir(&name).unwrap();
            load(disk, &entry.path(), &format!("{name}/"));
        } else {
            disk.put(&name, &std::fs::read(entry.path()).unwrap());
        }
    }
}

#[test]
fn a_directory_of_version_1_opens() {
    let disk = MemDisk::new();
    load(&disk, &dir(), "");
    // The very steps that made it, made again in memory, say what must be in it.
    let (_, shard) = example(SETTINGS);
    let (storage, recovered) = Storage::open(disk.port(), SETTINGS).unwrap();
    assert!(matches(&shard.groups, &recovered), "{:?}", recovered.report);
    assert_eq!(recovered.blob, "blob");
    for group in shard.groups.values() {
        group.read_back(&storage.files()).unwrap();
    }
}

#[test]
fn what_is_written_now_is_what_version_1_wrote() {
    let (disk, _) = example(SETTINGS);
    for (path, _) in disk.all() {
        let golden = std::fs::read(dir().join(&path)).unwrap_or_else(|e| panic!("{path}: {e}"));
        assert!(
            disk.bytes(&path) == golden,
            "{path} is written differently now"
        );
    }
}

#[test]
#[ignore = "writes the golden files"]
fn write_golden() {
    let (disk, _) = example(SETTINGS);
    for (path, _) in disk.all() {
        let to = dir().join(&path);
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        std::fs::write(to, disk.bytes(&path)).unwrap();
    }
    let _ = checkpoint;
}
