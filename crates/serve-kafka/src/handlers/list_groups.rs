//! ListGroups (key 16), versions 0 to 5.
//!
//! 0: the groups that this node coordinates. 1: the throttle time. 2: nothing new. 3: flexible.
//! 4: states, and only groups in some of them. 5: types, and only groups of some of them.

use super::groups::{self, Waiting};
use super::{Api, Door, Request, Step};
use base::{Now, Refusal};
use broker::{Action, Resource};
use group::command;
use group::reply::Listed;
use wire_kafka::messages::list_groups_request::ListGroupsRequest;
use wire_kafka::messages::list_groups_response::{ListGroupsResponse, ListedGroup};
use wire_kafka::{ApiKey, Reader, WireError};

pub(crate) const API: Api = Api {
    key: ApiKey::ListGroups,
    versions: 0..=5,
    serve,
};

fn serve(door: &Door, now: Now, request: Request, reader: &mut Reader) -> Result<Step, WireError> {
    let body = ListGroupsRequest::decode(request.version, reader)?;
    let filter = command::ListGroups {
        states: body.states_filter,
        types: body.types_filter,
    };
    let to = request.reply_to(door);
    door.broker
        .groups_everywhere(now, &door.principal, filter, to);
    let waiting = Waiting::ListGroups(request);
    Ok(Step::Wait(super::Waiting::Group(waiting)))
}

/// Answers with the groups.
pub(crate) fn finish(door: &Door, request: Request, listed: Result<Vec<Listed>, Refusal>) -> Step {
    let row = |group: Listed| ListedGroup {
        group_id: group.group,
        protocol_type: group.protocol_type,
        group_state: group.state.to_owned(),
        group_type: group.group_type.name().to_owned(),
    };
    let error_code = groups::code_of(&listed);
    let may_see = |group: &Listed| {
        let on = Resource::Group(&group.group);
        door.broker.allows(&door.principal, Action::Describe, on)
    };
    let seen = listed.unwrap_or_default().into_iter().filter(may_see);
    request.answer(&ListGroupsResponse {
        error_code,
        groups: seen.map(row).collect(),
        ..Default::default()
    })
}
