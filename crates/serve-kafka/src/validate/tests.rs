//! Each way to break a batch, and the refusal it must get. The outcomes were compared with a real
//! broker's; where ours differs on purpose, the row says so.

use super::*;
use base::batch::UNCOVERED_BYTES;
use base::checksum;
use base::{Offset, ProducerId, record::Builder};

const NOW: WallMs = WallMs(1_700_000_000_000);
const HOUR: i64 = 3_600_000;

fn rules() -> Rules {
    Rules {
        batch_bytes_max: 1_048_588,
        compacted: false,
        append_time: false,
        before_max_ms: i64::MAX,
        after_max_ms: HOUR,
    }
}

fn builder() -> Builder {
    let mut builder = Builder::new(NOW.0);
    builder.push(NOW.0, Some(b"k"), Some(b"v"), &[]);
    builder
}

/// A whole batch with one byte range overwritten and, if asked, its checksum made to fit.
fn patched(at: usize, with: &[u8], fix_checksum: bool) -> Bytes {
    let mut bytes = builder().build().to_bytes().to_vec();
    bytes[at..at + with.len()].copy_from_slice(with);
    if fix_checksum {
        let crc = checksum::crc32c(&bytes[UNCOVERED_BYTES..]);
        bytes[17..21].copy_from_slice(&crc.to_be_bytes());
    }
    bytes.into()
}

fn judge(version: i16, bytes: impl Into<Bytes>, rules: &Rules) -> Result<Batch, Rejected> {
    let mut batch = admit(version, Some(bytes.into()))?;
    check(&mut batch, rules, NOW)?;
    Ok(batch)
}

fn code(result: Result<Batch, Rejected>) -> i16 {
    result.map_or_else(|r| crate::refusals::code(&r.refusal), |_| 0)
}

#[test]
fn broken_batches_get_kafkas_codes() {
    let good = builder().build().to_bytes();
    let twice = [good.clone(), good.clone()].concat();
    let ten = |more: &[u8]| [&good[..], more].concat();
    let rows: Vec<(&str, i16, Bytes, i16)> = vec![
        ("good", 8, good.clone(), 0),
        ("good in the oldest version for magic 2", 3, good.clone(), 0),
        ("empty", 8, Bytes::new(), 87),
        ("11 bytes", 8, good.slice(..11), 87),
        ("16 bytes", 8, good.slice(..16), 87),
        ("40 bytes", 8, good.slice(..40), 87),
        ("a byte short", 8, good.slice(..good.len() - 1), 87),
        ("length 3", 8, patched(8, &3i32.to_be_bytes(), false), 2),
        ("length 20", 8, patched(8, &20i32.to_be_bytes(), false), 2),
        ("length 48", 8, patched(8, &48i32.to_be_bytes(), false), 2),
        ("length -5", 8, patched(8, &(-5i32).to_be_bytes(), false), 2),
        (
            "length i32::MAX",
            8,
            patched(8, &i32::MAX.to_be_bytes(), false),
            87,
        ),
        ("magic 3", 8, patched(16, &[3], false), 2),
        ("magic -1", 8, patched(16, &[0xff], false), 2),
        ("magic 1", 8, patched(16, &[1], false), 87),
        ("magic 1 in its own version", 2, patched(16, &[1], false), 2),
        ("magic 0 in its own version", 0, patched(16, &[0], false), 2),
        ("two batches", 8, twice.into(), 87),
        (
            "trailing garbage shorter than a header",
            8,
            ten(b"xxx").into(),
            0,
        ),
        ("trailing garbage", 8, ten(&[b'x'; 20]).into(), 2),
        ("trailing zeros", 8, ten(&[0; 20]).into(), 2),
        ("zstd before version 7", 6, patched(22, &[4], true), 76),
        (
            "unknown compression (a real broker: -1)",
            8,
            patched(22, &[5], true),
            76,
        ),
        ("base offset 5", 8, patched(7, &[5], false), 87),
        ("checksum", 8, patched(60 + 3, &[0x55], false), 2),
        (
            "last offset delta -1",
            8,
            patched(23, &(-1i32).to_be_bytes(), true),
            87,
        ),
        (
            "last offset delta 5",
            8,
            patched(23, &5i32.to_be_bytes(), true),
            87,
        ),
        (
            "last offset delta i32::MAX",
            8,
            patched(23, &i32::MAX.to_be_bytes(), true),
            87,
        ),
        ("no records", 8, patched(57, &0i32.to_be_bytes(), true), 87),
        (
            "-1 records",
            8,
            patched(57, &(-1i32).to_be_bytes(), true),
            87,
        ),
        (
            "two records told, one there",
            8,
            patched(23, &1i32.to_be_bytes(), true),
            87,
        ),
        ("control batch", 8, patched(22, &[0x20], true), 87),
        (
            "producer without sequence",
            8,
            patched(43, &5i64.to_be_bytes(), true),
            87,
        ),
        ("a record's length", 8, patched(61, &[1], true), 87),
        (
            "a record longer than the batch",
            8,
            patched(61, &[0x7e], true),
            87,
        ),
    ];
    for (name, version, bytes, expected) in rows {
        assert_eq!(code(judge(version, bytes, &rules())), expected, "{name}");
    }
    assert_eq!(crate::refusals::code(&admit(8, None).unwrap_err()), 87);
}

#[test]
fn counts_that_disagree_with_the_records_are_refused() {
    let mut two = builder();
    two.push(NOW.0, None, Some(b"w"), &[]);
    let whole = two.build().to_bytes();
    for (records, delta) in [(1i32, 0i32), (3, 2)] {
        let mut bytes = whole.to_vec();
        bytes[23..27].copy_from_slice(&delta.to_be_bytes());
        bytes[57..61].copy_from_slice(&records.to_be_bytes());
        let crc = checksum::crc32c(&bytes[UNCOVERED_BYTES..]);
        bytes[17..21].copy_from_slice(&crc.to_be_bytes());
        assert_eq!(code(judge(8, bytes, &rules())), 87);
    }
}

#[test]
fn a_batch_above_the_topics_limit_is_too_large_even_if_corrupt() {
    let bytes = patched(60 + 3, &[0x55], false);
    let tight = Rules {
        batch_bytes_max: bytes.len() as u32 - 1,
        ..rules()
    };
    assert_eq!(code(judge(8, bytes.clone(), &tight)), 10);
    let exact = Rules {
        batch_bytes_max: bytes.len() as u32,
        ..rules()
    };
    assert_eq!(code(judge(8, bytes, &exact)), 2);
}

#[test]
fn timestamps_out_of_range_name_their_records() {
    let mut late = builder();
    late.push(NOW.0 + HOUR, None, None, &[]);
    late.push(NOW.0 + HOUR + 1, None, None, &[]);
    let rejected = judge(8, late.build().to_bytes(), &rules()).unwrap_err();
    assert_eq!(crate::refusals::code(&rejected.refusal), 32);
    assert_eq!(
        rejected.records.iter().map(|r| r.0).collect::<Vec<_>>(),
        [2]
    );

    let old = Rules {
        before_max_ms: 1000,
        ..rules()
    };
    let mut early = Builder::new(NOW.0 - 1001);
    early.push(NOW.0 - 1001, None, None, &[]);
    early.push(NOW.0 - 1000, None, None, &[]);
    let rejected = judge(8, early.build().to_bytes(), &old).unwrap_err();
    assert_eq!(
        rejected.records.iter().map(|r| r.0).collect::<Vec<_>>(),
        [0]
    );

    let mut without = Builder::new(-1);
    without.push(-1, None, None, &[]);
    assert_eq!(code(judge(8, without.build().to_bytes(), &old)), 0);
}

#[test]
fn compressed_batches_are_judged_by_their_header() {
    let mut late = Builder::new(NOW.0).attributes(1);
    late.push(NOW.0 + HOUR + 1, None, None, &[]);
    assert_eq!(
        code(judge(8, late.build_with_body(vec![1]).to_bytes(), &rules())),
        32
    );

    let mut early = Builder::new(5).attributes(3);
    early.push(NOW.0, None, None, &[]);
    let old = Rules {
        before_max_ms: HOUR,
        ..rules()
    };
    assert_eq!(
        code(judge(8, early.build_with_body(vec![1]).to_bytes(), &old)),
        32
    );

    let mut fine = Builder::new(NOW.0).attributes(4);
    fine.push(NOW.0, None, None, &[]);
    let bytes = fine.build_with_body(vec![9; 40]).to_bytes();
    assert_eq!(judge(7, bytes.clone(), &rules()).unwrap().to_bytes(), bytes);

    let mut empty = Builder::new(NOW.0).attributes(2);
    empty.push(NOW.0, None, None, &[]);
    assert_eq!(
        code(judge(8, empty.build_with_body(vec![]).to_bytes(), &rules())),
        87
    );
}

#[test]
fn a_compacted_topic_names_the_records_without_keys() {
    let mut builder = Builder::new(NOW.0);
    for key in [None, Some(&b"k"[..]), None] {
        builder.push(NOW.0, key, Some(b"v"), &[]);
    }
    let compacted = Rules {
        compacted: true,
        ..rules()
    };
    let rejected = judge(8, builder.build().to_bytes(), &compacted).unwrap_err();
    assert_eq!(crate::refusals::code(&rejected.refusal), 87);
    assert_eq!(
        rejected.records.iter().map(|r| r.0).collect::<Vec<_>>(),
        [0, 2]
    );
}

#[test]
fn a_compacted_topic_looks_into_compressed_batches() {
    let packed = |keys: &[Option<&[u8]>]| {
        let mut builder = Builder::new(NOW.0).attributes(4);
        keys.iter()
            .for_each(|key| builder.push(NOW.0, *key, Some(b"v"), &[]));
        let body = compress::compress(Compression::Zstd, builder.record_bytes()).unwrap();
        builder.build_with_body(body).to_bytes()
    };
    let compacted = Rules {
        compacted: true,
        ..rules()
    };
    let good = packed(&[Some(b"a"), Some(b"b")]);
    assert_eq!(judge(8, good.clone(), &compacted).unwrap().to_bytes(), good);
    let rejected = judge(8, packed(&[Some(b"a"), None]), &compacted).unwrap_err();
    assert_eq!(
        rejected.records.iter().map(|r| r.0).collect::<Vec<_>>(),
        [1]
    );
    assert_eq!(
        code(judge(8, packed(&[None]), &rules())),
        0,
        "an ordinary topic doesn't look"
    );
    let mut garbage = Builder::new(NOW.0).attributes(4);
    garbage.push(NOW.0, Some(b"k"), None, &[]);
    let garbage = garbage.build_with_body(vec![7; 30]).to_bytes();
    assert_eq!(code(judge(8, garbage, &compacted)), 2);
}

#[test]
fn record_errors_are_bounded() {
    let mut builder = Builder::new(NOW.0);
    for _ in 0..RECORD_ERRORS_MAX + 50 {
        builder.push(NOW.0, None, None, &[]);
    }
    let compacted = Rules {
        compacted: true,
        ..rules()
    };
    let rejected = judge(8, builder.build().to_bytes(), &compacted).unwrap_err();
    assert_eq!(rejected.records.len(), RECORD_ERRORS_MAX);
    assert!(
        rejected
            .refusal
            .to_string()
            .starts_with(&(RECORD_ERRORS_MAX + 50).to_string())
    );
}

#[test]
fn only_the_broker_claims_append_time() {
    let stamped = patched(22, &[0x08], true);
    let topic = Rules {
        append_time: true,
        ..rules()
    };
    let rejected = judge(8, stamped.clone(), &topic).unwrap_err();
    assert_eq!(crate::refusals::code(&rejected.refusal), 32);
    // A topic with CreateTime takes the batch and clears the claim.
    let batch = judge(8, stamped, &rules()).unwrap();
    assert_eq!(batch.header().attributes, 0);
    batch.verify().unwrap();
    // With LogAppendTime the producer's timestamps don't matter.
    let mut late = Builder::new(NOW.0);
    late.push(NOW.0 + 2 * HOUR, None, None, &[]);
    assert_eq!(code(judge(8, late.build().to_bytes(), &topic)), 0);
}

#[test]
fn a_wrong_largest_timestamp_is_put_right() {
    let mut builder = builder();
    builder.push(NOW.0 + 100, None, None, &[]);
    let right = builder.build().to_bytes();
    let mut wrong = right.to_vec();
    wrong[35..43].copy_from_slice(&NOW.0.to_be_bytes());
    let crc = checksum::crc32c(&wrong[UNCOVERED_BYTES..]);
    wrong[17..21].copy_from_slice(&crc.to_be_bytes());
    assert_eq!(judge(8, wrong, &rules()).unwrap().to_bytes(), right);
}

#[test]
fn a_good_batch_passes_byte_for_byte() {
    let batch = builder().producer(ProducerId(7), 0, 0).build();
    let passed = judge(13, batch.to_bytes(), &rules()).unwrap();
    assert_eq!(passed.to_bytes(), batch.to_bytes());
    assert_eq!(passed.header().base_offset, Offset(0));
}

#[test]
fn no_bytes_make_it_panic() {
    let good = builder().build().to_bytes();
    let mut random = base::Random::new(7);
    for _ in 0..20_000 {
        let mut bytes = good.to_vec();
        for _ in 0..=random.below(4) {
            let at = random.below(bytes.len() as u64) as usize;
            bytes[at] = random.next() as u8;
        }
        bytes.truncate(random.between(0, bytes.len() as u64) as usize);
        if random.percent(50) && bytes.len() > UNCOVERED_BYTES {
            let crc = checksum::crc32c(&bytes[UNCOVERED_BYTES..]);
            bytes[17..21].copy_from_slice(&crc.to_be_bytes());
        }
        let _ = judge(random.below(14) as i16, bytes, &rules());
    }
}
