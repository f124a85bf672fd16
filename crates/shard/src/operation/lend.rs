//! A leader's part in a snapshot with records: it answers followers that ask for what lies in front of
//! the first entry of its log, piece by piece, under the bound on what is read for those that are far
//! behind.
//!
//! It remembers nothing between two questions but that a snapshot is on its way; while one is, the
//! records in front are not rewritten and nothing more is given up, so that what was begun can be ended.

use super::load::batches;
use crate::Shard;
use crate::api::Job;
use base::{GroupId, NodeId, limits};
use bytes::Bytes;
use consensus::{Item, PrefixAsk, PrefixPiece};
use log::ReadFault;

/// Pieces that are read at a time at most.
const PIECES_MAX: usize = 8;

/// A piece that is read: for whom.
#[derive(Debug)]
pub(crate) struct Lent {
    to: NodeId,
    pub(crate) group: GroupId,
    ask: PrefixAsk,
    /// What is read at most.
    bytes: u64,
}

impl Shard {
    pub(crate) fn on_prefix_asked(&mut self, from: NodeId, group: GroupId, ask: PrefixAsk) {
        let now = self.now.mono;
        let Some(replica) = self.replicas.get_mut(&group) else {
            return;
        };
        // Of two members on its node the newer one asks: the other is gone.
        let sent = replica.snapshots.keys().filter(|m| m.node == from).max();
        let sent = sent.copied();
        let origin = replica.log.origin().filter(|o| o.index == ask.index);
        let clean = replica.log.prefix().map(|prefix| prefix.clean);
        let lends = replica.group.is_leader()
            && replica.group.term() == ask.term
            && replica.suspect.is_none()
            && clean == Some(ask.clean);
        let Some(origin) = origin.filter(|_| lends) else {
            if let Some(member) = sent {
                replica.snapshots.remove(&member);
                replica.group.snapshot_failed(member);
                self.touch(group);
            }
            return self.answer_prefix(from, group, ask, PrefixPiece::Gone);
        };
        if let Some(member) = sent {
            replica.snapshots.insert(member, now);
            replica.untaken.insert(member, now);
        }
        let left = self.catch_up_left(group, from);
        if left == 0 || self.lent.len() >= PIECES_MAX {
            return self.answer_prefix(from, group, ask, PrefixPiece::Later);
        }
        // What is read at a time shares what is left until the next beat.
        let share = left / PIECES_MAX as u64;
        let Some(replica) = self.replicas.get(&group) else {
            return;
        };
        let bytes = share.clamp(1, limits::APPEND_MESSAGE_BYTES);
        let upto = origin.next_offset;
        let plan = replica.log.plan_read(ask.from, upto, bytes as u32);
        let ticket = self.cold_ticket();
        let to = from;
        let lent = Lent {
            to,
            group,
            ask,
            bytes,
        };
        self.lent.insert(ticket, lent);
        self.effects.jobs.push(Job::Prefix {
            ticket,
            group,
            plan,
        });
    }

    /// Bytes of pieces that are being read for a node, at the most.
    pub(crate) fn being_lent_to(&self, node: NodeId) -> u64 {
        let lent = self.lent.values().filter(|lent| lent.to == node);
        lent.map(|lent| lent.bytes).sum()
    }

    pub(crate) fn on_prefix_read(&mut self, ticket: u64, result: Result<Vec<Bytes>, ReadFault>) {
        let Some(Lent { to, group, ask, .. }) = self.lent.remove(&ticket) else {
            return;
        };
        let piece = match result {
            Ok(pieces) => PrefixPiece::Batches(pieces.into_iter().flat_map(batches).collect()),
            Err(ReadFault::Gone) => PrefixPiece::Gone,
            // Whoever leads next has what can't be read here.
            Err(fault) => return self.on_unreadable(group, &fault),
        };
        self.spend_catch_up(group, to, piece.bytes());
        let piece = match piece.bytes() {
            // It hasn't reached its segment yet.
            0 if piece != PrefixPiece::Gone => PrefixPiece::Later,
            _ => piece,
        };
        self.answer_prefix(to, group, ask, piece);
    }

    fn answer_prefix(&mut self, to: NodeId, group: GroupId, ask: PrefixAsk, piece: PrefixPiece) {
        if let Some(peer) = self.peers.get_mut(&to) {
            peer.outbox.push(Item::Prefix(group, ask, piece));
        }
    }
}
