//! DescribeGroups (key 15), versions 0 to 6: groups of the classic protocol.
//!
//! 0: state, protocol, members. 1: the throttle time. 2: nothing new. 3: what the asker may do.
//! 4: static members. 5: flexible. 6: a group that isn't there is a refusal, with a message; in
//! older versions it is a group in state Dead.

use super::groups::{self, Answer, Described, Known, Then, misfit};
use super::{Api, Door, Request, Step};
use crate::refusals::codes;
use base::{Now, Refusal};
use group::reply::{self, DescribedMember};
use group::{Command, Reply};
use wire_kafka::messages::describe_groups_request::DescribeGroupsRequest;
use wire_kafka::messages::describe_groups_response::{
    DescribeGroupsResponse, DescribedGroup, DescribedGroupMember,
};
use wire_kafka::{ApiKey, Reader, WireError};

pub(crate) const API: Api = Api {
    key: ApiKey::DescribeGroups,
    versions: 0..=6,
    serve,
};

/// The first version that says that a group isn't there.
const NOT_FOUND: i16 = 6;

fn serve(door: &Door, now: Now, request: Request, reader: &mut Reader) -> Result<Step, WireError> {
    let body = DescribeGroupsRequest::decode(request.version, reader)?;
    let asked = (body.groups, body.include_authorized_operations);
    let about = |groups| Command::DescribeGroups { groups };
    let then = Then::DescribeGroups;
    Ok(Described::ask(door, now, request, asked, about, then))
}

/// Answers for each group.
pub(crate) fn finish(mut asked: Described, parts: Vec<Answer>) -> Step {
    let known = asked.known(parts, |reply| match reply {
        Reply::DescribeGroups(of) => Some(of),
        _ => None,
    });
    let Some(known) = known else { return misfit() };
    let group = |(group_id, outcome): Known<reply::Described>| match outcome {
        Ok(described) => shown(group_id, described, asked.operations),
        Err(why) => refused(group_id, &why, asked.request.version, asked.operations),
    };
    asked.request.answer(&DescribeGroupsResponse {
        groups: known.into_iter().map(group).collect(),
        ..Default::default()
    })
}

fn shown(group_id: String, group: reply::Described, authorized_operations: i32) -> DescribedGroup {
    let member = |m: DescribedMember| DescribedGroupMember {
        member_id: m.member,
        group_instance_id: m.instance,
        client_id: m.client_id,
        client_host: m.client_host,
        member_metadata: m.metadata,
        member_assignment: m.assignment,
    };
    DescribedGroup {
        group_id,
        group_state: group.state.to_owned(),
        protocol_type: group.protocol_type,
        protocol_data: group.protocol,
        members: group.members.into_iter().map(member).collect(),
        authorized_operations,
        ..Default::default()
    }
}

fn refused(group_id: String, why: &Refusal, version: i16, operations: i32) -> DescribedGroup {
    let mut group = DescribedGroup {
        group_id,
        error_code: groups::code(why),
        ..Default::default()
    };
    if let Refusal::GroupIdNotFound(message) = why {
        group.group_state = "Dead".to_owned();
        if version >= NOT_FOUND {
            group.error_message = Some(message.clone());
        } else {
            group.error_code = codes::NONE;
            group.authorized_operations = operations;
        }
    }
    group
}
