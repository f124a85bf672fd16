//! A client that writes: idempotent (retries the same sequences until they are acknowledged) or
//! plain (tries each batch once and doesn't know what became of it if nobody answers).

use super::links::Ask;
use super::{Common, Reach, codes, decode};
use crate::checkers::{Checked, Part, violation};
use crate::net::Place;
use crate::payload::{self, Ident};
use crate::scheduler::Micros;
use base::ProducerId;
use base::record::Builder;
use bytes::Bytes;
use std::collections::{BTreeMap, VecDeque};
use wire_kafka::messages::init_producer_id_request::InitProducerIdRequest;
use wire_kafka::messages::init_producer_id_response::InitProducerIdResponse;
use wire_kafka::messages::produce_request::{
    PartitionProduceData, ProduceRequest, TopicProduceData,
};
use wire_kafka::messages::produce_response::{PartitionProduceResponse, ProduceResponse};
use wire_kafka::{Reader, Records};

/// How a producer works.
#[derive(Clone, Debug)]
pub(crate) struct Habits {
    pub(crate) idempotent: bool,
    pub(crate) acks: i16,
    /// Batches of one partition that wait for their answers at most; 5 is what a broker remembers.
    pub(crate) in_flight: usize,
    /// Mean time between two batches.
    pub(crate) pause: Micros,
    /// Percent of batches that are large.
    pub(crate) large_percent: u64,
    pub(crate) large_bytes: usize,
}

/// A batch that was written and isn't acknowledged.
struct Op {
    /// Its place among the batches of its partition.
    nth: u64,
    number: u64,
    first: Ident,
    records: usize,
    bytes: Bytes,
    sent: bool,
}

#[derive(Default)]
struct Stream {
    /// How often it began anew, with another epoch.
    begun: i16,
    written: u64,
    next_sequence: i32,
    ops: VecDeque<Op>,
    not_before: Micros,
}

/// The producer.
pub(crate) struct Producer {
    habits: Habits,
    identity: Option<(i64, i16)>,
    asking: bool,
    streams: BTreeMap<Part, Stream>,
    numbers: u64,
    next_at: Micros,
    /// Writes no more, but retries what isn't acknowledged.
    pub(crate) draining: bool,
}

const RETRY_MIN: Micros = 5_000;
const RETRY_MAX: Micros = 150_000;

impl Producer {
    pub(crate) fn new(habits: Habits) -> Producer {
        Producer {
            habits,
            identity: None,
            asking: false,
            streams: BTreeMap::new(),
            numbers: 0,
            next_at: 0,
            draining: false,
        }
    }

    /// Partitions of which batches wait to be acknowledged.
    pub(crate) fn waiting(&self) -> Vec<Part> {
        let waiting = self
            .streams
            .iter()
            .filter(|(_, stream)| !stream.ops.is_empty());
        waiting.map(|(part, _)| *part).collect()
    }

    /// True once it can write.
    pub(crate) fn is_ready(&self) -> bool {
        self.identity.is_some() || !self.habits.idempotent
    }

    /// Writes a batch to this partition as soon as it can.
    pub(crate) fn write(&mut self, common: &mut Common, reach: &mut Reach<'_>, part: Part) {
        let stream = self.streams.entry(part).or_default();
        let large = common.random.percent(self.habits.large_percent);
        let records = if large {
            1
        } else {
            common.random.between(1, 8) as usize
        };
        let first = reach.book.new_idents(records);
        let mut builder = Builder::new(reach.wall_ms);
        if let Some((id, epoch)) = self.identity {
            let epoch = epoch + stream.begun;
            builder = builder.producer(ProducerId(id), epoch, stream.next_sequence);
        }
        for nth in 0..records as u64 {
            let len = match large {
                true => self.habits.large_bytes + common.random.below(2_000) as usize,
                false => common.random.between(16, 300) as usize,
            };
            let stamp = reach.wall_ms + nth as i64;
            let ident = Ident(first.0 + nth);
            let key = payload::key_of(ident).to_be_bytes();
            let value = payload::value(ident, len);
            if reach.book.compacted(part).is_some() && payload::is_marker(ident) {
                let markers = &mut reach.checkers.compacted;
                markers.wrote_marker(part, ident, reach.now);
                builder.push(stamp, Some(&key), None, &[(b"ident", Some(&value))]);
            } else {
                builder.push(stamp, Some(&key), Some(&value), &[]);
            }
        }
        stream.next_sequence += records as i32;
        self.numbers += 1;
        let bytes = builder.build().to_bytes();
        let nth = stream.written;
        stream.written += 1;
        stream.ops.push_back(Op {
            nth,
            number: self.numbers,
            first,
            records,
            bytes,
            sent: false,
        });
    }

    pub(crate) fn act(&mut self, common: &mut Common, reach: &mut Reach<'_>) -> Micros {
        if self.habits.idempotent && self.identity.is_none() {
            self.ask_identity(common, reach);
            return reach.now + common.random.between(5_000, 50_000);
        }
        self.streams.retain(|part, _| !reach.book.doomed(*part));
        if reach.now >= self.next_at && !self.draining {
            self.next_at = reach.now + common.random.between(0, 2 * self.habits.pause);
            let parts = common.view.parts();
            // A broker remembers few batches: none may be that far ahead of one that isn't answered.
            let ahead = |stream: &Stream| {
                stream
                    .ops
                    .front()
                    .map_or(0, |first| stream.written - first.nth)
            };
            let open = |part: &Part| {
                let ahead = self.streams.get(part).map_or(0, ahead);
                ahead < self.habits.in_flight as u64 && !reach.book.doomed(*part)
            };
            let parts: Vec<Part> = parts.into_iter().filter(open).collect();
            if !parts.is_empty() {
                let part = parts[common.random.below(parts.len() as u64) as usize];
                self.write(common, reach, part);
            }
        }
        self.send(common, reach);
        let again = |stream: &Stream| stream.ops.iter().any(|op| !op.sent);
        let retry = self
            .streams
            .values()
            .filter(|stream| again(stream))
            .map(|s| s.not_before);
        let retry = retry
            .min()
            .map_or(Micros::MAX, |at| at.max(reach.now + RETRY_MIN));
        if self.draining {
            retry
        } else {
            retry.min(self.next_at)
        }
    }

    fn ask_identity(&mut self, common: &mut Common, reach: &mut Reach<'_>) {
        if self.asking {
            return;
        }
        self.asking = true;
        let node = common.any_node(reach);
        let version = common.version::<InitProducerIdRequest>();
        let body = InitProducerIdRequest {
            transactional_id: None,
            transaction_timeout_ms: 60_000,
            producer_id: -1,
            producer_epoch: -1,
            ..InitProducerIdRequest::default()
        };
        common.ask(reach, node, version, &body, Ask::InitProducer);
    }

    /// Sends what can be sent: of each partition the batches in order, as many to a request as
    /// there are partitions of a leader with something to send.
    fn send(&mut self, common: &mut Common, reach: &mut Reach<'_>) {
        loop {
            let mut by_leader: BTreeMap<Place, Vec<(Part, u64, Bytes)>> = BTreeMap::new();
            for (part, stream) in &mut self.streams {
                let Some((leader, _)) = common.view.leaders.get(part) else {
                    continue;
                };
                if stream.not_before > reach.now || common.links.waiting_at(*leader) >= 5 {
                    continue;
                }
                if let Some(op) = stream.ops.iter_mut().find(|op| !op.sent) {
                    op.sent = true;
                    let batch = (*part, op.number, op.bytes.clone());
                    by_leader.entry(*leader).or_default().push(batch);
                }
            }
            if by_leader.is_empty() {
                return;
            }
            for (leader, batches) in by_leader {
                self.send_to(common, reach, leader, batches);
            }
        }
    }

    fn send_to(
        &mut self,
        common: &mut Common,
        reach: &mut Reach<'_>,
        leader: Place,
        batches: Vec<(Part, u64, Bytes)>,
    ) {
        let named: Vec<u32> = batches.iter().map(|(part, ..)| part.topic).collect();
        let version = common.version_for::<ProduceRequest>(13, &named);
        let mut topics: BTreeMap<u32, TopicProduceData> = BTreeMap::new();
        let mut asked = Vec::new();
        for (part, number, bytes) in batches {
            let topic = topics
                .entry(part.topic)
                .or_insert_with(|| TopicProduceData {
                    name: crate::book::topic_name(part.topic),
                    topic_id: common
                        .view
                        .ids
                        .get(&part.topic)
                        .copied()
                        .unwrap_or_default(),
                    partition_data: Vec::new(),
                });
            let index = part.partition as i32;
            let records = Some(Records::Whole(bytes));
            topic
                .partition_data
                .push(PartitionProduceData { index, records });
            asked.push((part, number));
        }
        let sent: Vec<(Part, Ident)> = asked
            .iter()
            .filter_map(|(part, number)| Some((*part, self.first_of(*part, *number)?)))
            .collect();
        let body = ProduceRequest {
            transactional_id: None,
            acks: self.habits.acks,
            timeout_ms: common.random.between(200, 2_000) as i32,
            topic_data: topics.into_values().collect(),
        };
        common.ask(reach, leader, version, &body, Ask::Produce(asked.clone()));
        if let Some(connection) = common
            .links
            .connection(leader)
            .filter(|_| !self.habits.idempotent)
        {
            for (part, first) in sent {
                reach.checkers.order.sent(connection, part, first);
            }
        }
        if self.habits.acks == 0 {
            common.links.expects_nothing(reach, leader);
            for (part, number) in asked {
                self.drop_op(part, number);
            }
        }
    }

    /// The first record of a batch that waits.
    fn first_of(&self, part: Part, number: u64) -> Option<Ident> {
        let ops = &self.streams.get(&part)?.ops;
        Some(ops.iter().find(|op| op.number == number)?.first)
    }

    fn drop_op(&mut self, part: Part, number: u64) -> Option<Op> {
        let ops = &mut self.streams.get_mut(&part)?.ops;
        let at = ops.iter().position(|op| op.number == number)?;
        ops.remove(at)
    }

    pub(crate) fn answered(
        &mut self,
        common: &mut Common,
        reach: &mut Reach<'_>,
        ask: Ask,
        version: i16,
        mut reader: Reader,
    ) -> Checked {
        match ask {
            Ask::InitProducer => {
                self.asking = false;
                let answer: InitProducerIdResponse = decode(version, &mut reader)?;
                self.identified(common, reach, &answer)
            }
            Ask::Produce(asked) => {
                let answer: ProduceResponse = decode(version, &mut reader)?;
                self.produced(common, reach, &asked, &answer)
            }
            other => unreachable!("a producer doesn't ask {other:?}"),
        }
    }

    fn identified(
        &mut self,
        common: &Common,
        reach: &mut Reach<'_>,
        answer: &InitProducerIdResponse,
    ) -> Checked {
        match answer.error_code {
            codes::NONE => {
                let (id, epoch) = (answer.producer_id, answer.producer_epoch);
                self.identity = Some((id, epoch));
                reach.checkers.producer_ids.given(id, epoch, common.id)
            }
            code if codes::retriable(code) => Ok(()),
            code => Err(unexpected("InitProducerId", code)),
        }
    }

    fn produced(
        &mut self,
        common: &mut Common,
        reach: &mut Reach<'_>,
        asked: &[(Part, u64)],
        answer: &ProduceResponse,
    ) -> Checked {
        let mut left: BTreeMap<Part, u64> = asked.iter().copied().collect();
        for topic in &answer.responses {
            let by_name = crate::book::topic_number(&topic.name);
            let Some(number) = by_name.or_else(|| common.view.topic_of(&topic.topic_id)) else {
                return Err(violation(
                    "answers fit their requests",
                    format!("{topic:?}"),
                ));
            };
            for partition in &topic.partition_responses {
                let part = Part {
                    topic: number,
                    partition: partition.index as u32,
                };
                let Some(number) = left.remove(&part) else {
                    return Err(violation("answers fit their requests", format!("{part}")));
                };
                self.placed(common, reach, (part, number), partition)?;
            }
        }
        match left.first_key_value() {
            None => Ok(()),
            Some((part, _)) => Err(violation(
                "answers fit their requests",
                format!("none for {part}"),
            )),
        }
    }

    /// What became of one batch.
    fn placed(
        &mut self,
        common: &mut Common,
        reach: &mut Reach<'_>,
        (part, number): (Part, u64),
        answer: &PartitionProduceResponse,
    ) -> Checked {
        let code = answer.error_code;
        reach.tell(|| {
            format!(
                "  client {} produced {part} #{number}: code {code} at {}",
                common.id, answer.base_offset
            )
        });
        if code == codes::NONE || code == codes::DUPLICATE_SEQUENCE {
            let Some(op) = self.drop_op(part, number) else {
                return Ok(());
            };
            let base = (code == codes::NONE).then_some(answer.base_offset);
            self.acknowledged(reach, part, &op, base);
            return Ok(());
        }
        if reach.checkers.eras.any(part) && self.begins_anew(part, number, code) {
            return Ok(());
        }
        let leader = &answer.current_leader;
        common
            .view
            .learn_leader(part, leader.leader_id, leader.leader_epoch);
        common.view.wanted = true;
        if !codes::retriable(code) {
            return Err(unexpected("Produce", code));
        }
        self.failed(common, reach, part, number);
        Ok(())
    }

    /// Where records were lost a producer can't go on where it was: it gives up what isn't acknowledged,
    /// and begins anew with the next epoch, as real ones do.
    fn begins_anew(&mut self, part: Part, number: u64, code: i16) -> bool {
        let Some(stream) = self.streams.get_mut(&part) else {
            return true;
        };
        if !stream.ops.iter().any(|op| op.number == number) {
            return true;
        }
        if code != codes::OUT_OF_ORDER {
            return false;
        }
        stream.ops.clear();
        stream.next_sequence = 0;
        stream.begun += 1;
        true
    }

    fn acknowledged(&self, reach: &mut Reach<'_>, part: Part, op: &Op, base: Option<i64>) {
        reach.book.produced += 1;
        // With one node its own copy is all there is, so acks=1 promises as much.
        if self.habits.acks != -1 && reach.nodes > 1 {
            return;
        }
        reach
            .checkers
            .acked
            .ack(part, base, op.first, op.records, reach.now);
        if let Some(base) = base {
            let end = base + op.records as i64;
            reach
                .checkers
                .committed
                .told(part, end, || format!("an answer at {} us", reach.now));
        }
    }

    fn failed(&mut self, common: &mut Common, reach: &Reach<'_>, part: Part, number: u64) {
        if !self.habits.idempotent {
            self.drop_op(part, number);
            return;
        }
        let Some(stream) = self.streams.get_mut(&part) else {
            return;
        };
        if let Some(op) = stream.ops.iter_mut().find(|op| op.number == number) {
            op.sent = false;
            stream.not_before = reach.now + common.random.between(RETRY_MIN, RETRY_MAX);
        }
    }

    pub(crate) fn lost(&mut self, common: &mut Common, reach: &Reach<'_>, ask: Ask) {
        match ask {
            Ask::InitProducer => self.asking = false,
            Ask::Produce(asked) => {
                for (part, number) in asked {
                    self.failed(common, reach, part, number);
                }
            }
            other => unreachable!("a producer doesn't ask {other:?}"),
        }
    }
}

/// A code that nothing in the plan of a run explains.
pub(crate) fn unexpected(api: &str, code: i16) -> crate::checkers::Violation {
    violation(
        "errors are explained",
        format!("{api} was answered with code {code}"),
    )
}
