//! ConsumerGroupHeartbeat (key 68), versions 0 to 1: the whole of KIP-848's protocol.
//!
//! 0: a member says what it wants and holds, and is told what it may hold. 1: topics by regular
//! expression; members make their ids themselves.

use super::groups::{self, Waiting, ask, misfit};
use super::{Api, Door, Request, Step};
use crate::refusals::{self, codes};
use base::{Now, Refusal};
use group::command::{self, Command, ConsumerHeartbeat};
use group::reply::{ConsumerBeat, Reply};
use wire_kafka::messages::consumer_group_heartbeat_request::{
    ConsumerGroupHeartbeatRequest, TopicPartitions,
};
use wire_kafka::messages::consumer_group_heartbeat_response::{
    self as response, Assignment, ConsumerGroupHeartbeatResponse,
};
use wire_kafka::{ApiKey, Reader, WireError};

pub(crate) const API: Api = Api {
    key: ApiKey::ConsumerGroupHeartbeat,
    versions: 0..=1,
    serve,
};

/// The first version whose members bring their ids.
const OWN_ID: i16 = 1;

fn serve(door: &Door, now: Now, request: Request, reader: &mut Reader) -> Result<Step, WireError> {
    let body = ConsumerGroupHeartbeatRequest::decode(request.version, reader)?;
    if request.version >= OWN_ID && body.member_id.is_empty() && !body.group_id.is_empty() {
        let why = Refusal::InvalidRequest("MemberId can't be empty.".to_owned());
        return Ok(refused(request, &why));
    }
    let owned = |part: TopicPartitions| command::TopicPartitions {
        topic: part.topic_id,
        partitions: part.partitions,
    };
    let group = body.group_id.clone();
    let command = Command::ConsumerHeartbeat(ConsumerHeartbeat {
        group: body.group_id,
        member: body.member_id,
        epoch: body.member_epoch,
        instance: body.instance_id,
        rack: body.rack_id,
        client: groups::client(door),
        rebalance_timeout_ms: body.rebalance_timeout_ms,
        topics: body.subscribed_topic_names,
        regex: body.subscribed_topic_regex,
        assignor: body.server_assignor,
        owned: body
            .topic_partitions
            .map(|parts| parts.into_iter().map(owned).collect()),
    });
    let waiting = Waiting::ConsumerHeartbeat(request);
    Ok(ask(door, now, request, (&group, command), waiting))
}

fn refused(request: Request, why: &Refusal) -> Step {
    request.answer(&ConsumerGroupHeartbeatResponse {
        error_code: groups::code(why),
        error_message: refusals::message(why),
        ..Default::default()
    })
}

/// Answers with what the member may hold.
pub(crate) fn finish(request: Request, answer: groups::Answer) -> Step {
    match answer {
        Ok(Reply::ConsumerHeartbeat(Ok(beat))) => request.answer(&told(beat)),
        Ok(Reply::ConsumerHeartbeat(Err(why))) | Err(why) => refused(request, &why),
        Ok(_) => misfit(),
    }
}

fn told(beat: ConsumerBeat) -> ConsumerGroupHeartbeatResponse {
    let part = |part: command::TopicPartitions| response::TopicPartitions {
        topic_id: part.topic,
        partitions: part.partitions,
    };
    ConsumerGroupHeartbeatResponse {
        error_code: codes::NONE,
        member_id: Some(beat.member),
        member_epoch: beat.epoch,
        heartbeat_interval_ms: beat.heartbeat_interval_ms,
        assignment: beat.assignment.map(|parts| Assignment {
            topic_partitions: parts.into_iter().map(part).collect(),
        }),
        ..Default::default()
    }
}
