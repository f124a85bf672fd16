//! Samples of every message in every version that Kafka's own classes read and wrote back to
//! the same bytes (see `testdata/README.md`). They hold for the versions that no other judge
//! knows any more, and keep the format from changing unnoticed.

use super::{decoded, dreamt, encoded, every_message};
use crate::Message;
use base::Random;
use bytes::Bytes;
use std::fmt::Write;

const SAMPLES: &str = include_str!("../../testdata/samples.txt");

pub(super) fn from_hex(hex: &str) -> Bytes {
    let digit = |c: u8| (c as char).to_digit(16).expect("test data is hexadecimal") as u8;
    hex.as_bytes()
        .chunks(2)
        .map(|pair| digit(pair[0]) << 4 | digit(pair[1]))
        .collect()
}

fn check<M: Message>(version: i16, bytes: &Bytes) {
    let message: M = decoded(bytes, version);
    assert_eq!(encoded(&message, version), bytes, "{} v{version}", M::NAME);
}

#[test]
fn samples_that_kafka_agreed_to_read_and_write_the_same() {
    let mut seen = 0;
    for line in SAMPLES.lines() {
        let mut parts = line.split(' ');
        let (Some(name), Some(version), Some(hex)) = (parts.next(), parts.next(), parts.next())
        else {
            panic!("a sample is a name, a version and bytes: {line}");
        };
        let version = version.parse().expect("a version is a number");
        macro_rules! dispatch {
            ($module:ident, $name:ident) => {
                if name == stringify!($name) {
                    check::<crate::messages::$module::$name>(version, &from_hex(hex));
                    seen += 1;
                }
            };
        }
        every_message!(dispatch);
    }
    assert_eq!(seen, SAMPLES.lines().count(), "a sample names no message");
}

fn write_samples<M: Message>(out: &mut String) {
    let mut random = Random::new(41);
    for version in M::VERSIONS {
        let mut taken = 0;
        while taken < 2 {
            let bytes = encoded(&dreamt::<M>(version, &mut random), version);
            if bytes.len() > 400 {
                continue;
            }
            let hex: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
            writeln!(out, "{} {version} {hex}", M::NAME).expect("writing to a string");
            taken += 1;
        }
    }
}

#[test]
#[ignore = "writes the samples that testdata/Judge.java is to judge"]
fn print_samples() {
    let mut out = String::new();
    macro_rules! add {
        ($module:ident, $name:ident) => {
            write_samples::<crate::messages::$module::$name>(&mut out);
        };
    }
    every_message!(add);
    print!("{out}");
}
