//! ConsumerGroupDescribe (key 69), versions 0 to 1: groups of KIP-848.
//!
//! 0: state, epochs, members, what each holds and is to hold. 1: which members speak the classic
//! protocol.

use super::groups::{self, Answer, Described, Known, Then, misfit};
use super::{Api, Door, Request, Step};
use crate::refusals;
use base::{Now, Refusal};
use group::reply::{ConsumerDescribed, ConsumerDescribedMember, NamedPartitions};
use group::{Command, Reply};
use wire_kafka::messages::consumer_group_describe_request::ConsumerGroupDescribeRequest;
use wire_kafka::messages::consumer_group_describe_response::{
    Assignment, ConsumerGroupDescribeResponse, DescribedGroup, Member, TopicPartitions,
};
use wire_kafka::{ApiKey, Reader, WireError};

pub(crate) const API: Api = Api {
    key: ApiKey::ConsumerGroupDescribe,
    versions: 0..=1,
    serve,
};

fn serve(door: &Door, now: Now, request: Request, reader: &mut Reader) -> Result<Step, WireError> {
    let body = ConsumerGroupDescribeRequest::decode(request.version, reader)?;
    let asked = (body.group_ids, body.include_authorized_operations);
    let about = |groups| Command::ConsumerDescribe { groups };
    let then = Then::ConsumerDescribe;
    Ok(Described::ask(door, now, request, asked, about, then))
}

/// Answers for each group.
pub(crate) fn finish(mut asked: Described, parts: Vec<Answer>) -> Step {
    let known = asked.known(parts, |reply| match reply {
        Reply::ConsumerDescribe(of) => Some(of),
        _ => None,
    });
    let Some(known) = known else { return misfit() };
    let group = |(group_id, outcome): Known<ConsumerDescribed>| match outcome {
        // No group of KIP-848 has the empty name, offsets without a group may.
        _ if group_id.is_empty() => refused(group_id, &Refusal::InvalidGroupId),
        Ok(described) => shown(group_id, described, asked.operations),
        Err(why) => refused(group_id, &why),
    };
    asked.request.answer(&ConsumerGroupDescribeResponse {
        groups: known.into_iter().map(group).collect(),
        ..Default::default()
    })
}

fn refused(group_id: String, why: &Refusal) -> DescribedGroup {
    DescribedGroup {
        error_code: groups::code(why),
        error_message: refusals::message(why).filter(|_| *why != Refusal::InvalidGroupId),
        group_id,
        ..Default::default()
    }
}

fn shown(group_id: String, group: ConsumerDescribed, authorized_operations: i32) -> DescribedGroup {
    DescribedGroup {
        group_id,
        group_state: group.state.to_owned(),
        group_epoch: group.epoch,
        assignment_epoch: group.assignment_epoch,
        assignor_name: group.assignor,
        members: group.members.into_iter().map(member).collect(),
        authorized_operations,
        ..Default::default()
    }
}

fn member(member: ConsumerDescribedMember) -> Member {
    Member {
        member_id: member.member,
        instance_id: member.instance,
        rack_id: member.rack,
        member_epoch: member.epoch,
        client_id: member.client_id,
        client_host: member.client_host,
        subscribed_topic_names: member.topics,
        subscribed_topic_regex: member.regex,
        assignment: assignment(member.assignment),
        target_assignment: assignment(member.target),
        member_type: i8::from(!member.classic),
    }
}

fn assignment(parts: Vec<NamedPartitions>) -> Assignment {
    let part = |part: NamedPartitions| TopicPartitions {
        topic_id: part.id,
        topic_name: part.name,
        partitions: part.partitions,
    };
    Assignment {
        topic_partitions: parts.into_iter().map(part).collect(),
    }
}
