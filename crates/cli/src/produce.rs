//! `flotilla produce`: lines in, records out.

mod json;
mod lines;
mod pace;

use crate::args::{self, Output};
use crate::client::producer::{Outgoing, Placed, Producer, Record};
use crate::client::{Cluster, Deadline, Trouble, deadline, partitioner};
use crate::output;
use crate::stop::Stop;
use base::batch::Compression;
use bytes::Bytes;
use lines::{Lines, Next};
use pace::Pace;
use serde_json::json;
use std::collections::BTreeMap;

/// Characters of a line that is named in an error.
const SHOWN_OF_A_LINE: usize = 80;

/// Records that wait for their batch, by partition.
#[derive(Debug)]
struct Gathered {
    batches: BTreeMap<i32, Vec<Record>>,
    bytes: usize,
    /// The partition that records without a key go to until the next send.
    turn: i32,
    partitions: i32,
}

/// Runs the command.
pub fn run(args: args::Produce) -> Result<(), Trouble> {
    let lines = Lines::open(args.file.as_deref())?;
    send_all(&args, lines)
}

fn send_all(args: &args::Produce, mut lines: Lines) -> Result<(), Trouble> {
    let mut cluster = Cluster::new(&args.target.bootstrap)?;
    let until = || Deadline::after(args.target.timeout);
    let compression = compression(args.compression);
    let producer = Producer::open(&mut cluster, &args.topic, compression, until())?;
    let partitions = producer.partitions();
    if let Some(asked) = args.partition.filter(|asked| *asked >= partitions) {
        return Err(no_partition(&args.topic, asked, partitions));
    }
    let turn = i32::try_from(deadline::wall_ms().rem_euclid(i64::from(partitions.max(1))));
    let gathered = Gathered {
        batches: BTreeMap::new(),
        bytes: 0,
        turn: producer.led_from(turn.unwrap_or(0)),
        partitions,
    };
    let mut run = Run {
        args,
        cluster,
        producer,
        gathered,
        totals: BTreeMap::new(),
        pace: Pace::new(args),
        lines: 0,
        stop: Stop::listen()?,
    };
    let outcome = run.work(&mut lines);
    run.pace.end();
    match outcome {
        Ok(()) => report(args, &run.totals),
        Err(trouble) => Err(cut_short(args, &run.totals, trouble)),
    }
}

/// What one run of the command keeps.
struct Run<'a> {
    args: &'a args::Produce,
    cluster: Cluster,
    producer: Producer,
    gathered: Gathered,
    totals: BTreeMap<i32, Total>,
    pace: Pace,
    /// Lines read so far.
    lines: u64,
    stop: Stop,
}

impl Run<'_> {
    fn work(&mut self, lines: &mut Lines) -> Result<(), Trouble> {
        loop {
            if self.stop.is_told() {
                let what = "stopped before the end of the input".to_owned();
                return self.send().and(Err(Trouble::Input { what }));
            }
            let next = match lines.next(self.gathered.bytes > 0) {
                Ok(Next::Line(line)) => self.take(line),
                Ok(Next::Idle) => self.send(),
                Ok(Next::End) => return self.send(),
                Err(trouble) => Err(trouble),
            };
            if let Err(trouble) = next {
                // What was good before a line that isn't goes out, as if the input ended here.
                return self.send().and(Err(trouble));
            }
            self.pace.wait();
        }
    }

    /// Gathers a line. What was gathered goes out before it if both together are too much, and with
    /// it if they are enough.
    fn take(&mut self, line: Bytes) -> Result<(), Trouble> {
        let enough = self.args.batch_bytes as usize;
        self.lines += 1;
        let (record, named) =
            record(self.args, &line).map_err(|why| bad_line(self.lines, &line, &why))?;
        if self.gathered.bytes > 0 && self.gathered.bytes + size(&record) > enough {
            self.send()?;
        }
        self.gathered.add(self.args, record, named)?;
        let early = self.pace.count();
        match early || self.gathered.bytes >= enough {
            true => self.send(),
            false => Ok(()),
        }
    }

    fn send(&mut self) -> Result<(), Trouble> {
        if self.gathered.bytes == 0 {
            return Ok(());
        }
        let until = Deadline::after(self.args.target.timeout);
        let outgoing = self.gathered.take();
        let placed = self.producer.send(&mut self.cluster, &outgoing, until)?;
        for placed in &placed {
            count(&mut self.totals, placed);
        }
        self.gathered.turn = self.producer.led_from(self.gathered.turn);
        self.pace.sent();
        Ok(())
    }
}

/// Tells how much is in the log although not all of the input is.
fn cut_short(args: &args::Produce, totals: &BTreeMap<i32, Total>, trouble: Trouble) -> Trouble {
    let records = totals.values().map(|total| total.records).sum();
    let records = output::counted(records, "record");
    output::complain(&format!(
        "produced {records} to {} before this:",
        args.topic
    ));
    trouble
}

fn no_partition(topic: &str, asked: i32, partitions: i32) -> Trouble {
    let last = partitions - 1;
    let what = format!("{topic} has no partition {asked}; it has 0 to {last}");
    Trouble::Input { what }
}

fn compression(asked: args::Compression) -> Compression {
    match asked {
        args::Compression::None => Compression::None,
        args::Compression::Gzip => Compression::Gzip,
        args::Compression::Snappy => Compression::Snappy,
        args::Compression::Lz4 => Compression::Lz4,
        args::Compression::Zstd => Compression::Zstd,
    }
}

impl Gathered {
    fn add(
        &mut self,
        args: &args::Produce,
        record: Record,
        named: Option<i32>,
    ) -> Result<(), Trouble> {
        let partition = match (args.partition.or(named), &record.key) {
            (Some(partition), _) => partition,
            (None, Some(key)) => partitioner::of_key(key, self.partitions),
            (None, None) => self.turn,
        };
        if partition >= self.partitions {
            return Err(no_partition(&args.topic, partition, self.partitions));
        }
        self.bytes += size(&record);
        self.batches.entry(partition).or_default().push(record);
        Ok(())
    }

    fn take(&mut self) -> Vec<Outgoing> {
        self.bytes = 0;
        self.turn = (self.turn + 1) % self.partitions.max(1);
        let batches = std::mem::take(&mut self.batches);
        let outgoing = |(partition, records)| Outgoing { partition, records };
        batches.into_iter().map(outgoing).collect()
    }
}

/// About how much a record takes of a batch.
fn size(record: &Record) -> usize {
    let length = |bytes: &Option<Bytes>| bytes.as_ref().map_or(0, Bytes::len);
    let headers = record.headers.iter();
    let headers: usize = headers.map(|(n, v)| n.len() + length(v) + 4).sum();
    // What it takes beside its bytes is at most about this.
    length(&record.key) + length(&record.value) + headers + 24
}

/// Names a line by its number and its beginning.
fn bad_line(number: u64, line: &[u8], why: &str) -> Trouble {
    let text = String::from_utf8_lossy(line);
    let mut shown: String = text.chars().take(SHOWN_OF_A_LINE).collect();
    if shown.len() < text.len() {
        shown.push_str("...");
    }
    let what = format!("line {number}, {shown:?}: {why}");
    Trouble::Input { what }
}

/// The record of a line, and the partition that the line names; or what is wrong with it.
fn record(args: &args::Produce, line: &Bytes) -> Result<(Record, Option<i32>), String> {
    let owned = |(name, value): &(String, String)| {
        let value = Bytes::from(value.clone().into_bytes());
        (Bytes::from(name.clone().into_bytes()), Some(value))
    };
    let mut record = Record {
        timestamp: deadline::wall_ms(),
        key: None,
        value: None,
        headers: args.header.iter().map(owned).collect(),
    };
    if args.json {
        let named = json::fill(&mut record, line)?;
        return Ok((record, named));
    }
    let (key, value) = match &args.key_separator {
        None => (None, line.clone()),
        Some(separator) => {
            let parts = split(line, separator.as_bytes());
            let (key, value) =
                parts.ok_or_else(|| format!("no {separator:?} stands between key and value"))?;
            (Some(key), value)
        }
    };
    (record.key, record.value) = (key, Some(value));
    Ok((record, None))
}

/// What stands before and after the first `separator`.
fn split(line: &Bytes, separator: &[u8]) -> Option<(Bytes, Bytes)> {
    if separator.is_empty() {
        return None;
    }
    let at = line
        .windows(separator.len())
        .position(|window| window == separator)?;
    Some((line.slice(..at), line.slice(at + separator.len()..)))
}

#[derive(Debug)]
struct Total {
    records: u64,
    first: i64,
    last: i64,
}

fn count(totals: &mut BTreeMap<i32, Total>, placed: &Placed) {
    let last = placed.base_offset + i64::from(placed.records) - 1;
    let fresh = || Total {
        records: 0,
        first: placed.base_offset,
        last,
    };
    let total = totals.entry(placed.partition).or_insert_with(fresh);
    total.records += u64::from(placed.records);
    total.last = last;
}

fn report(args: &args::Produce, totals: &BTreeMap<i32, Total>) -> Result<(), Trouble> {
    let records: u64 = totals.values().map(|total| total.records).sum();
    if args.target.output == Output::Json {
        let part = |(partition, total): (&i32, &Total)| {
            json!({
                "partition": partition,
                "records": total.records,
                "first": total.first,
                "last": total.last,
            })
        };
        let partitions: Vec<_> = totals.iter().map(part).collect();
        return output::json(
            &json!({ "topic": args.topic, "records": records, "partitions": partitions }),
        );
    }
    let mut text = format!(
        "produced {} to {}\n",
        output::counted(records, "record"),
        args.topic
    );
    for (partition, total) in totals {
        let (first, last) = (total.first, total.last);
        text.push_str(&format!(
            "  partition {partition}: offsets {first} to {last}\n"
        ));
    }
    output::text(&text)
}

#[cfg(test)]
mod tests;
