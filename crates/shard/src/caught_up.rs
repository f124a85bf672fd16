//! As of when a follower had all that its leader had. As in Kafka it is held against where the log ended
//! some time ago, and against a later end only once it has that one: a follower that is always 150 ms
//! behind has everything that was there 150 ms ago, and one that is slower than its leader has not.
//!
//! Time is counted in beats, so that a leader that was stopped blames nobody for it.

use base::{Mono, RaftIndex, limits};

/// One follower, seen by its leader.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CaughtUp {
    as_of: Option<Mono>,
    /// When that was seen.
    seen: Option<Mono>,
    /// An end of the log that it is to reach, and the beat at which the log ended there.
    end: RaftIndex,
    beat: u64,
}

impl CaughtUp {
    /// One that has all that there is.
    pub(crate) fn with_all(end: RaftIndex, now: Mono, beat: u64) -> CaughtUp {
        CaughtUp {
            as_of: Some(now),
            ..CaughtUp::with_nothing(end, beat)
        }
    }

    /// One of which nothing is known yet.
    pub(crate) fn with_nothing(end: RaftIndex, beat: u64) -> CaughtUp {
        CaughtUp {
            as_of: None,
            seen: None,
            end,
            beat,
        }
    }

    /// At each beat: how far it is, and where the log ends now.
    pub(crate) fn look(&mut self, matched: RaftIndex, last: RaftIndex, now: Mono, beat: u64) {
        if matched < self.end {
            return;
        }
        // What was there at one beat can be there at the next one at the earliest.
        let late = beat.saturating_sub(self.beat + 1);
        let late = limits::NODE_HEARTBEAT * u32::try_from(late).unwrap_or(u32::MAX);
        *self = CaughtUp {
            as_of: Some(now.before(late)),
            seen: Some(now),
            end: last,
            beat,
        };
    }

    /// At each beat while its node isn't heard: once it is, it lacks all that came until then.
    pub(crate) fn miss(&mut self, last: RaftIndex, beat: u64) {
        (self.end, self.beat) = (last, beat);
    }

    /// As of when it had all.
    pub(crate) fn as_of(&self) -> Option<Mono> {
        self.as_of
    }

    /// True if it was seen just now that it had all that was there before.
    pub(crate) fn was_seen(&self, now: Mono) -> bool {
        self.seen == Some(now)
    }
}

#[cfg(test)]
mod tests {
    use super::CaughtUp;
    use base::{Mono, RaftIndex, limits};

    /// A leader that appends ten entries a beat, and how late its follower has them.
    fn follow(beats_late: impl Fn(u64) -> u64) -> Vec<Option<u64>> {
        let beat_us = limits::NODE_HEARTBEAT.as_micros() as u64;
        let mut it = CaughtUp::with_nothing(RaftIndex(10), 1);
        let ages = (2..=400).map(|beat| {
            let matched = RaftIndex(10 * (beat - beats_late(beat)));
            let now = Mono(beat * beat_us);
            it.look(matched, RaftIndex(10 * beat), now, beat);
            it.as_of()
                .map(|at| now.since(at).as_micros() as u64 / beat_us)
        });
        ages.collect()
    }

    #[test]
    fn who_is_always_a_little_late_is_caught_up_a_little_ago() {
        for late in 1..20 {
            let ages = follow(|beat| late.min(beat - 1));
            let worst = ages.iter().skip(25).max().copied().flatten();
            assert_eq!(worst, Some(2 * late - 2), "{late} beats late");
        }
    }

    #[test]
    fn who_was_away_has_to_have_what_came_meanwhile() {
        let mut it = CaughtUp::with_all(RaftIndex(10), Mono(0), 0);
        it.look(RaftIndex(10), RaftIndex(20), Mono(1), 1);
        it.miss(RaftIndex(8000), 2);
        it.look(RaftIndex(7999), RaftIndex(8000), Mono(3), 3);
        assert!(!it.was_seen(Mono(3)));
        it.look(RaftIndex(8000), RaftIndex(8000), Mono(4), 4);
        assert!(it.was_seen(Mono(4)));
    }

    #[test]
    fn who_falls_further_and_further_behind_is_not_caught_up() {
        let ages = follow(|beat| beat / 2 + 1);
        let last = ages.last().copied().flatten();
        assert!(last.is_none_or(|age| age > 100), "{last:?}");
    }
}
