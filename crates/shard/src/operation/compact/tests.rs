//! When compaction pays.

use super::*;
use base::Term;
use base::record::Builder;
use log::{Settings, Turn};

const ID: GroupId = GroupId(7);

const POLICY: Policy = Policy {
    in_sync_min: 1,
    log_append_time: false,
    delete: false,
    retention_ms: -1,
    retention_bytes: -1,
    segment_bytes: 1,
    segment_ms: i64::MAX,
    compact: true,
    min_dirty_millionths: 500_000,
    min_compaction_lag_ms: 0,
    max_compaction_lag_ms: i64::MAX,
    delete_retention_ms: 77,
};

/// A log with a segment for each of these timestamps, one record each, all committed.
fn log_of(times: &[i64]) -> GroupLog {
    let mut log = GroupLog::new(
        ID,
        Settings {
            segment_bytes: 1,
            incarnation: 0,
        },
    );
    let mut turn = Turn::new(1);
    for time in times {
        let mut builder = Builder::new(*time);
        builder.push(*time, Some(b"key"), Some(b"value"), &[]);
        let mut batch = builder.build();
        batch.stamp(log.end_offset(), Term(1));
        let index = log.last_index().next();
        log.append_batch(&mut turn, index, Term(1), &batch);
    }
    log.commit(&mut turn, log.last_index());
    log
}

fn below(log: &GroupLog, policy: &Policy, high: i64, floor: u64) -> Option<i64> {
    let limits = (Offset(high), RaftIndex(floor));
    let compact = compactable(log, policy, WallMs(1000), limits)?;
    assert_eq!((compact.now, compact.retention), (1000, 77));
    assert_eq!(compact.floor, RaftIndex(floor));
    Some(compact.below.0)
}

#[test]
fn all_but_the_last_segment_may_go_as_far_as_all_have_it_and_it_is_committed() {
    let log = log_of(&[1, 2, 3, 4]);
    assert_eq!(below(&log, &POLICY, 4, 4), Some(3));
    assert_eq!(below(&log, &POLICY, 2, 4), Some(2));
    assert_eq!(below(&log, &POLICY, 4, 1), Some(1));
    assert_eq!(below(&log, &POLICY, 4, 0), None);
    assert_eq!(below(&log_of(&[1]), &POLICY, 1, 1), None);
    assert_eq!(below(&log_of(&[]), &POLICY, 0, 0), None);
}

#[test]
fn what_is_too_young_is_left_alone() {
    let log = log_of(&[100, 890, 900, 950, 960]);
    let lag = |min_compaction_lag_ms| Policy {
        min_compaction_lag_ms,
        ..POLICY
    };
    assert_eq!(below(&log, &lag(100), 5, 5), Some(3));
    assert_eq!(below(&log, &lag(101), 5, 5), Some(2));
    assert_eq!(below(&log, &lag(901), 5, 5), None);
}

/// Compacts what may be; what a rewrite would have left is all of it.
fn compacted(log: &mut GroupLog, policy: &Policy, upto: i64) {
    let limits = (Offset(upto), log.last_index());
    let compact = compactable(log, policy, WallMs(1000), limits).unwrap();
    let mut turn = Turn::new(2);
    let index = log.last_index().next();
    log.append_internal(&mut turn, index, Term(1), Shape::Compact(compact).encode());
    log.commit(&mut turn, index);
    assert_eq!(log.compaction(), Some(compact));
}

#[test]
fn it_pays_when_the_dirty_share_is_large_or_something_has_waited_long_enough() {
    let policy = |share: f64, max_compaction_lag_ms| Policy {
        min_dirty_millionths: (share * 1e6) as u32,
        max_compaction_lag_ms,
        ..POLICY
    };
    let log = log_of(&[500, 600, 700, 800]);
    // Nothing was compacted before, so all of it is dirty; it must be more than the share.
    assert_eq!(below(&log, &policy(0.99, i64::MAX), 4, 4), Some(3));
    assert_eq!(below(&log, &policy(1.0, i64::MAX), 4, 4), None);
    assert_eq!(below(&log, &policy(1.0, 500), 4, 4), None);
    assert_eq!(below(&log, &policy(1.0, 499), 4, 4), Some(3));
    let mut log = log;
    compacted(&mut log, &POLICY, 4);
    assert!(
        log.first_index() > RaftIndex(3),
        "it can't be asked for by index"
    );
}

/// Those with low numbers are dirty again when the others' turn comes.
#[test]
fn every_log_has_its_turn() {
    let mut compactions = Compactions::default();
    let mut turns = Vec::new();
    compactions.waiting = [1, 2, 7].map(GroupId).into();
    for _ in 0..4 {
        let group = compactions.next().expect("some wait");
        compactions.last = Some(group);
        turns.push(group.0);
        compactions.waiting.extend([1, 2].map(GroupId));
    }
    assert_eq!(turns, [1, 2, 7, 1]);
}

#[test]
fn a_rewrite_without_room_is_tried_again_after_a_while() {
    let mut compactions = Compactions::default();
    let until = Mono(50);
    compactions.lacking.insert(ID, (1_000, until));
    assert!(compactions.lacks_room(ID, 999, Mono(49)));
    assert!(!compactions.lacks_room(ID, 1_000, Mono(49)));
    assert!(!compactions.lacks_room(ID, 999, until));
}
