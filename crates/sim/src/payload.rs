//! What the simulated clients write: values that say who they are and prove their own bytes.

use base::checksum::crc32c;

/// A record's identity: no two records of a run share one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct Ident(pub(crate) u64);

/// Bytes of the shortest value.
pub(crate) const VALUE_BYTES_MIN: usize = 16;

/// A value of `len` bytes (at least [`VALUE_BYTES_MIN`]): identity, length, filling, checksum.
pub(crate) fn value(ident: Ident, len: usize) -> Vec<u8> {
    let len = len.max(VALUE_BYTES_MIN);
    let mut value = Vec::with_capacity(len);
    value.extend_from_slice(&ident.0.to_be_bytes());
    value.extend_from_slice(&(len as u32).to_be_bytes());
    let filling = ident.0.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes();
    while value.len() < len - 4 {
        let take = (len - 4 - value.len()).min(8);
        value.extend_from_slice(&filling[..take]);
    }
    value.extend_from_slice(&crc32c(&value).to_be_bytes());
    value
}

/// Keys that records of compacted topics have.
pub(crate) const KEYS: u64 = 40;

/// The key of a record.
pub(crate) fn key_of(ident: Ident) -> u64 {
    ident.0 % KEYS
}

/// True for a record that has no value in a compacted topic: it says that its key is deleted.
pub(crate) fn is_marker(ident: Ident) -> bool {
    (ident.0 / KEYS) % 5 == 3
}

/// The identity that a value carries, if its bytes are whole.
pub(crate) fn read(value: &[u8]) -> Result<Ident, String> {
    if value.len() < VALUE_BYTES_MIN {
        return Err(format!(
            "a value of {} bytes, which nobody wrote",
            value.len()
        ));
    }
    let (body, sum) = value.split_at(value.len() - 4);
    if crc32c(body).to_be_bytes() != sum {
        return Err(format!(
            "a value of {} bytes whose own checksum is wrong",
            value.len()
        ));
    }
    let len = u32::from_be_bytes(body[8..12].try_into().expect("four bytes"));
    if len as usize != value.len() {
        return Err(format!(
            "a value of {} bytes that was written with {len}",
            value.len()
        ));
    }
    Ok(Ident(u64::from_be_bytes(
        body[..8].try_into().expect("eight bytes"),
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_reads_back_and_any_flipped_bit_shows() {
        for len in [0, 16, 17, 23, 24, 1000] {
            let mut bytes = value(Ident(77), len);
            assert_eq!(bytes.len(), len.max(VALUE_BYTES_MIN));
            assert_eq!(read(&bytes), Ok(Ident(77)));
            for at in 0..bytes.len() {
                bytes[at] ^= 4;
                assert!(read(&bytes).is_err());
                bytes[at] ^= 4;
            }
            assert!(read(&bytes[..bytes.len() - 1]).is_err());
        }
    }
}
