//! The facts that the controller logs. A released record replays for ever: the first byte is its
//! kind, the second its version; a new layout gets a new version and the old one keeps its
//! reader. `testdata/v1` holds one of each as they were first written.

use crate::codec::{Malformed, Reader, Writer};
use crate::reassign::{Moves, Placed};
use crate::wire::admin;
use crate::{Amount, Entity, Home, Level, Levels, NodeInfo, PartitionInfo, Resource, wire};
use base::{GroupId, Member, NodeId, Partition, ProducerId, Uuid};
use bytes::Bytes;
use std::collections::BTreeMap;

/// A fact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Record {
    /// A node said how it is reached.
    NodeRegistered { node: NodeId, info: NodeInfo },
    /// A topic was made.
    TopicCreated {
        name: String,
        id: Uuid,
        partitions: Vec<PartitionInfo>,
        configs: BTreeMap<String, String>,
    },
    /// A topic was deleted.
    TopicDeleted { id: Uuid },
    /// All producer ids below this one are given away.
    ProducerIdsAllocated { next: ProducerId },
    /// Keys of a configuration were set, and others are set no longer.
    ConfigChanged {
        resource: Resource,
        set: BTreeMap<String, String>,
        gone: Vec<String>,
    },
    /// A topic has these partitions more.
    PartitionsAdded {
        id: Uuid,
        partitions: Vec<PartitionInfo>,
    },
    /// A quota was set, or is set no longer.
    QuotaChanged {
        entity: Entity,
        key: String,
        amount: Option<Amount>,
    },
    /// A node is forgotten.
    NodeUnregistered { node: NodeId },
    /// Partitions of a topic have, or are to have, other replicas.
    PartitionsReassigned {
        id: Uuid,
        partitions: Vec<(Partition, Placed)>,
    },
    /// The same of partitions that go on with one replica alone, from level 3 on; or have replicas
    /// that were renewed, from level 5 on.
    PartitionsRecovered {
        id: Uuid,
        partitions: Vec<(Partition, Placed)>,
    },
    /// No partition made from here on gets an id of a group below this one, from level 5 on.
    GroupIdsLeftOut { next: GroupId },
    /// A node said where it lives.
    NodeHoused { node: NodeId, home: Home },
    /// From here on this is what may be written.
    LevelRaised { level: Level },
    /// A node said what it can read.
    LevelsDeclared { node: NodeId, levels: Levels },
}

const NODE_REGISTERED: u8 = 1;
const TOPIC_CREATED: u8 = 2;
const TOPIC_DELETED: u8 = 3;
const PRODUCER_IDS_ALLOCATED: u8 = 4;
const CONFIG_CHANGED: u8 = 5;
const PARTITIONS_ADDED: u8 = 6;
const QUOTA_CHANGED: u8 = 7;
const NODE_UNREGISTERED: u8 = 8;
const PARTITIONS_REASSIGNED: u8 = 9;
const NODE_HOUSED: u8 = 20;
const LEVEL_RAISED: u8 = 30;
const LEVELS_DECLARED: u8 = 31;
const PARTITIONS_RECOVERED: u8 = 40;
const GROUP_IDS_LEFT_OUT: u8 = 41;

impl Record {
    pub(crate) fn encode(&self) -> Bytes {
        let mut w = Writer::default();
        match self {
            Record::NodeRegistered { node, info } => {
                begin(&mut w, (NODE_REGISTERED, 2), *node);
                wire::write_node(&mut w, info);
            }
            Record::TopicCreated {
                name,
                id,
                partitions,
                configs,
            } => {
                w.kind((TOPIC_CREATED, 1));
                w.text(name);
                w.uuid(id);
                w.list(partitions, write_partition);
                w.pairs(configs);
            }
            Record::TopicDeleted { id } => {
                w.kind((TOPIC_DELETED, 1));
                w.uuid(id);
            }
            Record::ProducerIdsAllocated { next } => {
                w.kind((PRODUCER_IDS_ALLOCATED, 1));
                w.signed(next.0);
            }
            Record::GroupIdsLeftOut { next } => write_left_out(&mut w, *next),
            Record::ConfigChanged {
                resource,
                set,
                gone,
            } => {
                w.kind((CONFIG_CHANGED, 1));
                admin::write_resource(&mut w, resource);
                w.pairs(set);
                w.list(gone, |w, key| w.text(key));
            }
            Record::PartitionsAdded { id, partitions } => {
                w.kind((PARTITIONS_ADDED, 1));
                w.uuid(id);
                w.list(partitions, write_partition);
            }
            Record::QuotaChanged {
                entity,
                key,
                amount,
            } => write_quota(&mut w, entity, key, *amount),
            Record::NodeHoused { node, home } => {
                begin(&mut w, (NODE_HOUSED, 1), *node);
                admin::write_home(&mut w, home);
            }
            Record::LevelRaised { level } => write_level(&mut w, *level),
            Record::LevelsDeclared { node, levels } => {
                begin(&mut w, (LEVELS_DECLARED, 1), *node);
                admin::write_levels(&mut w, *levels);
            }
            Record::NodeUnregistered { node } => begin(&mut w, (NODE_UNREGISTERED, 1), *node),
            Record::PartitionsReassigned { id, partitions } => {
                w.kind((PARTITIONS_REASSIGNED, 1));
                w.uuid(id);
                w.list(partitions, write_placed);
            }
            Record::PartitionsRecovered { id, partitions } => {
                write_recovered(&mut w, id, partitions);
            }
        }
        w.0.into()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Record, Malformed> {
        let mut r = Reader::new(bytes);
        let record = match (r.byte()?, r.byte()?) {
            (NODE_REGISTERED, 1) => Record::NodeRegistered {
                node: r.node()?,
                info: read_node_1(&mut r)?,
            },
            (NODE_REGISTERED, 2) => Record::NodeRegistered {
                node: r.node()?,
                info: wire::read_node(&mut r)?,
            },
            (TOPIC_CREATED, 1) => Record::TopicCreated {
                name: r.text()?,
                id: r.uuid()?,
                partitions: r.list(read_partition)?,
                configs: r.pairs()?,
            },
            (TOPIC_DELETED, 1) => Record::TopicDeleted { id: r.uuid()? },
            (PRODUCER_IDS_ALLOCATED, 1) => Record::ProducerIdsAllocated {
                next: ProducerId(r.signed()?),
            },
            (GROUP_IDS_LEFT_OUT, 1) => Record::GroupIdsLeftOut {
                next: GroupId(r.number()?),
            },
            (CONFIG_CHANGED, 1) => Record::ConfigChanged {
                resource: admin::read_resource(&mut r)?,
                set: r.pairs()?,
                gone: r.list(Reader::text)?,
            },
            (PARTITIONS_ADDED, 1) => Record::PartitionsAdded {
                id: r.uuid()?,
                partitions: r.list(read_partition)?,
            },
            (QUOTA_CHANGED, 1) => Record::QuotaChanged {
                entity: admin::read_entity(&mut r)?,
                key: r.text()?,
                amount: admin::read_amount(&mut r)?,
            },
            (NODE_HOUSED, 1) => Record::NodeHoused {
                node: r.node()?,
                home: admin::read_home(&mut r)?,
            },
            (LEVEL_RAISED, 1) => Record::LevelRaised {
                level: Level(r.small()?),
            },
            (LEVELS_DECLARED, 1) => Record::LevelsDeclared {
                node: r.node()?,
                levels: admin::read_levels(&mut r)?,
            },
            (NODE_UNREGISTERED, 1) => Record::NodeUnregistered { node: r.node()? },
            (PARTITIONS_REASSIGNED, 1) => Record::PartitionsReassigned {
                id: r.uuid()?,
                partitions: r.list(|r| Ok((Partition(r.small()?), read_placed(r)?)))?,
            },
            (PARTITIONS_RECOVERED, version @ 1..=2) => Record::PartitionsRecovered {
                id: r.uuid()?,
                partitions: r.list(|r| Ok((Partition(r.small()?), read_recovered(r, version)?)))?,
            },
            _ => return Err(Malformed),
        };
        r.end()?;
        Ok(record)
    }
}

/// What a record about a node begins with: kind, version, the node.
fn begin(w: &mut Writer, (kind, version): (u8, u8), node: NodeId) {
    w.kind((kind, version));
    w.number(u64::from(node.0));
}

fn write_partition(w: &mut Writer, partition: &PartitionInfo) {
    w.number(partition.group.0);
    w.nodes(&partition.replicas);
}

fn read_partition(r: &mut Reader<'_>) -> Result<PartitionInfo, Malformed> {
    Ok(PartitionInfo {
        group: GroupId(r.number()?),
        replicas: r.nodes()?,
        moves: None,
    })
}

fn write_quota(w: &mut Writer, entity: &Entity, key: &str, amount: Option<Amount>) {
    w.kind((QUOTA_CHANGED, 1));
    admin::write_entity(w, entity);
    w.text(key);
    admin::write_amount(w, amount);
}

fn write_left_out(w: &mut Writer, next: GroupId) {
    w.kind((GROUP_IDS_LEFT_OUT, 1));
    w.number(next.0);
}

fn write_level(w: &mut Writer, level: Level) {
    w.kind((LEVEL_RAISED, 1));
    w.number(u64::from(level.0));
}

/// The second version has, behind what the first one has, those that were renewed.
fn write_recovered(w: &mut Writer, id: &Uuid, partitions: &[(Partition, Placed)]) {
    let renewed = |(_, placed): &(Partition, Placed)| !placed.moves.renewed.is_empty();
    let any_renewed = partitions.iter().any(renewed);
    w.kind((PARTITIONS_RECOVERED, if any_renewed { 2 } else { 1 }));
    w.uuid(id);
    w.list(partitions, |w, placed| {
        write_placed(w, placed);
        w.option(placed.1.moves.survivor.as_ref(), write_member);
        if any_renewed {
            w.nodes(&placed.1.moves.renewed);
        }
    });
}

fn read_recovered(r: &mut Reader<'_>, version: u8) -> Result<Placed, Malformed> {
    let mut placed = read_placed(r)?;
    placed.moves.survivor = r.option(read_member)?;
    if version >= 2 {
        placed.moves.renewed = r.nodes()?;
    }
    Ok(placed)
}

fn write_placed(w: &mut Writer, (partition, placed): &(Partition, Placed)) {
    w.number(u64::from(partition.0));
    let Moves {
        founders,
        next_incarnation,
        incarnations,
        adding,
        removing,
        leaving,
        under_way,
        // Behind all this, in the record that has them.
        survivor: _,
        renewed: _,
    } = &placed.moves;
    w.nodes(&placed.replicas);
    w.nodes(founders);
    w.number(u64::from(*next_incarnation));
    w.list(incarnations, write_member);
    w.nodes(adding);
    w.nodes(removing);
    w.nodes(leaving);
    w.bool(*under_way);
}

fn read_placed(r: &mut Reader<'_>) -> Result<Placed, Malformed> {
    Ok(Placed {
        replicas: r.nodes()?,
        moves: Moves {
            founders: r.nodes()?,
            next_incarnation: r.small()?,
            incarnations: r.list(read_member)?,
            adding: r.nodes()?,
            removing: r.nodes()?,
            leaving: r.nodes()?,
            under_way: r.bool()?,
            survivor: None,
            renewed: Vec::new(),
        },
    })
}

/// Commands use it too, so its layout is frozen.
pub(crate) fn write_member(w: &mut Writer, member: &Member) {
    w.number(u64::from(member.node.0));
    w.number(u64::from(member.incarnation));
}

pub(crate) fn read_member(r: &mut Reader<'_>) -> Result<Member, Malformed> {
    Ok(Member {
        node: r.node()?,
        incarnation: r.small()?,
    })
}

/// A node as it was written before nodes could have several listeners.
fn read_node_1(r: &mut Reader<'_>) -> Result<NodeInfo, Malformed> {
    let (host, port) = (r.text()?, r.small()?);
    let rack = r.option(|r| r.text())?;
    Ok(NodeInfo::new(&host, port, rack.as_deref()))
}

#[cfg(test)]
mod tests;
