//! What the APIs of groups share: who asks, how a call waits for the coordinator, which code a
//! refusal has there.

use super::{
    Door, Request, Step, consumer_group_describe, consumer_group_heartbeat, delete_groups,
    describe_groups, find_coordinator, heartbeat, join_group, leave_group, list_groups,
    offset_commit, offset_delete, offset_fetch, sync_group,
};
use crate::described::Extent;
use crate::refusals::{self, codes};
use base::{Now, Refusal};
use group::{Client, Command, Reply};
use std::net::{IpAddr, SocketAddr};

/// What everybody may do to a group while there are no rules: read, delete, describe, describe
/// and alter its configuration.
pub(crate) const GROUP_OPERATIONS: i32 = 0x0d48;

/// A call that the coordinator of a group is to answer.
pub(crate) enum Waiting {
    ConsumerHeartbeat(Request),
    Each(Box<Each>),
    FindCoordinator(find_coordinator::Waiting),
    Heartbeat(Request),
    JoinGroup(Request),
    LeaveGroup(Request),
    ListGroups(Request),
    OffsetCommit(offset_commit::Waiting),
    OffsetDelete(offset_delete::Waiting),
    SyncGroup(Request),
}

/// The coordinator's answer to one call.
pub(crate) type Answer = Result<Reply, Refusal>;

impl Waiting {
    /// Goes on with the broker's reply.
    pub(crate) fn on_reply(self, door: &Door, reply: shard::Reply) -> Step {
        use shard::Reply::{Coordinator, Group, Groups, Led};
        match (self, reply) {
            (Waiting::Each(each), Group(answer)) => each.on_answer(door, door.now, answer),
            (Waiting::FindCoordinator(waiting), Coordinator(found)) => {
                waiting.on_found(door, door.now, found)
            }
            (Waiting::FindCoordinator(waiting), Led(outcome)) => {
                waiting.on_led(door, door.now, outcome)
            }
            (Waiting::ListGroups(request), Groups(listed)) => {
                list_groups::finish(door, request, listed)
            }
            (waiting, Group(answer)) => waiting.finish(answer),
            _ => misfit(),
        }
    }

    fn finish(self, answer: Answer) -> Step {
        match self {
            Waiting::ConsumerHeartbeat(request) => {
                consumer_group_heartbeat::finish(request, answer)
            }
            Waiting::Heartbeat(request) => heartbeat::finish(request, answer),
            Waiting::JoinGroup(request) => join_group::finish(request, answer),
            Waiting::LeaveGroup(request) => leave_group::finish(request, answer),
            Waiting::OffsetCommit(waiting) => waiting.finish(answer),
            Waiting::OffsetDelete(waiting) => waiting.finish(answer),
            Waiting::SyncGroup(request) => sync_group::finish(request, answer),
            Waiting::Each(_) | Waiting::FindCoordinator(_) | Waiting::ListGroups(_) => misfit(),
        }
    }
}

/// A request about several groups. Their coordinators are asked one after the other, so that one
/// request never keeps more than one call in a shard's mailbox, however many groups it names.
pub(crate) struct Each {
    request: Request,
    left: std::vec::IntoIter<(String, Command)>,
    parts: Vec<Answer>,
    extent: Extent,
    then: Then,
}

/// Who writes the answer once all parts are there.
pub(crate) enum Then {
    ConsumerDescribe(Described),
    DeleteGroups(delete_groups::Waiting),
    DescribeGroups(Described),
    OffsetFetch(offset_fetch::Waiting),
}

impl Each {
    fn on_answer(mut self: Box<Each>, door: &Door, now: Now, answer: Answer) -> Step {
        if let Ok(reply) = &answer {
            self.extent.reply(reply);
        }
        self.parts.push(answer);
        self.go_on(door, now)
    }

    fn go_on(mut self: Box<Each>, door: &Door, now: Now) -> Step {
        while let Some((group, command)) = self.left.next() {
            if let Err(much) = self.extent.check() {
                self.parts.push(Err(much));
                continue;
            }
            let request = self.request;
            return ask(door, now, request, (&group, command), Waiting::Each(self));
        }
        match self.then {
            Then::ConsumerDescribe(waiting) => consumer_group_describe::finish(waiting, self.parts),
            Then::DeleteGroups(waiting) => waiting.finish(self.parts),
            Then::DescribeGroups(waiting) => describe_groups::finish(waiting, self.parts),
            Then::OffsetFetch(waiting) => waiting.finish(door, self.parts),
        }
    }
}

/// An answer to another question than the one that was asked.
pub(crate) fn misfit() -> Step {
    Step::Close("the coordinator's answer does not fit the request".to_owned())
}

/// Asks the coordinator of one group.
pub(crate) fn ask(
    door: &Door,
    now: Now,
    request: Request,
    (group, command): (&str, Command),
    waiting: Waiting,
) -> Step {
    let to = request.reply_to(door);
    door.broker.group(now, &door.principal, group, command, to);
    Step::Wait(super::Waiting::Group(waiting))
}

/// Asks the coordinators of several groups; the parts come to `then` together, in this order.
pub(crate) fn ask_each(
    door: &Door,
    now: Now,
    request: Request,
    calls: Vec<(String, Command)>,
    then: Then,
) -> Step {
    let each = Each {
        request,
        parts: Vec::with_capacity(calls.len()),
        left: calls.into_iter(),
        extent: Extent::default(),
        then,
    };
    Box::new(each).go_on(door, now)
}

/// A request to describe groups, in its order.
pub(crate) struct Described {
    pub(crate) request: Request,
    names: Vec<String>,
    /// What the asker may do to each of them.
    pub(crate) operations: i32,
}

impl Described {
    /// Asks for each of these groups; `then` writes the answer.
    pub(crate) fn ask(
        door: &Door,
        now: Now,
        request: Request,
        (names, with_operations): (Vec<String>, bool),
        about: fn(Vec<String>) -> Command,
        then: fn(Described) -> Then,
    ) -> Step {
        let call = |name: &String| (name.clone(), about(vec![name.clone()]));
        let calls = names.iter().map(call).collect();
        let described = Described {
            request,
            names,
            operations: operations(with_operations),
        };
        ask_each(door, now, request, calls, then(described))
    }

    /// What is known of each group, with its name; none if an answer is one to another question.
    pub(crate) fn known<T>(&mut self, parts: Vec<Answer>, of: Of<T>) -> Option<Vec<Known<T>>> {
        let names = std::mem::take(&mut self.names);
        let known = |(name, answer): (String, Answer)| match answer {
            Ok(reply) => of(reply)?.pop().map(|(_, outcome)| (name, outcome)),
            Err(why) => Some((name, Err(why))),
        };
        names.into_iter().zip(parts).map(known).collect()
    }
}

/// A group's name and what its coordinator said of it.
pub(crate) type Known<T> = (String, Result<T, Refusal>);
/// What a reply says of groups, if it is of the kind that was asked for.
type Of<T> = fn(Reply) -> Option<Vec<Known<T>>>;

/// The code of a refusal in answers about groups. What a coordinator can't write now is told as
/// one that isn't available, which makes every client look for it again.
pub(crate) fn code(refusal: &Refusal) -> i16 {
    match refusal {
        Refusal::Denied => codes::GROUP_AUTHORIZATION_FAILED,
        Refusal::Timeout
        | Refusal::Busy(_)
        | Refusal::LeaderNotAvailable
        | Refusal::NoController
        | Refusal::NotEnoughReplicas { .. }
        | Refusal::NoRoomElsewhere(_)
        | Refusal::NotEnoughReplicasAfterAppend { .. } => codes::COORDINATOR_NOT_AVAILABLE,
        Refusal::NotLeader { .. } | Refusal::Storage(_) => codes::NOT_COORDINATOR,
        Refusal::MessageTooLarge { .. } => codes::UNKNOWN_SERVER_ERROR,
        _ => refusals::code(refusal),
    }
}

/// The code of an outcome.
pub(crate) fn code_of<T>(outcome: &Result<T, Refusal>) -> i16 {
    outcome.as_ref().err().map_or(codes::NONE, code)
}

/// Who asks, as descriptions of groups show it.
pub(crate) fn client(door: &Door) -> Client {
    Client {
        id: door.client.to_string(),
        host: door.host.clone(),
    }
}

/// A peer's address as Kafka writes hosts: a slash, and IPv6 in full.
pub(crate) fn host(peer: &str) -> String {
    let ip = peer
        .parse::<SocketAddr>()
        .map(|address| address.ip())
        .or_else(|_| peer.parse::<IpAddr>());
    match ip.map(|ip| ip.to_canonical()) {
        Ok(IpAddr::V6(ip)) => {
            let words = ip.segments().map(|word| format!("{word:x}"));
            format!("/{}", words.join(":"))
        }
        Ok(ip) => format!("/{ip}"),
        Err(_) => format!("/{peer}"),
    }
}

/// The port that a client came from; 0 where it isn't known.
pub(crate) fn port(peer: &str) -> u16 {
    peer.parse::<SocketAddr>()
        .map_or(0, |address| address.port())
}

/// What an asker may do to a group, if it wants to know.
pub(crate) fn operations(asked: bool) -> i32 {
    if asked { GROUP_OPERATIONS } else { i32::MIN }
}
