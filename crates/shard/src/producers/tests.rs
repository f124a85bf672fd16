use super::*;
use base::record::Builder;

fn header(id: i64, epoch: i16, sequence: i32, records: usize, offset: i64) -> BatchHeader {
    let mut b = Builder::new(0).producer(ProducerId(id), epoch, sequence);
    for _ in 0..records {
        b.push(0, None, Some(b"x"), &[]);
    }
    let mut header = b.build().header();
    header.base_offset = Offset(offset);
    header
}

fn new(p: &Producers, h: &BatchHeader) -> bool {
    p.admit(h) == Ok(Admission::New)
}

#[test]
fn a_duplicate_is_told_apart_before_and_after_its_commit() {
    let mut p = Producers::default();
    let first = header(1, 0, 0, 3, 100);
    assert!(new(&p, &first));
    p.appended(RaftIndex(5), &first);
    let dup = Ok(Admission::Duplicate {
        base_offset: Offset(100),
        index: RaftIndex(5),
    });
    assert_eq!(p.admit(&first), dup);
    p.committed(RaftIndex(5));
    assert_eq!(p.admit(&first), dup);
    assert!(new(&p, &header(1, 0, 3, 1, 0)));
    assert!(matches!(
        p.admit(&header(1, 0, 4, 1, 0)),
        Err(Refusal::OutOfOrderSequence(_))
    ));
}

#[test]
fn a_producer_starts_at_zero_and_so_does_each_epoch() {
    let mut p = Producers::default();
    assert!(matches!(
        p.admit(&header(1, 0, 7, 1, 0)),
        Err(Refusal::OutOfOrderSequence(_))
    ));
    p.appended(RaftIndex(1), &header(1, 3, 0, 1, 0));
    assert!(matches!(
        p.admit(&header(1, 4, 1, 1, 0)),
        Err(Refusal::OutOfOrderSequence(_))
    ));
    assert!(new(&p, &header(1, 4, 0, 1, 0)));
    let stale = p.admit(&header(1, 2, 1, 1, 0));
    assert_eq!(
        stale,
        Err(Refusal::InvalidProducerEpoch {
            epoch: 2,
            current: 3
        })
    );
}

#[test]
fn a_truncation_takes_back_what_was_not_committed() {
    let mut p = Producers::default();
    p.appended(RaftIndex(1), &header(1, 0, 0, 1, 0));
    p.committed(RaftIndex(1));
    let before = p.clone();
    p.appended(RaftIndex(2), &header(1, 0, 1, 1, 1));
    p.appended(RaftIndex(3), &header(2, 0, 0, 1, 2));
    p.truncated(RaftIndex(2));
    assert_eq!(p, before);
    assert!(new(&p, &header(1, 0, 1, 1, 1)));
}

#[test]
fn sequences_wrap_and_five_batches_are_remembered() {
    let mut p = Producers::default();
    let mut sequence = i32::MAX - 2;
    p.forgot = Some(ANY);
    for i in 1..=7u64 {
        let h = header(1, 0, sequence, 2, i as i64 * 2);
        assert!(new(&p, &h), "batch {i}");
        p.appended(RaftIndex(i), &h);
        p.committed(RaftIndex(i));
        sequence = ((i64::from(sequence) + 2) & i64::from(i32::MAX)) as i32;
    }
    let back = |n: i64| ((i64::from(sequence) - 2 * n) & i64::from(i32::MAX)) as i32;
    assert!(matches!(
        p.admit(&header(1, 0, back(5), 2, 0)),
        Ok(Admission::Duplicate { .. })
    ));
    assert!(matches!(
        p.admit(&header(1, 0, back(6), 2, 0)),
        Err(Refusal::OutOfOrderSequence(_))
    ));
}

#[test]
fn a_checkpoint_restores_the_committed_layer() {
    let mut p = Producers::default();
    for i in 1..50u64 {
        p.appended(
            RaftIndex(i),
            &header((i % 7) as i64, 0, (i / 7) as i32, 1, i as i64),
        );
    }
    p.committed(RaftIndex(49));
    let bytes = p.checkpoint();
    assert_eq!(Producers::restore(&bytes, RaftIndex(49)), Some(p));
    let timestamps = 8 * 7 * limits::PRODUCER_BATCHES_REMEMBERED;
    for cut in (1..bytes.len()).filter(|cut| *cut != bytes.len() - timestamps) {
        assert_eq!(Producers::restore(&bytes[..cut], RaftIndex(49)), None);
    }
}

/// What releases before timestamps were kept wrote, and what they read of what is written now: the
/// same bytes.
#[test]
fn a_checkpoint_without_timestamps_stays_readable() {
    let mut p = Producers::default();
    let mut batch = header(7, 2, 0, 3, 40);
    batch.max_timestamp = 1_700_000_000_123;
    p.appended(RaftIndex(9), &batch);
    p.committed(RaftIndex(9));
    let golden: &[u8] = &[
        1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 7, 1, 0, 2, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0,
        0, 0, 40, 0, 0, 0, 0, 0, 0, 0, 9,
    ];
    let bytes = p.checkpoint();
    assert!(bytes.starts_with(golden), "{bytes:?}");
    let told = |p: &Producers| p.list().map(|p| p.last_timestamp).collect::<Vec<_>>();
    let old = Producers::restore(golden, RaftIndex(9)).unwrap();
    assert_eq!(told(&old), [-1]);
    assert!(matches!(old.admit(&batch), Ok(Admission::Duplicate { .. })));
    let new = Producers::restore(&bytes, RaftIndex(9)).unwrap();
    assert_eq!(told(&new), [1_700_000_000_123]);
}

#[test]
fn only_a_producer_that_may_have_been_forgotten_goes_on_in_the_middle() {
    let mut p = Producers::default();
    let later = header(5, 0, 9, 1, 0);
    let refused = p.admit(&later);
    assert!(matches!(refused, Err(Refusal::OutOfOrderSequence(_))));
    p.forgot = Some(ProducerId(5));
    assert_eq!(p.admit(&later), Ok(Admission::New));
    let younger = p.admit(&header(6, 0, 9, 1, 0));
    assert!(matches!(younger, Err(Refusal::OutOfOrderSequence(_))));
}

/// When a producer that committed its only batch at 10 s is forgotten.
#[test]
fn who_is_silent_for_long_is_forgotten_and_goes_on_where_it_was() {
    const SECOND: Duration = Duration::from_secs(1);
    let at = |s: u32| Mono(0).after(SECOND * s);
    let expire = |p: &mut Producers, s: u32| p.expire(at(s), SECOND * 80);
    let mut p = Producers::default();
    let ids = |p: &Producers| p.list().map(|p| p.id.0).collect::<Vec<_>>();
    for id in [3, 4] {
        p.appended(RaftIndex(id), &header(id as i64, 0, 0, 2, id as i64));
    }
    p.committed(RaftIndex(4));
    expire(&mut p, 10);
    // One of them goes on; one is there that isn't committed.
    p.appended(RaftIndex(5), &header(3, 0, 2, 1, 6));
    p.committed(RaftIndex(5));
    p.appended(RaftIndex(6), &header(9, 0, 0, 1, 7));
    expire(&mut p, 11);
    for s in 12..90 {
        expire(&mut p, s);
        assert_eq!(ids(&p), [3, 4, 9], "at {s}");
    }
    expire(&mut p, 90);
    assert_eq!(ids(&p), [3, 9]);
    assert!(new(&p, &header(4, 0, 2, 1, 0)), "the next one");
    assert!(new(&p, &header(4, 0, 7, 1, 0)), "or any");
    for s in 91..=110 {
        expire(&mut p, s);
    }
    assert_eq!(ids(&p), [9], "what isn't committed isn't old");
    assert!(p.looks.len() <= LOOKS_PER_EXPIRATION as usize + 1);
    let bytes = p.checkpoint();
    p.truncated(RaftIndex(6));
    assert_eq!(ids(&p), [0; 0]);
    let restored = Producers::restore(&bytes, RaftIndex(5)).unwrap();
    assert_eq!(restored.forgot, Some(ProducerId(4)));
    assert!(new(&restored, &header(4, 0, 7, 1, 0)));
}

/// As releases before wrote it down: they didn't say which producers they had forgotten.
#[test]
fn after_an_old_release_forgot_some_any_may_be_an_old_one() {
    let old = Producers::restore(&[1, 1, 0, 0, 0, 0], RaftIndex(9)).unwrap();
    assert!(new(&old, &header(i64::MAX, 0, 7, 1, 0)));
    let bytes = old.checkpoint();
    assert_eq!(Producers::restore(&bytes, RaftIndex(9)), Some(old));
}

/// A snapshot tells of producers as of a later entry than the log begins at: the entries between
/// come as any others.
#[test]
fn what_a_snapshot_tells_already_is_not_counted_again() {
    let mut p = Producers::default();
    for at in 0..8 {
        p.appended(RaftIndex(10 + at), &header(1, 0, at as i32, 1, at as i64));
    }
    p.committed(RaftIndex(17));
    assert_eq!(p.as_of(), RaftIndex(17));
    let mut installed = Producers::restore(&p.checkpoint(), p.as_of()).unwrap();
    for at in 5..8 {
        // As a follower hears of them, with what comes before them cut off.
        installed.truncated(RaftIndex(10 + at));
        installed.appended(RaftIndex(10 + at), &header(1, 0, at as i32, 1, at as i64));
        installed.committed(RaftIndex(10 + at));
    }
    assert_eq!(installed, p);
    installed.appended(RaftIndex(18), &header(1, 0, 8, 1, 8));
    installed.committed(RaftIndex(18));
    assert!(new(&installed, &header(1, 0, 9, 1, 9)));
}

#[test]
fn a_checkpoint_says_what_has_changed_and_is_made_anew_only_then() {
    let mut p = Producers::default();
    let fits = |p: &Producers| {
        let bytes = p.checkpoint();
        assert_eq!(p.checkpoint().as_ptr(), bytes.as_ptr());
        let mut as_it_is = p.clone();
        (as_it_is.looks, as_it_is.written) = Default::default();
        assert_eq!(Producers::restore(&bytes, p.as_of()), Some(as_it_is));
    };
    let at = |s: u64| Mono(0).after(Duration::from_secs(s));
    fits(&p);
    for id in 1..=3 {
        p.appended(RaftIndex(id), &header(id as i64, 0, 0, 1, id as i64));
    }
    p.committed(RaftIndex(3));
    fits(&p);
    p.expire(at(1), Duration::from_secs(8));
    p.appended(RaftIndex(4), &header(2, 0, 1, 1, 4));
    let before = p.checkpoint();
    assert_eq!(before, p.checkpoint(), "it isn't committed");
    p.committed(RaftIndex(4));
    assert_ne!(before, p.checkpoint());
    fits(&p);
    p.expire(at(9), Duration::from_secs(8));
    assert_eq!(p.list().count(), 1);
    fits(&p);
    p.may_have_forgotten(ProducerId(70));
    fits(&p);
}
