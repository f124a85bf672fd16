//! Data directories as each version wrote them. They open and read for ever.
//!
//! To make it again while the format is not released:
//! `cargo test -p flotilla-log write_golden -- --ignored`

use super::example_of;
use crate::rewrite::tests::Keyed;
use crate::testing::{MemDisk, SMALL, matches};
use crate::{Storage, StorageSettings};
use base::Disk;
use std::path::{Path, PathBuf};

const SETTINGS: StorageSettings = StorageSettings {
    wal_file_bytes: 16 * 1024,
    ..SMALL
};

fn dir(version: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("testdata")
        .join(version)
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

/// The very steps that made a directory, made again in memory, say what must be in it.
fn opens(version: u32) {
    let disk = MemDisk::new();
    load(&disk, &dir(&format!("v{version}")), "");
    let (_, shard) = example_of(SETTINGS, version);
    let (storage, recovered) = Storage::open(disk.port(), SETTINGS).unwrap();
    assert!(matches(&shard.groups, &recovered), "{:?}", recovered.report);
    assert_eq!(recovered.blob, "blob");
    for group in shard.groups.values() {
        group.read_back(&storage.files()).unwrap();
    }
    let moved = |group: &crate::RecoveredGroup| group.log.first_index() > base::RaftIndex(1);
    assert_eq!(recovered.groups.iter().any(moved), version >= 2);
    let again = |group: &crate::RecoveredGroup| group.log.settings().incarnation > 0;
    assert_eq!(recovered.groups.iter().any(again), version >= 4);
}

#[test]
fn a_directory_of_version_1_opens() {
    opens(1);
}

/// Its checkpoint says where logs begin.
#[test]
fn a_directory_of_version_2_opens() {
    opens(2);
}

#[test]
fn a_directory_of_version_3_opens() {
    opens(3);
}

/// Its replicas have incarnations, in the checkpoint and after it.
#[test]
fn a_directory_of_version_4_opens() {
    opens(4);
}

/// Its checkpoint names segments that a rewrite made.
#[test]
fn a_compacted_directory_opens() {
    for version in ["v3-compacted", "v4-compacted"] {
        let disk = MemDisk::new();
        load(&disk, &dir(version), "");
        compacted().opens_as(&disk);
    }
}

/// A log that was compacted twice, and has gone on since.
fn compacted() -> Keyed {
    let mut keyed = Keyed::new(1);
    for _ in 0..2 {
        keyed.append(60);
        keyed.compact();
    }
    keyed.checkpoint().unwrap();
    keyed.append(5);
    keyed
}

#[test]
fn what_is_written_now_is_what_version_4_wrote() {
    let (disk, _) = example_of(SETTINGS, 4);
    is_as_written(&disk, "v4");
    is_as_written(&compacted().disk, "v4-compacted");
}

fn is_as_written(disk: &MemDisk, version: &str) {
    for (path, _) in disk.all() {
        let written = disk.bytes(&path);
        if written.is_empty() {
            // Made ahead of need.
            continue;
        }
        let golden = dir(version).join(&path);
        let golden = std::fs::read(golden).unwrap_or_else(|e| panic!("{path}: {e}"));
        // The rest of a sidecar waits for the next checkpoint.
        let same = written == golden || path.ends_with(".idx") && golden.starts_with(&written);
        assert!(same, "{path} is written differently now");
    }
}

#[test]
#[ignore = "writes the golden files"]
fn write_golden() {
    let (disk, _) = example_of(SETTINGS, 4);
    write(&disk, "v4");
    write(&compacted().disk, "v4-compacted");
}

fn write(disk: &MemDisk, version: &str) {
    for (path, _) in disk.all() {
        let to = dir(version).join(&path);
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        std::fs::write(to, disk.bytes(&path)).unwrap();
    }
}
