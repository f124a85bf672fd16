//! One checksum everywhere: CRC-32C, the one Kafka's batches carry. And the one of the message
//! sets before them.

use crc_fast::CrcAlgorithm::{Crc32Iscsi, Crc32IsoHdlc};

/// The checksum of `bytes`.
pub fn crc32c(bytes: &[u8]) -> u32 {
    crc_fast::checksum(Crc32Iscsi, bytes) as u32
}

/// The checksum (CRC-32) that messages carried before there were batches.
pub fn crc32(bytes: &[u8]) -> u32 {
    crc_fast::checksum(Crc32IsoHdlc, bytes) as u32
}

/// The checksum of two runs of bytes laid one after the other, from their checksums and the
/// length of the second: how a block's checksum grows by a batch without reading it again.
pub fn combine(first: u32, second: u32, second_len: u64) -> u32 {
    let mut sum = first;
    let mut rest = second_len;
    while rest != 0 {
        let power = rest.trailing_zeros() as usize;
        sum = shift(&SHIFTS[power], sum);
        rest &= rest - 1;
    }
    sum ^ second
}

/// What a number of zero bytes does to a checksum, a linear map over its bits, looked up by the
/// eight nibbles of the checksum.
type Shift = [[u32; 16]; 8];

/// Lengths are below 2^40: a batch has at most 2^31 bytes, a frame not many more.
const POWERS: usize = 40;

/// The maps of 2^0, 2^1, ... zero bytes. The library's own combination squares matrices at every
/// call, which took half of the processor time of a produce.
static SHIFTS: [Shift; POWERS] = shifts();

/// CRC-32C's polynomial, reflected.
const POLYNOMIAL: u32 = 0x82f6_3b78;

const fn shift(map: &Shift, sum: u32) -> u32 {
    let mut out = 0;
    let mut nibble = 0;
    while nibble < 8 {
        out ^= map[nibble][((sum >> (4 * nibble)) & 0xf) as usize];
        nibble += 1;
    }
    out
}

const fn shifts() -> [Shift; POWERS] {
    let mut all = [[[0; 16]; 8]; POWERS];
    let mut power = 0;
    while power < POWERS {
        let mut nibble = 0;
        while nibble < 8 {
            let mut value = 0;
            while value < 16 {
                let sum = (value as u32) << (4 * nibble);
                all[power][nibble][value] = if power == 0 {
                    one_zero_byte(sum)
                } else {
                    shift(&all[power - 1], shift(&all[power - 1], sum))
                };
                value += 1;
            }
            nibble += 1;
        }
        power += 1;
    }
    all
}

const fn one_zero_byte(mut sum: u32) -> u32 {
    let mut bit = 0;
    while bit < 8 {
        sum = if sum & 1 == 1 {
            (sum >> 1) ^ POLYNOMIAL
        } else {
            sum >> 1
        };
        bit += 1;
    }
    sum
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
            assert_eq!(
                combine(crc32c(a), crc32c(b), b.len() as u64),
                crc32c(&bytes)
            );
        }
        for len in [3u64, 70_000, 1 << 31, (1 << 39) + 17] {
            let library = crc_fast::checksum_combine(Crc32Iscsi, 0x1234_5678, 0x9abc_def0, len);
            assert_eq!(u64::from(combine(0x1234_5678, 0x9abc_def0, len)), library);
        }
    }
}
