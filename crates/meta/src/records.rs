//! The facts that the controller logs. A released record replays for ever: the first byte is its
//! kind, the second its version; a new layout gets a new version and the old one keeps its
//! reader. `testdata/v1` holds one of each as they were first written.

use crate::codec::{Malformed, Reader, Writer};
use crate::{NodeInfo, PartitionInfo, wire};
use base::{GroupId, NodeId, ProducerId, Uuid};
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
}

const NODE_REGISTERED: u8 = 1;
const TOPIC_CREATED: u8 = 2;
const TOPIC_DELETED: u8 = 3;
const PRODUCER_IDS_ALLOCATED: u8 = 4;

impl Record {
    pub(crate) fn encode(&self) -> Bytes {
        let mut w = Writer::default();
        match self {
            Record::NodeRegistered { node, info } => {
                w.byte(NODE_REGISTERED);
                w.byte(2);
                w.number(u64::from(node.0));
                wire::write_node(&mut w, info);
            }
            Record::TopicCreated {
                name,
                id,
                partitions,
                configs,
            } => {
                w.byte(TOPIC_CREATED);
                w.byte(1);
                w.text(name);
                w.uuid(id);
                w.list(partitions, |w, partition| {
                    w.number(partition.group.0);
                    w.nodes(&partition.replicas);
                });
                w.pairs(configs);
            }
            Record::TopicDeleted { id } => {
                w.byte(TOPIC_DELETED);
                w.byte(1);
                w.uuid(id);
            }
            Record::ProducerIdsAllocated { next } => {
                w.byte(PRODUCER_IDS_ALLOCATED);
                w.byte(1);
                w.signed(next.0);
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
                partitions: r.list(|r| {
                    Ok(PartitionInfo {
                        group: GroupId(r.number()?),
                        replicas: r.nodes()?,
                    })
                })?,
                configs: r.pairs()?,
            },
            (TOPIC_DELETED, 1) => Record::TopicDeleted { id: r.uuid()? },
            (PRODUCER_IDS_ALLOCATED, 1) => Record::ProducerIdsAllocated {
                next: ProducerId(r.signed()?),
            },
            _ => return Err(Malformed),
        };
        r.end()?;
        Ok(record)
    }
}

/// A node as it was written before nodes could have several listeners.
fn read_node_1(r: &mut Reader<'_>) -> Result<NodeInfo, Malformed> {
    let (host, port) = (r.text()?, r.small()?);
    let rack = r.option(|r| r.text())?;
    Ok(NodeInfo::new(&host, port, rack.as_deref()))
}

#[cfg(test)]
mod tests;
