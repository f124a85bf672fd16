//! Calls to the node that coordinates a group. Which node that is may change at any time, so
//! every call looks at its answer for the signs of it and asks again.

use crate::client::call::Call;
use crate::client::deadline::Pauses;
use crate::client::{Cluster, Code, Deadline, Trouble};
use wire_kafka::messages::find_coordinator_request::FindCoordinatorRequest;
use wire_kafka::messages::find_coordinator_response::{Coordinator, FindCoordinatorResponse};

/// FindCoordinator's word for groups.
const OF_GROUPS: i8 = 0;

impl Cluster {
    /// The node that coordinates a group.
    pub fn coordinator(&mut self, group: &str, deadline: Deadline) -> Result<i32, Trouble> {
        let question = FindCoordinatorRequest {
            key: group.to_owned(),
            key_type: OF_GROUPS,
            coordinator_keys: vec![group.to_owned()],
        };
        let mut pauses = Pauses::until(deadline);
        loop {
            let found = only(self.call_any(&question, deadline)?);
            let code = Code(found.error_code);
            if code.is_ok() {
                self.know(found.node_id, format!("{}:{}", found.host, found.port));
                return Ok(found.node_id);
            }
            let what = format!("finding the coordinator of group {group}");
            let trouble = Trouble::refused(what, code, found.error_message);
            if !trouble.is_retriable() || !pauses.wait() {
                return Err(trouble);
            }
        }
    }

    /// Makes a call to the coordinator of a group until it has an answer whose code is of the
    /// call itself.
    pub fn call_coordinator<C: Call>(
        &mut self,
        group: &str,
        call: &C,
        code: impl Fn(&C::Response) -> Code,
        deadline: Deadline,
    ) -> Result<C::Response, Trouble> {
        let mut pauses = Pauses::until(deadline);
        loop {
            let node = self.coordinator(group, deadline)?;
            let trouble = match self.call_node(node, call, deadline) {
                Ok(answer) if !code(&answer).is_of_coordinator() => return Ok(answer),
                Ok(answer) => {
                    let what = format!("the coordinator of group {group}");
                    Trouble::refused(what, code(&answer), None)
                }
                Err(trouble) if trouble.is_retriable() => trouble,
                Err(trouble) => return Err(trouble),
            };
            if !pauses.wait() {
                return Err(trouble);
            }
        }
    }
}

/// The one coordinator of an answer, in its older form or in its newer one.
fn only(answer: FindCoordinatorResponse) -> Coordinator {
    let old = Coordinator {
        node_id: answer.node_id,
        host: answer.host,
        port: answer.port,
        error_code: answer.error_code,
        error_message: answer.error_message,
        ..Coordinator::default()
    };
    answer.coordinators.into_iter().next().unwrap_or(old)
}
