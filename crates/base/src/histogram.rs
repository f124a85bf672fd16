//! How long things took: a count for each step of a fixed scale, and the sum. Many threads may
//! count at once. Nothing here measures: times come in.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Steps of the scale; one more takes what is longer than all.
pub const STEPS: usize = 16;

/// Up to how many microseconds each step goes: from what a page cache takes to what a client waits
/// for at most.
const SCALE_MICROS: [u64; STEPS] = [
    100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000,
    1_000_000, 2_500_000, 10_000_000, 60_000_000,
];

/// Counts times.
#[derive(Debug, Default)]
pub struct Histogram {
    counts: [AtomicU64; STEPS + 1],
    micros: AtomicU64,
}

/// What was counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Distribution {
    /// For each step: up to how long it goes, and how many there were.
    pub steps: [(Duration, u64); STEPS],
    /// How many took longer than all steps.
    pub longer: u64,
    /// All times together.
    pub sum: Duration,
}

impl Histogram {
    /// Counts a time.
    pub fn count(&self, time: Duration) {
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        let step = SCALE_MICROS.partition_point(|upto| *upto < micros);
        self.counts[step].fetch_add(1, Ordering::Relaxed);
        self.micros.fetch_add(micros, Ordering::Relaxed);
    }

    /// What was counted so far.
    pub fn read(&self) -> Distribution {
        let count = |step: usize| self.counts[step].load(Ordering::Relaxed);
        let step = |step: usize| (Duration::from_micros(SCALE_MICROS[step]), count(step));
        Distribution {
            steps: std::array::from_fn(step),
            longer: count(STEPS),
            sum: Duration::from_micros(self.micros.load(Ordering::Relaxed)),
        }
    }
}

impl Distribution {
    /// How many there were.
    pub fn total(&self) -> u64 {
        self.steps.iter().map(|(_, count)| count).sum::<u64>() + self.longer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_counts_in_the_first_step_that_holds_it() {
        let histogram = Histogram::default();
        let times = [0, 100, 101, 60_000_000, 60_000_001].map(Duration::from_micros);
        times.iter().for_each(|time| histogram.count(*time));
        let read = histogram.read();
        assert_eq!(read.steps[0], (Duration::from_micros(100), 2));
        assert_eq!(read.steps[1], (Duration::from_micros(250), 1));
        assert_eq!(read.steps[STEPS - 1].1, 1);
        assert_eq!(read.longer, 1);
        assert_eq!(read.total(), 5);
        assert_eq!(read.sum, times.iter().sum());
    }

    #[test]
    fn the_scale_rises() {
        assert!(SCALE_MICROS.is_sorted_by(|a, b| a < b));
    }
}
