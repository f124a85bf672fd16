//! The thread's end, and what it does when there is no room.

use super::*;
use crate::scratch::Scratch;
use base::{Disk, File, GroupId, Open};
use log::StorageSettings;
use std::io;
use std::sync::atomic::AtomicBool;

/// A real directory on a device that somebody else fills.
struct Filling {
    disk: os::DataDir,
    full: Arc<AtomicBool>,
}

impl Disk for Filling {
    fn open(&self, path: &str, how: Open) -> io::Result<Arc<dyn File>> {
        let full = self.full.load(Ordering::SeqCst) && path.starts_with("wal/");
        if full && self.disk.open(path, Open::Existing).is_err() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.disk.open(path, how)
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        self.disk.remove(path)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.disk.rename(from, to)
    }

    fn list(&self, dir: &str) -> io::Result<Vec<String>> {
        self.disk.list(dir)
    }

    fn create_dir(&self, dir: &str) -> io::Result<()> {
        self.disk.create_dir(dir)
    }

    fn remove_dir(&self, dir: &str) -> io::Result<()> {
        self.disk.remove_dir(dir)
    }

    fn sync_dir(&self, dir: &str) -> io::Result<()> {
        self.disk.sync_dir(dir)
    }

    fn free_bytes(&self) -> io::Result<u64> {
        Ok(0)
    }
}

/// Waits for another thread; one that hangs fails the test instead of holding it up for ever.
fn until(what: &str, mut done: impl FnMut() -> bool) {
    let begin = os::clock::mono();
    while !done() {
        assert!(
            os::clock::mono().since(begin) < Duration::from_secs(60),
            "{what}"
        );
        std::thread::yield_now();
    }
}

/// A turn that leaves nothing behind but its frame.
fn turn(number: u64) -> Turn {
    let settings = log::Settings {
        segment_bytes: 1 << 20,
        incarnation: 0,
    };
    let mut turn = Turn::new(number);
    turn.create(GroupId(0), settings);
    turn.remove(GroupId(0));
    turn
}

#[test]
fn who_got_room_says_nothing_of_others_who_wait_for_it() {
    let full = Full::default();
    let path = "file".to_owned();
    let fault = Fault::Full { path };
    full.begin(Waiter::Flush, &fault);
    full.begin(Waiter::Settling, &fault);
    full.end(Waiter::Flush);
    assert!(full.is_so());
    full.begin(Waiter::Turns, &fault);
    full.end(Waiter::Settling);
    assert!(full.is_so());
    full.end(Waiter::Turns);
    assert!(!full.is_so());
}

#[test]
fn a_flush_that_ends_while_there_is_no_room_lets_writes_go_on() {
    let scratch = Scratch::new();
    let full = Arc::new(AtomicBool::new(false));
    let disk = Arc::new(Filling {
        disk: scratch.disk(),
        full: Arc::clone(&full),
    });
    let settings = StorageSettings {
        wal_file_bytes: 4096,
        ..StorageSettings::default()
    };
    let (storage, recovered) = Storage::open(disk, settings).expect("empty");
    let (orders, flushes) = (Orders::default(), Arc::new(Queue::default()));
    let counters = Arc::new(Counters::default());
    let writer = Writer::new(
        storage,
        Arc::clone(&orders),
        Arc::clone(&flushes),
        Arc::new(Mailbox::new(1)),
        Arc::clone(&counters),
    );
    let thread = std::thread::spawn(move || writer.run());
    let mut number = recovered.next_turn;
    let mut push = |checkpoint: bool| {
        let mut turn = turn(number);
        turn.checkpoint = checkpoint.then(|| log::checkpoint(std::iter::empty(), b""));
        number += 1;
        orders.push(Order::Turn(turn));
    };
    // The first file is full, and the checkpoint lies in the second one.
    for nth in 0..10 {
        push(nth == 9);
        let wrote = || counters.writes.load(Ordering::Relaxed) > nth;
        until("there is room", wrote);
    }
    let mut flush = flushes.pop().expect("a flush is ready");
    full.store(true, Ordering::SeqCst);
    let is_full = || counters.full.is_so();
    for nth in 10.. {
        push(false);
        let wrote = || counters.writes.load(Ordering::Relaxed) > nth;
        until("it is written or finds no room", || wrote() || is_full());
        if is_full() {
            break;
        }
    }
    flush.run().expect("it needs no room");
    orders.push(Order::Flushed(flush));
    orders.close();
    until("the first file is free", || thread.is_finished());
    thread.join().expect("all is written");
    assert!(!counters.full.is_so());
}

#[test]
fn after_an_orderly_stop_damage_to_the_last_frame_is_not_taken_for_a_torn_one() {
    let scratch = Scratch::new();
    let disk = Arc::new(scratch.disk());
    let settings = StorageSettings::default();
    let (storage, recovered) = Storage::open(disk.clone(), settings).expect("empty");
    let mut turn = Turn::new(recovered.next_turn);
    turn.create(
        GroupId(0),
        log::Settings {
            segment_bytes: 1 << 20,
            incarnation: 0,
        },
    );
    let orders = Orders::default();
    orders.push(Order::Turn(turn));
    orders.close();
    let mailbox = Arc::new(Mailbox::new(1));
    let writer = Writer::new(storage, orders, Arc::default(), mailbox, Arc::default());
    writer.run();
    // The first byte after the frame's header.
    let path = "wal/00000001.wal";
    let file = disk.open(path, Open::Existing).expect("it is there");
    file.write_at(&[&[0xff]], 512 + 36).expect("room");
    let refused = Storage::open(disk, settings).map(|_| ()).expect_err("bad");
    assert!(matches!(refused, Fault::Corrupt { .. }), "{refused}");
}
