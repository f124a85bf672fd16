//! Any bytes at all in the place of our files: no panic, bounded memory.

use super::example;
use crate::testing::{MemDisk, SMALL, reopen};
use base::Random;

#[test]
fn garbage_in_any_file_never_panics() {
    let (disk, _) = example(SMALL);
    let mut random = Random::new(42);
    for _ in 0..150 {
        let disk = disk.fork();
        let all = disk.all();
        for _ in 0..random.between(1, 3) {
            let (path, len) = &all[random.below(all.len() as u64) as usize];
            let mut bytes = disk.bytes(path);
            spoil(&mut bytes, &mut random);
            if random.percent(20) {
                bytes.truncate(random.below(*len as u64 + 1) as usize);
            }
            disk.put(path, &bytes);
        }
        if let Ok((storage, recovered)) = reopen(&disk) {
            for group in recovered.groups {
                let last = group.log.last_index();
                let plan = group.log.plan_entries(base::RaftIndex(1), last, u64::MAX);
                let _ = plan.run(&storage.files());
            }
        }
    }
}

/// Overwrites a run with random bytes, or with a run from elsewhere in the file.
fn spoil(bytes: &mut [u8], random: &mut Random) {
    if bytes.is_empty() {
        return;
    }
    let len = random.between(1, 600).min(bytes.len() as u64) as usize;
    let at = random.below((bytes.len() - len) as u64 + 1) as usize;
    if random.percent(50) {
        bytes[at..at + len]
            .iter_mut()
            .for_each(|byte| *byte = random.next() as u8);
    } else {
        let from = random.below((bytes.len() - len) as u64 + 1) as usize;
        bytes.copy_within(from..from + len, at);
    }
}

#[test]
fn records_with_valid_checksums_and_wild_fields_are_refused() {
    use crate::wal::record;
    let mut random = Random::new(7);
    for _ in 0..20_000 {
        let len = random.below(120) as usize;
        let mut bytes: Vec<u8> = (0..len).map(|_| random.next() as u8).collect();
        if let Some(kind) = bytes.first_mut() {
            *kind = random.below(10) as u8;
        }
        let _ = record::read_all(&bytes.into());
    }
}

#[test]
fn a_checkpoint_with_wild_fields_is_refused_without_reserving_for_them() {
    let (disk, shard) = example(SMALL);
    let groups = shard.groups.values().map(|group| {
        (
            &group.log,
            group.state,
            Default::default(),
            group.log.committed(),
        )
    });
    let body = crate::checkpoint(groups, b"blob");
    let whole = disk.bytes("checkpoint");
    let mut random = Random::new(11);
    for _ in 0..400 {
        let mut body = body.to_vec();
        spoil_few(&mut body, &mut random);
        let start = crate::wal::Position {
            generation: 1,
            pos: 512,
        };
        let checkpoint = crate::checkpoint::Checkpoint::new(u64::MAX / 2, start, body.into());
        let disk: MemDisk = disk.fork();
        crate::checkpoint::replace(&*disk.port(), &checkpoint).unwrap();
        let _ = reopen(&disk);
    }
    assert_eq!(disk.bytes("checkpoint"), whole);
}

fn spoil_few(bytes: &mut [u8], random: &mut Random) {
    for _ in 0..random.between(1, 4) {
        let at = random.below(bytes.len() as u64) as usize;
        bytes[at] = [0, 1, 0x7f, 0x80, 0xff, random.next() as u8][random.below(6) as usize];
    }
}
