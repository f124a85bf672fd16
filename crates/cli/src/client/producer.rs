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
    pub headers: Vec<(Bytes, Option<Bytes>)>,
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
    leaders: BTreeMap<i32, Leader>,
    /// Answers may point to a new leader (KIP-951), which saves asking for it.
    follows_hints: bool,
}

/// Who leads a partition as far as is known.
#[derive(Clone, Copy, Debug)]
struct Leader {
    node: i32,
    epoch: i32,
}

/// What an attempt left undone.
#[derive(Default)]
struct Left {
    last: Option<Trouble>,
    /// Parts whose refusal came without a leader newer than the one that was known.
    astray: usize,
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
            follows_hints: true,
        };
        producer.find_leaders(cluster, true, deadline)?;
        Ok(producer)
    }

    /// Asks who leads after each refusal, as clients older than Kafka 3.7 do.
    pub fn ask_for_leaders(&mut self) {
        self.follows_hints = false;
    }

    /// How many partitions the topic has.
    pub fn partitions(&self) -> i32 {
        self.leaders.len() as i32
    }

    /// The first partition from this one on that somebody leads, for records that may go to any.
    pub fn led_from(&self, partition: i32) -> i32 {
        let led = |(_, leader): &(&i32, &Leader)| leader.node >= 0;
        let next = self.leaders.range(partition..).find(led);
        let next = next.or_else(|| self.leaders.range(..partition).find(led));
        next.map_or(partition, |(led, _)| *led)
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
        let mut obstacle = None;
        loop {
            let Left { last, astray } = self.attempt(cluster, &mut open, &mut placed, deadline)?;
            if open.is_empty() {
                return Ok(placed);
            }
            // An attempt that the deadline cut off doesn't tell what stands in the way.
            let broken = last.as_ref().is_some_and(Trouble::breaks_connection);
            obstacle = match broken && deadline.left().is_none() {
                true => obstacle.or(last),
                false => last.or(obstacle),
            };
            // Epochs only grow, so hints can't send it round in circles.
            if astray == 0 && deadline.left().is_some() {
                continue;
            }
            if !pauses.wait() {
                let what = format!("producing to {}", self.topic);
                return Err(Trouble::TimedOut {
                    what,
                    last: obstacle.map(Box::new),
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
    ) -> Result<Left, Trouble> {
        let mut left = Left::default();
        let mut by_leader: BTreeMap<i32, Vec<i32>> = BTreeMap::new();
        for partition in open.keys() {
            let leader = self.leaders.get(partition).map_or(-1, |leader| leader.node);
            by_leader.entry(leader).or_default().push(*partition);
        }
        for (leader, partitions) in by_leader {
            if leader < 0 {
                let what = format!("partition {} of {}", partitions[0], self.topic);
                let code = Code::LEADER_NOT_AVAILABLE;
                left.last = Some(Trouble::refused(what, code, None));
                left.astray += partitions.len();
                continue;
            }
            let parts = partitions.iter().map(|p| (*p, open[p].0.clone()));
            let request = self.request(parts);
            let answer = match cluster.call_node(leader, &request, deadline) {
                Ok(answer) => answer,
                Err(trouble) if trouble.is_retriable() => {
                    left.last = Some(trouble);
                    left.astray += partitions.len();
                    continue;
                }
                Err(trouble) => return Err(trouble),
            };
            for node in answer.node_endpoints.iter().filter(|_| self.follows_hints) {
                cluster.know(node.node_id, format!("{}:{}", node.host, node.port));
            }
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
                    Err(trouble) if trouble.is_retriable() => {
                        left.last = Some(trouble);
                        left.astray += usize::from(!self.redirected(part));
                    }
                    Err(trouble) => return Err(trouble),
                }
            }
        }
        Ok(left)
    }

    /// Follows an answer to the leader that it names, if that is news.
    fn redirected(&mut self, part: &PartitionProduceResponse) -> bool {
        let hint = Leader {
            node: part.current_leader.leader_id,
            epoch: part.current_leader.leader_epoch,
        };
        let newer = |known: &Leader| hint.epoch > known.epoch;
        let news = hint.node >= 0 && self.leaders.get(&part.index).is_none_or(newer);
        if !self.follows_hints || !news {
            return false;
        }
        self.leaders.insert(part.index, hint);
        true
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
        let first = part.records.first().map_or(0, |record| record.timestamp);
        let mut builder = Builder::new(first).compression(self.compression);
        if let Some((id, epoch)) = self.identity {
            let sequence = self.sequences.get(&part.partition).copied().unwrap_or(0);
            builder = builder.producer(ProducerId(id), epoch, sequence);
        }
        for record in &part.records {
            let headers: Vec<(&[u8], Option<&[u8]>)> = record
                .headers
                .iter()
                .map(|(name, value)| (&name[..], value.as_deref()))
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
            .map(|p| {
                let (node, epoch) = (cluster.leader(p), p.leader_epoch);
                (p.partition_index, Leader { node, epoch })
            })
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
