//! Decoders fed with what no client sends: they end with an error, never with a panic, and
//! don't reserve memory that the bytes don't justify.

use super::{dreamt, encoded, every_message};
use crate::messages::metadata_request::MetadataRequest;
use crate::messages::produce_request::ProduceRequest;
use crate::{Message, Reader, WireError, Writer};
use base::Random;
use bytes::Bytes;

fn read<M: Message>(bytes: Vec<u8>, version: i16) -> Result<M, WireError> {
    M::decode(version, &mut Reader::new(Bytes::from(bytes)))
}

/// Changes bytes, mostly to those that lengths and tags are made of.
fn mutate(bytes: &mut [u8], random: &mut Random) {
    for _ in 0..random.between(1, 4) {
        if bytes.is_empty() {
            return;
        }
        let at = random.below(bytes.len() as u64) as usize;
        bytes[at] = match random.below(4) {
            0 => 0xff,
            1 => 0x7f,
            2 => bytes[at] ^ 1,
            _ => random.below(256) as u8,
        };
    }
}

fn survive<M: Message>() {
    let mut random = Random::new(23);
    for version in M::VERSIONS {
        for _ in 0..20 {
            let whole = encoded(&dreamt::<M>(version, &mut random), version).to_vec();
            for cut in 0..whole.len().min(200) {
                assert!(
                    read::<M>(whole[..cut].to_vec(), version).is_err(),
                    "{} v{version} was read from {cut} of {} bytes",
                    M::NAME,
                    whole.len()
                );
            }
            for _ in 0..20 {
                let mut mutated = whole.clone();
                mutate(&mut mutated, &mut random);
                let _ = read::<M>(mutated, version);
            }
            let noise = (0..random.below(200))
                .map(|_| random.below(256) as u8)
                .collect();
            let _ = read::<M>(noise, version);
        }
    }
}

#[test]
fn truncated_mutated_and_random_bytes_never_panic() {
    macro_rules! check {
        ($module:ident, $name:ident) => {
            survive::<crate::messages::$module::$name>();
        };
    }
    every_message!(check);
}

#[test]
fn a_version_without_a_definition_is_refused_by_name() {
    let error = read::<ProduceRequest>(vec![0; 64], 14);
    assert_eq!(
        error,
        Err(WireError::Version {
            message: "ProduceRequest",
            version: 14
        })
    );
    assert!(matches!(
        read::<ProduceRequest>(vec![0; 64], -1),
        Err(WireError::Version { .. })
    ));
}

#[test]
fn a_count_beyond_the_frame_is_refused_before_anything_is_reserved() {
    let mut huge = Writer::new();
    huge.i32(i32::MAX);
    let error = MetadataRequest::decode(0, &mut Reader::new(huge.into_bytes()));
    assert_eq!(
        error,
        Err(WireError::Short {
            wanted: i32::MAX as usize,
            left: 0
        })
    );
    let mut compact = Writer::new();
    compact.uvarint(i32::MAX as u32);
    let error = MetadataRequest::decode(9, &mut Reader::new(compact.into_bytes()));
    assert!(matches!(error, Err(WireError::Short { .. })), "{error:?}");
}

#[test]
fn a_frame_packed_with_tiny_elements_is_refused() {
    // A topic without name or partitions: three bytes on the wire, a struct of 64 in memory.
    let count = 1_000_000;
    let mut bytes = Writer::new();
    bytes.uvarint(0);
    bytes.i16(1);
    bytes.i32(0);
    bytes.uvarint(count + 1);
    let mut dense = bytes.into_bytes().to_vec();
    dense.resize(dense.len() + 3 * count as usize, 1);
    let error = ProduceRequest::decode(9, &mut Reader::new(dense.into())).err();
    assert_eq!(error, Some(WireError::Dense));
}

#[test]
fn every_negative_length_is_null_as_in_kafka() {
    let (mut short, mut long, mut compact) = (Writer::new(), Writer::new(), Writer::new());
    short.i16(-7);
    long.i32(i32::MIN);
    // As 32 bits with a sign this is -2, and a compact length is one less.
    compact.uvarint(u32::MAX - 1);
    let [short, long, compact] = [short, long, compact].map(|w| Reader::new(w.into_bytes()));
    for (mut reader, flexible) in [(short, false), (compact.clone(), true)] {
        assert_eq!(reader.clone().nullable_string(flexible), Ok(None));
        assert_eq!(reader.string(flexible), Err(WireError::Null));
    }
    for (mut reader, flexible) in [(long, false), (compact, true)] {
        assert_eq!(reader.clone().nullable_bytes(flexible), Ok(None));
        assert_eq!(
            reader.clone().nullable_array(flexible, Reader::i8),
            Ok(None)
        );
        assert_eq!(reader.bytes(flexible), Err(WireError::Null));
    }
}

#[test]
fn text_is_as_long_as_kafkas_at_most() {
    for (length, fits) in [(0x7fff, true), (0x8000, false)] {
        let mut text = Writer::new();
        text.bytes(true, &vec![b'a'; length].into());
        let read = Reader::new(text.into_bytes()).nullable_string(true);
        match fits {
            true => assert_eq!(read.unwrap().unwrap().len(), length),
            false => assert_eq!(read, Err(WireError::Long { length })),
        }
    }
}

#[test]
fn text_that_is_not_utf8_is_read_as_kafka_reads_it() {
    let mut text = Writer::new();
    text.bytes(true, &Bytes::from_static(b"a\xc3\x28\xff"));
    let read = Reader::new(text.into_bytes()).string(true);
    assert_eq!(read.as_deref(), Ok("a\u{fffd}(\u{fffd}"));
}

#[test]
fn a_variable_length_integer_ends() {
    assert_eq!(
        Reader::new(Bytes::from_static(&[0xff; 6])).uvarint(),
        Err(WireError::Varint)
    );
}

#[test]
fn unknown_tagged_fields_are_skipped() {
    let request = ProduceRequest {
        acks: -1,
        timeout_ms: 5,
        ..ProduceRequest::default()
    };
    let mut bytes = encoded(&request, 9).to_vec();
    assert_eq!(
        bytes.pop(),
        Some(0),
        "the message ends with no tagged fields"
    );
    bytes.extend_from_slice(&[2, 3, 2, 0xaa, 0xbb, 90, 0]);
    assert_eq!(read::<ProduceRequest>(bytes.clone(), 9), Ok(request));
    bytes.pop();
    bytes.push(1);
    assert!(
        read::<ProduceRequest>(bytes, 9).is_err(),
        "a tagged field is longer than the frame"
    );
}
