//! SyncGroup (key 14), versions 0 to 5.
//!
//! 0: a member asks for its assignment, the leader brings all of them. 1: the throttle time. 2:
//! nothing new. 3: static members. 4: flexible. 5: protocol and its kind, both required.

use super::groups::{self, Waiting, ask, misfit};
use super::{Api, Door, Request, Step};
use crate::refusals::codes;
use base::Now;
use group::command::{Command, SyncGroup};
use group::reply::Reply;
use wire_kafka::messages::sync_group_request::SyncGroupRequest;
use wire_kafka::messages::sync_group_response::SyncGroupResponse;
use wire_kafka::{ApiKey, Reader, WireError};

pub(crate) const API: Api = Api {
    key: ApiKey::SyncGroup,
    versions: 0..=5,
    serve,
};

/// The first version that names the protocol.
const NAMES_PROTOCOL: i16 = 5;

fn serve(door: &Door, now: Now, request: Request, reader: &mut Reader) -> Result<Step, WireError> {
    let body = SyncGroupRequest::decode(request.version, reader)?;
    let named = body.protocol_type.is_some() && body.protocol_name.is_some();
    if request.version >= NAMES_PROTOCOL && !named {
        return Ok(refused(request, codes::INCONSISTENT_GROUP_PROTOCOL));
    }
    let group = body.group_id.clone();
    let assignments = body.assignments.into_iter();
    let command = Command::SyncGroup(SyncGroup {
        group: body.group_id,
        generation: body.generation_id,
        member: body.member_id,
        instance: body.group_instance_id,
        protocol_type: body.protocol_type,
        protocol: body.protocol_name,
        assignments: assignments.map(|a| (a.member_id, a.assignment)).collect(),
    });
    let waiting = Waiting::SyncGroup(request);
    Ok(ask(door, now, request, (&group, command), waiting))
}

fn refused(request: Request, error_code: i16) -> Step {
    request.answer(&SyncGroupResponse {
        error_code,
        ..Default::default()
    })
}

/// Answers with the assignment.
pub(crate) fn finish(request: Request, answer: groups::Answer) -> Step {
    match answer {
        Ok(Reply::SyncGroup(Ok(synced))) => request.answer(&SyncGroupResponse {
            protocol_type: synced.protocol_type,
            protocol_name: synced.protocol,
            assignment: synced.assignment,
            ..Default::default()
        }),
        Ok(Reply::SyncGroup(Err(why))) | Err(why) => refused(request, groups::code(&why)),
        Ok(_) => misfit(),
    }
}
