//! A client's half of fetch sessions (KIP-227): on a connection that has one it names only what has changed,
//! as real clients do, and what it reads no more.

use crate::book::topic_name;
use crate::checkers::Part;
use crate::net::Place;
use base::Uuid;
use std::collections::BTreeMap;
use wire_kafka::messages::fetch_request::{FetchPartition, ForgottenTopic};

/// The first version that has sessions.
const SESSIONS: i16 = 7;
/// The first version that names topics by id.
pub(super) const BY_ID: i16 = 13;

/// What a fetch says of its session.
pub(super) struct Says {
    pub(super) id: i32,
    pub(super) epoch: i32,
    pub(super) forgotten: Vec<ForgottenTopic>,
}

struct Session {
    connection: u64,
    /// Which its requests are in; a client stays with one.
    version: i16,
    /// What its topics were called by when they were named.
    ids: BTreeMap<u32, Uuid>,
    /// 0 until the node has said it.
    id: i32,
    /// Of the next request.
    epoch: i32,
    parts: BTreeMap<Part, FetchPartition>,
}

/// The sessions of a client, by node.
#[derive(Default)]
pub(super) struct Sessions(BTreeMap<Place, Session>);

impl Sessions {
    /// The version that is spoken in the session over this connection.
    pub(super) fn version(&self, (node, connection): (Place, Option<u64>)) -> Option<i16> {
        let session = self.0.get(&node)?;
        (Some(session.connection) == connection).then_some(session.version)
    }

    /// Takes from a request to a node what the session over this connection knows already. The request names
    /// all partitions that are to be read.
    pub(super) fn shorten(
        &mut self,
        (node, connection): (Place, Option<u64>),
        version: i16,
        parts: &mut BTreeMap<Part, FetchPartition>,
        id_of: impl Fn(u32) -> Uuid,
    ) -> Says {
        if version < SESSIONS {
            self.0.remove(&node);
            return says(0, -1, Vec::new());
        }
        // A topic that has another id by now is another one: whoever remembers it would go on with the old one.
        let same = |session: &Session| session.ids.iter().all(|(topic, id)| id_of(*topic) == *id);
        let fits = |session: &&mut Session| {
            let stands = session.id != 0 && Some(session.connection) == connection;
            stands && session.version == version && (version < BY_ID || same(session))
        };
        let Some(session) = self.0.get_mut(&node).filter(fits) else {
            self.0.remove(&node);
            return says(0, 0, Vec::new());
        };
        let gone = session
            .parts
            .keys()
            .filter(|part| !parts.contains_key(part));
        let mut forgotten: BTreeMap<u32, Vec<i32>> = BTreeMap::new();
        for part in gone {
            let partitions = forgotten.entry(part.topic).or_default();
            partitions.push(part.partition as i32);
        }
        session.parts.retain(|part, _| parts.contains_key(part));
        let ids = parts.keys().map(|part| (part.topic, id_of(part.topic)));
        session.ids = ids.collect();
        parts.retain(|part, asked| session.parts.get(part) != Some(asked));
        let known = parts.iter().map(|(part, asked)| (*part, asked.clone()));
        session.parts.extend(known);
        let forgotten = forgotten
            .into_iter()
            .map(|(topic, partitions)| ForgottenTopic {
                topic: topic_name(topic),
                topic_id: id_of(topic),
                partitions,
            });
        says(session.id, session.epoch, forgotten.collect())
    }

    /// A request that opens a session was sent, with these partitions.
    pub(super) fn opened(
        &mut self,
        node: Place,
        connection: u64,
        version: i16,
        parts: BTreeMap<Part, FetchPartition>,
        id_of: impl Fn(u32) -> Uuid,
    ) {
        let ids = parts.keys().map(|part| (part.topic, id_of(part.topic)));
        let session = Session {
            connection,
            version,
            ids: ids.collect(),
            id: 0,
            epoch: 0,
            parts,
        };
        self.0.insert(node, session);
    }

    /// A node answered, in this session; false if that isn't the one that was asked in.
    pub(super) fn answered(&mut self, node: Place, id: i32) -> bool {
        let Some(session) = self.0.get_mut(&node) else {
            return id == 0;
        };
        let opens = session.epoch == 0;
        let fits = opens || session.id == id;
        if id == 0 || !fits {
            // It has no room for one.
            self.0.remove(&node);
            return fits;
        }
        session.id = id;
        session.epoch += 1;
        true
    }

    /// Nobody knows what came of it.
    pub(super) fn ended(&mut self, node: Place) {
        self.0.remove(&node);
    }
}

impl Default for Says {
    /// Outside of any session.
    fn default() -> Says {
        says(0, -1, Vec::new())
    }
}

fn says(id: i32, epoch: i32, forgotten: Vec<ForgottenTopic>) -> Says {
    Says {
        id,
        epoch,
        forgotten,
    }
}
