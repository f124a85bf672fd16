//! Batches that come in one compression and are kept in another.

use super::*;
use base::ProducerId;
use base::record::Builder;
use std::collections::BTreeMap;

const ALL: [(&str, Compression); 5] = [
    ("uncompressed", Compression::None),
    ("gzip", Compression::Gzip),
    ("snappy", Compression::Snappy),
    ("lz4", Compression::Lz4),
    ("zstd", Compression::Zstd),
];

fn settings(pairs: &[(&str, &str)]) -> TopicSettings {
    let pairs = pairs
        .iter()
        .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
    TopicSettings::parse(&pairs.collect(), &BTreeMap::new())
}

fn plain() -> Batch {
    let mut builder = Builder::new(1_000).producer(ProducerId(7), 3, 11);
    for nth in 0..50i64 {
        let value = format!("value {}", nth % 3).repeat(20);
        let key = nth.to_be_bytes();
        builder.push(1_000 + nth, Some(&key), Some(value.as_bytes()), &[]);
    }
    builder.build()
}

fn records(batch: &Batch) -> Bytes {
    let compression = batch.header().compression().unwrap();
    let plain = compress::decompress(compression, batch.body(), 1 << 20);
    plain.unwrap().into()
}

#[test]
fn every_batch_is_kept_as_its_topic_says_and_nothing_else_of_it_changes() {
    let first = plain();
    for (from, source) in ALL {
        let batch = recompress(first.clone(), &settings(&[("compression.type", from)])).unwrap();
        assert_eq!(batch.header().compression(), Ok(source));
        for (to, target) in ALL {
            let kept = recompress(batch.clone(), &settings(&[("compression.type", to)])).unwrap();
            let header = kept.header();
            assert_eq!(header.compression(), Ok(target), "{from} to {to}");
            kept.verify().unwrap();
            assert_eq!(records(&kept), *first.body(), "{from} to {to}");
            let as_first = BatchHeader {
                length: header.length,
                crc: header.crc,
                attributes: header.attributes,
                ..first.header()
            };
            assert_eq!(header, as_first);
        }
        let kept = recompress(batch.clone(), &settings(&[])).unwrap();
        assert_eq!(kept, batch, "each producer's own");
    }
}

#[test]
fn levels_count() {
    let len = |kind: &str, key: &str, level: &str| {
        let settings = settings(&[("compression.type", kind), (key, level)]);
        recompress(plain(), &settings).unwrap().len()
    };
    let gzip = |level| len("gzip", "compression.gzip.level", level);
    assert!(gzip("9") < gzip("1"));
    let zstd = |level| len("zstd", "compression.zstd.level", level);
    assert!(zstd("19") < zstd("-1000"));
}

#[test]
fn what_can_not_be_read_is_not_packed_anew() {
    let gzip = recompress(plain(), &settings(&[("compression.type", "gzip")])).unwrap();
    let mut garbage = gzip.body().to_vec();
    garbage.truncate(garbage.len() / 2);
    let broken = Batch::sealed(gzip.header(), garbage.into());
    let zstd = settings(&[("compression.type", "zstd")]);
    let refused = recompress(broken, &zstd).unwrap_err().refusal;
    assert!(matches!(refused, Refusal::CorruptMessage(_)), "{refused:?}");
    let fewer = BatchHeader {
        records: 49,
        ..gzip.header()
    };
    let broken = Batch::sealed(fewer, gzip.body().clone());
    let refused = recompress(broken, &zstd).unwrap_err().refusal;
    assert!(matches!(refused, Refusal::InvalidRecord(_)), "{refused:?}");
    let small = settings(&[
        ("compression.type", "uncompressed"),
        ("max.message.bytes", "500"),
    ]);
    let refused = recompress(gzip, &small).unwrap_err().refusal;
    assert!(
        matches!(refused, Refusal::MessageTooLarge { .. }),
        "{refused:?}"
    );
}
