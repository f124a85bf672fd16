//! Chance from the kernel: seeds, ids, the number of a process's start.

use base::Uuid;
use rustix::rand::{GetRandomFlags, getrandom};

/// Fills the buffer with random bytes.
pub fn fill(buf: &mut [u8]) {
    let mut done = 0;
    while done < buf.len() {
        match getrandom(&mut buf[done..], GetRandomFlags::empty()) {
            Ok(n) => done += n,
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => panic!("the kernel gives no random bytes: {error}"),
        }
    }
}

/// 64 random bits.
pub fn bits() -> u64 {
    let mut buf = [0; 8];
    fill(&mut buf);
    u64::from_le_bytes(buf)
}

/// A random id.
pub fn uuid() -> Uuid {
    Uuid::from_random(bits(), bits())
}

#[cfg(test)]
mod tests {
    #[test]
    fn two_draws_differ() {
        assert_ne!(super::uuid(), super::uuid());
    }
}
