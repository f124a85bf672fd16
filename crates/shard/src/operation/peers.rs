//! Other nodes: frames in and out, who is alive, heartbeats, quiet groups.
//!
//! Liveness is by node: one frame at least every heartbeat speaks for all groups. A leader pings
//! the followers of groups that are busy or behind; when all replicas of a group have everything
//! and know it, the group becomes quiet: the led set says so, and nothing more is sent for it.
//! Replicas of lost nodes, and of full ones that lack records, keep no group awake whose others are a
//! quorum; the led set names them.

use crate::Shard;
use crate::caught_up::CaughtUp;
use crate::led::PeerLed;
use crate::operation::snapshot::{SnapshotKind, kind_of_snapshot};
use crate::peer::{BEATS_A_CHECK, Peer};
use crate::replica::{Replica, Rest};
use base::{GroupId, Mark, Member, NodeId, Term, limits, mark};
use bytes::Bytes;
use consensus::{Frame, Item, Led, LedDelta, Message, PeerProgress, Seen};
use meta::Image;

/// Beats without news before a group becomes quiet.
const BEATS_TO_QUIET: u32 = 5;
/// Heartbeats that a command for the controller may be on its way.
const BEATS_TO_FORWARD: u64 = 20;
/// Beats between two frames for a node that isn't heard and to which no connection stands, should it have
/// one after all.
const BEATS_TO_TRY: u64 = 10;
/// Payload after which a turn's frame to a peer is closed and another one begun.
const FRAME_PAYLOAD_BYTES: u64 = 8 * 1024 * 1024;

impl Shard {
    /// Nodes of the cluster are peers from now on, those that were unregistered just now no longer.
    pub(crate) fn meet(&mut self, old: &Image, image: &Image) {
        let known = self.peers.len();
        self.peers
            .retain(|node, _| !image.has_left_since(old, *node));
        if self.peers.len() < known {
            self.rouse_all();
        }
        self.peers_room.keep(|node| self.peers.contains_key(&node));
        for node in image.homes.keys() {
            self.greet(*node);
        }
    }

    fn greet(&mut self, node: NodeId) {
        if node != self.settings.node && !self.peers.contains_key(&node) {
            let peer = Peer::new(node, self.now.mono, &mut self.random);
            self.peers.insert(node, peer);
        }
    }

    /// True if another node is heard.
    pub(crate) fn hears(&self, node: NodeId) -> bool {
        self.peers.get(&node).is_some_and(|peer| !peer.lost)
    }

    /// True if another node is heard, and what is sent to it now isn't lost at once: it may be heard by a
    /// connection of its own while that of this node is broken.
    pub(crate) fn reaches(&self, node: NodeId) -> bool {
        let peer = self.peers.get(&node);
        peer.is_some_and(|peer| peer.up && !peer.lost)
    }

    /// A node that the image doesn't name, or of which it says that it has left, is newer than it (whoever
    /// connects has looked at its generation): without it this one may have nobody to learn from.
    pub(crate) fn on_peer_up(&mut self, node: NodeId) {
        self.greet(node);
        if let Some(peer) = self.peers.get_mut(&node) {
            peer.up = true;
            peer.must_send = true;
            self.probe(node);
        }
    }

    pub(crate) fn on_peer_down(&mut self, node: NodeId) {
        if let Some(peer) = self.peers.get_mut(&node) {
            peer.up = false;
            self.lose(node);
        }
    }

    fn lose(&mut self, node: NodeId) {
        let Some(peer) = self.peers.get_mut(&node) else {
            return;
        };
        if !std::mem::replace(&mut peer.lost, true) {
            self.rouse_all();
            self.on_leader_node_lost(node);
            self.wake_groups_with(node);
            self.controller.forget_asked(node);
        }
    }

    /// Groups that this node leads and `node` follows need heartbeats again.
    fn wake_groups_with(&mut self, node: NodeId) {
        let with = |r: &Replica| r.was_leader && r.group.configuration().has_node(node);
        let groups: Vec<_> = self
            .replicas
            .values()
            .filter(|r| with(r))
            .map(|r| r.id)
            .collect();
        for group in groups {
            self.wake_group(group);
        }
    }

    /// What was on its way to `node` may be lost: ask it again where it stands.
    pub(crate) fn probe(&mut self, node: NodeId) {
        self.wake_groups_with(node);
        let with = |r: &&mut Box<Replica>| r.was_leader && r.group.configuration().has_node(node);
        let mut groups = Vec::new();
        for replica in self.replicas.values_mut().filter(with) {
            replica.group.unreachable(node);
            replica.group.ping();
            groups.push(replica.id);
        }
        for group in groups {
            self.touch(group);
        }
    }

    /// A peer sends, though what it sends is long on its way.
    pub(crate) fn on_coming(&mut self, from: NodeId, bytes: u64) {
        if let Some(peer) = self.peers.get_mut(&from).filter(|peer| !peer.lost) {
            mark(Mark::HeardByBytes);
            peer.heard = self.now.mono;
            peer.coming += bytes;
        }
    }

    pub(crate) fn on_frame(&mut self, from: NodeId, bytes: Bytes) {
        if !self.peers.contains_key(&from) {
            return;
        }
        let length = bytes.len() as u64;
        let frame = match Frame::decode(bytes) {
            Ok(frame) => frame,
            Err(e) => return self.note(format!("a frame of node {from} was dropped: {e}")),
        };
        self.hear(from, &frame, length);
        if let Some(delta) = &frame.led {
            self.on_led(from, delta);
        }
        // A frame that was long on its way says so by what it has heard of this node.
        let age = self.beats.saturating_sub(frame.seen.beat);
        let late = frame.seen.boot != self.settings.boot || age > BEATS_TO_FORWARD;
        for item in frame.items {
            match item {
                Item::Raft(group, message) => self.on_message(from, group, message),
                Item::Disown(group, term) => self.on_disowned(group, term),
                Item::HandOver(group, to) => self.hand_over(group, to),
                // Whoever asked was told long ago that nothing came of it.
                Item::Forward { .. } if late => {}
                Item::Forward { ticket, command } => self.on_forwarded(from, ticket, &command),
                Item::Answer {
                    ticket,
                    index,
                    reply,
                } => self.on_answer(ticket, index, reply),
                Item::AskPrefix(group, ask) => self.on_prefix_asked(from, group, ask),
                Item::Prefix(group, ask, piece) => self.on_prefix(from, group, ask, piece),
                Item::AskSum(group, ask) => self.on_sum_asked(from, group, ask),
                Item::Sum(group, ask, verdict) => self.on_sum(from, group, ask, verdict),
                Item::Aside(group, incarnation) => self.on_aside(from, group, incarnation),
                Item::AskEnd(group) => self.on_end_asked(from, group),
                Item::End(group, term, index) => self.on_end(from, group, (term, index)),
                Item::Room(room, free) => self.on_room(from, room, free),
                Item::Coming(_) => self.on_slowly_reached(from),
            }
        }
    }

    /// What is sent to a peer goes on arriving there, if slowly.
    fn on_slowly_reached(&mut self, node: NodeId) {
        if let Some(peer) = self.peers.get_mut(&node) {
            peer.reached.1 = self.now.mono;
        }
    }

    fn hear(&mut self, from: NodeId, frame: &Frame, length: u64) {
        let (now, boot) = (self.now.mono, self.settings.boot);
        let Some(peer) = self.peers.get_mut(&from) else {
            return;
        };
        peer.heard = now;
        // Where it stands is told by its beat; that it is still sending what it sent at the last one, by bytes.
        peer.coming = if frame.beat > peer.beat {
            0
        } else {
            peer.coming + length
        };
        let knows_this_start = frame.seen.boot == boot;
        peer.acked = if knows_this_start { frame.seen.led } else { 0 };
        if knows_this_start && frame.seen.beat > peer.reached.0 {
            peer.reached = (frame.seen.beat, now);
        }
        peer.beat = frame.beat;
        let returned = std::mem::replace(&mut peer.lost, false);
        if peer.boot != frame.boot {
            let restarted = peer.boot != 0;
            peer.boot = frame.boot;
            peer.led = PeerLed::default();
            peer.told = 0;
            peer.outbox.clear();
            self.peers_room.forget(from);
            self.rouse_all();
            // Its next process may lack what the last one had, or find that all is well: who answers takes
            // part.
            for replica in self.replicas.values_mut().filter(|r| r.was_leader) {
                let members = replica.group.configuration().members();
                replica.aside.extend(members.filter(|m| m.node == from));
            }
            if restarted {
                self.on_leader_node_lost(from);
                self.controller.forget_asked(from);
            }
            self.probe(from);
        } else if returned {
            self.probe(from);
        }
    }

    fn on_led(&mut self, from: NodeId, delta: &LedDelta) {
        let now = self.now.mono;
        let Some(peer) = self.peers.get_mut(&from) else {
            return;
        };
        if !peer.led.apply(delta) {
            return;
        }
        let contact = peer.contact(now);
        if delta.from == 0 {
            self.rouse_all();
        }
        for (group, led) in &delta.changes {
            self.rouse(*group);
            let Led::Leads { term, behind, .. } = led else {
                continue;
            };
            self.effects.behind.push((*group, *term, behind.clone()));
            match self.replicas.get_mut(group) {
                Some(replica) => {
                    if replica.leader() == Some((from, *term)) {
                        // The word of the leader itself; its first heartbeat may come a beat later.
                        replica.contact = Some(contact);
                    }
                    if !replica.group.is_leader() && *term >= replica.group.term() {
                        replica.behind.clone_from(behind);
                    }
                }
                None => self.effects.leaders.push((*group, *term, Some(from))),
            }
            if *group == GroupId::META {
                self.controller.led_changed = true;
            }
        }
    }

    fn on_message(&mut self, from: NodeId, group: GroupId, message: Message) {
        let now = self.now.mono;
        if self.is_over(group, message.from()) {
            return;
        }
        let exhausted = group != GroupId::META && self.is_disk_exhausted(from);
        let Some(replica) = self.replicas.get_mut(&group) else {
            return;
        };
        // What was meant for a replica that this node had before, or will have, isn't for this one.
        let strangers = message.from().node != from || message.to() != replica.group.me();
        if strangers || replica.suspect.is_some() {
            return;
        }
        replica.aside.remove(&message.from());
        if message.is_vote_refusal() {
            mark(Mark::VoteRefused);
        }
        if message.is_from_leader() && message.term() >= u64::from(replica.group.term().0) {
            replica.contact = self.peers.get(&from).map(|peer| peer.contact(now));
        }
        let crammed =
            message.has_entries() && self.unsettled.bytes() > self.settings.unsettled_bytes_max;
        // What leaders elsewhere still have room for would take the room that metadata needs here. What
        // coordinators write is little, and no group goes on without it.
        let full = exhausted && replica.coordinator.is_none();
        if crammed || (full && message.has_batches()) {
            // As if the network had lost it: the leader sends it again.
            return mark(Mark::AppendTurnedAway);
        }
        let content = message.is_heartbeat_answer();
        if message.snapshot().is_some() {
            match kind_of_snapshot(replica, &message) {
                SnapshotKind::Unsound => return self.note_unsound(from, group),
                SnapshotKind::WithRecords => return self.take_over(group, message),
                SnapshotKind::Whole => {}
            }
        }
        if let Err(contradiction) = replica.group.step(message) {
            return self.on_contradiction(from, group, contradiction);
        }
        if replica.rest == Rest::Quiet && !content {
            // Somebody isn't content: heartbeats will tell where the group stands.
            self.wake_group(group);
        }
        self.touch(group);
    }

    /// A follower knows of a later term: speaking to it will tell.
    fn on_disowned(&mut self, group: GroupId, term: Term) {
        let leads = |r: &Replica| r.was_leader && r.group.term() < term;
        if self.replicas.get(&group).is_some_and(|r| leads(r)) {
            self.wake_group(group);
        }
    }

    pub(crate) fn beat_if_due(&mut self) {
        if self.now.mono < self.next_beat {
            return;
        }
        if self.now.mono.since(self.next_beat) > limits::LEADER_SILENCE {
            self.awake_since = self.now.mono;
        }
        self.next_beat = self.now.mono.after(limits::NODE_HEARTBEAT);
        self.beats += 1;
        let silent = |p: &Peer| !p.lost && self.now.mono.since(p.heard) > p.patience;
        let silent: Vec<_> = self
            .peers
            .iter()
            .filter(|(_, p)| silent(p))
            .map(|(n, _)| *n)
            .collect();
        for node in silent {
            self.lose(node);
        }
        for peer in self.peers.values_mut() {
            peer.must_send = true;
        }
        self.beat_groups();
        let acked_by_all = self.peers.values().map(|p| p.acked).min();
        self.led.prune(acked_by_all.unwrap_or(self.led.version()));
        self.allow_catch_up();
        self.review_held();
        self.review_imports();
        self.review_stalled();
        self.review_parks();
        self.confirm_again();
        self.reconfigure();
        self.balance_leaders();
        self.tell_leaders();
        self.renew_damaged();
        self.elect_unclean_again();
        self.elect_unclean_where_enabled();
        self.check_replicas();
        self.apply_metadata();
    }

    /// Tells the others, and the doors here, how it stands with a group that this node leads.
    pub(crate) fn say_led(&mut self, group: GroupId) {
        let replica = &self.replicas[&group];
        let (term, behind) = (replica.group.term(), replica.behind.clone());
        let quiet = matches!(replica.rest, Rest::Announced(_) | Rest::Quiet);
        self.effects.behind.push((group, term, behind.clone()));
        let led = Led::Leads {
            term,
            quiet,
            behind,
        };
        self.led.set(group, led);
    }

    /// Who isn't in sync: whose node is silent, who stands aside, who is over and may be there only in
    /// name, and who lacks what was there at the last beat, for long, or since its node was silent.
    pub(crate) fn review_behind(&mut self, group: GroupId) {
        let (now, lag) = (self.now.mono, self.settings.replica_lag_max);
        let replica = &self.replicas[&group];
        let image = self.image();
        let moving = self.moving.get(&group);
        let info = moving.and_then(|group| image.partition(*group));
        let has_all = |m: Member| {
            let caught_up = replica.caught_up.get(&m);
            caught_up.is_some_and(|caught_up| caught_up.was_seen(now))
                && replica.is_in_sync(m, now, limits::LEARNER_LAG)
        };
        // Who comes isn't counted on before it votes, whatever it has: until then the others are needed. Who
        // follows the metadata does so for good.
        let votes = |m: &Member| {
            group == GroupId::META || replica.group.configuration().electors().any(|e| e == *m)
        };
        let is_behind = |m: &Member| {
            let silent = self.peers.get(&m.node).is_some_and(|p| p.lost);
            let late = replica.behind.contains(&m.node) || !replica.is_in_sync(*m, now, lag);
            silent
                || !votes(m)
                || replica.aside.contains(m)
                || info.is_some_and(|info| info.is_over(*m))
                || (late && *m != replica.group.me() && !has_all(*m))
        };
        let members = replica.group.configuration().members();
        let behind: Vec<NodeId> = members.filter(is_behind).map(|m| m.node).collect();
        let replica = self.replicas.get_mut(&group).expect("it was there");
        if behind != replica.behind {
            replica.behind = behind;
            self.say_led(group);
        }
    }

    pub(crate) fn beat_led_group(&mut self, group: GroupId) {
        self.withhold(group);
        let now = self.now.mono;
        let check = self.beats % BEATS_A_CHECK == group.0 % BEATS_A_CHECK;
        let Some(replica) = self.replicas.get_mut(&group) else {
            return;
        };
        let there = replica.group.configuration();
        let gone = |member: &Member| !there.members().any(|m| m == *member);
        replica.aside.retain(|member| !gone(member));
        let last = replica.group.last_index();
        let progress = replica.group.progress();
        replica.caught_up.retain(|member, _| !gone(member));
        for peer in &progress {
            let lacks_all = || CaughtUp::with_nothing(last, self.beats);
            let caught_up = replica.caught_up.entry(peer.member);
            let caught_up = caught_up.or_insert_with(lacks_all);
            match self.peers.get(&peer.member.node).is_some_and(|p| p.lost) {
                true => caught_up.miss(last, self.beats),
                false => caught_up.look(peer.matched, last, now, self.beats),
            }
        }
        self.review_behind(group);
        let Some(replica) = self.replicas.get_mut(&group) else {
            return;
        };
        let heard = |node: NodeId| self.peers.get(&node).is_none_or(|p| !p.lost);
        let content = is_content(replica, &progress, heard);
        replica.rest = match replica.rest {
            Rest::Active(beats) if content && beats + 1 >= BEATS_TO_QUIET => {
                mark(Mark::BecameQuiet);
                let led = Led::Leads {
                    term: replica.group.term(),
                    quiet: true,
                    behind: replica.behind.clone(),
                };
                self.led.set(group, led);
                Rest::Announced(self.led.version())
            }
            Rest::Active(beats) if content => Rest::Active(beats + 1),
            Rest::Active(_) => Rest::Active(0),
            Rest::Announced(version) => {
                let has = |m: Member| {
                    let peer = self.peers.get(&m.node);
                    peer.is_none_or(|p| p.lost || p.acked >= version)
                };
                if replica.group.configuration().members().all(has) {
                    Rest::Quiet
                } else {
                    replica.rest
                }
            }
            Rest::Quiet => Rest::Quiet,
        };
        match replica.rest {
            Rest::Quiet => {}
            _ if check => {
                for peer in &progress {
                    let node = self.peers.get(&peer.member.node);
                    if node.is_some_and(|p| p.is_slowly_reached(self.beats, now)) {
                        mark(Mark::QuorumCheckExcused);
                        replica.group.excuse(peer.member);
                    }
                }
                replica.group.tick();
            }
            _ => replica.group.ping(),
        }
        self.touch(group);
    }

    /// Tells which nodes are heard, when that changes.
    pub(crate) fn publish_heard(&mut self) {
        let others = self.peers.iter().filter(|(_, peer)| !peer.lost);
        let mut heard: Vec<_> = others.map(|(node, _)| *node).collect();
        heard.push(self.settings.node);
        if heard != self.heard {
            self.heard.clone_from(&heard);
            self.effects.heard = Some(heard);
        }
    }

    /// Frames for the peers that have something coming, or are due a heartbeat.
    pub(crate) fn address_frames(&mut self) {
        let version = self.led.version();
        let room = self.room();
        let changed = std::mem::replace(&mut self.peers_room.told, room) != room;
        for (node, peer) in &mut self.peers {
            // Who isn't heard acknowledges nothing: all that it lacks goes to it with each beat, not more often.
            let news = peer.told < version && !peer.lost;
            peer.must_send |= changed;
            if peer.outbox.is_empty() && !peer.must_send && !news {
                continue;
            }
            // What goes to a node without a connection is lost.
            if !peer.up && peer.lost && !self.beats.is_multiple_of(BEATS_TO_TRY) {
                peer.outbox.clear();
                peer.must_send = false;
                continue;
            }
            let tell = news || (peer.must_send && peer.acked < version);
            let led = tell.then(|| self.led.delta_since(peer.acked));
            peer.told = version;
            if std::mem::take(&mut peer.must_send) {
                peer.outbox.push(Item::Room(room, self.disk_free));
                let coming = std::mem::take(&mut peer.coming);
                peer.outbox
                    .extend((coming > 0).then_some(Item::Coming(coming)));
            }
            let mut frame = Frame {
                boot: self.settings.boot,
                beat: self.beats,
                seen: Seen {
                    boot: peer.boot,
                    led: peer.led.version(),
                    beat: peer.beat,
                },
                led,
                items: Vec::new(),
            };
            let mut bytes = 0;
            for item in peer.outbox.drain(..) {
                if bytes > FRAME_PAYLOAD_BYTES {
                    self.effects.frames.push((*node, frame.encode()));
                    frame.items.clear();
                    frame.led = None;
                    bytes = 0;
                }
                bytes += item.payload_bytes();
                frame.items.push(item);
            }
            self.effects.frames.push((*node, frame.encode()));
        }
    }
}

/// True if nothing is under way in a group: whoever takes part has everything and knows it, they are enough to
/// go on with, and all others are known to be behind. Who is silent doesn't take part, nor does who is sent no
/// records for want of room, as long as nothing else could be sent to it. Of a node that is lost or heard
/// again, or whose room changes, all groups are woken.
fn is_content(
    replica: &Replica,
    progress: &[PeerProgress],
    heard: impl Fn(NodeId) -> bool,
) -> bool {
    let (group, last) = (&replica.group, replica.group.last_index());
    let waits = |p: &&PeerProgress| {
        let withheld = group.withheld().contains(&p.member);
        // Else a snapshot is due, if it brings no records.
        let in_log = p.matched.next() >= replica.log.first_index();
        withheld
            && (in_log || replica.log.prefix().is_some())
            && replica.behind.contains(&p.member.node)
    };
    let waiting: Vec<Member> = progress.iter().filter(waits).map(|p| p.member).collect();
    let takes_part = |member: &Member| heard(member.node) && !waiting.contains(member);
    let knows_all = |p: &PeerProgress| {
        let knows = p.committed == last || p.member == group.me();
        !takes_part(&p.member) || (p.matched == last && knows)
    };
    let mut members = group.configuration().members();
    group.committed() == last
        && group.may_propose()
        && group.committed_in_term()
        && replica.snapshots.is_empty()
        && !members.any(|m| takes_part(&m) && replica.behind.contains(&m.node))
        && replica.has_quorum(takes_part)
        && progress.iter().all(knows_all)
}
