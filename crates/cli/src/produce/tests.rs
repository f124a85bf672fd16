use super::*;
use crate::args::Command;
use crate::client::tests::modern;
use crate::client::tests::node::{self, Act, Script};
use base::Batch;
use clap::Parser;
use std::sync::Mutex;

#[derive(Parser)]
struct Line {
    #[command(subcommand)]
    command: Command,
}

fn args(line: &str) -> args::Produce {
    match Line::try_parse_from(line.split(' '))
        .expect("a command line")
        .command
    {
        Command::Produce(produce) => produce,
        other => panic!("not produce: {other:?}"),
    }
}

fn gathered(line: &str, lines: &[&'static str]) -> Result<Vec<Outgoing>, Trouble> {
    let mut gathered = Gathered {
        batches: BTreeMap::new(),
        bytes: 0,
        turn: 1,
        partitions: 3,
    };
    for (number, text) in (1..).zip(lines) {
        let bytes = Bytes::from_static(text.as_bytes());
        let record = record(&args(line), &bytes);
        let (record, named) = record.map_err(|why| bad_line(number, &bytes, &why))?;
        gathered.add(&args(line), record, named)?;
    }
    Ok(gathered.take())
}

#[test]
fn a_key_ends_at_the_first_separator() {
    let outgoing = gathered("x produce t -k ::", &["k::v::w", "::v"]).expect("both have keys");
    let mut pairs: Vec<_> = outgoing
        .into_iter()
        .flat_map(|o| o.records)
        .map(|r| (r.key.expect("a key"), r.value.expect("a value")))
        .collect();
    pairs.sort();
    assert_eq!(
        pairs,
        [("".into(), "v".into()), ("k".into(), "v::w".into())]
    );
    let trouble = gathered("x produce t -k ::", &["a::b", "k:v"]).expect_err("no separator");
    let told = trouble.to_string();
    assert!(told.contains("line 2, \"k:v\""), "{told}");
    let long = &*"v".repeat(1 << 20).leak();
    let told = gathered("x produce t --json", &[long]).expect_err("no JSON");
    assert!(told.to_string().len() < 300, "{told}");
}

#[test]
fn keys_choose_partitions_and_the_rest_takes_turns() {
    let partitions = |line: &str, lines: &[&'static str]| -> Vec<i32> {
        gathered(line, lines)
            .expect("fine")
            .iter()
            .map(|o| o.partition)
            .collect()
    };
    assert_eq!(
        partitions("x produce t", &["a", "b", "c"]),
        [1],
        "a batch stays together"
    );
    assert_eq!(partitions("x produce t -p 2 -k =", &["a=1", "b=2"]), [2]);
    let same = gathered("x produce t -k =", &["a=1", "a=2", "a=3"]).expect("fine");
    assert_eq!(
        (same.len(), same[0].records.len()),
        (1, 3),
        "one key, one partition"
    );
}

#[test]
fn what_stood_before_a_bad_line_is_in_the_log() {
    let (address, script) = node::start(modern(&[Act::Answer(0, 40), Act::Answer(0, 41)]));
    let line = format!("x produce t -k = --bootstrap {address}");
    let lines = Lines::read(&b"a=1\nb=2\nbad\nc=3\n"[..], "test".into());
    let trouble = send_all(&args(&line), lines).expect_err("a line without a key");
    assert!(trouble.to_string().contains("\"bad\""), "{trouble}");
    // A slow input may be sent in several batches; what matters is that nothing is left behind.
    assert_eq!(counts(&script).iter().sum::<i32>(), 2);
}

/// How many records each batch had.
fn counts(script: &Mutex<Script>) -> Vec<i32> {
    let records = |bytes: &Bytes| {
        let batch = Batch::split_from(&mut bytes.clone());
        batch.expect("a batch").header().records
    };
    let batches = &script.lock().expect("no panic").batches;
    batches.iter().map(records).collect()
}

#[test]
fn a_large_line_goes_out_without_the_small_ones_before_it() {
    let (address, script) = node::start(modern(&[Act::Answer(0, 0), Act::Answer(0, 1)]));
    let (cluster, producer) = {
        let mut cluster = Cluster::new(&address).expect("an address");
        let until = Deadline::after(std::time::Duration::from_secs(20));
        let opened = Producer::open(&mut cluster, "t", Compression::None, until);
        (cluster, opened.expect("opened"))
    };
    let args = args("x produce t --batch-bytes 4000");
    let mut run = Run {
        args: &args,
        cluster,
        producer,
        gathered: Gathered {
            batches: BTreeMap::new(),
            bytes: 0,
            turn: 0,
            partitions: 1,
        },
        totals: BTreeMap::new(),
        pace: Pace::new(&args),
        lines: 0,
        stop: crate::stop::Stop::never(),
    };
    for length in [1000, 1000, 3900] {
        run.take(vec![b'v'; length].into()).expect("gathered");
    }
    run.send().expect("sent");
    assert_eq!(counts(&script), [2, 1]);
}
