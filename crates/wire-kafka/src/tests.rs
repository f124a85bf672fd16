//! Tests that go through all messages; `every_message!` is written by the generator.

mod captured;
mod garbage;
mod oracle;
mod round_trip;
mod samples;
mod splice;

use crate::dream::Dream;
use crate::{Message, Reader, Writer};
use base::Random;
use bytes::Bytes;

pub(crate) use crate::messages::every_message;

/// A random message that this version can carry.
fn dreamt<M: Message>(version: i16, random: &mut Random) -> M {
    let mut reader = Reader::new(Bytes::new());
    reader.dream = Some(Dream(random.fork()));
    M::decode(version, &mut reader).expect("a dream has no malformed bytes")
}

fn encoded<M: Message>(message: &M, version: i16) -> Bytes {
    let mut writer = Writer::new();
    message.encode(version, &mut writer);
    writer.into_bytes()
}

/// Reads a message and asserts that it ends where the bytes do.
fn decoded<M: Message>(bytes: &Bytes, version: i16) -> M {
    let mut reader = Reader::new(bytes.clone());
    let message =
        M::decode(version, &mut reader).unwrap_or_else(|e| panic!("{} v{version}: {e}", M::NAME));
    assert_eq!(
        reader.remaining(),
        0,
        "{} v{version} left bytes unread",
        M::NAME
    );
    message
}
