//! The two clocks.

use base::{Mono, Now, WallMs};
use rustix::time::{ClockId, clock_gettime};

/// The time now, on both clocks.
pub fn now() -> Now {
    Now {
        mono: mono(),
        wall: wall(),
    }
}

/// The clock that only runs forward.
pub fn mono() -> Mono {
    let t = clock_gettime(ClockId::Monotonic);
    let seconds = u64::try_from(t.tv_sec).unwrap_or(0);
    let micros = u64::try_from(t.tv_nsec / 1000).unwrap_or(0);
    Mono(seconds * 1_000_000 + micros)
}

/// The clock that people read.
pub fn wall() -> WallMs {
    let t = clock_gettime(ClockId::Realtime);
    WallMs(t.tv_sec * 1000 + t.tv_nsec / 1_000_000)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_forward_clock_never_goes_back_and_the_other_is_of_this_century() {
        let first = super::now();
        let second = super::now();
        assert!(second.mono >= first.mono);
        assert!(first.wall.0 > 1_700_000_000_000, "{:?}", first.wall);
    }
}
