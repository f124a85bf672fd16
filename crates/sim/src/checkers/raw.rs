//! The segments of a partition as they lie on a disk, read without the product's index and reader: what is
//! read there is what the product reads, and the same on all replicas, byte for byte. For partitions that
//! aren't compacted: whose segments those are that lie beside each other only the product knows.

use super::{Checked, Part, Seen, violation};
use base::checksum::crc32c;
use std::collections::{BTreeMap, BTreeSet};

/// The files of segments by the offset in their name.
pub(crate) type Files = BTreeMap<i64, Vec<u8>>;

/// A batch as it lies there: its first offset, and the checksum over all its bytes.
type Lies = (i64, u32);

struct Found<'a> {
    next: i64,
    bytes: &'a [u8],
}

fn number<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at + N)?.try_into().ok()
}

/// The batch at a place in a file, if one with this first offset is there. Format: KIP-98.
fn batch(file: &[u8], at: usize, base: i64) -> Option<Found<'_>> {
    let rest = file.get(at..)?;
    if i64::from_be_bytes(number(rest, 0)?) != base {
        return None;
    }
    let len = usize::try_from(i32::from_be_bytes(number(rest, 8)?)).ok()?;
    let bytes = rest.get(..12 + len).filter(|bytes| bytes.len() >= 61)?;
    let whole = u32::from_be_bytes(number(bytes, 17)?) == crc32c(&bytes[21..]);
    let last = i32::from_be_bytes(number(bytes, 23)?);
    whole.then_some(Found {
        next: base + i64::from(last) + 1,
        bytes,
    })
}

/// The batches from one on that begins at `from`, in a file, up to `end`. What was cut off may still lie
/// there, or in a file of its own, and be of a later epoch than what came into its place: where two lie, the
/// one that was read counts. Before `start` nothing was read: there a file is followed as long as it goes.
fn walk(
    files: &Files,
    from: i64,
    (start, end): (i64, i64),
    read: &BTreeSet<Lies>,
) -> Vec<(i64, i64, u32)> {
    let (mut file, mut at, mut next) = (from, 0, from);
    let mut all = Vec::new();
    while next < end {
        let here = files.get(&file).and_then(|bytes| batch(bytes, at, next));
        let other = (file != next).then(|| files.get(&next)).flatten();
        let there = other.and_then(|bytes| batch(bytes, 0, next));
        let counts =
            |found: &Found<'_>| next < start || read.contains(&(next, crc32c(found.bytes)));
        let moves = there.is_some() && !here.as_ref().is_some_and(counts);
        if moves {
            (file, at) = (next, 0);
        }
        let Some(found) = (if moves { there } else { here }) else {
            return all;
        };
        all.push((next, found.next, crc32c(found.bytes)));
        at += found.bytes.len();
        next = found.next;
    }
    all
}

/// The batches between two offsets; those that reach over the first one as well.
fn lying(files: &Files, (start, end): (i64, i64), read: &[Lies]) -> Vec<Lies> {
    let read = read.iter().copied().collect();
    let begins = files.range(..=start).rev().map(|(base, _)| *base);
    let logs = begins.map(|base| walk(files, base, (start, end), &read));
    // A file in front may be left over from what was cut off.
    let mut logs = logs.filter(|log| log.iter().any(|(_, next, _)| *next > start));
    let log = logs.find(|log| log.last().is_some_and(|(_, next, _)| *next == end));
    let log = log
        .into_iter()
        .flatten()
        .filter(|(_, next, _)| *next > start);
    log.map(|(base, _, sum)| (base, sum)).collect()
}

/// The files of a replica's node hold what the product read from them.
pub(crate) fn same(part: Part, node: u32, files: &Files, log: &[Seen]) -> Checked {
    let (Some(first), Some(last)) = (log.first(), log.last()) else {
        return Ok(());
    };
    let read = log.iter().map(|seen| (seen.base, seen.fingerprint));
    let read: Vec<Lies> = read.collect();
    let lies = lying(files, (first.base, last.next), &read);
    if lies == read {
        return Ok(());
    }
    let at = lies.iter().zip(&read).position(|(a, b)| a != b);
    let at = at.unwrap_or(lies.len().min(read.len()));
    let what = format!(
        "{part}, node {node}: batch {at} is {:?} in the files {:?}, and was read as {:?}",
        lies.get(at),
        files.keys(),
        read.get(at)
    );
    Err(violation("the files hold what is read", what))
}

#[cfg(test)]
mod tests {
    use super::super::{read_batches, testing::PART};
    use super::*;
    use crate::payload::{self, Ident};
    use base::record::Builder;

    /// A batch of one record as a leader of `epoch` stores it.
    fn stored(base: i64, epoch: i32, ident: u64) -> Vec<u8> {
        let mut builder = Builder::new(5);
        builder.push(5, None, Some(&payload::value(Ident(ident), 40)), &[]);
        let mut bytes = builder.build().to_bytes().to_vec();
        bytes[..8].copy_from_slice(&base.to_be_bytes());
        bytes[12..16].copy_from_slice(&epoch.to_be_bytes());
        bytes
    }

    fn log(batches: &[Vec<u8>]) -> Vec<Seen> {
        read_batches(batches.concat().into(), false).unwrap()
    }

    #[test]
    fn files_with_other_bytes_are_caught_and_what_was_cut_off_is_passed_over() {
        let batches = [
            stored(0, 1, 0),
            stored(1, 1, 1),
            stored(2, 3, 2),
            stored(3, 3, 3),
        ];
        let mut files = Files::new();
        files.insert(0, [&batches[0][..], &batches[1], &stored(2, 2, 9)].concat());
        files.insert(2, [&batches[2][..], &batches[3]].concat());
        files.insert(3, stored(3, 4, 8));
        assert_eq!(same(PART, 1, &files, &log(&batches)), Ok(()));
        assert_eq!(
            same(PART, 1, &files, &log(&batches[1..])),
            Ok(()),
            "from there on"
        );
        assert_eq!(same(PART, 1, &files, &[]), Ok(()));
        files.insert(1, stored(1, 0, 6));
        let later = same(PART, 1, &files, &log(&batches[2..]));
        assert_eq!(later, Ok(()), "what was cut off before that doesn't count");
        files.remove(&1);
        let mut other = batches.clone();
        other[1] = stored(1, 1, 7);
        assert!(same(PART, 1, &files, &log(&other)).is_err());
        files.remove(&2);
        assert!(same(PART, 1, &files, &log(&batches)).is_err());
    }
}
