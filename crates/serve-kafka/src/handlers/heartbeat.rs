//! Heartbeat (key 12), versions 0 to 4.
//!
//! 0: a member is alive. 1: the throttle time. 2: nothing new. 3: static members. 4: flexible.

use super::groups::{self, Waiting, ask, misfit};
use super::{Api, Door, Request, Step};
use crate::refusals::codes;
use base::{Now, Refusal};
use group::command::{Command, Heartbeat};
use group::reply::Reply;
use wire_kafka::messages::heartbeat_request::HeartbeatRequest;
use wire_kafka::messages::heartbeat_response::HeartbeatResponse;
use wire_kafka::{ApiKey, Reader, WireError};

pub(crate) const API: Api = Api {
    key: ApiKey::Heartbeat,
    versions: 0..=4,
    serve,
};

fn serve(door: &Door, now: Now, request: Request, reader: &mut Reader) -> Result<Step, WireError> {
    let body = HeartbeatRequest::decode(request.version, reader)?;
    let group = body.group_id.clone();
    let command = Command::Heartbeat(Heartbeat {
        group: body.group_id,
        generation: body.generation_id,
        member: body.member_id,
        instance: body.group_instance_id,
    });
    let waiting = Waiting::Heartbeat(request);
    Ok(ask(door, now, request, (&group, command), waiting))
}

/// Answers with a code. While the coordinator loads, nobody's session is judged, so a heartbeat
/// is simply taken: a member that heard of it would join anew for nothing.
pub(crate) fn finish(request: Request, answer: groups::Answer) -> Step {
    let error_code = match answer {
        Ok(Reply::Heartbeat(Ok(()))) | Err(Refusal::CoordinatorLoading) => codes::NONE,
        Ok(Reply::Heartbeat(Err(why))) | Err(why) => groups::code(&why),
        Ok(_) => return misfit(),
    };
    request.answer(&HeartbeatResponse {
        error_code,
        ..Default::default()
    })
}
