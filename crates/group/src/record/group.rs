//! A classic group with its members. Versions 0 to 4 are read; version 3 is written, as Kafka
//! 4.3 does.

use super::codec::{Reader, Writer};
use bytes::Bytes;
use std::sync::Arc;

/// What is replicated of a classic group: its last finished generation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Saved {
    /// The kind of protocol; `None` if it never had members.
    pub protocol_type: Option<String>,
    /// The generation.
    pub generation: i32,
    /// The chosen protocol.
    pub protocol: Option<String>,
    /// The member that assigned.
    pub leader: Option<Arc<str>>,
    /// Since when it is in its state; -1 if not known.
    pub since_ms: i64,
    /// Its members in the order of the record.
    pub members: Vec<SavedMember>,
}

/// What is replicated of a classic member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SavedMember {
    /// Its id.
    pub id: Arc<str>,
    /// Its static name, if any.
    pub instance: Option<String>,
    /// The client's name for itself.
    pub client_id: String,
    /// Where it comes from.
    pub client_host: String,
    /// How long a rebalance waits for it.
    pub rebalance_timeout_ms: i32,
    /// How long it may be silent.
    pub session_timeout_ms: i32,
    /// What the chosen protocol needs to know of it.
    pub subscription: Bytes,
    /// What it was assigned.
    pub assignment: Bytes,
}

const WRITTEN: i16 = 3;
const FLEXIBLE: i16 = 4;

impl Saved {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut w = Writer::version(WRITTEN);
        w.text(self.protocol_type.as_deref().unwrap_or(""));
        w.i32(self.generation);
        w.text_or_null(self.protocol.as_deref());
        w.text_or_null(self.leader.as_deref());
        w.i64(self.since_ms);
        w.i32(self.members.len() as i32);
        for member in &self.members {
            w.text(&member.id);
            w.text_or_null(member.instance.as_deref());
            w.text(&member.client_id);
            w.text(&member.client_host);
            w.i32(member.rebalance_timeout_ms);
            w.i32(member.session_timeout_ms);
            w.bytes(&member.subscription);
            w.bytes(&member.assignment);
        }
        w.0
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Saved> {
        let mut r = Reader::new(bytes);
        let version = r.i16()?;
        if !(0..=FLEXIBLE).contains(&version) {
            return None;
        }
        let mut r = Fields { r, version };
        let saved = Saved {
            protocol_type: r.text()?.filter(|text| !text.is_empty()).map(str::to_owned),
            generation: r.r.i32()?,
            protocol: r.text()?.map(str::to_owned),
            leader: r.text()?.map(Arc::from),
            since_ms: if version >= 2 { r.r.i64()? } else { -1 },
            members: if version >= FLEXIBLE {
                r.r.compact_list(|r| member(r, version))?
            } else {
                r.r.list(|r| member(r, version))?
            },
        };
        if version >= FLEXIBLE {
            r.r.no_tags()?;
        }
        Some(saved)
    }
}

/// Fields whose encoding depends on the version.
struct Fields<'a> {
    r: Reader<'a>,
    version: i16,
}

impl<'a> Fields<'a> {
    fn text(&mut self) -> Option<Option<&'a str>> {
        if self.version >= FLEXIBLE {
            self.r.compact_text_or_null()
        } else {
            self.r.text_or_null()
        }
    }

    fn bytes(&mut self) -> Option<Bytes> {
        let bytes = if self.version >= FLEXIBLE {
            self.r.compact_bytes()?
        } else {
            self.r.bytes()?
        };
        Some(Bytes::copy_from_slice(bytes))
    }
}

fn member(reader: &mut Reader<'_>, version: i16) -> Option<SavedMember> {
    let mut r = Fields {
        r: reader.clone(),
        version,
    };
    let id = Arc::from(r.text()??);
    let instance = if version >= 3 { r.text()? } else { None };
    let client_id = r.text()??.to_owned();
    let client_host = r.text()??.to_owned();
    let rebalance_timeout_ms = if version >= 1 { r.r.i32()? } else { -1 };
    let session_timeout_ms = r.r.i32()?;
    let saved = SavedMember {
        id,
        instance: instance.map(str::to_owned),
        client_id,
        client_host,
        // The oldest records don't say: the session time-out was both.
        rebalance_timeout_ms: if rebalance_timeout_ms == -1 {
            session_timeout_ms
        } else {
            rebalance_timeout_ms
        },
        session_timeout_ms,
        subscription: r.bytes()?,
        assignment: r.bytes()?,
    };
    if version >= FLEXIBLE {
        r.r.no_tags()?;
    }
    *reader = r.r;
    Some(saved)
}
