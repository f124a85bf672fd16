//! Judges a history: nothing acknowledged is lost, nothing is there twice, offsets are
//! contiguous, order is kept, and what a reader once saw stays.

use crate::history::{History, Seen, Written, value};
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
        let mut found = partition_problems(*partition, written, live, last);
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

fn partition_problems(
    partition: i32,
    written: &Written,
    live: &[Seen],
    last: &[Seen],
) -> Vec<String> {
    let mut problems: Vec<String> = written.trouble.iter().cloned().collect();
    for (at, (offset, _)) in last.iter().enumerate() {
        if *offset != at as i64 {
            problems.push(format!("offset {offset} stands where {at} belongs"));
            break;
        }
    }
    let mut first_place = BTreeMap::new();
    for (offset, text) in last {
        if let Some(before) = first_place.insert(text.as_str(), *offset) {
            problems.push(format!("{text} is there twice, at {before} and {offset}"));
        }
    }
    let at: BTreeMap<i64, &str> = last
        .iter()
        .map(|(offset, text)| (*offset, text.as_str()))
        .collect();
    problems.extend(lost(partition, written, &at, &first_place));
    problems.extend(unordered(partition, written, last));
    for (offset, text) in live {
        if at.get(offset) != Some(&text.as_str()) {
            problems.push(format!(
                "a reader saw {text} at {offset}; now there is {:?}",
                at.get(offset)
            ));
        }
    }
    problems
}

fn lost(
    partition: i32,
    written: &Written,
    at: &BTreeMap<i64, &str>,
    places: &BTreeMap<&str, i64>,
) -> Vec<String> {
    let mut problems = Vec::new();
    for ack in &written.acks {
        for i in 0..u64::from(ack.records) {
            let text = value(partition, ack.first + i);
            let offset = ack.base_offset + i as i64;
            let there = match ack.base_offset {
                -1 => places.contains_key(text.as_str()),
                _ => at.get(&offset) == Some(&text.as_str()),
            };
            if !there {
                let found = at.get(&offset);
                problems.push(format!(
                    "{text} was acknowledged at {offset}; there is {found:?}"
                ));
            }
        }
    }
    problems
}

/// One batch is on its way at a time, so the log is a prefix of what was tried, in order.
fn unordered(partition: i32, written: &Written, last: &[Seen]) -> Option<String> {
    for (number, (offset, text)) in last.iter().enumerate() {
        if *text != value(partition, number as u64) {
            return Some(format!(
                "at {offset} is {text}, where record {number} belongs"
            ));
        }
    }
    let count = last.len() as u64;
    (count > written.attempted)
        .then(|| format!("{count} records, {} were tried", written.attempted))
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
