//! The slow look at everything that lies on disk. Round after round a node reads the logs of its
//! replicas piece by piece, which compares the checksum of every block; and a follower asks its leader
//! whether what it read is the same there. One piece at a time, within a bound of bytes a second.
//!
//! A replica that turns out to be damaged is renewed (`renew.rs`). Two that differ although each is
//! whole are told and left alone: nobody knows which of them is right.
//!
//! What lies in front of the first entry of a log is compacted by each replica when it gets round to
//! it, so only its own checksums are looked at there. Nothing is remembered between rounds.

use crate::Shard;
use crate::api::Job;
use base::checksum::{combine, crc32c};
use base::{BatchHeader, GroupId, Mark, Member, Mono, NodeId, Offset, limits, mark};
use bytes::Bytes;
use consensus::{Item, SumAsk, Verdict};
use log::{ReadFault, ReadPlan};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

/// Bytes of a piece; a batch that is longer is a piece of its own.
const PIECE_BYTES: u32 = 256 * 1024;
/// How long a leader's answer is waited for.
const PATIENCE: Duration = Duration::from_secs(1);
/// Pieces that somebody could not read and that are read again at a time at most.
const SPOTS_MAX: usize = 8;
/// Pieces that are read for followers at a time at most.
const FOR_OTHERS_MAX: usize = 8;

/// How often everything is looked at, and how fast.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checking {
    /// From the beginning of one round to that of the next (`replica.check.interval.ms`).
    pub every: Duration,
    /// Bytes that are read in a second at most (`replica.check.bytes.per.second`).
    pub bytes_per_second: u64,
}

/// What is under way.
#[derive(Debug, Default)]
pub(crate) struct Checks {
    next_round: Option<Mono>,
    /// Still to be looked at in this round.
    left: VecDeque<GroupId>,
    running: Option<Running>,
    /// What somebody could not read and is read again, whatever else is looked at; by ticket.
    spots: BTreeMap<u64, GroupId>,
    /// Pieces that are read for followers, by ticket.
    lent: BTreeMap<u64, (NodeId, GroupId, SumAsk)>,
    /// Bytes that may be read until the next beat; negative: too many were.
    allowed: i64,
    /// Groups whose replica here differs from its leader's.
    differing: BTreeSet<GroupId>,
}

/// The replica that is looked at.
#[derive(Debug)]
struct Running {
    group: GroupId,
    member: Member,
    /// Everything before this was looked at.
    next: Offset,
    waits: Waits,
    /// All that it has to have of what its leader has is the same there, so far.
    same: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Waits {
    /// For room in the bound.
    No,
    /// For a job.
    Read(u64),
    /// For the leader.
    Asked(SumAsk, Mono),
}

/// What a piece comes to: where it begins and ends, and its sum; none if it is empty.
struct Piece {
    from: Offset,
    upto: Offset,
    crc: u32,
    bytes: u64,
}

impl Piece {
    fn of(pieces: &[Bytes]) -> Option<Piece> {
        let (mut crc, mut bytes, mut ends) = (crc32c(&[]), 0, None);
        for piece in pieces {
            crc = combine(crc, crc32c(piece), piece.len() as u64);
            bytes += piece.len() as u64;
            let mut rest = &piece[..];
            while let Ok(header) = BatchHeader::parse(rest) {
                let (from, _) = ends.unwrap_or((header.base_offset, header.base_offset));
                ends = Some((from, header.next_offset()));
                rest = rest.get(header.total_len()..).unwrap_or_default();
            }
        }
        let (from, upto) = ends?;
        Some(Piece {
            from,
            upto,
            crc,
            bytes,
        })
    }
}

impl Shard {
    /// At each beat: begins a round if it is time, and goes on with the one under way.
    pub(crate) fn check_replicas(&mut self) {
        let Some(Checking {
            every,
            bytes_per_second,
        }) = self.settings.checking
        else {
            return;
        };
        let now = self.now.mono;
        let beat = i64::try_from(bytes_per_second / limits::BEATS_A_SECOND).unwrap_or(i64::MAX);
        self.checks.allowed = self.checks.allowed.saturating_add(beat).min(beat);
        let random = &mut self.random;
        // Nodes that start together don't read together.
        let begin = || now.after(every.mul_f64(random.below(1_000) as f64 / 1_000.0));
        let next = self.checks.next_round.get_or_insert_with(begin);
        let idle = self.checks.left.is_empty() && self.checks.running.is_none();
        if *next <= now && idle {
            *next = now.after(every);
            self.checks.left = self.replicas.keys().copied().collect();
            self.stats.check_rounds += 1;
        }
        if let Some(Running { waits, same, .. }) = &mut self.checks.running
            && let Waits::Asked(_, at) = *waits
            && now.since(at) >= PATIENCE
        {
            (*waits, *same) = (Waits::No, false);
        }
        self.check_on();
        let differing = &mut self.checks.differing;
        differing.retain(|group| self.replicas.contains_key(group));
        self.stats.replicas_differing = differing.len() as u64;
        self.stats.check_left = self.checks.left.len() as u64;
    }

    /// Somebody could not read there: just that is looked at now, also on a node that looks at nothing of
    /// itself. Whoever asks again gets no second look as long as one is under way.
    pub(crate) fn check_now(&mut self, group: GroupId, from: Offset) {
        let under_way = self.checks.spots.values().any(|of| *of == group);
        let replica = self.replicas.get(&group);
        let replica = replica.filter(|r| r.suspect.is_none() && from < r.high.1);
        let busy = under_way || self.checks.spots.len() >= SPOTS_MAX;
        let Some(replica) = replica.filter(|_| !busy) else {
            return;
        };
        let plan = replica.log.plan_read(from, replica.high.1, PIECE_BYTES);
        let ticket = self.read_piece(group, plan);
        self.checks.spots.insert(ticket, group);
    }

    fn on_spot_read(&mut self, group: GroupId, result: Result<Vec<Bytes>, ReadFault>) {
        match result {
            Ok(_) | Err(ReadFault::Gone) => {}
            Err(fault) => {
                mark(Mark::DamageFound);
                self.on_unreadable(group, &fault);
            }
        }
    }

    /// Goes on with the replica that is looked at, or with the next one.
    fn check_on(&mut self) {
        while self.checks.allowed > 0 {
            if self.checks.running.is_none() && !self.begin_check() {
                return;
            }
            let Some(running) = &mut self.checks.running else {
                return;
            };
            if running.waits != Waits::No {
                return;
            }
            let replica = self.replicas.get(&running.group);
            let replica = replica.filter(|r| r.group.me() == running.member && r.suspect.is_none());
            let Some(replica) = replica else {
                self.checks.running = None;
                continue;
            };
            let (next, high) = (running.next, replica.high.1);
            let plan = replica.log.plan_read(next, high, PIECE_BYTES);
            let group = running.group;
            let ticket = self.read_piece(group, plan);
            if let Some(running) = &mut self.checks.running {
                running.waits = Waits::Read(ticket);
            }
        }
    }

    fn read_piece(&mut self, group: GroupId, plan: ReadPlan) -> u64 {
        let ticket = self.cold_ticket();
        self.effects.jobs.push(Job::Check {
            ticket,
            group,
            plan,
        });
        ticket
    }

    fn begin_check(&mut self) -> bool {
        let Some(group) = self.checks.left.pop_front() else {
            return false;
        };
        let Some(replica) = self.replicas.get(&group) else {
            return true;
        };
        self.checks.running = Some(Running {
            group,
            member: replica.group.me(),
            next: Offset(0),
            waits: Waits::No,
            same: true,
        });
        true
    }

    /// A piece was read, for this node or for a follower.
    pub(crate) fn on_check_read(&mut self, ticket: u64, result: Result<Vec<Bytes>, ReadFault>) {
        if let Some((to, group, ask)) = self.checks.lent.remove(&ticket) {
            return self.on_sum_read(to, group, ask, result);
        }
        if let Some(group) = self.checks.spots.remove(&ticket) {
            return self.on_spot_read(group, result);
        }
        let running = self.checks.running.as_mut();
        let Some(running) = running.filter(|running| running.waits == Waits::Read(ticket)) else {
            return;
        };
        running.waits = Waits::No;
        let (group, member) = (running.group, running.member);
        let there = self.replicas.get(&group).map(|r| r.group.me());
        if there != Some(member) {
            self.checks.running = None;
            return;
        }
        match result {
            Ok(pieces) => match Piece::of(&pieces) {
                Some(piece) => {
                    running.next = piece.upto;
                    self.checks.allowed -= piece.bytes as i64;
                    self.stats.check_bytes += piece.bytes;
                    self.compare(group, &piece);
                }
                None => self.end_check(),
            },
            // Its shape changed meanwhile: the next round looks again.
            Err(ReadFault::Gone) => self.checks.running = None,
            Err(fault) => {
                self.checks.running = None;
                mark(Mark::DamageFound);
                self.on_unreadable(group, &fault);
            }
        }
        self.check_on();
    }

    /// It was looked at from one end to the other. Where all is the same as on its leader, a difference
    /// that was found before is gone.
    fn end_check(&mut self) {
        if let Some(running) = self.checks.running.take() {
            self.stats.checks += 1;
            if running.same {
                self.checks.differing.remove(&running.group);
            }
        }
    }

    /// Asks the leader whether it has the same, where both have the entries.
    fn compare(&mut self, group: GroupId, piece: &Piece) {
        let replica = &self.replicas[&group];
        if piece.from < replica.front() || replica.group.is_leader() {
            return;
        }
        let leader = replica.leader();
        let peer = leader.and_then(|(leader, _)| self.peers.get_mut(&leader));
        let (Some((_, term)), Some(peer)) = (leader, peer.filter(|peer| !peer.lost)) else {
            if let Some(running) = &mut self.checks.running {
                running.same = false;
            }
            return;
        };
        let ask = SumAsk {
            term,
            from: piece.from,
            upto: piece.upto,
            crc: piece.crc,
        };
        peer.outbox.push(Item::AskSum(group, ask));
        if let Some(running) = &mut self.checks.running {
            running.waits = Waits::Asked(ask, self.now.mono);
        }
    }

    /// A follower compares.
    pub(crate) fn on_sum_asked(&mut self, from: NodeId, group: GroupId, ask: SumAsk) {
        let replica = self.replicas.get(&group);
        let leads = replica.filter(|replica| {
            replica.group.is_leader()
                && replica.group.term() == ask.term
                && replica.suspect.is_none()
                && (replica.front()..replica.high.1).contains(&ask.from)
                && ask.upto <= replica.high.1
        });
        let busy = self.checks.lent.len() >= FOR_OTHERS_MAX || self.checks.allowed <= 0;
        let Some(replica) = leads.filter(|_| !busy) else {
            return self.answer_sum(from, group, ask, Verdict::Unknown);
        };
        let plan = replica.log.plan_read(ask.from, ask.upto, PIECE_BYTES);
        let ticket = self.read_piece(group, plan);
        self.checks.lent.insert(ticket, (from, group, ask));
    }

    fn on_sum_read(
        &mut self,
        to: NodeId,
        group: GroupId,
        ask: SumAsk,
        result: Result<Vec<Bytes>, ReadFault>,
    ) {
        let verdict = match result {
            Ok(pieces) => {
                let piece = Piece::of(&pieces);
                let bytes = piece.as_ref().map_or(0, |piece| piece.bytes);
                self.checks.allowed -= bytes as i64;
                self.stats.check_bytes += bytes;
                let piece = piece.filter(|p| (p.from, p.upto) == (ask.from, ask.upto));
                match piece.map(|piece| piece.crc == ask.crc) {
                    Some(true) => Verdict::Same,
                    Some(false) => Verdict::Differs,
                    None => Verdict::Unknown,
                }
            }
            Err(ReadFault::Gone) => Verdict::Unknown,
            Err(fault) => {
                mark(Mark::DamageFound);
                return self.on_unreadable(group, &fault);
            }
        };
        self.answer_sum(to, group, ask, verdict);
    }

    fn answer_sum(&mut self, to: NodeId, group: GroupId, ask: SumAsk, verdict: Verdict) {
        if let Some(peer) = self.peers.get_mut(&to) {
            peer.outbox.push(Item::Sum(group, ask, verdict));
        }
    }

    /// The leader's answer.
    pub(crate) fn on_sum(&mut self, from: NodeId, group: GroupId, ask: SumAsk, verdict: Verdict) {
        let Some(running) = &mut self.checks.running else {
            return;
        };
        let asked = matches!(running.waits, Waits::Asked(asked, _) if asked == ask);
        if running.group != group || !asked {
            return;
        }
        running.waits = Waits::No;
        running.same &= verdict == Verdict::Same;
        match verdict {
            Verdict::Same => {
                mark(Mark::PieceCompared);
                self.stats.pieces_compared += 1;
            }
            Verdict::Unknown => {}
            Verdict::Differs => {
                if self.checks.differing.insert(group) {
                    self.alarm(format!(
                        "group {group}: offsets {} to {} here are not what node {from} has, which \
                         leads it, although both are whole: one of them is wrong. Compare what \
                         consumers read from each ('flotilla log verify' finds nothing), then move \
                         the wrong replica to another node and back",
                        ask.from, ask.upto
                    ));
                }
            }
        }
        self.check_on();
    }

    /// Replicas end here: what was found out about them is no news of the next ones.
    pub(crate) fn forget_checks(&mut self, ended: &BTreeSet<GroupId>) {
        let checks = &mut self.checks;
        checks.lent.retain(|_, (_, of, _)| !ended.contains(of));
        checks.spots.retain(|_, of| !ended.contains(of));
        checks.differing.retain(|of| !ended.contains(of));
        checks.running.take_if(|r| ended.contains(&r.group));
    }
}
