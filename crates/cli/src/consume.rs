//! `flotilla consume`: records in, lines out.

mod filter;
mod group;
mod print;

use crate::args::{Consume, Start};
use crate::client::deadline::wall_ms;
use crate::client::reader::{Bound, Received, Removed, TopicReader};
use crate::client::{Cluster, Deadline, Trouble, code::Code};
use crate::output;
use filter::Filter;
use print::Printer;
use std::collections::BTreeMap;
use std::time::Duration;

/// How long one Fetch waits for something new.
const WAIT: Duration = Duration::from_millis(500);
/// How often who follows looks whether the topic got more partitions.
const LOOK: Duration = Duration::from_secs(30);
/// How long such a look keeps what is read waiting, at the most.
const LOOK_PATIENCE: Duration = Duration::from_secs(2);

/// Runs the command.
pub fn run(args: Consume) -> Result<(), Trouble> {
    if let Some(group) = &args.group {
        return group::run(&args, group);
    }
    let mut cluster = Cluster::new(&args.target.bootstrap)?;
    let until = || Deadline::after(args.target.timeout);
    let mut reader = TopicReader::open(&mut cluster, &args.topic, args.partition, until())?;
    let first = reader.offsets(&mut cluster, Bound::Earliest, until())?;
    let ends = reader.offsets(&mut cluster, Bound::Latest, until())?;
    let starts = starts(&args, &mut cluster, &mut reader, &first, &ends, until())?;
    begin(&args, &mut reader, &starts, &first, &ends)?;
    let filter = Filter::new(&args);
    let mut left = args.count.unwrap_or(u64::MAX);
    let mut printer = Printer::new(&args);
    let mut look = Deadline::after(LOOK);
    loop {
        if !args.follow {
            leave_finished(&mut reader, &ends);
        }
        if left == 0 || reader.partitions().is_empty() {
            return printer.finish();
        }
        if args.follow && args.partition.is_none() && look.left().is_none() {
            // If it fails it is made again; what is wrong, reading tells.
            let soon = until().within(LOOK_PATIENCE);
            reader.take_up_new(&mut cluster, soon).ok();
            look = Deadline::after(LOOK);
        }
        let received = patiently(&args, reader.poll(&mut cluster, WAIT, until()))?;
        tell_removed(&args, &mut reader)?;
        let wanted = wanted(received, &args, &ends).filter(|record| filter.lets(record));
        for record in wanted.take(usize::try_from(left).unwrap_or(usize::MAX)) {
            printer.record(&record)?;
            left -= 1;
        }
        printer.flush()?;
    }
}

/// Where each partition is to be begun, as the command line says.
fn starts(
    args: &Consume,
    cluster: &mut Cluster,
    reader: &mut TopicReader,
    first: &BTreeMap<i32, i64>,
    ends: &BTreeMap<i32, i64>,
    until: Deadline,
) -> Result<BTreeMap<i32, i64>, Trouble> {
    let since = match args.from {
        Start::At(ms) => Some(ms),
        Start::Ago(ms) => Some(wall_ms() - ms),
        _ => None,
    };
    let found = match since {
        Some(ms) => reader.offsets(cluster, Bound::At(ms), until)?,
        None => BTreeMap::new(),
    };
    let start = |(partition, end): (&i32, &i64)| {
        let earliest = first.get(partition).copied().unwrap_or(0);
        let offset = match (args.last, args.from) {
            (Some(last), _) => (end - i64::from(last)).max(earliest),
            (None, Start::Earliest) => earliest,
            (None, Start::Latest) => *end,
            (None, Start::Offset(offset)) => offset,
            // Nothing is that young.
            (None, Start::At(_) | Start::Ago(_)) => {
                let found = found.get(partition).copied();
                found.filter(|offset| *offset >= 0).unwrap_or(*end)
            }
        };
        (*partition, offset)
    };
    Ok(ends.iter().map(start).collect())
}

/// Puts the reader where the command begins.
fn begin(
    args: &Consume,
    reader: &mut TopicReader,
    starts: &BTreeMap<i32, i64>,
    first: &BTreeMap<i32, i64>,
    ends: &BTreeMap<i32, i64>,
) -> Result<(), Trouble> {
    for (partition, offset) in starts {
        let earliest = first.get(partition).copied().unwrap_or(0);
        let end = ends.get(partition).copied().unwrap_or(0);
        // Found by time, it may lie behind an end that was asked for earlier.
        let found = matches!(args.from, Start::At(_) | Start::Ago(_));
        if *offset < earliest || (*offset > end && !found) {
            let what = format!(
                "partition {partition} of {} has offsets {earliest} to {end}, not {offset}",
                args.topic
            );
            return Err(Trouble::refused(what, Code::OFFSET_OUT_OF_RANGE, None));
        }
        reader.seek(*partition, *offset);
    }
    Ok(())
}

/// Who follows waits for what may come back, and hears of it; a topic that is gone doesn't.
fn patiently(
    args: &Consume,
    polled: Result<Vec<Received>, Trouble>,
) -> Result<Vec<Received>, Trouble> {
    let gone = Code::UNKNOWN_TOPIC_OR_PARTITION;
    match polled {
        Err(Trouble::Refused { code, .. }) if code == gone => polled,
        Err(trouble) if args.follow && trouble.is_retriable() => {
            output::complain(&format!("{trouble}; still trying"));
            Ok(Vec::new())
        }
        polled => polled,
    }
}

/// Retention may remove what comes next before it is read: reading goes on behind it. Only who named
/// that very offset isn't served with another one.
fn tell_removed(args: &Consume, reader: &mut TopicReader) -> Result<(), Trouble> {
    for Removed {
        partition,
        from,
        upto,
    } in reader.removed()
    {
        let topic = &args.topic;
        if args.from == Start::Offset(from) {
            let what = format!("partition {partition} of {topic} begins at {upto} now, not {from}");
            return Err(Trouble::refused(what, Code(1), None));
        }
        output::complain(&format!(
            "offsets {from} to {} of partition {partition} of {topic} were removed before they were read; going on at {upto}",
            upto - 1
        ));
    }
    Ok(())
}

/// Leaves the partitions that are read to where they ended when the command began.
fn leave_finished(reader: &mut TopicReader, ends: &BTreeMap<i32, i64>) {
    for partition in reader.partitions() {
        if reader.position(partition) >= ends.get(&partition).copied().unwrap_or(0) {
            reader.leave(partition);
        }
    }
}

fn wanted<'a>(
    received: Vec<Received>,
    args: &'a Consume,
    ends: &'a BTreeMap<i32, i64>,
) -> impl Iterator<Item = Received> + 'a {
    let end = |partition| ends.get(&partition).copied().unwrap_or(0);
    received
        .into_iter()
        .filter(move |r| args.follow || r.offset < end(r.partition))
}
