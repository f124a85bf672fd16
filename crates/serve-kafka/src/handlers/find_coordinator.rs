//! FindCoordinator (key 10), versions 0 to 6.
//!
//! 0: for a group. 1: the kind of coordinator; a message beside the code. 2: nothing new. 3:
//! flexible. 4: several at once. 5: nothing new. 6: share groups.
//!
//! There are no transactions yet, which any node says for good, so each is their coordinator. That of what share groups keep
//! is answered as not available.

use super::groups::{self, code};
use super::{Api, Door, Request, Step};
use crate::hints::node_id;
use crate::refusals::{self, codes};
use base::{NodeId, Now, Refusal};
use wire_kafka::messages::find_coordinator_request::FindCoordinatorRequest;
use wire_kafka::messages::find_coordinator_response::{Coordinator, FindCoordinatorResponse};
use wire_kafka::{ApiKey, Reader, WireError};

pub(crate) const API: Api = Api {
    key: ApiKey::FindCoordinator,
    versions: 0..=6,
    serve,
};

/// How often one coordinator is waited for: until its topic is made, and until it is elected.
const WAITS_MAX: u32 = 2;
/// The first version that asks for several.
const SEVERAL: i16 = 4;
/// The first version with messages.
const MESSAGES: i16 = 1;
/// The kinds of coordinators.
const OF_GROUPS: i8 = 0;
const OF_TRANSACTIONS: i8 = 1;
const OF_SHARE_GROUPS: i8 = 2;

/// The keys that were asked for and what was found so far.
pub(crate) struct Waiting {
    request: Request,
    left: std::vec::IntoIter<String>,
    /// The key that is being looked for.
    key: String,
    found: Vec<Coordinator>,
    /// How often it was waited for.
    waits: u32,
}

fn serve(door: &Door, now: Now, request: Request, reader: &mut Reader) -> Result<Step, WireError> {
    let body = FindCoordinatorRequest::decode(request.version, reader)?;
    let keys = match request.version >= SEVERAL {
        true => body.coordinator_keys,
        false => vec![body.key],
    };
    if body.key_type == OF_TRANSACTIONS {
        // There are no transactions yet, and every node knows that: who asks this one for them is
        // told so for good, instead of looking for a coordinator for ever.
        let me = door.broker.settings().node;
        let found = keys.into_iter().map(|key| somebody(door, key, me));
        return Ok(answer(request, found.collect()));
    }
    let refusal = match body.key_type {
        OF_GROUPS => None,
        OF_SHARE_GROUPS if request.version < 6 => Some(no_such_kind()),
        OF_SHARE_GROUPS => {
            let why = "this cluster has no coordinators of this kind yet";
            Some(Refusal::CoordinatorNotAvailable(why.to_owned()))
        }
        _ => Some(no_such_kind()),
    };
    if let Some(why) = refusal {
        let found = keys.into_iter().map(|key| nobody(key, &why)).collect();
        return Ok(answer(request, found));
    }
    let waiting = Waiting {
        request,
        found: Vec::with_capacity(keys.len()),
        waits: 0,
        left: keys.into_iter(),
        key: String::new(),
    };
    Ok(waiting.go_on(door, now))
}

fn no_such_kind() -> Refusal {
    Refusal::InvalidRequest("there is no such kind of coordinator".to_owned())
}

impl Waiting {
    fn go_on(mut self, door: &Door, now: Now) -> Step {
        let Some(key) = self.left.next() else {
            return answer(self.request, self.found);
        };
        (self.key, self.waits) = (key, 0);
        self.look_for(door, now)
    }

    fn look_for(self, door: &Door, now: Now) -> Step {
        let to = self.request.reply_to(door);
        let (broker, who) = (&door.broker, &door.principal);
        broker.coordinator(now, who, &self.key, to);
        Step::Wait(super::Waiting::Group(groups::Waiting::FindCoordinator(
            self,
        )))
    }

    /// Somebody may be found by now: the topic is made, or somebody leads its partition.
    pub(crate) fn on_led(mut self, door: &Door, now: Now, outcome: Result<(), Refusal>) -> Step {
        self.waits += 1;
        match outcome {
            Ok(()) if self.waits < WAITS_MAX => self.look_for(door, now),
            Ok(()) => {
                let found = door.broker.coordinator_of(&self.key);
                self.on_found(door, now, found)
            }
            Err(why) => {
                let why = Refusal::CoordinatorNotAvailable(why.to_string());
                self.on_found(door, now, Err(why))
            }
        }
    }

    /// Takes up where one coordinator is.
    pub(crate) fn on_found(
        mut self,
        door: &Door,
        now: Now,
        found: Result<NodeId, Refusal>,
    ) -> Step {
        let key = std::mem::take(&mut self.key);
        self.found.push(match found {
            Ok(node) => somebody(door, key, node),
            Err(why) => nobody(key, &why),
        });
        self.go_on(door, now)
    }
}

/// A coordinator, if the client can reach it by the listener that it came in by.
fn somebody(door: &Door, key: String, node: NodeId) -> Coordinator {
    let image = door.broker.image();
    let at = image
        .nodes
        .get(&node)
        .and_then(|info| info.at(&door.listener));
    match at {
        Some(at) => Coordinator {
            key,
            node_id: node_id(node),
            host: at.host.clone(),
            port: i32::from(at.port),
            error_code: codes::NONE,
            error_message: Some(String::new()),
        },
        None => {
            let why = "the coordinator has no address on this listener".to_owned();
            nobody(key, &Refusal::CoordinatorNotAvailable(why))
        }
    }
}

fn nobody(key: String, why: &Refusal) -> Coordinator {
    Coordinator {
        key,
        node_id: -1,
        host: String::new(),
        port: -1,
        error_code: code(why),
        error_message: refusals::message(why).or(Some(String::new())),
    }
}

fn answer(request: Request, mut found: Vec<Coordinator>) -> Step {
    if request.version >= SEVERAL {
        return request.answer(&FindCoordinatorResponse {
            coordinators: found,
            ..Default::default()
        });
    }
    let one = found.pop().unwrap_or_default();
    // The older versions say "NONE" where nothing is wrong, as Kafka does.
    let message = match one.error_code {
        codes::NONE => Some("NONE".to_owned()),
        _ => one.error_message,
    };
    request.answer(&FindCoordinatorResponse {
        error_code: one.error_code,
        error_message: message.filter(|_| request.version >= MESSAGES),
        node_id: one.node_id,
        host: one.host,
        port: one.port,
        ..Default::default()
    })
}
