//! What all APIs share: the table of those served, and the steps that serving takes.
//!
//! A handler decodes a request, calls the broker and either answers at once or waits for the
//! reply under its ticket. It keeps what it needs meanwhile in its own `Waiting`.

pub(crate) mod api_versions;
mod create_topics;
mod delete_records;
mod delete_topics;
mod describe_cluster;
mod describe_configs;
mod fetch;
mod find_coordinator;
mod init_producer_id;
mod list_offsets;
mod metadata;
mod offset_for_leader_epoch;
mod produce;

use crate::cold::{ColdOutcome, ColdRead};
use crate::sessions::Sessions;
use base::Now;
use broker::{Broker, Principal};
use bytes::Bytes;
use shard::{Reply, ReplySink, ReplyTo};
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use wire_kafka::{ApiKey, Message, Reader, WireError, frame};

/// One API: its versions, and what serves it.
pub(crate) struct Api {
    pub(crate) key: ApiKey,
    pub(crate) versions: RangeInclusive<i16>,
    pub(crate) serve: fn(&Door, Now, Request, &mut Reader) -> Result<Step, WireError>,
}

/// The APIs served, in the order of their keys. Dispatch and ApiVersions both read this.
pub(crate) static APIS: &[Api] = &[
    produce::API,
    fetch::API,
    list_offsets::API,
    metadata::API,
    find_coordinator::API,
    api_versions::API,
    create_topics::API,
    delete_topics::API,
    delete_records::API,
    init_producer_id::API,
    offset_for_leader_epoch::API,
    describe_configs::API,
    describe_cluster::API,
];

/// The place of an API in the table.
pub(crate) fn place(key: ApiKey) -> Option<usize> {
    APIS.iter().position(|api| api.key == key)
}

/// The versions of an API that are served, if it is.
pub fn versions(key: ApiKey) -> Option<RangeInclusive<i16>> {
    place(key).map(|at| APIS[at].versions.clone())
}

/// What a connection lends its handlers.
pub(crate) struct Door {
    pub(crate) broker: Broker,
    pub(crate) inbox: Arc<dyn ReplySink>,
    pub(crate) principal: Principal,
    /// The listener that the client came in by.
    pub(crate) listener: Arc<str>,
    /// Its fetch session. Only this connection's own calls lock it.
    pub(crate) sessions: Mutex<Sessions>,
}

impl Door {
    pub(crate) fn sessions(&self) -> MutexGuard<'_, Sessions> {
        self.sessions
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// The head of a request, as far as its answer needs it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Request {
    pub(crate) key: ApiKey,
    pub(crate) version: i16,
    pub(crate) correlation_id: i32,
    pub(crate) ticket: u64,
}

impl Request {
    /// Where the broker's reply is to go.
    pub(crate) fn reply_to(&self, door: &Door) -> ReplyTo {
        ReplyTo {
            sink: door.inbox.clone(),
            ticket: self.ticket,
        }
    }

    /// The answer, encoded.
    pub(crate) fn answer<M: Message>(&self, body: &M) -> Step {
        Step::Answer(frame::respond(
            self.key,
            self.version,
            self.correlation_id,
            body,
        ))
    }
}

/// Where a request stands.
pub(crate) enum Step {
    /// Answered.
    Answer(Vec<Bytes>),
    /// Done, and nothing is to be sent.
    Silent,
    /// The connection is to be closed in place of an answer.
    Close(String),
    /// A reply is to come.
    Wait(Waiting),
    /// A read off the loop is to come back.
    Read(Waiting, ColdRead),
}

/// What a handler keeps while it waits.
pub(crate) enum Waiting {
    CreateTopics(create_topics::Waiting),
    DeleteRecords(delete_records::Waiting),
    DeleteTopics(delete_topics::Waiting),
    EpochEnds(offset_for_leader_epoch::Waiting),
    Fetch(fetch::Waiting),
    InitProducerId(Request),
    ListOffsets(list_offsets::Waiting),
    Metadata(metadata::Waiting),
    Produce(produce::Waiting),
}

impl Waiting {
    /// Goes on with the broker's reply.
    pub(crate) fn on_reply(self, door: &Door, reply: Reply, notes: &mut Vec<String>) -> Step {
        match (self, reply) {
            (Waiting::Produce(waiting), Reply::Appended(parts)) => waiting.finish(door, parts),
            (Waiting::Fetch(waiting), Reply::Read(parts)) => waiting.on_parts(door, parts, notes),
            (Waiting::ListOffsets(waiting), Reply::Offsets(parts)) => waiting.on_parts(door, parts),
            (Waiting::EpochEnds(waiting), Reply::EpochEnds(parts)) => waiting.finish(parts),
            (Waiting::Metadata(waiting), Reply::Meta(reply)) => waiting.finish(door, reply),
            (Waiting::CreateTopics(waiting), Reply::Meta(reply)) => waiting.finish(door, reply),
            (Waiting::DeleteTopics(waiting), Reply::Meta(reply)) => waiting.finish(reply),
            (Waiting::DeleteRecords(waiting), Reply::Deleted(parts)) => waiting.finish(parts),
            (Waiting::InitProducerId(request), Reply::Meta(reply)) => {
                init_producer_id::finish(request, reply)
            }
            _ => Step::Close("the broker's reply does not fit the request".to_owned()),
        }
    }

    /// Goes on with what a read off the loop found.
    pub(crate) fn on_read(
        self,
        door: &Door,
        outcome: ColdOutcome,
        notes: &mut Vec<String>,
    ) -> Step {
        match self {
            Waiting::Fetch(waiting) => waiting.on_read(door, outcome, notes),
            Waiting::ListOffsets(waiting) => waiting.on_read(outcome, notes),
            _ => Step::Close("a read came back that was not asked for".to_owned()),
        }
    }
}

/// A time-out of a request; negative ones are none.
pub(crate) fn patience(ms: i32) -> Duration {
    Duration::from_millis(u64::try_from(ms).unwrap_or(0))
}

/// An epoch of a request; negative ones mean that the client knows none.
pub(crate) fn known_epoch(epoch: i32) -> Option<i32> {
    (epoch >= 0).then_some(epoch)
}

#[cfg(test)]
mod tests;
