use super::*;

const CODECS: [Compression; 5] = [
    Compression::None,
    Compression::Gzip,
    Compression::Snappy,
    Compression::Lz4,
    Compression::Zstd,
];

fn text(length: usize) -> Vec<u8> {
    let mut random = base::Random::new(length as u64);
    (0..length)
        .map(|i| {
            if i % 3 == 0 {
                random.below(256) as u8
            } else {
                b'a'
            }
        })
        .collect()
}

#[test]
fn what_is_packed_unpacks_to_the_same() {
    for codec in CODECS {
        for length in [0, 1, 100, 32 * 1024, 32 * 1024 + 1, 300_000] {
            let plain = text(length);
            let packed = compress(codec, &plain).expect("packing has no limits");
            let back = decompress(codec, &packed, length).expect("the limit is exact");
            assert!(back == plain, "{codec:?} of {length} bytes");
        }
    }
}

#[test]
fn one_byte_over_the_limit_is_refused() {
    for codec in CODECS {
        let packed = compress(codec, &text(100_000)).expect("packing has no limits");
        let error = decompress(codec, &packed, 99_999).expect_err("over the limit");
        assert!(
            matches!(error, CompressError::TooLarge { limit: 99_999 }),
            "{codec:?}: {error}"
        );
    }
}

#[test]
fn a_bomb_costs_no_more_than_the_limit() {
    let zeros = vec![0u8; 64 * 1024 * 1024];
    for codec in &CODECS[1..] {
        let bomb = compress(*codec, &zeros).expect("packing has no limits");
        let error = decompress(*codec, &bomb, 1024 * 1024).expect_err("over the limit");
        assert!(
            matches!(error, CompressError::TooLarge { .. }),
            "{codec:?}: {error}"
        );
    }
}

#[test]
fn a_snappy_length_that_lies_reserves_nothing() {
    // Says 4 GiB - 1 and holds nothing.
    let lie = [0xff, 0xff, 0xff, 0xff, 0x0f];
    let error = decompress(Compression::Snappy, &lie, 1000).expect_err("the length is a lie");
    assert!(
        matches!(error, CompressError::TooLarge { limit: 1000 }),
        "{error}"
    );
}

#[test]
fn snappy_is_read_raw_and_in_frames_of_several_blocks() {
    let plain = text(1000);
    let raw = snap::raw::Encoder::new()
        .compress_vec(&plain)
        .expect("it is short");
    assert_eq!(
        decompress(Compression::Snappy, &raw, 1000).expect("raw"),
        plain
    );

    let mut framed = b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01".to_vec();
    for part in plain.chunks(300) {
        let block = snap::raw::Encoder::new()
            .compress_vec(part)
            .expect("it is short");
        framed.extend_from_slice(&(block.len() as u32).to_be_bytes());
        framed.extend_from_slice(&block);
    }
    assert_eq!(
        decompress(Compression::Snappy, &framed, 1000).expect("framed"),
        plain
    );
    let error = decompress(Compression::Snappy, &framed, 999).expect_err("over the limit");
    assert!(matches!(error, CompressError::TooLarge { .. }), "{error}");
    framed.truncate(framed.len() - 1);
    let error = decompress(Compression::Snappy, &framed, 1000).expect_err("cut off");
    assert!(
        matches!(
            error,
            CompressError::Corrupt {
                codec: "snappy",
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn gzip_of_several_members_is_read_to_the_end() {
    let mut packed = compress(Compression::Gzip, b"one").expect("packing has no limits");
    packed.extend(compress(Compression::Gzip, b"two").expect("packing has no limits"));
    assert_eq!(
        decompress(Compression::Gzip, &packed, 10).expect("two members"),
        b"onetwo"
    );
}

#[test]
fn truncated_and_mutated_bytes_end_with_an_error_or_within_the_limit() {
    let mut random = base::Random::new(5);
    for codec in &CODECS[1..] {
        let packed = compress(*codec, &text(5000)).expect("packing has no limits");
        let half = decompress(*codec, &packed[..packed.len() / 2], 5000);
        assert!(half.is_err(), "{codec:?} was unpacked from its first half");
        for _ in 0..300 {
            let mut mutated = packed.clone();
            let at = random.below(mutated.len() as u64) as usize;
            mutated[at] = random.below(256) as u8;
            if let Ok(plain) = decompress(*codec, &mutated, 6000) {
                assert!(plain.len() <= 6000);
            }
        }
    }
}
