//! JoinGroup (key 11), versions 0 to 9.
//!
//! 0: a member and what it can do. 1: how long a rebalance waits for it. 2: the throttle time. 3:
//! nothing new. 4: a newcomer is given an id first, and comes again with it. 5: static members.
//! 6: flexible. 7: the kind of protocol in answers; no protocol is null there. 8: why it joins.
//! 9: a static leader that comes again may be told to leave the assignment as it is.

use super::groups::{self, Waiting, ask, misfit};
use super::{Api, Door, Request, Step};
use base::Now;
use group::command::{Command, JoinGroup, Protocol};
use group::reply::{Join, Reply};
use wire_kafka::messages::join_group_request::{JoinGroupRequest, JoinGroupRequestProtocol};
use wire_kafka::messages::join_group_response::{JoinGroupResponse, JoinGroupResponseMember};
use wire_kafka::{ApiKey, Reader, WireError};

pub(crate) const API: Api = Api {
    key: ApiKey::JoinGroup,
    versions: 0..=9,
    serve,
};

/// The first version whose newcomers come twice.
const KNOWN_ID: i16 = 4;
/// The first version in which a missing protocol is null.
const NULL_PROTOCOL: i16 = 7;
/// The first version that can tell a leader not to assign.
const SKIP_ASSIGNMENT: i16 = 9;

fn serve(door: &Door, now: Now, request: Request, reader: &mut Reader) -> Result<Step, WireError> {
    let body = JoinGroupRequest::decode(request.version, reader)?;
    let protocol = |p: JoinGroupRequestProtocol| Protocol {
        name: p.name,
        metadata: p.metadata,
    };
    let group = body.group_id.clone();
    let command = Command::JoinGroup(JoinGroup {
        group: body.group_id,
        member: body.member_id,
        instance: body.group_instance_id,
        client: groups::client(door),
        session_timeout_ms: body.session_timeout_ms,
        rebalance_timeout_ms: match request.version {
            0 => body.session_timeout_ms,
            _ => body.rebalance_timeout_ms,
        },
        protocol_type: body.protocol_type,
        protocols: body.protocols.into_iter().map(protocol).collect(),
        reason: body.reason,
        requires_known_id: request.version >= KNOWN_ID,
        can_skip_assignment: request.version >= SKIP_ASSIGNMENT,
    });
    let waiting = Waiting::JoinGroup(request);
    Ok(ask(door, now, request, (&group, command), waiting))
}

/// Answers with the generation that has begun.
pub(crate) fn finish(request: Request, answer: groups::Answer) -> Step {
    let join = match answer {
        Ok(Reply::JoinGroup(join)) => join,
        Ok(_) => return misfit(),
        Err(why) => Join {
            member: String::new(),
            outcome: Err(why),
        },
    };
    let mut response = JoinGroupResponse {
        error_code: groups::code_of(&join.outcome),
        member_id: join.member,
        generation_id: -1,
        ..Default::default()
    };
    if let Ok(joined) = join.outcome {
        response.generation_id = joined.generation;
        response.protocol_type = joined.protocol_type;
        response.protocol_name = joined.protocol;
        response.leader = joined.leader;
        response.skip_assignment = joined.skip_assignment;
        let members = joined.members.into_iter();
        let member = |m: group::reply::JoinedMember| JoinGroupResponseMember {
            member_id: m.member,
            group_instance_id: m.instance,
            metadata: m.metadata,
        };
        response.members = members.map(member).collect();
    }
    if request.version < NULL_PROTOCOL && response.protocol_name.is_none() {
        response.protocol_name = Some(String::new());
    }
    request.answer(&response)
}
