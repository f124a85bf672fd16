//! The things that are counted or named. A newtype each, so that none is taken for another.

use std::fmt;

macro_rules! counted {
    ($(#[$doc:meta])* $name:ident, $of:ty) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        pub struct $name(pub $of);

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self.0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

counted!(
    /// A node of the cluster; also its Kafka broker id, so at most 2^31 - 1.
    NodeId, u32
);
impl NodeId {
    /// Stands for node 0 where 0 means nobody. No other node has this number.
    const ZERO: u32 = 1 << 31;

    /// Its number where 0 means nobody.
    pub fn nonzero(self) -> u32 {
        match self.0 {
            0 => NodeId::ZERO,
            number => number,
        }
    }

    /// The node that [`NodeId::nonzero`] told.
    pub fn of_nonzero(number: u32) -> NodeId {
        match number {
            NodeId::ZERO => NodeId(0),
            number => NodeId(number),
        }
    }
}

counted!(
    /// One Raft group of the cluster. Group 0 is the metadata; the controller hands out the others.
    GroupId, u64
);
counted!(
    /// The place of a record in a partition, as Kafka clients see it. Dense, from 0.
    Offset, i64
);
counted!(
    /// The place of an entry in a Raft log. One batch is one entry; internal entries count too, so
    /// this is never an [`Offset`]. The first entry has index 1; 0 means "before everything".
    RaftIndex, u64
);
counted!(
    /// A Raft term, which is a Kafka leader epoch. Fits an `i32` on the wire.
    Term, u32
);
counted!(
    /// The place of a partition in its topic.
    Partition, u32
);
counted!(
    /// An idempotent or transactional producer.
    ProducerId, i64
);

impl GroupId {
    /// The controller's group, which carries the cluster's metadata.
    pub const META: GroupId = GroupId(0);
}

impl RaftIndex {
    /// The index of the next entry.
    pub fn next(self) -> RaftIndex {
        RaftIndex(self.0 + 1)
    }

    /// The index before this one; the index before the first is 0, and 0 stays 0.
    pub fn prev(self) -> RaftIndex {
        RaftIndex(self.0.saturating_sub(1))
    }
}

impl Term {
    /// The term as a Kafka leader epoch.
    pub fn epoch(self) -> i32 {
        i32::try_from(self.0).expect("terms past 2^31 are refused where they arrive")
    }
}

/// A 128-bit id as Kafka writes it: topics, the cluster, incarnations of a directory.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Uuid(pub [u8; 16]);

impl Uuid {
    /// Kafka's "no id".
    pub const ZERO: Uuid = Uuid([0; 16]);

    /// Makes a version 4 id from chosen random bits.
    pub fn from_random(high: u64, low: u64) -> Uuid {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&high.to_be_bytes());
        bytes[8..].copy_from_slice(&low.to_be_bytes());
        bytes[6] = (bytes[6] & 0x0f) | 0x40;
        bytes[8] = (bytes[8] & 0x3f) | 0x80;
        Uuid(bytes)
    }

    /// Reads the 22 characters that [`fmt::Display`] writes.
    pub fn parse(text: &str) -> Option<Uuid> {
        if text.len() != 22 {
            return None;
        }
        let mut value: u128 = 0;
        for (i, c) in text.bytes().enumerate() {
            let six = BASE64.iter().position(|b| *b == c)? as u128;
            if i == 21 {
                value = (value << 2) | (six >> 4);
            } else {
                value = (value << 6) | six;
            }
        }
        Some(Uuid(value.to_be_bytes()))
    }
}

/// The URL-safe alphabet, which Kafka uses for ids in text.
const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = u128::from_be_bytes(self.0);
        for i in 0..21 {
            let six = (value >> (122 - 6 * i)) & 0x3f;
            write!(f, "{}", BASE64[six as usize] as char)?;
        }
        write!(f, "{}", BASE64[((value & 0x3) << 4) as usize] as char)
    }
}

impl fmt::Debug for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Uuid({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uuid_reads_back_from_its_text() {
        for seed in 0..200u64 {
            let id = Uuid::from_random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15), !seed << 7);
            assert_eq!(Uuid::parse(&id.to_string()), Some(id));
        }
        assert_eq!(Uuid::ZERO.to_string(), "AAAAAAAAAAAAAAAAAAAAAA");
        assert_eq!(Uuid::parse("short"), None);
    }
}
