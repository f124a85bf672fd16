//! What two nodes say first: who they are, and whether they belong together.
//!
//! A message is the magic, a version, a length and a JSON text; it is read before anything about
//! the other end is known, so its length is bounded and everything in it is checked.

use crate::cluster::{Cluster, uuid};
use base::{NodeId, Uuid};
use meta::{Image, Level, Levels};
use serde::{Deserialize, Serialize};
use std::io;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// First bytes of a message.
const MAGIC: [u8; 4] = *b"FLTP";
/// Version of the messages and of the frames behind them.
pub const VERSION: u16 = 1;
/// Longest text of a message.
const TEXT_BYTES_MAX: u32 = 1024 * 1024;

/// Who a node is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Card {
    /// The node.
    pub node: u32,
    /// Of its data directory.
    #[serde(with = "uuid")]
    pub incarnation: Uuid,
    /// Its cluster, if it is formed.
    pub cluster: Option<String>,
    /// Which directory of its node's number it is.
    #[serde(default)]
    pub generation: u32,
    /// Where it listens for nodes, for those that don't know it yet, or know an older place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
}

impl Card {
    /// The card of a node.
    pub fn new(node: NodeId, incarnation: Uuid, cluster: Option<Uuid>) -> Card {
        Card {
            node: node.0,
            incarnation,
            cluster: cluster.map(|id| id.to_string()),
            generation: 0,
            address: None,
        }
    }

    /// The node.
    pub fn node(&self) -> NodeId {
        NodeId(self.node)
    }

    /// Its cluster, if it is formed.
    pub fn cluster(&self) -> Option<Uuid> {
        self.cluster
            .as_deref()
            .map(|text| Uuid::parse(text).unwrap_or(Uuid::ZERO))
    }
}

/// What is said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Message {
    /// The dialler says who it is and whom it wants.
    Hello {
        /// The dialler.
        card: Card,
        /// Whom it wants.
        to: u32,
    },
    /// The other end says who it is.
    Welcome {
        /// The other end.
        card: Card,
    },
    /// The other end doesn't want the connection, or the news.
    Refused {
        /// For people.
        reason: String,
    },
    /// The dialler says that the other end belongs to its cluster.
    Form {
        /// The cluster.
        cluster: Cluster,
    },
    /// The other end has made that durable.
    Formed,
    /// The dialler wants to be taken in, or was and says where it lives now.
    Join {
        /// The dialler.
        card: Card,
        /// Where it listens for nodes.
        address: String,
        /// What it runs.
        release: String,
        /// The levels that it knows, the oldest and the newest; none by releases that didn't say so.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        levels: Option<(u16, u16)>,
    },
    /// It is taken in.
    Joined {
        /// The cluster.
        cluster: Cluster,
        /// Its generation.
        generation: u32,
    },
    /// The other end can't say now.
    Later {
        /// For people.
        reason: String,
    },
}

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Both belong to the same cluster.
    Frames,
    /// One or both don't belong to any yet.
    Forming,
}

/// Whether two nodes belong together. `mine` is this node's cluster, `image` what is known of it
/// here, perhaps of long ago.
///
/// Who has the cluster's identity was taken in once. So a node that isn't known here is newer than
/// what is, and this node may need it to learn more: the ones that it knew may all be gone.
pub fn judge(mine: Option<&Cluster>, other: &Card, image: &Image) -> Result<Purpose, String> {
    let (Some(mine), Some(theirs)) = (mine, other.cluster()) else {
        return Ok(Purpose::Forming);
    };
    if mine.id != theirs {
        return Err(format!(
            "node {} belongs to cluster {theirs}, this node to {}",
            other.node, mine.id
        ));
    }
    let (node, directory) = (other.node(), other.incarnation);
    let known = image.homes.get(&node).map(|home| home.directory);
    let belongs = match image.generations.get(&node) {
        Some(last) => known == Some(directory) || other.generation > *last,
        // A later generation of the number was given by the controller: this node hasn't heard yet.
        None => {
            other.generation > 0
                || mine.lists(node, directory)
                || !mine.voters.iter().any(|v| v.node == node)
        }
    };
    if !belongs {
        let how = match image.has_left(node) {
            true => format!("has unregistered node {node}"),
            false => format!("knows node {node} with another data directory"),
        };
        return Err(format!(
            "cluster {} {how}: what the one with incarnation {directory} holds counts no more; empty it and \
             start the node with --join",
            mine.id
        ));
    }
    Ok(Purpose::Frames)
}

/// Whether a node that wants to be taken in, or was, can read what a cluster at this level writes. One
/// that doesn't say what it knows is of an older release; if it was taken in it said so otherwise.
pub fn may_join(card: &Card, levels: Option<(u16, u16)>, level: Level) -> Result<(), String> {
    let knows = match levels {
        Some((min, max)) => {
            let (min, max) = (Level(min), Level(max));
            let levels = Levels { min, max };
            (!levels.contain(level)).then(|| format!("knows levels {min} to {max}"))
        }
        None => {
            let old = card.cluster.is_none() && level > Level::default();
            old.then(|| "doesn't say which levels it knows: its release is older".to_owned())
        }
    };
    match knows {
        None => Ok(()),
        Some(what) => Err(format!(
            "node {} {what}, and the cluster is at level {level}; start the node with a binary that \
             knows it",
            card.node
        )),
    }
}

/// Writes a message.
pub async fn write(stream: &mut (impl AsyncWrite + Unpin), message: &Message) -> io::Result<()> {
    let text = serde_json::to_vec(message)?;
    let len = u32::try_from(text.len())
        .ok()
        .filter(|len| *len <= TEXT_BYTES_MAX);
    let len = len.ok_or_else(|| wrong("a hello that is too long".to_owned()))?;
    let mut bytes = Vec::with_capacity(10 + text.len());
    bytes.extend_from_slice(&MAGIC);
    bytes.extend_from_slice(&VERSION.to_be_bytes());
    bytes.extend_from_slice(&len.to_be_bytes());
    bytes.extend_from_slice(&text);
    stream.write_all(&bytes).await
}

/// Reads a message, and no byte behind it.
pub async fn read(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Message> {
    let mut magic = [0; 4];
    stream.read_exact(&mut magic).await?;
    if magic != MAGIC {
        return Err(wrong(
            "the other end is no Flotilla node's peer port".to_owned(),
        ));
    }
    let version = stream.read_u16().await?;
    if version != VERSION {
        return Err(wrong(format!(
            "the other end speaks version {version} between nodes, this node {VERSION}"
        )));
    }
    let len = stream.read_u32().await?;
    if len > TEXT_BYTES_MAX {
        return Err(wrong(format!("a hello of {len} bytes was announced")));
    }
    let mut text = Vec::new();
    stream.take(u64::from(len)).read_to_end(&mut text).await?;
    serde_json::from_slice(&text).map_err(|error| wrong(format!("a hello is damaged: {error}")))
}

fn wrong(what: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}
