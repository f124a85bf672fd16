//! Another node, as this one sees it: whether it is heard, what it says that it leads, how far it has come
//! with what it is sent. What its frames mean for groups is `operation/peers.rs`.

use crate::led::PeerLed;
use base::{Mono, NodeId, Random, limits};
use consensus::Item;
use std::time::Duration;

/// A leader checks its quorum every so many beats.
pub(crate) const BEATS_A_CHECK: u64 =
    (limits::QUORUM_CHECK.as_millis() / limits::NODE_HEARTBEAT.as_millis()) as u64;

/// When something of a peer was heard: by this node's clock, and by the peer's own beats, which count where its
/// frames are long on their way. Says nothing of the process that the peer starts next.
#[derive(Clone, Copy)]
pub(crate) struct Contact {
    at: Mono,
    boot: u64,
    beat: u64,
}

/// Another node as this one sees it.
pub(crate) struct Peer {
    pub(crate) up: bool,
    /// It was not heard for longer than `patience`, or its connection broke.
    pub(crate) lost: bool,
    /// Silence after which it is taken for lost.
    pub(crate) patience: Duration,
    pub(crate) heard: Mono,
    pub(crate) boot: u64,
    /// Its heartbeats when it last spoke.
    pub(crate) beat: u64,
    /// This node's heartbeats that it has heard of, and when it last told of more, or of bytes that come.
    pub(crate) reached: (u64, Mono),
    /// Bytes that came since its last beat, and that it wasn't told of: of a frame that isn't whole, or of
    /// more frames.
    pub(crate) coming: u64,
    /// What it says that it leads.
    pub(crate) led: PeerLed,
    /// The version of this node's led set that it has.
    pub(crate) acked: u64,
    /// The version that it was told last.
    pub(crate) told: u64,
    pub(crate) outbox: Vec<Item>,
    pub(crate) must_send: bool,
}

impl Peer {
    pub(crate) fn new(_node: NodeId, now: Mono, random: &mut Random) -> Peer {
        let jitter = random.below(limits::ELECTION_JITTER.as_micros() as u64);
        Peer {
            up: false,
            lost: false,
            patience: limits::LEADER_SILENCE + Duration::from_micros(jitter),
            heard: now,
            boot: 0,
            beat: 0,
            reached: (0, now),
            coming: 0,
            led: PeerLed::default(),
            acked: 0,
            told: 0,
            outbox: Vec::new(),
            must_send: true,
        }
    }

    /// It is heard now.
    pub(crate) fn contact(&self, now: Mono) -> Contact {
        Contact {
            at: now,
            boot: self.boot,
            beat: self.beat,
        }
    }

    /// True if that was not long ago, or if it has hardly beaten since: what else it has to say may be behind
    /// what it sends.
    pub(crate) fn spoke_within(&self, contact: Contact, now: Mono) -> bool {
        let beats = self.beat.saturating_sub(contact.beat);
        let hardly =
            limits::NODE_HEARTBEAT * u32::try_from(beats).unwrap_or(u32::MAX) < self.patience;
        contact.boot == self.boot && (hardly || now.since(contact.at) < self.patience)
    }

    /// True if it is heard and takes in what it is sent, but hasn't come to what was sent since the last
    /// check of quorums: it couldn't answer yet. So it is on a narrow line with much on its way.
    pub(crate) fn is_slowly_reached(&self, beats: u64, now: Mono) -> bool {
        let (reached, at) = self.reached;
        let moves = now.since(at) < limits::LEADER_SILENCE;
        !self.lost && moves && beats.saturating_sub(reached) >= BEATS_A_CHECK
    }
}
