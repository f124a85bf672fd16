use super::*;
use proptest::prelude::*;

fn message(magic: u8, attributes: u8, timestamp: i64, key: Option<&[u8]>, value: &[u8]) -> Vec<u8> {
    let mut body = vec![magic, attributes];
    if magic == 1 {
        body.extend_from_slice(&timestamp.to_be_bytes());
    }
    match key {
        None => body.extend_from_slice(&(-1i32).to_be_bytes()),
        Some(key) => {
            body.extend_from_slice(&(key.len() as i32).to_be_bytes());
            body.extend_from_slice(key);
        }
    }
    body.extend_from_slice(&(value.len() as i32).to_be_bytes());
    body.extend_from_slice(value);
    let mut out = 0i64.to_be_bytes().to_vec();
    out.extend_from_slice(&(body.len() as i32 + 4).to_be_bytes());
    out.extend_from_slice(&checksum::crc32(&body).to_be_bytes());
    out.extend_from_slice(&body);
    out
}

/// Timestamp, key and value of each record.
fn records(batch: &Batch) -> Vec<(i64, Option<Vec<u8>>, Vec<u8>)> {
    let header = batch.header();
    let compression = header.compression().expect("known");
    let plain = match compression {
        Compression::None => batch.body().to_vec(),
        packed => compress::decompress(packed, batch.body(), UNPACK_BYTES_MAX).expect("packed"),
    };
    let mut at = 0;
    (0..header.records)
        .map(|_| record::read(&plain, &mut at).expect("a record"))
        .map(|r| {
            let time = header.base_timestamp + r.timestamp_delta;
            let value = r.value.unwrap_or_default().to_vec();
            (time, r.key.map(<[u8]>::to_vec), value)
        })
        .collect()
}

#[test]
fn the_checksum_is_the_one_of_old() {
    assert_eq!(checksum::crc32(b"123456789"), 0xcbf4_3926);
}

#[test]
fn sets_become_batches() {
    let old = message(0, 0, 0, Some(b"k"), b"v");
    let batch = to_batch(old.into()).expect("a set");
    assert_eq!(records(&batch), [(-1, Some(b"k".to_vec()), b"v".to_vec())]);
    let two = [
        message(1, 0, 77, None, b"a"),
        message(1, 0, 70, Some(b""), b"b"),
    ]
    .concat();
    let batch = to_batch(two.into()).expect("a set");
    assert!(batch.verify().is_ok());
    assert_eq!(batch.header().max_timestamp, 77);
    let expected = [
        (77, None, b"a".to_vec()),
        (70, Some(Vec::new()), b"b".to_vec()),
    ];
    assert_eq!(records(&batch), expected);
}

#[test]
fn packed_sets_stay_packed() {
    let inner = [message(1, 0, 5, None, b"a"), message(1, 0, 6, None, b"b")].concat();
    for (bits, compression) in [
        (1, Compression::Gzip),
        (2, Compression::Snappy),
        (3, Compression::Lz4),
    ] {
        let packed = compress::compress(compression, &inner).expect("it packs");
        let set = message(1, bits, 6, None, &packed);
        let batch = to_batch(set.into()).expect("a set");
        assert_eq!(batch.header().compression(), Ok(compression));
        assert_eq!(records(&batch).len(), 2);
    }
    let packed = compress::compress(Compression::Gzip, &inner).expect("it packs");
    let nested = message(1, 1, 6, None, &message(1, 1, 6, None, &packed));
    assert!(to_batch(nested.into()).is_err());
}

#[test]
fn lz4_of_magic_0_is_taken_with_the_checksum_of_old_and_with_a_right_one() {
    let inner = [message(0, 0, 0, None, b"a"), message(0, 0, 0, None, b"b")].concat();
    let right = compress::compress(Compression::Lz4, &inner).expect("it packs");
    // Kafka's first clients let the checksum of the header cover the frame's magic too.
    let mut old = right.clone();
    old[6] = 0x5d;
    assert_ne!(old, right);
    for packed in [&right, &old] {
        let batch = to_batch(message(0, 3, 0, None, packed).into()).expect("a set");
        assert_eq!(batch.header().compression(), Ok(Compression::Lz4));
        assert_eq!(records(&batch).len(), 2);
    }
    let in_magic_1 = to_batch(message(1, 3, 0, None, &old).into());
    assert!(matches!(in_magic_1, Err(Refusal::CorruptMessage(_))));
    // The frame ends with four bytes that say so; whoever leaves them out is understood too.
    for cut in 0..old.len() - 4 {
        assert!(
            to_batch(message(0, 3, 0, None, &old[..cut]).into()).is_err(),
            "{cut}"
        );
    }
}

#[test]
fn damage_is_refused_and_a_cut_tail_left_out() {
    let whole = message(1, 0, 1, None, b"value");
    for at in PREFIX_BYTES..whole.len() {
        let mut bad = whole.clone();
        bad[at] ^= 1;
        let refused = to_batch(bad.into());
        assert!(matches!(refused, Err(Refusal::CorruptMessage(_))), "{at}");
    }
    let cut = [&whole[..], &whole[..20]].concat();
    assert_eq!(to_batch(cut.into()).expect("one").header().records, 1);
    assert!(to_batch(Bytes::copy_from_slice(&whole[..20])).is_err());
    assert!(to_batch(Bytes::new()).is_err());
}

#[test]
fn batches_become_sets_from_the_offset_asked_for() {
    let mut builder = Builder::new(100);
    for value in [b"a", b"b", b"c"] {
        builder.push(101, Some(b"k"), Some(value), &[(b"h", None)]);
    }
    let mut batch = builder.build();
    batch.stamp(base::Offset(40), base::Term(3));
    for magic in [0, 1] {
        let mut set = from_batches(batch.to_bytes(), magic, 41, 1)
            .expect("a set")
            .bytes;
        let mut offsets = Vec::new();
        while set.len() >= 8 {
            offsets.push(i64::from_be_bytes(set[..8].try_into().unwrap()));
            let found = Message::split_from(&mut set)
                .expect("valid")
                .expect("whole");
            assert_eq!(found.timestamp, if magic == 1 { 101 } else { -1 });
            assert_eq!(found.key.as_deref(), Some(&b"k"[..]));
        }
        assert_eq!(offsets, [41, 42]);
    }
}

proptest! {
    #[test]
    fn anything_may_come(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = to_batch(bytes.clone().into());
        let _ = from_batches(bytes.into(), 1, 0, 1000);
    }

    #[test]
    fn a_damaged_set_never_panics(edits in proptest::collection::vec((any::<usize>(), any::<u8>()), 1..4)) {
        let packed = compress::compress(Compression::Gzip, &message(1, 0, 5, None, b"a")).unwrap();
        let mut set = [message(1, 1, 5, None, &packed), message(1, 0, 5, Some(b"k"), b"v")].concat();
        for (at, to) in edits {
            let at = at % set.len();
            set[at] = to;
        }
        let _ = to_batch(set.into());
    }
}
