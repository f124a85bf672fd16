//! What was read from files for a node that fell behind, and is on its way there. All that goes to a node
//! goes one after the other: heartbeats, votes, answers, and what the groups need that it leads. So this is
//! kept short, or on a narrow line all that would come as late as the last of it.
//!
//! It is not a measure of the line: it allows as much as arrived lately and a little more, which
//! finds out by itself how much a line takes.

use std::collections::VecDeque;

/// So many times what arrives in a beat may be on its way: a beat is heard of with the next one, and answered
/// after that; and as much again, or a line wouldn't be filled that begins to take more.
const BEATS_AHEAD: u64 = 4;
/// How slowly the pace follows: words of what arrived come in bunches.
const INERTIA: u64 = 8;

/// Bytes on their way to one node.
#[derive(Debug, Default)]
pub(crate) struct UnderWay {
    /// With the beats in which they were sent, the oldest first.
    sent: VecDeque<(u64, u64)>,
    bytes: u64,
    /// Bytes that arrive in a beat, as it was lately.
    pace: u64,
}

impl UnderWay {
    /// So much was sent in this beat.
    pub(crate) fn send(&mut self, beat: u64, bytes: u64) {
        self.bytes += bytes;
        match self.sent.back_mut().filter(|(last, _)| *last == beat) {
            Some((_, before)) => *before += bytes,
            None => self.sent.push_back((beat, bytes)),
        }
    }

    /// A beat, in which the node is known to have heard of the beat `reached`: what was sent before that
    /// one has arrived.
    pub(crate) fn beat(&mut self, reached: u64) {
        let mut arrived = 0;
        while let Some((_, bytes)) = self.sent.pop_front_if(|(beat, _)| *beat < reached) {
            arrived += bytes;
        }
        self.bytes -= arrived;
        self.pace = (self.pace * (INERTIA - 1) + arrived) / INERTIA;
    }

    /// What may be sent beside it, if `more` may be on its way than its pace allows.
    pub(crate) fn room(&self, more: u64) -> u64 {
        (more + BEATS_AHEAD * self.pace).saturating_sub(self.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MORE: u64 = 1_000;

    /// Sends all that may be sent over a line that takes `line` bytes in a beat, whose ends are `away` beats
    /// apart, for 100 beats. What arrived in each of the last 50, and the most that ever waited.
    fn sent_over(line: u64, away: u64) -> (u64, u64) {
        let mut way = UnderWay::default();
        let mut waiting = VecDeque::new();
        let (mut reached, mut most, mut arrived) = (0, 0, 0);
        for beat in 1..=100 {
            way.beat(u64::saturating_sub(reached, away));
            let bytes = way.room(MORE);
            way.send(beat, bytes);
            waiting.push_back((beat, bytes));
            most = most.max(waiting.iter().map(|(_, bytes)| bytes).sum());
            let mut takes = line;
            while let Some((beat, bytes)) = waiting.front_mut() {
                let taken = takes.min(*bytes);
                (*bytes, takes) = (*bytes - taken, takes - taken);
                if *bytes > 0 {
                    break;
                }
                reached = *beat;
                waiting.pop_front();
            }
            arrived += if beat > 50 { line - takes } else { 0 };
        }
        (arrived / 50, most)
    }

    #[test]
    fn a_narrow_line_is_used_and_little_waits_before_it() {
        let (arrives, waits) = sent_over(300, 0);
        assert!(arrives > 280, "{arrives}");
        assert!(waits <= 2 * MORE + 4 * 300, "{waits}");
    }

    #[test]
    fn a_wide_line_is_filled_within_seconds() {
        let (arrives, _) = sent_over(3 * MORE, 0);
        assert!(arrives > 5 * MORE / 2, "{arrives}");
    }

    #[test]
    fn what_is_far_away_gets_less_and_never_nothing() {
        let (arrives, _) = sent_over(20 * MORE, 3);
        assert!(arrives > MORE / 3, "{arrives}");
    }

    #[test]
    fn nothing_more_is_sent_until_something_arrives() {
        let mut way = UnderWay::default();
        way.send(1, 700);
        way.send(1, 299);
        assert_eq!(way.room(MORE), 1);
        way.send(2, 5_000);
        for _ in 0..100 {
            way.beat(1);
            assert_eq!(way.room(MORE), 0);
        }
        way.beat(2);
        assert_eq!(way.room(MORE), 0, "the rest is still on its way");
        way.beat(3);
        assert!(way.room(MORE) > MORE);
    }
}
