//! Sends batches so that each is in the log once: an idempotent producer. A batch keeps its
//! sequence through all attempts, so the leader knows one that it has already.

use crate::client::cluster::Missing;
use crate::client::deadline::Pauses;
use crate::client::{Cluster, Code, Deadline, Trouble};
use base::ProducerId;
use base::batch::Compression;
use base::record::Builder;
use bytes::Bytes;
use std::collections::BTreeMap;
use wire_kafka::messages::init_producer_id_request::InitProducerIdRequest;
use wire_kafka::messages::produce_request::{
    PartitionProduceData, ProduceRequest, TopicProduceData,
};
use wire_kafka::messages::produce_response::PartitionProduceResponse;
use wire_kafka::{Records, compress};

/// Longest that the cluster is asked to wait for its copies, in milliseconds.
const COPIES_WAIT_MS: i32 = 10_000;

/// A record that is to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Milliseconds since 1970.
    pub timestamp: i64,
    /// Its key, if any.
    pub key: Option<Bytes>,
    /// Its value.
    pub value: Option<Bytes>,
    /// Its headers.
    pub headers: Vec<(Bytes, Bytes)>,
}

/// Records for one partition that go out together.
#[derive(Clone, Debug)]
pub struct Outgoing {
    /// The partition.
    pub partition: i32,
    /// At least one.
    pub records: Vec<Record>,
}

/// Where a batch went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placed {
    /// The partition.
    pub partition: i32,
    /// The offset of its first record; -1 if the leader had the batch and forgot where.
    pub base_offset: i64,
    /// How many records it has.
    pub records: u32,
}

/// A producer for one topic. Calls must not overlap: one request per partition is on its way.
#[derive(Debug)]
pub struct Producer {
    topic: String,
    compression: Compression,
    /// Id and epoch; none with a cluster that has no idempotent producers.
    identity: Option<(i64, i16)>,
    sequences: BTreeMap<i32, i32>,
    leaders: BTreeMap<i32, i32>,
}

impl Producer {
    /// Asks for an identity. A missing topic is made if the cluster does that.
    pub fn open(
        cluster: &mut Cluster,
        topic: &str,
        compression: Compression,
        deadline: Deadline,
    ) -> Result<Producer, Trouble> {
        let identity = match new_identity(cluster, deadline) {
            Err(Trouble::Missing { .. }) => None,
            identity => Some(identity?),
        };
        let mut producer = Producer {
            topic: topic.into(),
            compression,
            identity,
            sequences: BTreeMap::new(),
            leaders: BTreeMap::new(),
        };
        producer.find_leaders(cluster, true, deadline)?;
        Ok(producer)
    }

    /// How many partitions the topic has.
    pub fn partitions(&self) -> i32 {
        self.leaders.len() as i32
    }

    /// Sends batches, at most one a partition, and waits until each is committed. Tries again
    /// until the deadline whatever another attempt may mend.
    pub fn send(
        &mut self,
        cluster: &mut Cluster,
        outgoing: &[Outgoing],
        deadline: Deadline,
    ) -> Result<Vec<Placed>, Trouble> {
        let mut open = BTreeMap::new();
        for part in outgoing {
            open.insert(
                part.partition,
                (self.pack(part)?, part.records.len() as u32),
            );
        }
        let mut placed = Vec::new();
        let mut pauses = Pauses::until(deadline);
        loop {
            let last = self.attempt(cluster, &mut open, &mut placed, deadline)?;
            if open.is_empty() {
                return Ok(placed);
            }
            if !pauses.wait() {
                let what = format!("producing to {}", self.topic);
                return Err(Trouble::TimedOut {
                    what,
                    last: last.map(Box::new),
                });
            }
            if let Err(trouble) = self.find_leaders(cluster, false, deadline)
                && !trouble.is_retriable()
            {
                return Err(trouble);
            }
        }
    }

    /// One request to each leader. What is committed moves from `open` to `placed`; an error is
    /// one that no further attempt mends.
    fn attempt(
        &mut self,
        cluster: &mut Cluster,
        open: &mut BTreeMap<i32, (Records, u32)>,
        placed: &mut Vec<Placed>,
        deadline: Deadline,
    ) -> Result<Option<Trouble>, Trouble> {
        let mut last = None;
        let mut by_leader: BTreeMap<i32, Vec<i32>> = BTreeMap::new();
        for partition in open.keys() {
            let leader = self.leaders.get(partition).copied().unwrap_or(-1);
            by_leader.entry(leader).or_default().push(*partition);
        }
        for (leader, partitions) in by_leader {
            let parts = partitions.iter().map(|p| (*p, open[p].0.clone()));
            let request = self.request(parts);
            let answer = match cluster.call_node(leader, &request, deadline) {
                Ok(answer) => answer,
                Err(trouble) if trouble.is_retriable() => {
                    last = Some(trouble);
                    continue;
                }
                Err(trouble) => return Err(trouble),
            };
            for part in answer
                .responses
                .iter()
                .flat_map(|topic| &topic.partition_responses)
            {
                let records = open.get(&part.index).map_or(0, |(_, records)| *records);
                match self.judge(part, records) {
                    Ok(done) => {
                        open.remove(&part.index);
                        placed.push(done);
                    }
                    Err(trouble) if trouble.is_retriable() => last = Some(trouble),
                    Err(trouble) => return Err(trouble),
                }
            }
        }
        Ok(last)
    }

    fn judge(&mut self, part: &PartitionProduceResponse, records: u32) -> Result<Placed, Trouble> {
        let code = Code(part.error_code);
        if !code.is_ok() && code != Code::DUPLICATE_SEQUENCE_NUMBER {
            let what = format!("producing to partition {} of {}", part.index, self.topic);
            return Err(Trouble::refused(what, code, part.error_message.clone()));
        }
        let next = self.sequences.entry(part.index).or_insert(0);
        *next = next.wrapping_add_unsigned(records) & i32::MAX;
        let base_offset = if code.is_ok() { part.base_offset } else { -1 };
        Ok(Placed {
            partition: part.index,
            base_offset,
            records,
        })
    }

    fn request(&self, parts: impl Iterator<Item = (i32, Records)>) -> ProduceRequest {
        let partition_data = parts
            .map(|(index, records)| PartitionProduceData {
                index,
                records: Some(records),
            })
            .collect();
        ProduceRequest {
            acks: -1,
            timeout_ms: COPIES_WAIT_MS,
            topic_data: vec![TopicProduceData {
                name: self.topic.clone(),
                partition_data,
                ..TopicProduceData::default()
            }],
            ..ProduceRequest::default()
        }
    }

    fn pack(&self, part: &Outgoing) -> Result<Records, Trouble> {
        let attributes = match self.compression {
            Compression::None => 0,
            Compression::Gzip => 1,
            Compression::Snappy => 2,
            Compression::Lz4 => 3,
            Compression::Zstd => 4,
        };
        let first = part.records.first().map_or(0, |record| record.timestamp);
        let mut builder = Builder::new(first).attributes(attributes);
        if let Some((id, epoch)) = self.identity {
            let sequence = self.sequences.get(&part.partition).copied().unwrap_or(0);
            builder = builder.producer(ProducerId(id), epoch, sequence);
        }
        for record in &part.records {
            let headers: Vec<(&[u8], Option<&[u8]>)> = record
                .headers
                .iter()
                .map(|(name, value)| (&name[..], Some(&value[..])))
                .collect();
            builder.push(
                record.timestamp,
                record.key.as_deref(),
                record.value.as_deref(),
                &headers,
            );
        }
        let body = compress::compress(self.compression, builder.record_bytes()).map_err(|e| {
            Trouble::Input {
                what: format!("can't compress the records: {e}"),
            }
        })?;
        Ok(builder.build_with_body(body).into())
    }

    fn find_leaders(
        &mut self,
        cluster: &mut Cluster,
        create: bool,
        deadline: Deadline,
    ) -> Result<(), Trouble> {
        let topic = if create {
            cluster.topic(&self.topic, Missing::Create, deadline)?
        } else {
            cluster.topic_as_known(&self.topic, deadline)?
        };
        self.leaders = topic
            .partitions
            .iter()
            .map(|p| (p.partition_index, p.leader_id))
            .collect();
        Ok(())
    }
}

fn new_identity(cluster: &mut Cluster, deadline: Deadline) -> Result<(i64, i16), Trouble> {
    let question = InitProducerIdRequest {
        transaction_timeout_ms: 60_000,
        ..InitProducerIdRequest::default()
    };
    let mut pauses = Pauses::until(deadline);
    loop {
        let answer = cluster.call_any(&question, deadline)?;
        let code = Code(answer.error_code);
        if code.is_ok() {
            return Ok((answer.producer_id, answer.producer_epoch));
        }
        let trouble = Trouble::refused("asking for a producer id", code, None);
        // The coordinator's codes while it isn't ready yet.
        let later = matches!(code.0, 14..=16) || trouble.is_retriable();
        if !later || !pauses.wait() {
            return Err(trouble);
        }
    }
}
