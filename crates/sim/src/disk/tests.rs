use super::{Fails, SECTOR, SimDisk};
use base::{Disk, Open, Random};
use std::io::ErrorKind;

fn disk(seed: u64) -> SimDisk {
    SimDisk::new(Random::new(seed)).boot()
}

fn durable_file(disk: &SimDisk, path: &str, bytes: &[u8]) {
    let file = disk.open(path, Open::OrCreate).unwrap();
    file.write_at(&[bytes], 0).unwrap();
    file.sync_data().unwrap();
    disk.sync_dir("").unwrap();
}

/// What a hundred seeds leave of the same deeds.
fn outcomes(deeds: impl Fn(&SimDisk)) -> Vec<Option<Vec<u8>>> {
    let left = |seed| {
        let disk = disk(seed);
        deeds(&disk);
        disk.power_loss();
        disk.peek("a")
    };
    (0..100).map(left).collect()
}

#[test]
fn synced_data_and_names_survive_a_power_loss() {
    for left in outcomes(|disk| durable_file(disk, "a", &[7; 2000])) {
        assert_eq!(left, Some(vec![7; 2000]));
    }
}

#[test]
fn what_lies_below_a_directory_that_was_synced_whole_survives() {
    let mut synced = 0;
    for seed in 0..100 {
        let disk = disk(seed);
        disk.create_dir("all/of").unwrap();
        disk.sync_dir("").unwrap();
        for path in ["all/of/it", "alone"] {
            let file = disk.open(path, Open::OrCreate).unwrap();
            file.write_at(&[&[7; 2000]], 0).unwrap();
        }
        let done = disk.sync_below("all", 3).unwrap();
        disk.power_loss();
        if done {
            synced += 1;
            assert_eq!(disk.peek("all/of/it"), Some(vec![7; 2000]), "{seed}");
        }
    }
    assert!((20..80).contains(&synced), "{synced} of 100");
}

#[test]
fn unsynced_sectors_are_old_or_new_each_by_itself() {
    let all = outcomes(|disk| {
        durable_file(disk, "a", &[1; 4 * SECTOR]);
        disk.open("a", Open::Existing)
            .unwrap()
            .write_at(&[&[2; 4 * SECTOR]], 0)
            .unwrap();
    });
    let all: Vec<Vec<u8>> = all.into_iter().map(Option::unwrap).collect();
    for left in &all {
        for sector in left.chunks(SECTOR) {
            assert!(
                sector.iter().all(|byte| *byte == sector[0]),
                "a torn sector"
            );
        }
    }
    assert!(all.iter().any(|left| left.iter().all(|byte| *byte == 1)));
    assert!(all.iter().any(|left| left.iter().all(|byte| *byte == 2)));
    let torn = |left: &&Vec<u8>| left[0] == 1 && left[3 * SECTOR] == 2;
    assert!(all.iter().any(|left| torn(&left)), "never out of order");
}

#[test]
fn an_unsynced_length_may_be_old_new_or_between() {
    let all = outcomes(|disk| {
        durable_file(disk, "a", &[1; 100]);
        disk.open("a", Open::Existing)
            .unwrap()
            .write_at(&[&[2; 5000]], 100)
            .unwrap();
    });
    let lens: Vec<usize> = all.into_iter().map(|left| left.unwrap().len()).collect();
    assert!(lens.contains(&100) && lens.contains(&5100));
    assert!(lens.iter().any(|len| *len > 100 && *len < 5100));
}

#[test]
fn an_unsynced_cut_may_come_back_with_the_old_bytes() {
    let all = outcomes(|disk| {
        durable_file(disk, "a", &[1; 3000]);
        disk.open("a", Open::Existing).unwrap().set_len(10).unwrap();
    });
    assert!(all.contains(&Some(vec![1; 3000])));
    assert!(all.contains(&Some(vec![1; 10])));
}

#[test]
fn names_are_lost_unless_their_directory_is_synced() {
    let create = |disk: &SimDisk| {
        let file = disk.open("a", Open::OrCreate).unwrap();
        file.write_at(&[&[1; 10]], 0).unwrap();
        file.sync_data().unwrap();
    };
    let all = outcomes(create);
    assert!(all.contains(&None) && all.contains(&Some(vec![1; 10])));

    let rename = |disk: &SimDisk| {
        durable_file(disk, "a", b"old");
        durable_file(disk, "b", b"new");
        disk.rename("b", "a").unwrap();
    };
    let all = outcomes(rename);
    assert!(all.iter().all(Option::is_some), "a rename is atomic");
    assert!(all.contains(&Some(b"old".to_vec())) && all.contains(&Some(b"new".to_vec())));
}

#[test]
fn a_file_in_a_directory_that_was_not_synced_is_lost_with_it() {
    let lost = (0..100).filter(|seed| {
        let disk = disk(*seed);
        disk.create_dir("x/y").unwrap();
        let file = disk.open("x/y/a", Open::OrCreate).unwrap();
        file.sync_data().unwrap();
        disk.sync_dir("x/y").unwrap();
        disk.power_loss();
        disk.peek("x/y/a").is_none()
    });
    assert!(lost.count() > 10);
}

#[test]
fn a_kill_keeps_what_was_written_but_does_not_sync_it() {
    let mut lost = 0;
    for seed in 0..50 {
        let disk = disk(seed);
        durable_file(&disk, "a", &[1; SECTOR]);
        disk.open("a", Open::Existing)
            .unwrap()
            .write_at(&[&[2; SECTOR]], 0)
            .unwrap();
        disk.kill();
        assert!(
            disk.open("a", Open::Existing).is_err(),
            "a dead process writes on"
        );
        assert_eq!(disk.peek("a").unwrap(), vec![2; SECTOR]);
        disk.boot();
        disk.power_loss();
        lost += u32::from(disk.peek("a").unwrap() == vec![1; SECTOR]);
    }
    assert!(lost > 0);
}

#[test]
fn a_sync_after_a_failed_one_proves_nothing() {
    let mut lost = 0;
    for seed in 0..50 {
        let disk = disk(seed);
        durable_file(&disk, "a", &[1; SECTOR]);
        let file = disk.open("a", Open::Existing).unwrap();
        file.write_at(&[&[2; SECTOR]], 0).unwrap();
        disk.arm(Fails::Sync, 0);
        assert!(file.sync_data().is_err());
        assert_eq!(disk.damage().failed_syncs, 1);
        file.sync_data().unwrap();
        disk.power_loss();
        lost += u32::from(disk.peek("a").unwrap() == vec![1; SECTOR]);
    }
    assert!(lost > 5 && lost < 45);
}

#[test]
fn what_a_failed_sync_gave_up_may_be_read_by_the_next_process_and_lost_with_the_power() {
    let (mut gone, mut read, mut lost, mut kept) = (0, 0, 0, 0);
    for seed in 0..200 {
        let disk = disk(seed);
        durable_file(&disk, "a", &[1; SECTOR]);
        let file = disk.open("a", Open::Existing).unwrap();
        file.write_at(&[&[2; SECTOR]], 0).unwrap();
        disk.arm(Fails::Sync, 0);
        assert!(file.sync_data().is_err());
        disk.kill();
        let next = disk.boot();
        let file = next.open("a", Open::Existing).unwrap();
        let mut bytes = [0; SECTOR];
        file.read_at(&mut bytes, 0).unwrap();
        if bytes == [1; SECTOR] {
            gone += 1;
            continue;
        }
        read += 1;
        if seed % 2 == 0 {
            // Written again, it is dirty again, and a sync means something.
            file.write_at(&[&[2; SECTOR]], 0).unwrap();
        }
        file.sync_data().unwrap();
        next.power_loss();
        let survived = next.peek("a").unwrap() == vec![2; SECTOR];
        assert!(
            survived || seed % 2 == 1,
            "a sync of what was written again lies"
        );
        *(if survived { &mut kept } else { &mut lost }) += 1;
    }
    assert!(gone > 20 && read > 20 && lost > 5 && kept > 5);
}

#[test]
fn a_fuse_stops_everything_in_the_middle() {
    let disk = disk(1);
    durable_file(&disk, "a", &[1; 4096]);
    let file = disk.open("a", Open::Existing).unwrap();
    disk.light_fuse(1);
    file.write_at(&[&[2; 4096]], 0).unwrap();
    assert!(!disk.is_dead());
    assert!(file.sync_data().is_err());
    assert!(disk.is_dead());
    assert!(file.len().is_err() && disk.list("").is_err());
    disk.kill();
    assert!(disk.boot().open("a", Open::Existing).is_ok());
    assert!(file.len().is_err(), "a handle of the dead process works");
}

#[test]
fn a_full_disk_takes_what_fits_and_overwrites_in_place() {
    let disk = disk(1);
    durable_file(&disk, "a", &[1; 1000]);
    disk.set_capacity(Some(1500));
    let file = disk.open("a", Open::Existing).unwrap();
    let full = file.write_at(&[&[2; 400], &[3; 600]], 1000).unwrap_err();
    assert_eq!(full.kind(), ErrorKind::StorageFull);
    assert_eq!(file.len().unwrap(), 1500);
    assert_eq!(disk.free_bytes().unwrap(), 0);
    file.write_at(&[&[4; 1500]], 0).unwrap();
    disk.set_capacity(None);
    file.write_at(&[&[5; 100]], 1500).unwrap();
}

#[test]
fn rot_shows_when_the_file_is_opened_again() {
    let disk = disk(1);
    durable_file(&disk, "a", &[1; 1000]);
    let file = disk.open("a", Open::Existing).unwrap();
    assert!(disk.rot(|path| path == "b").is_none());
    disk.rot(|path| path == "a").unwrap();
    let mut buf = [0; 1000];
    file.read_at(&mut buf, 0).unwrap();
    assert_eq!(buf, [1; 1000]);
    disk.open("a", Open::Existing).unwrap();
    file.read_at(&mut buf, 0).unwrap();
    assert_eq!(buf.iter().filter(|byte| **byte != 1).count(), 1);
    assert_eq!(disk.damage().destroyed.len(), 1);
}

#[test]
fn a_misdirected_write_lands_elsewhere() {
    let disk = disk(3);
    durable_file(&disk, "a", &[1; 16 * SECTOR]);
    let file = disk.open("a", Open::Existing).unwrap();
    disk.arm(Fails::Misdirect, 0);
    file.write_at(&[&[2; SECTOR]], 9 * SECTOR as u64).unwrap();
    let bytes = disk.peek("a").unwrap();
    let hit: Vec<usize> = (0..16)
        .filter(|sector| bytes[sector * SECTOR] == 2)
        .collect();
    assert_eq!(hit.len(), 1);
    assert_ne!(hit, [9]);
}

#[test]
fn reads_past_the_end_and_missing_names_are_told_apart() {
    let disk = disk(1);
    durable_file(&disk, "a", &[1; 10]);
    let file = disk.open("a", Open::Existing).unwrap();
    assert_eq!(
        file.read_at(&mut [0; 11], 0).unwrap_err().kind(),
        ErrorKind::UnexpectedEof
    );
    assert_eq!(
        disk.open("b", Open::Existing).err().unwrap().kind(),
        ErrorKind::NotFound
    );
    assert_eq!(disk.remove("b").unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(disk.list("x").unwrap_err().kind(), ErrorKind::NotFound);
    disk.create_dir("x").unwrap();
    assert_eq!(disk.list("").unwrap(), ["a", "x"]);
    disk.remove_dir("x").unwrap();
    assert_eq!(disk.list("").unwrap(), ["a"]);
}
