//! Commands and replies in binary: they travel between the node that was asked and the one that
//! leads the controller's group. The first byte is the kind; kinds are never reused.

pub(crate) mod admin;

use crate::codec::{Malformed, Reader, Writer};
use crate::{
    Command, Endpoint, Level, NewTopic, NodeInfo, Placement, Reply, TopicCreated, TopicRef, refusal,
};
use base::{GroupId, NodeId, ProducerId, Refusal};

impl Command {
    /// The command as bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut w = Writer::default();
        match self {
            Command::CreateTopics {
                topics,
                validate_only,
            } => write_all(&mut w, (1, *validate_only), topics, write_topic),
            Command::DeleteTopics { topics } => listed(&mut w, 2, topics, write_ref),
            Command::RegisterNode { node, info } => {
                begin(&mut w, 3, *node);
                write_node(&mut w, info);
            }
            Command::AllocateProducerIds { count } => {
                w.byte(4);
                w.number(u64::from(*count));
            }
            Command::AlterConfigs {
                changes,
                validate_only,
            } => write_all(&mut w, (5, *validate_only), changes, admin::write_change),
            Command::AddPartitions {
                topics,
                validate_only,
            } => write_all(&mut w, (6, *validate_only), topics, admin::write_more),
            Command::AlterQuotas {
                changes,
                validate_only,
            } => write_all(&mut w, (7, *validate_only), changes, admin::write_quota),
            Command::UnregisterNode { node, generation } => {
                admin::write_unregister(&mut w, *node, *generation);
            }
            Command::DescribeQuorum => w.byte(9),
            Command::Reassign {
                changes,
                keep_factor,
            } => write_all(
                &mut w,
                (10, *keep_factor),
                changes,
                admin::write_reassignment,
            ),
            Command::Reassigned { groups } => listed(&mut w, 11, groups, admin::write_voters),
            Command::Arrived { groups } => listed(&mut w, 42, groups, admin::write_counted),
            Command::Renew { members } => listed(&mut w, 50, members, admin::write_of_group),
            Command::Recover { lost } => listed(&mut w, 40, lost, Writer::node),
            Command::GoOnAlone { groups, silent } => {
                listed(&mut w, 41, groups, admin::write_on_node);
                w.nodes(silent);
            }
            Command::IntroduceNode { node, home, joins } => {
                begin(&mut w, 20, *node);
                admin::write_home(&mut w, home);
                w.bool(*joins);
            }
            Command::DeclareLevels { node, levels } => {
                begin(&mut w, 30, *node);
                admin::write_levels(&mut w, *levels);
            }
            Command::RaiseLevel {
                level,
                validate_only,
            } => {
                w.byte(31);
                w.number(u64::from(level.0));
                w.bool(*validate_only);
            }
        }
        w.0
    }

    /// Reads what [`Command::encode`] wrote.
    pub fn decode(bytes: &[u8]) -> Result<Command, Malformed> {
        let mut r = Reader::new(bytes);
        let command = match r.byte()? {
            1 => Command::CreateTopics {
                validate_only: r.bool()?,
                topics: r.list(read_topic)?,
            },
            2 => Command::DeleteTopics {
                topics: r.list(read_ref)?,
            },
            3 => Command::RegisterNode {
                node: r.node()?,
                info: read_node(&mut r)?,
            },
            4 => Command::AllocateProducerIds { count: r.small()? },
            5 => Command::AlterConfigs {
                validate_only: r.bool()?,
                changes: r.list(admin::read_change)?,
            },
            6 => Command::AddPartitions {
                validate_only: r.bool()?,
                topics: r.list(admin::read_more)?,
            },
            7 => Command::AlterQuotas {
                validate_only: r.bool()?,
                changes: r.list(admin::read_quota)?,
            },
            kind @ (8 | 43) => admin::read_unregister(&mut r, kind == 43)?,
            9 => Command::DescribeQuorum,
            10 => Command::Reassign {
                keep_factor: r.bool()?,
                changes: r.list(admin::read_reassignment)?,
            },
            11 => Command::Reassigned {
                groups: r.list(admin::read_voters)?,
            },
            42 => Command::Arrived {
                groups: r.list(admin::read_counted)?,
            },
            50 => Command::Renew {
                members: r.list(admin::read_of_group)?,
            },
            40 => Command::Recover { lost: r.nodes()? },
            41 => Command::GoOnAlone {
                groups: r.list(admin::read_on_node)?,
                silent: r.nodes()?,
            },
            20 => Command::IntroduceNode {
                node: r.node()?,
                home: admin::read_home(&mut r)?,
                joins: r.bool()?,
            },
            30 => Command::DeclareLevels {
                node: r.node()?,
                levels: admin::read_levels(&mut r)?,
            },
            31 => Command::RaiseLevel {
                level: Level(r.small()?),
                validate_only: r.bool()?,
            },
            _ => return Err(Malformed),
        };
        r.end()?;
        Ok(command)
    }
}

impl Reply {
    /// The reply as bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut w = Writer::default();
        write_reply(&mut w, self);
        w.0
    }

    /// Reads what [`Reply::encode`] wrote.
    pub fn decode(bytes: &[u8]) -> Result<Reply, Malformed> {
        let mut r = Reader::new(bytes);
        let reply = read_reply(&mut r)?;
        r.end()?;
        Ok(reply)
    }
}

/// A command that is a list.
fn listed<T>(w: &mut Writer, kind: u8, all: &[T], write: impl FnMut(&mut Writer, &T)) {
    w.byte(kind);
    w.list(all, write);
}

/// A command about several things, and how it is meant.
fn write_all<T>(
    w: &mut Writer,
    (kind, how): (u8, bool),
    items: &[T],
    write: impl FnMut(&mut Writer, &T),
) {
    w.byte(kind);
    w.bool(how);
    w.list(items, write);
}

/// What a command about a node begins with.
fn begin(w: &mut Writer, kind: u8, node: NodeId) {
    w.byte(kind);
    w.node(&node);
}

/// A reply or the refusal of the whole command, as bytes.
pub fn encode_answer(answer: &Result<Reply, Refusal>) -> Vec<u8> {
    let mut w = Writer::default();
    write_result(&mut w, answer, write_reply);
    w.0
}

/// Reads what [`encode_answer`] wrote.
pub fn decode_answer(bytes: &[u8]) -> Result<Result<Reply, Refusal>, Malformed> {
    let mut r = Reader::new(bytes);
    let answer = read_result(&mut r, read_reply)?;
    r.end()?;
    Ok(answer)
}

fn write_result<T>(
    w: &mut Writer,
    result: &Result<T, Refusal>,
    write: impl FnOnce(&mut Writer, &T),
) {
    w.bool(result.is_ok());
    match result {
        Ok(value) => write(w, value),
        Err(no) => refusal::write(w, no),
    }
}

fn read_result<T>(
    r: &mut Reader<'_>,
    read: impl FnOnce(&mut Reader<'_>) -> Result<T, Malformed>,
) -> Result<Result<T, Refusal>, Malformed> {
    Ok(if r.bool()? {
        Ok(read(r)?)
    } else {
        Err(refusal::read(r)?)
    })
}

fn write_reply(w: &mut Writer, reply: &Reply) {
    match reply {
        Reply::TopicsCreated(parts) => {
            w.byte(1);
            w.list(parts, |w, part| write_result(w, part, write_created));
        }
        Reply::TopicsDeleted(parts) => {
            w.byte(2);
            w.list(parts, |w, part| {
                write_result(w, part, |w, (name, id)| {
                    w.text(name);
                    w.uuid(id);
                });
            });
        }
        Reply::ProducerIds(first) => {
            w.byte(3);
            w.signed(first.0);
        }
        Reply::Done => w.byte(4),
        Reply::Each(parts) => {
            w.byte(5);
            admin::write_each(w, parts);
        }
        Reply::Quorum(quorum) => {
            w.byte(6);
            admin::write_quorum(w, quorum);
        }
        Reply::Introduced(outcome) => {
            w.byte(20);
            write_result(w, outcome, |w, generation| w.number(u64::from(*generation)));
        }
    }
}

fn read_reply(r: &mut Reader<'_>) -> Result<Reply, Malformed> {
    Ok(match r.byte()? {
        1 => Reply::TopicsCreated(r.list(|r| read_result(r, read_created))?),
        2 => Reply::TopicsDeleted(r.list(|r| read_result(r, |r| Ok((r.text()?, r.uuid()?))))?),
        3 => Reply::ProducerIds(ProducerId(r.signed()?)),
        4 => Reply::Done,
        5 => Reply::Each(admin::read_each(r)?),
        6 => Reply::Quorum(admin::read_quorum(r)?),
        20 => Reply::Introduced(read_result(r, |r| r.small())?),
        _ => return Err(Malformed),
    })
}

fn write_created(w: &mut Writer, created: &TopicCreated) {
    w.text(&created.name);
    w.uuid(&created.id);
    w.number(u64::from(created.partitions));
    w.number(u64::from(created.replicas));
    w.list(&created.groups, |w, group| w.number(group.0));
}

fn read_created(r: &mut Reader<'_>) -> Result<TopicCreated, Malformed> {
    Ok(TopicCreated {
        name: r.text()?,
        id: r.uuid()?,
        partitions: r.small()?,
        replicas: r.small()?,
        groups: r.list(|r| Ok(GroupId(r.number()?)))?,
    })
}

fn write_topic(w: &mut Writer, topic: &NewTopic) {
    w.text(&topic.name);
    w.uuid(&topic.id);
    match &topic.placement {
        Placement::Spread {
            partitions,
            replicas,
        } => {
            w.byte(0);
            w.option(*partitions, |w, n| w.number(u64::from(n)));
            w.option(*replicas, |w, n| w.number(u64::from(n)));
        }
        Placement::Manual(parts) => {
            w.byte(1);
            w.list(parts, |w, nodes| w.nodes(nodes));
        }
    }
    w.pairs(&topic.configs);
}

fn read_topic(r: &mut Reader<'_>) -> Result<NewTopic, Malformed> {
    Ok(NewTopic {
        name: r.text()?,
        id: r.uuid()?,
        placement: match r.byte()? {
            0 => Placement::Spread {
                partitions: r.option(Reader::small)?,
                replicas: r.option(Reader::small)?,
            },
            1 => Placement::Manual(r.list(Reader::nodes)?),
            _ => return Err(Malformed),
        },
        configs: r.pairs()?,
    })
}

fn write_ref(w: &mut Writer, topic: &TopicRef) {
    match topic {
        TopicRef::Name(name) => {
            w.byte(0);
            w.text(name);
        }
        TopicRef::Id(id) => {
            w.byte(1);
            w.uuid(id);
        }
    }
}

fn read_ref(r: &mut Reader<'_>) -> Result<TopicRef, Malformed> {
    Ok(match r.byte()? {
        0 => TopicRef::Name(r.text()?),
        1 => TopicRef::Id(r.uuid()?),
        _ => return Err(Malformed),
    })
}

/// A node's description; records use it too, so its layout is frozen.
pub(crate) fn write_node(w: &mut Writer, info: &NodeInfo) {
    w.list(&info.endpoints, |w, endpoint| {
        w.text(&endpoint.listener);
        w.text(&endpoint.host);
        w.number(u64::from(endpoint.port));
    });
    w.option(info.rack.as_deref(), |w, rack| w.text(rack));
}

pub(crate) fn read_node(r: &mut Reader<'_>) -> Result<NodeInfo, Malformed> {
    Ok(NodeInfo {
        endpoints: r.list(|r| {
            Ok(Endpoint {
                listener: r.text()?,
                host: r.text()?,
                port: r.small()?,
            })
        })?,
        rack: r.option(|r| r.text())?,
    })
}

#[cfg(test)]
mod tests;
