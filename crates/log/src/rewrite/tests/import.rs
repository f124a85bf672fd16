//! The compacted part of a log, taken over by another replica: it is whole or not there.

use super::*;
use crate::{Import, ImportFault, Imported, Origin, Prefix};

/// What the leader answers to a follower that asks from an offset on.
fn piece(leader: &Keyed, from: Offset, bytes: u32) -> Vec<Batch> {
    let upto = leader.log.origin().unwrap().next_offset;
    let plan = leader.log.plan_read(from, upto, bytes);
    let pieces = plan.run(&leader.storage.files(), true).unwrap().unwrap();
    let mut batches = Vec::new();
    for mut piece in pieces {
        while !piece.is_empty() {
            batches.push(Batch::split_from(&mut piece).unwrap());
        }
    }
    batches
}

fn import(leader: &Keyed, follower: &mut Keyed, bytes: u32) -> Result<Imported, ImportFault> {
    let (origin, prefix) = (leader.log.origin().unwrap(), leader.log.prefix().unwrap());
    let mut import = follower.log.plan_import(origin, prefix);
    loop {
        let batches = piece(leader, import.next(), bytes);
        assert!(!batches.is_empty());
        if let Some(imported) = import.take(&follower.storage.files(), &batches)? {
            return Ok(imported);
        }
    }
}

/// A replica of the leader's log, from its prefix and the entries after it.
fn install(leader: &Keyed, follower: &mut Keyed, imported: Imported) -> Result<(), Fault> {
    let origin = leader.log.origin().unwrap();
    follower.all.clone_from(&leader.all);
    follower.producers.clone_from(&leader.producers);
    (follower.now, follower.asked) = (leader.now, leader.asked);
    follower.try_write(|this, turn| {
        let app = Bytes::from_static(b"app");
        this.log
            .install(turn, origin.clone(), Some(imported), app, origin.index);
        this.state = HardState {
            term: leader.state.term,
            vote: None,
            commit: origin.index,
        };
        turn.state(ID, this.state);
    })
}

fn append_rest(leader: &Keyed, follower: &mut Keyed) {
    let first = follower.log.last_index().next();
    let plan = leader
        .log
        .plan_entries(first, leader.log.last_index(), u64::MAX);
    let batches: BTreeMap<_, _> = plan
        .run(&leader.storage.files())
        .unwrap()
        .into_iter()
        .collect();
    follower.write(|this, turn| {
        for index in (first.0..=leader.log.last_index().0).map(RaftIndex) {
            let term = leader.log.term_of(index).unwrap();
            match leader.log.internal(index) {
                Some(data) => this.log.append_internal(turn, index, term, data.clone()),
                None => this.log.append_batch(turn, index, term, &batches[&index]),
            }
        }
        this.commit(turn);
    });
}

fn leader(seed: u64) -> Keyed {
    let mut leader = Keyed::new(seed);
    leader.append(80);
    leader.compact();
    leader.append(40);
    leader.compact();
    leader.append(20);
    leader
}

/// What a follower had before: nothing, or the first entries of the leader and some that were
/// never committed.
fn follower(seed: u64) -> Keyed {
    let mut follower = Keyed::new(seed);
    if seed.is_multiple_of(2) {
        follower.append(seed % 30 + 1);
        follower.compact();
        follower.write(|this, turn| {
            this.append_batch(turn);
        });
    }
    follower
}

impl Keyed {
    fn segment_files(&self) -> usize {
        let files = self.disk.all().into_iter();
        files.filter(|(path, _)| path.ends_with(".log")).count()
    }
}

#[test]
fn a_log_that_begins_with_records_in_front_of_it_is_like_the_one_they_are_of() {
    for seed in 0..16 {
        let leader = leader(seed);
        let mut follower = follower(seed);
        let bytes = follower.random.between(1, 9000) as u32;
        let imported = import(&leader, &mut follower, bytes).unwrap();
        install(&leader, &mut follower, imported).unwrap();
        append_rest(&leader, &mut follower);
        assert_eq!(follower.read(), leader.read());
        assert_eq!(follower.log.first_index(), leader.log.first_index());
        assert_eq!(follower.log.prefix(), leader.log.prefix());
        assert_eq!(follower.log.term_starts(), leader.log.term_starts());
        // After a start that reads the record, one that reads a checkpoint, and more of the same.
        for round in 0..3 {
            let (log, read) = (follower.log.clone(), follower.read());
            if round == 1 {
                follower.checkpoint().unwrap();
            }
            follower.disk.crash(Loss::Power(seed));
            follower.reopen();
            assert_eq!(follower.log, log);
            assert_eq!(follower.read(), read);
            follower.check();
        }
        let segments = follower.log.segments().count();
        assert_eq!(follower.segment_files(), segments);
        follower.append(30);
        follower.compact();
        follower.checkpoint().unwrap();
        follower.reopen();
        follower.check();
        assert!(!follower.log.is_dirty());
    }
}

/// A crash anywhere leaves the old log or the new one, and no file that nobody knows.
#[test]
fn a_crash_at_any_step_leaves_the_old_log_or_the_new_one() {
    let leader = leader(5);
    let mut seen = [0; 2];
    for step in 0.. {
        let mut follower = follower(6);
        follower.checkpoint().unwrap();
        let old = follower.read();
        follower.disk.stop_after(step);
        let imported = import(&leader, &mut follower, 4000);
        let known = (follower.all.clone(), follower.asked);
        let done = imported.is_ok_and(|imported| {
            install(&leader, &mut follower, imported).is_ok() && follower.checkpoint().is_ok()
        });
        follower.disk.crash(match step % 3 {
            0 => Loss::Process,
            _ => Loss::Power(step),
        });
        follower.reopen();
        let anew = follower.log.origin() == leader.log.origin();
        seen[usize::from(anew)] += 1;
        match anew {
            true => append_rest(&leader, &mut follower),
            false => (follower.all, follower.asked) = known,
        }
        match anew {
            true => assert_eq!(follower.read(), leader.read(), "step {step}"),
            false => assert!(old.starts_with(&follower.read()) || follower.read() == old),
        }
        follower.checkpoint().unwrap();
        let segments = follower.log.segments().count();
        assert_eq!(follower.segment_files(), segments, "step {step}");
        if done {
            assert!(anew);
            break;
        }
    }
    assert!(seen[0] > 5 && seen[1] > 0, "{seen:?}");
}

#[test]
fn what_does_not_belong_there_is_refused_and_leaves_nothing() {
    let leader = leader(1);
    let (origin, prefix) = (leader.log.origin().unwrap(), leader.log.prefix().unwrap());
    let whole = piece(&leader, Offset(0), u32::MAX);
    assert!(whole.len() > 5);
    let refused = |origin: &Origin, batches: &[Batch]| {
        let mut follower = follower(1);
        let before = follower.disk.all();
        let mut import = follower.log.plan_import(origin.clone(), prefix);
        let taken = import.take(&follower.storage.files(), batches);
        assert!(matches!(taken, Err(ImportFault::Unfit(_))), "{taken:?}");
        assert_eq!(follower.disk.all(), before);
    };
    // Out of order.
    let mut turned = whole.clone();
    turned.swap(2, 3);
    refused(&origin, &turned);
    // Beyond the first entry.
    let mut short = origin.clone();
    short.next_offset.0 -= 1;
    refused(&short, &whole);
    // Of another epoch than that offset has.
    let mut other = origin.clone();
    other.terms.iter_mut().for_each(|run| run.term.0 += 1);
    refused(&other, &whole);
    // More batches than there were entries.
    let mut few = origin.clone();
    few.index = RaftIndex(3);
    refused(&few, &whole);
    // A bit is turned.
    let mut bytes: Vec<u8> = [&whole[1].head()[..], whole[1].body()].concat();
    *bytes.last_mut().unwrap() ^= 1;
    let flipped = Batch::split_from(&mut bytes.into()).unwrap();
    refused(&origin, &[whole[0].clone(), flipped]);
}

#[test]
fn damage_to_what_was_imported_is_mended_from_its_records_or_told() {
    let leader = leader(3);
    let mut follower = follower(3);
    let imported = import(&leader, &mut follower, 3000).unwrap();
    install(&leader, &mut follower, imported).unwrap();
    let records = follower.read();
    let files = follower.disk.all();
    let brought = |ending: &str| {
        let found = files.iter().find(|(path, _)| path.ends_with(ending));
        found.unwrap().clone()
    };
    let (sidecar, len) = brought("-1.idx");
    follower.disk.flip(&sidecar, len / 2, 3);
    follower.reopen();
    assert_eq!(follower.read(), records);
    let (data, len) = brought("-1.log");
    follower.disk.flip(&sidecar, 10, 3);
    follower.disk.flip(&data, len / 2, 3);
    let (_, recovered) = Storage::open(follower.disk.port(), SMALL).unwrap();
    let suspect = recovered.groups[0].suspect.as_ref().unwrap();
    assert!(suspect.contains("damaged"), "{suspect}");
}

/// What was brought and isn't needed goes.
#[test]
fn an_import_that_comes_to_nothing_is_removed() {
    let leader = leader(2);
    let mut follower = follower(2);
    follower.checkpoint().unwrap();
    let before = follower.segment_files();
    let imported = import(&leader, &mut follower, 3000).unwrap();
    assert!(follower.segment_files() > before);
    imported.remove(&follower.storage.files());
    assert_eq!(follower.segment_files(), before);
    let (origin, prefix): (Origin, Prefix) =
        (leader.log.origin().unwrap(), leader.log.prefix().unwrap());
    let mut import: Import = follower.log.plan_import(origin, prefix);
    let batches = piece(&leader, Offset(0), 1);
    import.take(&follower.storage.files(), &batches).unwrap();
    import.abandon(&follower.storage.files());
    assert_eq!(follower.segment_files(), before);
    follower.check();
}

#[test]
fn planted_bugs_are_caught() {
    for bug in [Bug::InstalledBeforeSync, Bug::ImportCutShort] {
        let caught = (0..10).any(|seed| {
            let run = std::panic::catch_unwind(|| {
                plant(Some(bug));
                let leader = leader(seed);
                let mut follower = follower(1);
                let imported = import(&leader, &mut follower, 2000).unwrap();
                install(&leader, &mut follower, imported).unwrap();
                follower.disk.crash(Loss::Power(seed));
                follower.reopen();
                assert!(follower.read() == leader.read()[..follower.read().len()]);
                append_rest(&leader, &mut follower);
                assert_eq!(follower.read(), leader.read());
            });
            plant(None);
            run.is_err()
        });
        assert!(caught, "{bug:?} goes unnoticed");
    }
}
