//! One checksum everywhere: CRC-32C, the one Kafka's batches carry.

use crc_fast::CrcAlgorithm::Crc32Iscsi;

/// The checksum of `bytes`.
pub fn crc32c(bytes: &[u8]) -> u32 {
    crc_fast::checksum(Crc32Iscsi, bytes) as u32
}

/// The checksum of two runs of bytes laid one after the other, from their checksums and the
/// length of the second: how a block's checksum grows by a batch without reading it again.
pub fn combine(first: u32, second: u32, second_len: u64) -> u32 {
    crc_fast::checksum_combine(Crc32Iscsi, u64::from(first), u64::from(second), second_len) as u32
}

/// The checksum of `bytes` in a context: a record of a recycled file must not pass as new, so
/// its generation and position go into the sum.
pub fn crc32c_seeded(seed: u64, bytes: &[u8]) -> u32 {
    combine(crc32c(&seed.to_le_bytes()), crc32c(bytes), bytes.len() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn combining_equals_the_checksum_of_the_whole() {
        let bytes: Vec<u8> = (0..5000u32).map(|i| (i * 7) as u8).collect();
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
        for cut in [0, 1, 21, 4096, 5000] {
            let (a, b) = bytes.split_at(cut);
            assert_eq!(combine(crc32c(a), crc32c(b), b.len() as u64), crc32c(&bytes));
        }
        assert_ne!(crc32c_seeded(1, &bytes), crc32c_seeded(2, &bytes));
    }
}
