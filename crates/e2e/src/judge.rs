//! Judges a history: nothing acknowledged is lost, nothing is there twice, offsets are
//! contiguous, order is kept, and what a reader once saw stays.

use crate::history::{History, Seen, Written};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Problems named at most for one partition, so that one fault doesn't fill the screen.
const NAMED_MAX: usize = 5;

/// Everything that is wrong with a history; empty if it is sound.
pub fn problems(history: &History) -> Vec<String> {
    let nothing = Vec::new();
    let mut problems = Vec::new();
    for (partition, written) in &history.written {
        let last = history.last.get(partition).unwrap_or(&nothing);
        let live = history.live.get(partition).unwrap_or(&nothing);
        let mut found = partition_problems(written, live, last);
        let more = found.len().saturating_sub(NAMED_MAX);
        found.truncate(NAMED_MAX);
        found.extend((more > 0).then(|| format!("and {more} more")));
        problems.extend(
            found
                .into_iter()
                .map(|problem| format!("partition {partition}: {problem}")),
        );
    }
    problems
}

fn partition_problems(written: &Written, live: &[Seen], last: &[Seen]) -> Vec<String> {
    let mut problems: Vec<String> = written.trouble.iter().cloned().collect();
    // One batch is on its way at a time, so the log is a prefix of what was tried, in order.
    let wrong = last
        .iter()
        .enumerate()
        .find(|(at, seen)| **seen != (*at as i64, *at as u64));
    if let Some((at, (offset, number))) = wrong {
        problems.push(format!(
            "record {number} at offset {offset}, where record {at} belongs"
        ));
        problems.extend(twice(last));
    }
    if last.len() as u64 > written.attempted {
        problems.push(format!(
            "{} records, {} were tried",
            last.len(),
            written.attempted
        ));
    }
    let at: BTreeMap<i64, u64> = last.iter().copied().collect();
    problems.extend(lost(written, last, &at));
    for (offset, number) in live {
        if at.get(offset) != Some(number) {
            let now = at.get(offset);
            problems.push(format!(
                "a reader saw record {number} at {offset}; now there is {now:?}"
            ));
        }
    }
    problems
}

fn twice(last: &[Seen]) -> Vec<String> {
    let mut first_place = BTreeMap::new();
    let mut problems = Vec::new();
    for (offset, number) in last {
        if let Some(before) = first_place.insert(number, offset) {
            problems.push(format!(
                "record {number} is there twice, at {before} and {offset}"
            ));
        }
    }
    problems
}

fn lost(written: &Written, last: &[Seen], at: &BTreeMap<i64, u64>) -> Vec<String> {
    let mut problems = Vec::new();
    for ack in &written.acks {
        for i in 0..u64::from(ack.records) {
            let (number, offset) = (ack.first + i, ack.base_offset + i as i64);
            let there = match ack.base_offset {
                // The leader forgot where; the place may be any, near the number as a rule.
                -1 => {
                    at.get(&(number as i64)) == Some(&number) || last.iter().any(|s| s.1 == number)
                }
                _ => at.get(&offset) == Some(&number),
            };
            if !there {
                let found = at.get(&offset);
                problems.push(format!(
                    "record {number} was acknowledged at {offset}; there is {found:?}"
                ));
            }
        }
    }
    problems
}

/// The longest time without an acknowledgement that ended after `from` and began before `to`.
pub fn longest_gap(written: &Written, from: Instant, to: Instant) -> Duration {
    let pairs = written.acks.windows(2);
    let gaps = pairs.filter(|pair| pair[1].at > from && pair[0].at < to);
    gaps.map(|pair| pair[1].at.duration_since(pair[0].at))
        .max()
        .unwrap_or_default()
}

/// The middle and the largest of some times.
pub fn median_and_max(times: &[Duration]) -> (Duration, Duration) {
    let mut sorted = times.to_vec();
    sorted.sort();
    let middle = sorted.get(sorted.len() / 2).copied().unwrap_or_default();
    (middle, sorted.last().copied().unwrap_or_default())
}

#[cfg(test)]
mod tests;
