//! The load: one idempotent writer a partition, each with one batch on its way, and one reader
//! over all of them. Each is a thread with a client of its own.

use crate::fleet::PATIENCE;
use crate::history::{Ack, History, Seen, Written, number, value};
use crate::wait;
use base::batch::Compression;
use cli::client::producer::{Outgoing, Producer, Record};
use cli::client::reader::{Bound, Received, TopicReader};
use cli::client::{Cluster, Deadline, Trouble};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

/// A batch that isn't acknowledged in this time ends its writer.
const GIVE_UP: Duration = Duration::from_secs(30);
/// Records of a batch go from one to this many.
const BATCH_RECORDS_MAX: u64 = 20;
/// How long a reader's Fetch waits.
const READ_WAIT: Duration = Duration::from_millis(100);

/// Ends the threads of a load when it goes, also where a run is broken off.
#[derive(Debug)]
struct Stop(Arc<AtomicBool>);

impl Drop for Stop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// How writers write.
#[derive(Clone, Copy, Debug)]
pub struct Manner {
    /// They go where an answer points to (KIP-951), or always ask who leads.
    pub hints: bool,
    /// They wait so long after each acknowledgement.
    pub pause: Duration,
}

/// As fast as they can, and where an answer points to.
pub const FAST: Manner = Manner {
    hints: true,
    pause: Duration::ZERO,
};

/// The running load.
#[derive(Debug)]
pub struct Load {
    stop: Stop,
    written: BTreeMap<i32, Arc<Mutex<Written>>>,
    writers: Vec<JoinHandle<()>>,
    reader: JoinHandle<BTreeMap<i32, Vec<Seen>>>,
    bootstrap: String,
    topic: String,
}

impl Load {
    /// Starts a writer for each partition and the reader.
    pub fn start(bootstrap: &str, topic: &str, partitions: i32, manner: Manner) -> Load {
        let stop = Arc::new(AtomicBool::new(false));
        let mut written = BTreeMap::new();
        let mut writers = Vec::new();
        for partition in 0..partitions {
            let told = Arc::new(Mutex::new(Written::default()));
            written.insert(partition, told.clone());
            let writer = Writer {
                bootstrap: bootstrap.into(),
                topic: topic.into(),
                partition,
                manner,
                told,
                stop: stop.clone(),
            };
            writers.push(std::thread::spawn(move || writer.run()));
        }
        let (address, name, ended) = (bootstrap.to_owned(), topic.to_owned(), stop.clone());
        let reader = std::thread::spawn(move || follow(&address, &name, &ended));
        Load {
            stop: Stop(stop),
            written,
            writers,
            reader,
            bootstrap: bootstrap.into(),
            topic: topic.into(),
        }
    }

    /// How many batches of a partition are acknowledged so far.
    pub fn acked(&self, partition: i32) -> usize {
        self.written[&partition]
            .lock()
            .expect("writers don't panic")
            .acks
            .len()
    }

    /// Waits until every partition has `batches` more acknowledged than now.
    pub fn progress(&self, batches: usize) -> Result<(), String> {
        let goals: Vec<(i32, usize)> = self
            .written
            .keys()
            .map(|p| (*p, self.acked(*p) + batches))
            .collect();
        for (partition, goal) in goals {
            let outcome = wait::patiently("acknowledgements of every partition", || {
                let written = self.written[&partition]
                    .lock()
                    .expect("writers don't panic");
                match &written.trouble {
                    Some(trouble) => Some(Err(format!("partition {partition}: {trouble}"))),
                    None => (written.acks.len() >= goal).then_some(Ok(())),
                }
            });
            outcome??;
        }
        Ok(())
    }

    /// Ends the load, reads everything back, and gives the whole history.
    pub fn finish(self) -> Result<History, String> {
        drop(self.stop);
        self.writers
            .into_iter()
            .for_each(|writer| writer.join().expect("writers don't panic"));
        let live = self.reader.join().expect("the reader doesn't panic");
        let take = |told: Arc<Mutex<Written>>| told.lock().expect("writers don't panic").clone();
        let written = self
            .written
            .into_iter()
            .map(|(p, told)| (p, take(told)))
            .collect();
        let last = read_all(&self.bootstrap, &self.topic)
            .map_err(|trouble| format!("reading everything back: {trouble}"))?;
        Ok(History {
            written,
            live,
            last,
        })
    }
}

struct Writer {
    bootstrap: String,
    topic: String,
    partition: i32,
    manner: Manner,
    told: Arc<Mutex<Written>>,
    stop: Arc<AtomicBool>,
}

impl Writer {
    fn run(self) {
        if let Err(trouble) = self.write() {
            self.told.lock().expect("only this thread writes").trouble = Some(trouble.to_string());
        }
    }

    fn write(&self) -> Result<(), Trouble> {
        let mut cluster = Cluster::new(&self.bootstrap)?.patient_for(PATIENCE);
        let until = || Deadline::after(GIVE_UP);
        let mut producer = Producer::open(&mut cluster, &self.topic, Compression::None, until())?;
        if !self.manner.hints {
            producer.ask_for_leaders();
        }
        let mut next = 0;
        while !self.stop.load(Ordering::Relaxed) {
            let records = 1 + next % BATCH_RECORDS_MAX;
            self.told.lock().expect("only this thread writes").attempted = next + records;
            let outgoing = self.batch(next, records);
            let placed = producer.send(&mut cluster, &[outgoing], until())?;
            let ack = Ack {
                first: next,
                records: records as u32,
                base_offset: placed[0].base_offset,
                at: wait::now(),
            };
            self.told
                .lock()
                .expect("only this thread writes")
                .acks
                .push(ack);
            next += records;
            wait::poll(self.manner.pause, || None::<()>);
        }
        Ok(())
    }

    fn batch(&self, first: u64, records: u64) -> Outgoing {
        let record = |number| Record {
            timestamp: cli::client::deadline::wall_ms(),
            key: None,
            value: Some(value(self.partition, number).into_bytes().into()),
            headers: Vec::new(),
        };
        let records = (first..first + records).map(record).collect();
        Outgoing {
            partition: self.partition,
            records,
        }
    }
}

/// Reads along until `stop`. Whatever it meets that goes away is met again.
fn follow(bootstrap: &str, topic: &str, stop: &AtomicBool) -> BTreeMap<i32, Vec<Seen>> {
    let mut seen: BTreeMap<i32, Vec<Seen>> = BTreeMap::new();
    let Ok(cluster) = Cluster::new(bootstrap) else {
        return seen;
    };
    let mut cluster = cluster.patient_for(PATIENCE);
    let until = || Deadline::after(GIVE_UP);
    let Ok(mut reader) = open(&mut cluster, topic) else {
        return seen;
    };
    while !stop.load(Ordering::Relaxed) {
        for record in reader
            .poll(&mut cluster, READ_WAIT, until())
            .unwrap_or_default()
        {
            seen.entry(record.partition)
                .or_default()
                .push(seen_of(&record));
        }
    }
    seen
}

fn open(cluster: &mut Cluster, topic: &str) -> Result<TopicReader, Trouble> {
    let mut reader = TopicReader::open(cluster, topic, None, Deadline::after(GIVE_UP))?;
    let known = cluster.topic_as_known(topic, Deadline::after(GIVE_UP))?;
    known
        .partitions
        .iter()
        .for_each(|p| reader.seek(p.partition_index, 0));
    Ok(reader)
}

/// Everything in a topic, by partition.
pub fn read_all(bootstrap: &str, topic: &str) -> Result<BTreeMap<i32, Vec<Seen>>, Trouble> {
    let mut cluster = Cluster::new(bootstrap)?.patient_for(PATIENCE);
    let mut reader = open(&mut cluster, topic)?;
    let ends = reader.offsets(&mut cluster, Bound::Latest, Deadline::after(GIVE_UP))?;
    let mut seen: BTreeMap<i32, Vec<Seen>> = BTreeMap::new();
    let until = Deadline::after(GIVE_UP * 4);
    while ends
        .iter()
        .any(|(partition, end)| reader.position(*partition) < *end)
    {
        if until.left().is_none() {
            let what = format!("reading {topic} to its ends");
            return Err(Trouble::TimedOut { what, last: None });
        }
        for record in reader.poll(&mut cluster, READ_WAIT, until)? {
            seen.entry(record.partition)
                .or_default()
                .push(seen_of(&record));
        }
    }
    Ok(seen)
}

fn seen_of(record: &Received) -> Seen {
    (
        record.offset,
        number(
            record.partition,
            record.value.as_deref().unwrap_or_default(),
        ),
    )
}
