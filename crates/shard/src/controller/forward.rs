//! Commands on their way to the node that leads group 0, and its answers. Any node may be asked: what it
//! can't decide it sends there.

use super::{ASKS_MAX, Answer, Ask, Asker};
use crate::Shard;
use crate::api::{Reply, ReplyTo};
use base::{GroupId, Mark, Mono, NodeId, RaftIndex, Refusal, limits, mark};
use bytes::Bytes;
use consensus::Item;
use meta::Command;

/// A command sent to the controller.
pub(super) struct Asked {
    pub(super) to: ReplyTo,
    pub(super) node: NodeId,
    pub(super) deadline: Mono,
    command: Bytes,
}

impl Asked {
    /// It may have been done, or may be done yet.
    pub(super) fn give_up(self) {
        let reply = Reply::Meta(Err(Refusal::Timeout));
        self.to.sink.reply(self.to.ticket, reply);
    }
}

impl Shard {
    /// Sends the first command to the node that leads group 0. False if nobody does that can be reached, or
    /// did a moment ago.
    pub(super) fn forward_next(&mut self) -> bool {
        let leader = self.replicas[&GroupId::META].group.leader();
        let Some(leader) = leader.filter(|node| self.reaches(*node)) else {
            return false;
        };
        let now = self.now.mono;
        let due = |ask: &mut Ask| ask.after <= now;
        let Some(ask) = self.controller.asks.pop_front_if(due) else {
            return false;
        };
        let ticket = self.controller.next_ticket;
        self.controller.next_ticket = ticket.wrapping_add(1);
        let command = Bytes::from(ask.command.encode());
        match ask.asker {
            Asker::Local(to) => {
                let asked = Asked {
                    to,
                    node: leader,
                    deadline: ask.deadline,
                    command: command.clone(),
                };
                self.controller.asked.insert(ticket, asked);
            }
            Asker::Nobody => {}
            // One node forwards to the next only while it believes that it leads; tell it.
            Asker::Peer(node, theirs) => {
                self.answer_peer(node, theirs, RaftIndex(0), None);
                return true;
            }
        }
        mark(Mark::Forwarded);
        if let Some(peer) = self.peers.get_mut(&leader) {
            peer.outbox.push(Item::Forward { ticket, command });
        }
        true
    }

    fn answer_peer(&mut self, node: NodeId, ticket: u64, index: RaftIndex, reply: Option<Bytes>) {
        if let Some(peer) = self.peers.get_mut(&node) {
            peer.outbox.push(Item::Answer {
                ticket,
                index,
                reply,
            });
        }
    }

    pub(super) fn answer_ask(
        &mut self,
        asker: Asker,
        index: RaftIndex,
        reply: Result<meta::Reply, Refusal>,
    ) {
        match asker {
            Asker::Nobody => {}
            Asker::Local(to) => to.sink.reply(to.ticket, Reply::Meta(reply)),
            // Whether it is done yet, isn't known: who asked gives up by itself.
            Asker::Peer(..) if matches!(reply, Err(Refusal::Timeout)) => {}
            Asker::Peer(node, ticket) => {
                let reply = reply.ok().map(|r| Bytes::from(r.encode()));
                self.answer_peer(node, ticket, index, reply);
            }
        }
    }

    pub(crate) fn on_forwarded(&mut self, from: NodeId, ticket: u64, command: &[u8]) {
        let leads = self.replicas[&GroupId::META].group.is_leader();
        let asker = Asker::Peer(from, ticket);
        match Command::decode(command) {
            Ok(command) if leads && self.controller.waiting() < ASKS_MAX => {
                let deadline = self.now.mono.after(base::limits::FORWARD_WAIT);
                self.controller.asks.push_back(Ask {
                    command,
                    asker,
                    deadline,
                    after: self.now.mono,
                });
            }
            _ => self.answer_peer(from, ticket, RaftIndex(0), None),
        }
    }

    pub(crate) fn on_answer(&mut self, ticket: u64, index: RaftIndex, reply: Option<Bytes>) {
        let Some(asked) = self.controller.asked.remove(&ticket) else {
            return;
        };
        let Some(reply) = reply.and_then(|bytes| meta::Reply::decode(&bytes).ok()) else {
            return self.ask_again(asked);
        };
        self.controller.answers.push_back(Answer {
            index,
            term: None,
            reply,
            asker: Asker::Local(asked.to),
            deadline: asked.deadline,
        });
        self.answer_applied();
    }

    /// A node that was asked doesn't lead, or not any more, and has done nothing: whoever leads now is asked,
    /// as long as there is time.
    fn ask_again(&mut self, asked: Asked) {
        let Ok(command) = Command::decode(&asked.command) else {
            return asked.give_up();
        };
        mark(Mark::ControllerAskedAgain);
        self.controller.asks.push_back(Ask {
            command,
            asker: Asker::Local(asked.to),
            deadline: asked.deadline,
            after: self.now.mono.after(limits::NODE_HEARTBEAT),
        });
    }
}
