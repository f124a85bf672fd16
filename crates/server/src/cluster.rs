//! Who is who: this directory's identity and the cluster that it belongs to, as kept in the file
//! `node` of the data directory. Not the metadata: who else joined later is group 0's business.

use base::{Disk, NodeId, Open, Uuid};
use serde::{Deserialize, Serialize};
use std::io::{self, ErrorKind};

/// Name of the identity file.
pub const FILE: &str = "node";
const FILE_NEW: &str = "node.new";
/// Version of the identity file's format.
const VERSION: u32 = 1;
/// Most bytes of an identity file that are read.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// One of the nodes that formed a cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Voter {
    /// The node.
    #[serde(with = "node_id")]
    pub node: NodeId,
    /// Of its data directory: an erased directory is another one.
    #[serde(with = "uuid")]
    pub incarnation: Uuid,
    /// Where other nodes reach it.
    pub address: String,
}

/// A formed cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cluster {
    /// Its id.
    #[serde(with = "uuid")]
    pub id: Uuid,
    /// Who formed it.
    pub voters: Vec<Voter>,
}

impl Cluster {
    /// True if this directory of this node is among those that formed the cluster.
    pub fn lists(&self, node: NodeId, incarnation: Uuid) -> bool {
        self.voters
            .iter()
            .any(|v| v.node == node && v.incarnation == incarnation)
    }
}

/// Who this data directory is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    version: u32,
    /// The node that it belongs to.
    #[serde(with = "node_id")]
    pub node: NodeId,
    /// Chosen when the directory was made.
    #[serde(with = "uuid")]
    pub incarnation: Uuid,
    /// The cluster, once it is formed or joined.
    pub cluster: Option<Cluster>,
    /// Which directory of its node's number this is; 0 for one that formed its cluster.
    #[serde(default, skip_serializing_if = "is_founder")]
    pub generation: u32,
    /// It formed its cluster alone, and others were taken in since: they count on what it promised.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub grown: bool,
}

fn is_founder(generation: &u32) -> bool {
    *generation == 0
}

/// Why an identity can't be had.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The file can't be read or written.
    #[error("can't {what} the identity file '{FILE}' of the data directory: {source}")]
    Io {
        /// "read" or "write".
        what: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// The file doesn't say what it should.
    #[error("the identity file '{FILE}' of the data directory is damaged: {0}")]
    Damaged(String),
    /// The file was written by a newer release.
    #[error(
        "the identity file '{FILE}' has format {found}, this release knows {VERSION}; \
         start the release that wrote it"
    )]
    Newer {
        /// What the file says.
        found: u32,
    },
    /// The directory belongs to another node.
    #[error(
        "the data directory belongs to node {stored}, but node.id is {given}; \
         give --node-id {stored} or another --data-dir"
    )]
    OtherNode {
        /// What the file says.
        stored: NodeId,
        /// What the configuration says.
        given: NodeId,
    },
    /// There is data but nobody's.
    #[error(
        "the data directory holds data but no identity file '{FILE}'; restore the file \
         or choose an empty directory"
    )]
    Lost,
}

impl Identity {
    /// A fresh directory's.
    pub fn new(node: NodeId, incarnation: Uuid) -> Identity {
        Identity {
            version: VERSION,
            node,
            incarnation,
            cluster: None,
            generation: 0,
            grown: false,
        }
    }

    /// Reads the identity of a data directory, whosever it is; none if it has none.
    pub fn read_any(disk: &dyn Disk) -> Result<Option<Identity>, IdentityError> {
        let bytes = read(disk).map_err(|source| IdentityError::Io {
            what: "read",
            source,
        })?;
        bytes.map(|bytes| parse(&bytes)).transpose()
    }

    /// Reads the identity of a data directory; none if the directory is empty.
    pub fn read(disk: &dyn Disk, given: NodeId) -> Result<Option<Identity>, IdentityError> {
        let Some(identity) = Identity::read_any(disk)? else {
            let names = disk.list("").map_err(|source| IdentityError::Io {
                what: "read",
                source,
            })?;
            if names.iter().any(|name| name == "wal" || name == "groups") {
                return Err(IdentityError::Lost);
            }
            return Ok(None);
        };
        if identity.node != given {
            return Err(IdentityError::OtherNode {
                stored: identity.node,
                given,
            });
        }
        Ok(Some(identity))
    }

    /// Replaces the file, atomically and durably.
    pub fn write(&self, disk: &dyn Disk) -> Result<(), IdentityError> {
        replace(disk, self).map_err(|source| IdentityError::Io {
            what: "write",
            source,
        })
    }
}

fn read(disk: &dyn Disk) -> io::Result<Option<Vec<u8>>> {
    let file = match disk.open(FILE, Open::Existing) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut bytes = vec![0; file.len()?.min(FILE_BYTES_MAX) as usize];
    file.read_at(&mut bytes, 0)?;
    Ok(Some(bytes))
}

fn parse(bytes: &[u8]) -> Result<Identity, IdentityError> {
    #[derive(Deserialize)]
    struct Head {
        version: u32,
    }
    let damaged = |error: serde_json::Error| IdentityError::Damaged(error.to_string());
    // The version first: the rest may have any shape in a newer format.
    let head: Head = serde_json::from_slice(bytes).map_err(damaged)?;
    if head.version > VERSION {
        return Err(IdentityError::Newer {
            found: head.version,
        });
    }
    serde_json::from_slice(bytes).map_err(damaged)
}

fn replace(disk: &dyn Disk, identity: &Identity) -> io::Result<()> {
    let text = serde_json::to_vec_pretty(identity)?;
    let file = disk.open(FILE_NEW, Open::OrCreate)?;
    file.set_len(0)?;
    file.write_at(&[&text, b"\n"], 0)?;
    file.sync_data()?;
    disk.rename(FILE_NEW, FILE)?;
    disk.sync_dir("")
}

mod node_id {
    use base::NodeId;
    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(id: &NodeId, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_u32(id.0)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<NodeId, D::Error> {
        u32::deserialize(from).map(NodeId)
    }
}

/// An id as the text that [`Uuid`] displays.
pub mod uuid {
    use base::Uuid;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    /// Writes it.
    pub fn serialize<S: Serializer>(id: &Uuid, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(id)
    }

    /// Reads it.
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Uuid, D::Error> {
        let text = String::deserialize(from)?;
        Uuid::parse(&text).ok_or_else(|| D::Error::custom(format!("'{text}' is no id")))
    }
}

#[cfg(test)]
mod tests;
