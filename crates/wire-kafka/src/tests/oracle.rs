//! Another implementation as judge: what we write, `kafka-protocol` reads, writes again to the
//! same bytes, and those we read as what we wrote. For the versions that it knows.

use super::{decoded, dreamt, encoded, every_message};
use crate::Message;
use base::Random;
use bytes::{Bytes, BytesMut};
use kafka_protocol::protocol::{Decodable, Encodable};

fn agree<M, K>(theirs: kafka_protocol::protocol::VersionRange) -> u32
where
    M: Message,
    K: Decodable + Encodable,
{
    let mut random = Random::new(11);
    let mut compared = 0;
    for version in M::VERSIONS.filter(|v| (theirs.min..=theirs.max).contains(v)) {
        for _ in 0..30 {
            let message: M = dreamt(version, &mut random);
            let ours = encoded(&message, version);
            let mut rest = ours.clone();
            let read = K::decode(&mut rest, version)
                .unwrap_or_else(|e| panic!("{} v{version} isn't readable: {e}", M::NAME));
            assert!(rest.is_empty(), "{} v{version} is too long", M::NAME);
            let mut again = BytesMut::new();
            read.encode(&mut again, version)
                .unwrap_or_else(|e| panic!("{} v{version} isn't writable: {e}", M::NAME));
            let again: Bytes = again.freeze();
            assert_eq!(again, ours, "{} v{version}", M::NAME);
            assert_eq!(
                decoded::<M>(&again, version),
                message,
                "{} v{version}",
                M::NAME
            );
            compared += 1;
        }
    }
    compared
}

#[test]
fn another_implementation_reads_and_writes_the_same_bytes() {
    let mut compared = 0;
    macro_rules! check {
        ($module:ident, $name:ident) => {
            compared += agree::<crate::messages::$module::$name, kafka_protocol::messages::$name>(
                <kafka_protocol::messages::$name as kafka_protocol::protocol::Message>::VERSIONS,
            );
        };
    }
    every_message!(check);
    assert!(compared > 9000, "only {compared} messages were compared");
}
