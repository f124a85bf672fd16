//! Reads partitions from an offset on: one Fetch at a time to each leader, batches unpacked to
//! records.

use crate::client::cluster::Missing;
use crate::client::deadline::Pauses;
use crate::client::{Cluster, Code, Deadline, Trouble};
use base::record;
use base::{Batch, Offset};
use bytes::Bytes;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use wire_kafka::compress;
use wire_kafka::messages::fetch_request::{FetchPartition, FetchRequest, FetchTopic};
use wire_kafka::messages::fetch_response::PartitionData;
use wire_kafka::messages::list_offsets_request::{
    ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic,
};
use wire_kafka::messages::metadata_response::MetadataResponsePartition;

/// Most bytes asked for in one Fetch, and of one partition.
const FETCH_BYTES: i32 = 8 * 1024 * 1024;
/// Most bytes that one batch may unpack to.
const UNPACKED_BYTES_MAX: usize = 256 * 1024 * 1024;
/// Longest pause of a reader that nothing comes to, before it looks again who leads.
const LOST_PAUSE_MAX: Duration = Duration::from_secs(1);

/// A record that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// Its partition.
    pub partition: i32,
    /// Its offset.
    pub offset: i64,
    /// Milliseconds since 1970.
    pub timestamp: i64,
    /// Its key, if any.
    pub key: Option<Bytes>,
    /// Its value, if any.
    pub value: Option<Bytes>,
    /// Its headers.
    pub headers: Vec<(Bytes, Option<Bytes>)>,
    /// The leader epoch under which it was appended.
    pub epoch: i32,
}

/// Offsets that were removed before a reader came to them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Removed {
    /// Their partition.
    pub partition: i32,
    /// Where it would have gone on.
    pub from: i64,
    /// Where it goes on.
    pub upto: i64,
}

/// Which offset a reader asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// The first record there is.
    Earliest,
    /// After the last committed record.
    Latest,
    /// The first record from this time on; -1 where there is none.
    At(i64),
}

impl Bound {
    /// What ListOffsets is asked. Below zero are signs with a meaning of their own, and nothing is
    /// older than a time before 1970 either.
    fn timestamp(self) -> i64 {
        match self {
            Bound::Earliest => -2,
            Bound::Latest => -1,
            Bound::At(timestamp) => timestamp.max(0),
        }
    }
}

/// A reader of one topic.
#[derive(Debug)]
pub struct TopicReader {
    topic: String,
    leaders: BTreeMap<i32, i32>,
    /// Where each partition goes on.
    next: BTreeMap<i32, i64>,
    /// Partitions that don't have the offset at which they are to go on.
    outside: BTreeSet<i32>,
    /// What was removed meanwhile, until somebody asks.
    removed: Vec<Removed>,
    /// Begun when something stood in the way and nothing was received; over when something is.
    lost: Option<Pauses>,
}

impl TopicReader {
    /// A reader of these partitions; all of them if none is named. Those that nobody leads now are
    /// among them.
    pub fn open(
        cluster: &mut Cluster,
        topic: &str,
        only: Option<i32>,
        deadline: Deadline,
    ) -> Result<TopicReader, Trouble> {
        let known = cluster.topic(topic, Missing::Fail, deadline)?;
        let leaders: BTreeMap<i32, i32> = known
            .partitions
            .iter()
            .filter(|p| only.is_none_or(|only| only == p.partition_index))
            .map(|p| (p.partition_index, cluster.leader(p)))
            .collect();
        if leaders.is_empty() {
            let only = only.unwrap_or_default();
            let last = known.partitions.len() as i64 - 1;
            let what = format!("{topic} has no partition {only}; it has 0 to {last}");
            return Err(Trouble::Input { what });
        }
        Ok(TopicReader {
            topic: topic.into(),
            leaders,
            next: BTreeMap::new(),
            outside: BTreeSet::new(),
            removed: Vec::new(),
            lost: None,
        })
    }

    /// Asks where the partitions begin or end.
    pub fn offsets(
        &mut self,
        cluster: &mut Cluster,
        bound: Bound,
        deadline: Deadline,
    ) -> Result<BTreeMap<i32, i64>, Trouble> {
        let all = self.by_leader().into_values().flatten().collect();
        self.offsets_of(cluster, &all, bound, deadline)
    }

    /// The same for some of them.
    pub fn offsets_of(
        &mut self,
        cluster: &mut Cluster,
        wanted: &BTreeSet<i32>,
        bound: Bound,
        deadline: Deadline,
    ) -> Result<BTreeMap<i32, i64>, Trouble> {
        match self.offsets_told(cluster, wanted, bound, deadline)? {
            (found, None) => Ok(found),
            (_, Some(trouble)) => Err(trouble),
        }
    }

    /// The same as far as they are told in time, and why not all were.
    pub fn offsets_told(
        &mut self,
        cluster: &mut Cluster,
        wanted: &BTreeSet<i32>,
        bound: Bound,
        deadline: Deadline,
    ) -> Result<(BTreeMap<i32, i64>, Option<Trouble>), Trouble> {
        let mut found = BTreeMap::new();
        let mut pauses = Pauses::until(deadline);
        loop {
            let last = self.ask_offsets(cluster, wanted, bound, &mut found, deadline)?;
            if last.is_none() || !pauses.wait() {
                return Ok((found, last));
            }
            self.find_leaders(cluster, deadline)?;
        }
    }

    fn ask_offsets(
        &self,
        cluster: &mut Cluster,
        wanted: &BTreeSet<i32>,
        bound: Bound,
        found: &mut BTreeMap<i32, i64>,
        deadline: Deadline,
    ) -> Result<Option<Trouble>, Trouble> {
        let mut last = None;
        for (leader, mut partitions) in self.by_leader() {
            partitions.retain(|p| wanted.contains(p) && !found.contains_key(p));
            if partitions.is_empty() {
                continue;
            }
            if let Some(trouble) = self.unled(leader, &partitions) {
                last = Some(trouble);
                continue;
            }
            let request = self.offsets_request(&partitions, bound);
            let answer = match cluster.call_node(leader, &request, deadline) {
                Err(trouble) if trouble.is_retriable() => {
                    last = Some(trouble);
                    continue;
                }
                answer => answer?,
            };
            for part in answer.topics.iter().flat_map(|topic| &topic.partitions) {
                match self.refusal(part.partition_index, part.error_code) {
                    None => {
                        found.insert(part.partition_index, part.offset);
                    }
                    Some(trouble) if trouble.is_retriable() => last = Some(trouble),
                    Some(trouble) => return Err(trouble),
                }
            }
        }
        Ok(last)
    }

    fn offsets_request(&self, partitions: &[i32], bound: Bound) -> ListOffsetsRequest {
        let timestamp = bound.timestamp();
        let part = |partition: &i32| ListOffsetsPartition {
            partition_index: *partition,
            timestamp,
            ..ListOffsetsPartition::default()
        };
        let partitions = partitions.iter().map(part).collect();
        ListOffsetsRequest {
            topics: vec![ListOffsetsTopic {
                name: self.topic.clone(),
                partitions,
            }],
            ..ListOffsetsRequest::default()
        }
    }

    /// Sets where a partition goes on.
    pub fn seek(&mut self, partition: i32, offset: i64) {
        self.next.insert(partition, offset);
    }

    /// Where a partition goes on.
    pub fn position(&self, partition: i32) -> i64 {
        self.next.get(&partition).copied().unwrap_or(0)
    }

    /// Begins to read partitions, also some that the topic got since; a seek says from where.
    pub fn take_up(
        &mut self,
        cluster: &mut Cluster,
        partitions: &BTreeSet<i32>,
        deadline: Deadline,
    ) -> Result<(), Trouble> {
        for partition in partitions {
            self.next.entry(*partition).or_insert(0);
        }
        let mut pauses = Pauses::until(deadline);
        while let Some(unled) = partitions.iter().find(|p| !self.leaders.contains_key(p)) {
            let code = Code::LEADER_NOT_AVAILABLE.0;
            self.find_leaders(cluster, deadline)?;
            if !self.leaders.contains_key(unled) && !pauses.wait() {
                return Err(self.refusal(*unled, code).expect("it is a refusal"));
            }
        }
        Ok(())
    }

    /// Begins to read partitions that the topic got since, at their beginning.
    pub fn take_up_new(
        &mut self,
        cluster: &mut Cluster,
        deadline: Deadline,
    ) -> Result<(), Trouble> {
        for partition in self.known(cluster, deadline)? {
            let index = partition.partition_index;
            if let Entry::Vacant(new) = self.leaders.entry(index) {
                new.insert(cluster.leader(&partition));
                self.seek(index, 0);
            }
        }
        Ok(())
    }

    /// Stops reading a partition.
    pub fn leave(&mut self, partition: i32) {
        self.next.remove(&partition);
    }

    /// The partitions being read.
    pub fn partitions(&self) -> Vec<i32> {
        self.next.keys().copied().collect()
    }

    /// Reads what there is, waiting up to `wait` for something. Empty if nothing came, or if a
    /// leader is being looked for: the deadline of the call in which that began ends it.
    pub fn poll(
        &mut self,
        cluster: &mut Cluster,
        wait: Duration,
        deadline: Deadline,
    ) -> Result<Vec<Received>, Trouble> {
        let mut received = Vec::new();
        let mut lost = None;
        let leaders: Vec<_> = self.by_leader().into_iter().collect();
        let mut sent = Vec::new();
        let soon = deadline.within(cluster.patience());
        for (leader, partitions) in &leaders {
            if let Some(trouble) = self.unled(*leader, partitions) {
                lost = Some(trouble);
                continue;
            }
            let request = self.fetch_request(partitions, wait);
            let outcome = cluster
                .node(*leader, soon)
                .and_then(|node| node.send(&request, soon));
            match cluster.judged(*leader, outcome) {
                Ok(call) => sent.push((*leader, call)),
                Err(trouble) if trouble.is_retriable() => lost = Some(trouble),
                Err(trouble) => return Err(trouble),
            }
        }
        for (leader, call) in sent {
            let within = deadline.within(wait + cluster.patience());
            let outcome = cluster
                .node(leader, soon)
                .and_then(|node| node.receive::<FetchRequest>(call, within));
            match cluster.judged(leader, outcome) {
                Ok(answer) => {
                    for part in answer
                        .responses
                        .into_iter()
                        .flat_map(|topic| topic.partitions)
                    {
                        lost = self.take(part, &mut received)?.or(lost);
                    }
                }
                Err(trouble) if trouble.is_retriable() => lost = Some(trouble),
                Err(trouble) => return Err(trouble),
            }
        }
        // What was received has to be handed out, whatever comes of this; the next fetch asks again.
        match self.skip_removed(cluster, deadline) {
            Err(trouble) if trouble.is_retriable() => lost = Some(trouble),
            done => done?,
        }
        match lost {
            Some(trouble) => self.look_again(cluster, trouble, received.is_empty(), deadline)?,
            None => self.lost = None,
        }
        Ok(received)
    }

    /// Looks who leads now: at once if others sent something, else after a pause, and not for ever.
    fn look_again(
        &mut self,
        cluster: &mut Cluster,
        trouble: Trouble,
        nothing_came: bool,
        deadline: Deadline,
    ) -> Result<(), Trouble> {
        if !nothing_came {
            self.lost = None;
            return self.find_leaders(cluster, deadline);
        }
        let begun = || Pauses::until(deadline).growing_to(LOST_PAUSE_MAX);
        let mut pauses = self.lost.take().unwrap_or_else(begun);
        if !pauses.wait() {
            return Err(trouble);
        }
        let until = pauses.deadline();
        self.lost = Some(pauses);
        self.find_leaders(cluster, until)
    }

    /// What was removed before it was read, since this was asked last. Reading goes on behind it.
    pub fn removed(&mut self) -> Vec<Removed> {
        std::mem::take(&mut self.removed)
    }

    /// Partitions of which the beginning was removed meanwhile go on where they begin now.
    fn skip_removed(&mut self, cluster: &mut Cluster, deadline: Deadline) -> Result<(), Trouble> {
        let outside = std::mem::take(&mut self.outside);
        if outside.is_empty() {
            return Ok(());
        }
        let first = self.offsets_of(cluster, &outside, Bound::Earliest, deadline)?;
        for partition in outside {
            let from = self.position(partition);
            let start = first.get(&partition).copied();
            let Some(upto) = start.filter(|start| *start > from) else {
                let what = format!("partition {partition} of {} at {from}", self.topic);
                return Err(Trouble::refused(what, Code::OFFSET_OUT_OF_RANGE, None));
            };
            self.seek(partition, upto);
            self.removed.push(Removed {
                partition,
                from,
                upto,
            });
        }
        Ok(())
    }

    /// Unpacks one partition's answer; gives what stands in the way if it may go away.
    fn take(
        &mut self,
        part: PartitionData,
        out: &mut Vec<Received>,
    ) -> Result<Option<Trouble>, Trouble> {
        let partition = part.partition_index;
        if Code(part.error_code) == Code::OFFSET_OUT_OF_RANGE {
            self.outside.insert(partition);
            return Ok(None);
        }
        if let Some(trouble) = self.refusal(partition, part.error_code) {
            return if trouble.is_retriable() {
                Ok(Some(trouble))
            } else {
                Err(trouble)
            };
        }
        let mut bytes = part
            .records
            .map(|records| records.to_bytes())
            .unwrap_or_default();
        let mut next = self.position(partition);
        while !bytes.is_empty() {
            // The last batch may be cut off by the size that was asked for.
            let Ok(batch) = Batch::split_from(&mut bytes) else {
                break;
            };
            unpack(&batch, partition, next, out).map_err(|what| Trouble::Input {
                what: format!("{} partition {partition} offset {next}: {what}", self.topic),
            })?;
            next = next.max(batch.header().next_offset().0);
        }
        self.next.insert(partition, next);
        Ok(None)
    }

    /// What stands in the way where nobody leads.
    fn unled(&self, leader: i32, partitions: &[i32]) -> Option<Trouble> {
        let first = partitions.first().filter(|_| leader < 0)?;
        self.refusal(*first, Code::LEADER_NOT_AVAILABLE.0)
    }

    fn refusal(&self, partition: i32, code: i16) -> Option<Trouble> {
        let what = || format!("partition {partition} of {}", self.topic);
        (code != 0).then(|| Trouble::refused(what(), Code(code), None))
    }

    fn fetch_request(&self, partitions: &[i32], wait: Duration) -> FetchRequest {
        let part = |partition: &i32| FetchPartition {
            partition: *partition,
            fetch_offset: self.position(*partition),
            partition_max_bytes: FETCH_BYTES,
            ..FetchPartition::default()
        };
        FetchRequest {
            max_wait_ms: wait.as_millis() as i32,
            min_bytes: 1,
            max_bytes: FETCH_BYTES,
            topics: vec![FetchTopic {
                topic: self.topic.clone(),
                partitions: partitions.iter().map(part).collect(),
                ..FetchTopic::default()
            }],
            ..FetchRequest::default()
        }
    }

    /// The partitions being read (all of them before the first seek), by leader.
    fn by_leader(&self) -> BTreeMap<i32, Vec<i32>> {
        let mut by_leader: BTreeMap<i32, Vec<i32>> = BTreeMap::new();
        for (partition, leader) in &self.leaders {
            if self.next.is_empty() || self.next.contains_key(partition) {
                by_leader.entry(*leader).or_default().push(*partition);
            }
        }
        by_leader
    }

    /// The topic's partitions; none if it can't be asked now.
    fn known(
        &self,
        cluster: &mut Cluster,
        deadline: Deadline,
    ) -> Result<Vec<MetadataResponsePartition>, Trouble> {
        match cluster.topic_as_known(&self.topic, deadline) {
            Err(trouble) if trouble.is_retriable() => Ok(Vec::new()),
            topic => Ok(topic?.partitions),
        }
    }

    fn find_leaders(&mut self, cluster: &mut Cluster, deadline: Deadline) -> Result<(), Trouble> {
        for partition in self.known(cluster, deadline)? {
            let index = partition.partition_index;
            if self.leaders.contains_key(&index) || self.next.contains_key(&index) {
                self.leaders.insert(index, cluster.leader(&partition));
            }
        }
        Ok(())
    }
}

/// Adds the records of a batch from `from` on.
fn unpack(batch: &Batch, partition: i32, from: i64, out: &mut Vec<Received>) -> Result<(), String> {
    let header = batch.header();
    batch.verify().map_err(|e| e.to_string())?;
    if header.is_control() {
        return Ok(());
    }
    let compression = header.compression().map_err(|e| e.to_string())?;
    let plain = compress::decompress(compression, batch.body(), UNPACKED_BYTES_MAX)
        .map_err(|e| e.to_string())?;
    let plain = Bytes::from(plain);
    let mut pos = 0;
    for _ in 0..header.records {
        let record = record::read(&plain, &mut pos).map_err(|e| e.to_string())?;
        let Offset(base) = header.base_offset;
        let offset = base + i64::from(record.offset_delta);
        if offset < from {
            continue;
        }
        let owned = |bytes: &[u8]| plain.slice_ref(bytes);
        let headers = record.headers();
        out.push(Received {
            partition,
            offset,
            timestamp: record.timestamp(&header),
            key: record.key.map(owned),
            value: record.value.map(owned),
            headers: headers
                .into_iter()
                .map(|(name, value)| (owned(name), value.map(owned)))
                .collect(),
            epoch: header.leader_epoch,
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Bound, unpack};
    use base::record::Builder;

    #[test]
    fn records_have_the_time_of_their_append_where_the_topic_says_so() {
        let mut builder = Builder::new(5);
        builder.push(5, None, Some(b"a"), &[]);
        builder.push(7, None, Some(b"b"), &[]);
        let mut batch = builder.build();
        let times = |batch: &base::Batch| -> Vec<i64> {
            let mut out = Vec::new();
            unpack(batch, 0, 0, &mut out).expect("readable");
            out.iter().map(|record| record.timestamp).collect()
        };
        assert_eq!(times(&batch), [5, 7]);
        batch.stamp_times(true, 900);
        assert_eq!(times(&batch), [900, 900]);
    }

    #[test]
    fn a_time_before_1970_is_not_a_sign() {
        let asked = [-1, -2, i64::MIN, 0, 7].map(|ms| Bound::At(ms).timestamp());
        assert_eq!(asked, [0, 0, 0, 0, 7]);
    }
}
