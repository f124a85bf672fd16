//! Fetches of clients that read message sets. What is read for them are batches, and there may be nothing in those
//! for them: where a record was compacted away its batch stays, at times with no record at all. An
//! empty answer tells such a client nothing of where to go on, so it would ask for the same again, for ever. So the
//! fetch goes on behind what held nothing.

use super::FETCH_BYTES_MAX;
use crate::handlers::{Door, patience};
use crate::message_set;
use crate::refusals::codes;
use base::{Mono, Offset};
use broker::{ReadFrom, TopicKey};
use shard::ReplyTo;
use wire_kafka::Records;
use wire_kafka::messages::fetch_request::FetchPartition;
use wire_kafka::messages::fetch_response::{FetchResponse, PartitionData};

/// How often one fetch goes on. With the bytes that it then reads, that is behind any batches without
/// records that there may be.
const ROUNDS_MAX: u32 = 64;
/// What is read at least of a partition when it is gone on with: a batch of the largest usual size, whatever
/// lies before it.
const BYTES_ON: u32 = 2 * 1024 * 1024;

/// What such a fetch asked for, and how far it has come.
pub(super) struct Sets {
    magic: u8,
    bytes_min: u32,
    bytes_max: u32,
    deadline: Mono,
    wanted: Vec<Wanted>,
    rounds: u32,
    /// Bytes of the sets that are there.
    made: usize,
    /// A partition can't be read, which its client is to learn at once.
    refused: bool,
}

/// A partition.
struct Wanted {
    from: i64,
    /// Where its next batches are looked for.
    next: i64,
    bytes_max: u32,
    /// There is nothing for it yet.
    open: bool,
}

impl Sets {
    pub(super) fn new(magic: u8, bytes_min: u32, bytes_max: u32, deadline: Mono) -> Sets {
        Sets {
            magic,
            bytes_min,
            bytes_max,
            deadline,
            wanted: Vec::new(),
            rounds: 0,
            made: 0,
            refused: false,
        }
    }

    /// Adds a partition, in the order of the request.
    pub(super) fn want(&mut self, partition: &FetchPartition) {
        self.wanted.push(Wanted {
            from: partition.fetch_offset,
            next: partition.fetch_offset,
            bytes_max: u32::try_from(partition.partition_max_bytes).unwrap_or(0),
            open: true,
        });
    }

    /// True if the partition at this place is still asked for.
    pub(super) fn wants(&self, place: usize) -> bool {
        self.wanted.get(place).is_some_and(|wanted| wanted.open)
    }

    /// Makes message sets of the batches that were read. True if there are to be more: some of them held nothing.
    /// Unpacked they may be much larger.
    pub(super) fn convert<'a>(
        &mut self,
        answers: impl Iterator<Item = &'a mut PartitionData>,
    ) -> bool {
        let mut hollow = false;
        for (wanted, answer) in self.wanted.iter_mut().zip(answers) {
            if !wanted.open {
                continue;
            }
            let records = answer.records.replace(Records::EMPTY);
            // Even one batch may unpack to much, so with no room left none is opened.
            let room = (FETCH_BYTES_MAX as usize).saturating_sub(self.made);
            if answer.error_code != codes::NONE || room == 0 {
                self.refused |= answer.error_code != codes::NONE;
                wanted.open = false;
                continue;
            }
            let Some(records) = records.filter(|records| !records.is_empty()) else {
                continue;
            };
            let most = (wanted.bytes_max as usize).min(room);
            match message_set::from_batches(records.to_bytes(), self.magic, wanted.from, most) {
                Ok(set) if set.bytes.is_empty() => {
                    hollow |= set.next > wanted.next;
                    wanted.next = wanted.next.max(set.next);
                }
                Ok(set) => {
                    self.made += set.bytes.len();
                    answer.records = Some(set.bytes.into());
                    wanted.open = false;
                }
                // What a producer packed badly only its readers find out.
                Err(_) => {
                    answer.error_code = codes::CORRUPT_MESSAGE;
                    self.refused = true;
                    wanted.open = false;
                }
            }
        }
        hollow && self.rounds < ROUNDS_MAX
    }

    /// Reads on, of all partitions that there is nothing of. Who has something by now doesn't wait.
    pub(super) fn read_on(&mut self, door: &Door, asked: &FetchResponse, to: ReplyTo) {
        self.rounds += 1;
        let mut read = door.broker.read(&door.principal);
        let mut wanted = self.wanted.iter();
        for topic in &asked.responses {
            let target = read.topic(TopicKey::Name(&topic.topic));
            for (answer, wanted) in topic.partitions.iter().zip(wanted.by_ref()) {
                if wanted.open {
                    let from = ReadFrom {
                        offset: Offset(wanted.next),
                        bytes_max: wanted.bytes_max.max(BYTES_ON),
                        leader_epoch: None,
                        last_fetched_epoch: None,
                    };
                    read.push(&target, answer.partition_index, from);
                }
            }
        }
        let now = door.now;
        let (bytes_min, wait) = match self.made > 0 || self.refused {
            true => (0, patience(0)),
            false => (self.bytes_min, self.deadline.since(now.mono)),
        };
        read.submit(now, bytes_min, self.bytes_max, wait, to);
    }
}
