//! LeaveGroup (key 13), versions 0 to 5.
//!
//! 0: a member leaves. 1: the throttle time. 2: nothing new. 3: several at once, also static ones
//! by their names. 4: flexible. 5: why.

use super::groups::{self, Waiting, ask, misfit};
use super::{Api, Door, Request, Step};
use base::Now;
use group::command::{Command, LeaveGroup, Leaver};
use group::reply::{Left, Reply};
use wire_kafka::messages::leave_group_request::{LeaveGroupRequest, MemberIdentity};
use wire_kafka::messages::leave_group_response::{LeaveGroupResponse, MemberResponse};
use wire_kafka::{ApiKey, Reader, WireError};

pub(crate) const API: Api = Api {
    key: ApiKey::LeaveGroup,
    versions: 0..=5,
    serve,
};

/// The first version that lets several leave.
const SEVERAL: i16 = 3;

fn serve(door: &Door, now: Now, request: Request, reader: &mut Reader) -> Result<Step, WireError> {
    let body = LeaveGroupRequest::decode(request.version, reader)?;
    let leaver = |m: MemberIdentity| Leaver {
        member: m.member_id,
        instance: m.group_instance_id,
        reason: m.reason,
    };
    let members = match request.version >= SEVERAL {
        true => body.members.into_iter().map(leaver).collect(),
        false => vec![Leaver {
            member: body.member_id,
            ..Leaver::default()
        }],
    };
    let group = body.group_id.clone();
    let command = Command::LeaveGroup(LeaveGroup {
        group: body.group_id,
        members,
    });
    let waiting = Waiting::LeaveGroup(request);
    Ok(ask(door, now, request, (&group, command), waiting))
}

/// Answers for each of them; the versions of one have its code for the whole.
pub(crate) fn finish(request: Request, answer: groups::Answer) -> Step {
    let parts = match answer {
        Ok(Reply::LeaveGroup(parts)) => parts,
        Ok(_) => return misfit(),
        Err(why) => Err(why),
    };
    let mut response = LeaveGroupResponse {
        error_code: groups::code_of(&parts),
        ..Default::default()
    };
    let member = |left: Left| MemberResponse {
        error_code: groups::code_of(&left.outcome),
        member_id: left.member,
        group_instance_id: left.instance,
    };
    response.members = parts.unwrap_or_default().into_iter().map(member).collect();
    if let (true, Some(one)) = (request.version < SEVERAL, response.members.first()) {
        response.error_code = one.error_code;
    }
    request.answer(&response)
}
