//! DeleteGroups (key 42), versions 0 to 2.
//!
//! 0: groups without members are deleted with all they committed. 1: nothing new. 2: flexible.

use super::groups::{self, Answer, Then, ask_each, misfit};
use super::{Api, Door, Request, Step};
use base::{Now, Refusal};
use group::{Command, Reply};
use wire_kafka::messages::delete_groups_request::DeleteGroupsRequest;
use wire_kafka::messages::delete_groups_response::{DeletableGroupResult, DeleteGroupsResponse};
use wire_kafka::{ApiKey, Reader, WireError};

pub(crate) const API: Api = Api {
    key: ApiKey::DeleteGroups,
    versions: 0..=2,
    serve,
};

/// The groups, in the order of the request.
pub(crate) struct Waiting {
    request: Request,
    names: Vec<String>,
}

fn serve(door: &Door, now: Now, request: Request, reader: &mut Reader) -> Result<Step, WireError> {
    let mut names = DeleteGroupsRequest::decode(request.version, reader)?.groups_names;
    // A group named twice is deleted once and has one result.
    let mut seen = std::collections::BTreeSet::new();
    names.retain(|name| seen.insert(name.clone()));
    let call = |name: &String| {
        let groups = vec![name.clone()];
        (name.clone(), Command::DeleteGroups { groups })
    };
    let calls: Vec<_> = names.iter().map(call).collect();
    let waiting = Waiting { request, names };
    Ok(ask_each(
        door,
        now,
        request,
        calls,
        Then::DeleteGroups(waiting),
    ))
}

impl Waiting {
    /// Answers for each group.
    pub(crate) fn finish(self, parts: Vec<Answer>) -> Step {
        let mut results = Vec::with_capacity(self.names.len());
        for (group_id, answer) in self.names.into_iter().zip(parts) {
            let outcome: Result<(), Refusal> = match answer {
                Ok(Reply::DeleteGroups(mut of)) => match of.pop() {
                    Some((_, outcome)) => outcome,
                    None => return misfit(),
                },
                Ok(_) => return misfit(),
                Err(why) => Err(why),
            };
            results.push(DeletableGroupResult {
                group_id,
                error_code: groups::code_of(&outcome),
            });
        }
        self.request.answer(&DeleteGroupsResponse {
            results,
            ..Default::default()
        })
    }
}
