//! What all APIs share: the table of those served, and the steps that serving takes.
//!
//! A handler decodes a request, calls the broker and either answers at once or waits for the
//! reply under its ticket. It keeps what it needs meanwhile in its own `Waiting`.

mod acls;
mod alter_client_quotas;
mod alter_configs;
mod alter_partition_reassignments;
mod alter_replica_log_dirs;
pub(crate) mod api_versions;
mod consumer_group_describe;
mod consumer_group_heartbeat;
mod create_partitions;
mod create_topics;
mod delegation_tokens;
mod delete_groups;
mod delete_records;
mod delete_topics;
mod describe_client_quotas;
mod describe_cluster;
mod describe_configs;
mod describe_groups;
mod describe_log_dirs;
mod describe_producers;
mod describe_quorum;
mod describe_topic_partitions;
mod describe_transactions;
mod describe_user_scram_credentials;
mod doubles;
mod elect_leaders;
mod fetch;
mod find_coordinator;
mod get_telemetry_subscriptions;
mod groups;
mod heartbeat;
mod init_producer_id;
mod join_group;
mod leave_group;
mod list_config_resources;
mod list_groups;
mod list_offsets;
mod list_partition_reassignments;
mod list_transactions;
mod metadata;
mod offset_commit;
mod offset_delete;
mod offset_fetch;
mod offset_for_leader_epoch;
mod produce;
mod push_telemetry;
mod sync_group;
mod unregister_broker;
mod update_features;

use crate::answers::Answers;
use crate::cold::{ColdOutcome, ColdRead};
use crate::presence::Presence;
use crate::sessions::Sessions;
use crate::settle::Settling;
use crate::telemetry::Telemetry;
use base::{Mono, Now, Refusal, Uuid, limits};
use broker::{Bounded, Broker, Principal, Reporter};
use bytes::Bytes;
pub(crate) use groups::{host, port};
use shard::{Reply, ReplyTo};
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
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
    offset_commit::API,
    offset_fetch::API,
    find_coordinator::API,
    join_group::API,
    heartbeat::API,
    leave_group::API,
    sync_group::API,
    describe_groups::API,
    list_groups::API,
    api_versions::API,
    create_topics::API,
    delete_topics::API,
    delete_records::API,
    init_producer_id::API,
    offset_for_leader_epoch::API,
    acls::DESCRIBE,
    acls::CREATE,
    acls::DELETE,
    describe_configs::API,
    alter_configs::API,
    alter_replica_log_dirs::API,
    describe_log_dirs::API,
    create_partitions::API,
    delegation_tokens::CREATE,
    delegation_tokens::RENEW,
    delegation_tokens::EXPIRE,
    delegation_tokens::DESCRIBE,
    delete_groups::API,
    elect_leaders::API,
    alter_configs::INCREMENTAL,
    alter_partition_reassignments::API,
    list_partition_reassignments::API,
    offset_delete::API,
    describe_client_quotas::API,
    alter_client_quotas::API,
    describe_user_scram_credentials::API,
    describe_quorum::API,
    update_features::API,
    describe_cluster::API,
    describe_producers::API,
    unregister_broker::API,
    describe_transactions::API,
    list_transactions::API,
    consumer_group_heartbeat::API,
    consumer_group_describe::API,
    get_telemetry_subscriptions::API,
    push_telemetry::API,
    list_config_resources::API,
    describe_topic_partitions::API,
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
    /// Where its answers go, as long as it is there.
    pub(crate) presence: Presence,
    pub(crate) principal: Principal,
    /// Where the client comes from, as Kafka writes it.
    pub(crate) host: String,
    /// The listener that the client came in by.
    pub(crate) listener: Arc<str>,
    /// The memory that records in its answers take.
    pub(crate) answers: Answers,
    /// Its fetch session. Only this connection's own calls lock it.
    pub(crate) sessions: Mutex<Sessions>,
    /// The time of this step.
    pub(crate) now: Now,
    /// The name that the client gave itself in its last request.
    pub(crate) client: Arc<str>,
    /// The port that it came from.
    pub(crate) port: u16,
    /// The name and version of its software, once it told them.
    pub(crate) software: OnceLock<(String, String)>,
    /// What clients pushed to this node.
    pub(crate) telemetry: Arc<Telemetry>,
    /// Until when the client has to wait because of a quota, in microseconds.
    pub(crate) muted_until: AtomicU64,
}

impl Door {
    pub(crate) fn sessions(&self) -> MutexGuard<'_, Sessions> {
        self.sessions
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Counts what the client does against its quota, and mutes it for as long as it has to wait.
    pub(crate) fn charge(&self, what: Bounded, amount: f64) -> Duration {
        let (principal, client) = (&self.principal, &self.client);
        let wait = self
            .broker
            .charge(self.now, principal, client, what, amount);
        self.mute(wait);
        wait
    }

    /// What is known of the client whose number for metrics this is.
    pub(crate) fn reporter(&self, instance: Uuid) -> Reporter<'_> {
        let software = self.software.get();
        let (software, version) = software.map_or(("", ""), |(name, version)| (name, version));
        Reporter {
            instance,
            client: &self.client,
            software,
            version,
            address: self.host.trim_start_matches('/'),
            port: self.port,
        }
    }

    pub(crate) fn mute(&self, wait: Duration) {
        if !wait.is_zero() {
            let until = self.now.mono.after(wait).0;
            self.muted_until.fetch_max(until, Ordering::Relaxed);
        }
    }

    /// Until when the client has to wait; none if it doesn't.
    pub(crate) fn muted(&self, now: Mono) -> Option<Mono> {
        let until = Mono(self.muted_until.load(Ordering::Relaxed));
        (until > now).then_some(until)
    }
}

/// The head of a request, as far as its answer needs it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Request {
    pub(crate) key: ApiKey,
    pub(crate) version: i16,
    pub(crate) correlation_id: i32,
    pub(crate) ticket: u64,
    /// How long the client is told to wait before its next request.
    pub(crate) throttle_ms: i32,
}

impl Request {
    /// Where the broker's reply is to go.
    pub(crate) fn reply_to(&self, door: &Door) -> ReplyTo {
        ReplyTo {
            sink: door.presence.sink(),
            ticket: self.ticket,
        }
    }

    /// The client has to wait, and is told so.
    pub(crate) fn throttle(&mut self, wait: Duration) {
        let ms = i32::try_from(wait.as_millis()).unwrap_or(i32::MAX);
        self.throttle_ms = self.throttle_ms.max(ms);
    }

    /// Counts partitions that are made or deleted against the client's quota. Who may be refused
    /// for it (`strict`: the version knows the code) is refused while it owes; others wait.
    pub(crate) fn mutate(
        &mut self,
        door: &Door,
        now: Now,
        partitions: usize,
        strict: bool,
    ) -> Result<(), Refusal> {
        // Who asks for nothing that counts is told what is wrong with it, also while it owes.
        if partitions == 0 {
            return Ok(());
        }
        let (what, amount) = (Bounded::Mutations, partitions as f64);
        if !strict {
            self.throttle(door.charge(what, amount));
            return Ok(());
        }
        let (principal, client) = (&door.principal, &door.client);
        let permitted = door.broker.permit(now, principal, client, what, amount);
        permitted.map_err(|wait| {
            self.throttle(wait);
            door.mute(wait);
            Refusal::QuotaExceeded("The throttling quota has been exceeded.".to_owned())
        })
    }

    /// The answer, encoded.
    pub(crate) fn answer<M: Message>(&self, body: &M) -> Step {
        if self.throttle_ms > 0 {
            let mut throttled = body.clone();
            throttled.throttle(self.throttle_ms);
            return self.encoded(&throttled);
        }
        self.encoded(body)
    }

    fn encoded<M: Message>(&self, body: &M) -> Step {
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
    /// Topics are to have leaders first.
    Settle(Settling),
}

/// What a handler keeps while it waits.
pub(crate) enum Waiting {
    AlterClientQuotas(alter_client_quotas::Waiting),
    AlterConfigs(alter_configs::Waiting),
    AlterPartitionReassignments(alter_partition_reassignments::Waiting),
    CreatePartitions(create_partitions::Waiting),
    CreateTopics(create_topics::Waiting),
    DeleteRecords(delete_records::Waiting),
    DeleteTopics(delete_topics::Waiting),
    DescribeLogDirs(Request),
    DescribeProducers(describe_producers::Waiting),
    DescribeQuorum(Request),
    ElectLeaders(elect_leaders::Waiting),
    EpochEnds(offset_for_leader_epoch::Waiting),
    Fetch(fetch::Waiting),
    Group(groups::Waiting),
    InitProducerId(Request),
    ListOffsets(list_offsets::Waiting),
    Metadata(metadata::Waiting),
    Produce(produce::Waiting),
    UnregisterBroker(Request),
    UpdateFeatures(update_features::Waiting),
}

impl Waiting {
    /// Goes on with the broker's reply.
    pub(crate) fn on_reply(self, door: &Door, reply: Reply, notes: &mut Vec<String>) -> Step {
        match (self, reply) {
            (Waiting::Produce(waiting), Reply::Appended(parts)) => waiting.finish(door, parts),
            (Waiting::Fetch(waiting), Reply::Read(parts)) => waiting.on_parts(door, parts, notes),
            (Waiting::ListOffsets(waiting), Reply::Offsets(parts)) => waiting.on_parts(door, parts),
            (Waiting::EpochEnds(waiting), Reply::EpochEnds(parts)) => waiting.finish(parts),
            (Waiting::Group(waiting), reply) => waiting.on_reply(door, reply),
            (Waiting::Metadata(waiting), Reply::Meta(reply)) => waiting.finish(door, reply),
            (Waiting::CreateTopics(waiting), Reply::Meta(reply)) => waiting.finish(door, reply),
            (Waiting::DeleteTopics(waiting), Reply::Meta(reply)) => waiting.finish(reply),
            (Waiting::DeleteRecords(waiting), Reply::Deleted(parts)) => waiting.finish(parts),
            (Waiting::AlterConfigs(waiting), Reply::Meta(reply)) => waiting.finish(reply),
            (Waiting::AlterClientQuotas(waiting), Reply::Meta(reply)) => waiting.finish(reply),
            (Waiting::AlterPartitionReassignments(waiting), Reply::Meta(reply)) => {
                waiting.finish(door, reply)
            }
            (Waiting::CreatePartitions(waiting), Reply::Meta(reply)) => waiting.finish(reply),
            (Waiting::DescribeLogDirs(request), Reply::Replicas(replicas)) => {
                describe_log_dirs::finish(door, request, replicas)
            }
            (Waiting::DescribeProducers(waiting), Reply::Producers(parts)) => waiting.finish(parts),
            (Waiting::DescribeQuorum(request), Reply::Meta(reply)) => {
                describe_quorum::finish(door, request, reply)
            }
            (Waiting::ElectLeaders(waiting), Reply::Preferred(parts)) => waiting.finish(parts),
            (Waiting::UnregisterBroker(request), Reply::Meta(reply)) => {
                unregister_broker::finish(request, reply)
            }
            (Waiting::UpdateFeatures(waiting), Reply::Meta(reply)) => waiting.finish(reply),
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
            Waiting::ListOffsets(waiting) => waiting.on_read(door, outcome, notes),
            _ => Step::Close("a read came back that was not asked for".to_owned()),
        }
    }
}

/// The controller's answer to each of `count` parts; none if it answered another question.
pub(crate) fn each(
    reply: Result<meta::Reply, Refusal>,
    count: usize,
) -> Option<Vec<Result<(), Refusal>>> {
    match reply {
        Ok(meta::Reply::Each(parts)) => Some(parts),
        Ok(_) => None,
        Err(why) => Some(vec![Err(why); count]),
    }
}

/// The end of a connection whose request the controller took for another one.
pub(crate) fn other_question() -> Step {
    Step::Close("the controller answered another question".to_owned())
}

/// The end of a connection whose request names more partitions than one call may.
pub(crate) fn too_many(request: &Request, partitions: impl Iterator<Item = usize>) -> Option<Step> {
    let (named, most) = (partitions.sum::<usize>(), limits::PARTS_PER_CALL_MAX);
    (named > most).then(|| {
        let api = request.key;
        Step::Close(format!(
            "a request of {api} names {named} partitions, more than {most}"
        ))
    })
}

/// A time-out of a request; negative ones are none.
pub(crate) fn patience(ms: i32) -> Duration {
    Duration::from_millis(u64::try_from(ms).unwrap_or(0))
}

/// Partitions as a quota counts them: so many that no topic may have them are refused, not made.
pub(crate) fn countable(partitions: usize) -> usize {
    match partitions > limits::PARTITIONS_PER_TOPIC_MAX as usize {
        true => 0,
        false => partitions,
    }
}

/// An epoch of a request; negative ones mean that the client knows none.
pub(crate) fn known_epoch(epoch: i32) -> Option<i32> {
    (epoch >= 0).then_some(epoch)
}

#[cfg(test)]
mod tests;
