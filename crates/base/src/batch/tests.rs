use super::*;
use crate::record::{self, Builder};

fn sample() -> Batch {
    let mut b = Builder::new(1000).producer(ProducerId(7), 1, 5);
    b.push(
        1000,
        Some(b"k"),
        Some(b"value"),
        &[(b"h", Some(b"x")), (b"n", None)],
    );
    b.push(1003, None, Some(b""), &[]);
    b.push(1001, Some(b""), None, &[]);
    b.build()
}

#[test]
fn a_built_batch_verifies_and_reads_back() {
    let batch = sample();
    batch.verify().unwrap();
    let h = batch.header();
    assert_eq!((h.offsets(), h.records, h.max_timestamp), (3, 3, 1003));
    record::walk(batch.body(), 3, |_| {}).unwrap();
    let mut pos = 0;
    let first = record::read(batch.body(), &mut pos).unwrap();
    assert_eq!(first.key, Some(&b"k"[..]));
    assert_eq!(
        first.headers(),
        vec![(&b"h"[..], Some(&b"x"[..])), (&b"n"[..], None)]
    );
    assert_eq!(record::walk(batch.body(), 2, |_| {}), Err(Invalid::Record));
    assert_eq!(record::walk(batch.body(), 4, |_| {}), Err(Invalid::Record));
}

#[test]
fn stamping_keeps_kafkas_checksum_and_changes_ours() {
    let mut batch = sample();
    let before = batch.full_checksum();
    batch.stamp(Offset(42), Term(9));
    batch.verify().unwrap();
    assert_ne!(batch.full_checksum(), before);
    assert_eq!(batch.full_checksum(), checksum::crc32c(&batch.to_bytes()));
    batch.stamp_append_time(5000);
    batch.verify().unwrap();
    assert_eq!(batch.header().max_timestamp, 5000);
    assert_eq!(batch.full_checksum(), checksum::crc32c(&batch.to_bytes()));
}

#[test]
fn every_flipped_bit_is_found_by_one_of_the_two_checksums() {
    let mut batch = sample();
    batch.stamp(Offset(3), Term(1));
    let good = batch.to_bytes();
    let sum = checksum::crc32c(&good);
    for bit in 0..good.len() * 8 {
        let mut bad = good.to_vec();
        bad[bit / 8] ^= 1 << (bit % 8);
        assert_ne!(checksum::crc32c(&bad), sum);
        let mut bytes = Bytes::from(bad);
        if let Ok(b) = Batch::split_from(&mut bytes) {
            assert!(b.verify().is_err() || bit / 8 < UNCOVERED_BYTES);
        }
    }
}

#[test]
fn garbage_is_refused_without_a_panic() {
    let mut random = crate::Random::new(1);
    let good = sample().to_bytes();
    for _ in 0..20_000 {
        let mut bytes = good.to_vec();
        for _ in 0..random.between(1, 4) {
            let at = random.below(bytes.len() as u64) as usize;
            bytes[at] = random.next() as u8;
        }
        bytes.truncate(random.below(bytes.len() as u64 + 1) as usize);
        let mut bytes = Bytes::from(bytes);
        if let Ok(b) = Batch::split_from(&mut bytes) {
            let _ = b.verify();
            let _ = record::walk(b.body(), b.header().records.min(1000), |_| {});
        }
    }
}
