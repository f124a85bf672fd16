use super::*;
use base::Term;
use base::batch::{Batch, Compression};
use base::record::Builder;
use log::{Settings, Turn};

/// A log with a segment for each of these timestamps, one record each.
fn log_of(times: &[i64]) -> (GroupLog, u64) {
    let settings = Settings {
        segment_bytes: 1,
        incarnation: 0,
    };
    let mut log = GroupLog::new(GroupId(7), settings);
    let mut turn = Turn::new(1);
    let mut bytes = 0;
    for time in times {
        let batch = batch(&log, *time);
        bytes = batch.len() as u64;
        let index = log.last_index().next();
        log.append_batch(&mut turn, index, Term(1), &batch);
    }
    (log, bytes)
}

fn batch(log: &GroupLog, time: i64) -> Batch {
    let mut builder = Builder::new(time);
    builder.push(time, None, Some(b"value"), &[]);
    let mut batch = builder.build();
    batch.stamp(log.end_offset(), Term(1));
    assert_eq!(batch.header().compression(), Ok(Compression::None));
    batch
}

const POLICY: Policy = Policy {
    in_sync_min: 1,
    log_append_time: false,
    delete: true,
    retention_ms: -1,
    retention_bytes: -1,
    segment_bytes: 1,
    segment_ms: i64::MAX,
    compact: false,
    min_dirty_millionths: 0,
    min_compaction_lag_ms: 0,
    max_compaction_lag_ms: i64::MAX,
    delete_retention_ms: 0,
};

fn by_time(times: &[i64], retention_ms: i64, high: i64) -> Offset {
    let policy = Policy {
        retention_ms,
        ..POLICY
    };
    retained_from(&log_of(times).0, &policy, WallMs(1000), Offset(high))
}

#[test]
fn segments_go_by_age_from_the_front_and_only_from_there() {
    assert_eq!(by_time(&[100, 200, 900, 300], 500, 4), Offset(2));
    // Exactly as old as allowed.
    assert_eq!(by_time(&[500, 600], 500, 2), Offset(0));
    assert_eq!(by_time(&[499, 600], 500, 2), Offset(1));
    // All of them, the last one too.
    assert_eq!(by_time(&[1, 2, 3], 500, 3), Offset(3));
    // No bound.
    assert_eq!(by_time(&[1, 2, 3], -1, 3), Offset(0));
}

#[test]
fn nothing_above_the_high_watermark_goes() {
    assert_eq!(by_time(&[1, 2, 3], 500, 2), Offset(2));
    assert_eq!(by_time(&[1, 2, 3], 500, 0), Offset(0));
}

#[test]
fn a_segment_without_times_goes_with_the_next_that_has_one() {
    assert_eq!(by_time(&[-1, 200, 900], 500, 3), Offset(2));
    assert_eq!(by_time(&[-1, 900], 500, 2), Offset(0));
    assert_eq!(by_time(&[200, -1], 500, 2), Offset(1));
}

#[test]
fn what_is_left_is_never_less_than_the_size_to_keep() {
    let (log, bytes) = log_of(&[1, 2, 3, 4]);
    let from = |retention_bytes: u64| {
        let policy = Policy {
            retention_bytes: retention_bytes as i64,
            ..POLICY
        };
        retained_from(&log, &policy, WallMs(1000), Offset(4))
    };
    assert_eq!(from(4 * bytes), Offset(0));
    assert_eq!(from(3 * bytes + 1), Offset(0));
    assert_eq!(from(3 * bytes), Offset(1));
    assert_eq!(from(0), Offset(4));
}

#[test]
fn a_topic_that_is_only_compacted_keeps_everything() {
    let policy = Policy {
        delete: false,
        retention_ms: 0,
        retention_bytes: 0,
        ..POLICY
    };
    let (log, _) = log_of(&[1, 2]);
    assert_eq!(
        retained_from(&log, &policy, WallMs(1000), Offset(2)),
        Offset(0)
    );
}
