//! The loop's state, and its two entries: [`Shard::on`] takes an event, [`Shard::turn`] ends a
//! turn and hands out what came of it. What is done with an event is in `operation`.

use crate::api::{Appended, Command, Effects, Event, Job, JobResult, ReplyTo, Settings};
use crate::calls::Calls;
use crate::controller::Controller;
use crate::coordinator::Coordinators;
use crate::led::LedSet;
use crate::operation::{
    Awaiting, Balance, Checks, ColdRequest, Compactions, Damage, Deferred, Ends, Expiries, Imports,
    InFlight, Lent, Namesakes, Park, Round, Throttles,
};
use crate::peer::Peer;
use crate::peers_room::PeersRoom;
use crate::replica::{Replica, Stored};
use crate::stats::Stats;
use crate::unsettled::Unsettled;
use base::{GroupId, Mono, NodeId, Now, Offset, RaftIndex, Random};
use log::{Recovered, RecoveredGroup, Turn};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// One core's replicas and what is under way on them. Pure: no clock, no IO, no chance of its own.
pub struct Shard {
    pub(crate) settings: Settings,
    pub(crate) random: Random,
    pub(crate) now: Now,
    pub(crate) replicas: BTreeMap<GroupId, Box<Replica>>,
    /// How it is known that this node has lost what it acknowledged.
    pub(crate) lost: Option<String>,
    /// Groups that recovery found and the metadata hasn't named yet.
    pub(crate) stored: BTreeMap<GroupId, Stored>,
    /// Replicas with something to collect in this turn.
    pub(crate) dirty: Vec<GroupId>,
    /// Replicas that the next beat looks at.
    pub(crate) restless: Vec<GroupId>,
    /// Groups that were retired and of which something may still be under way.
    pub(crate) ended: BTreeSet<GroupId>,
    pub(crate) peers: BTreeMap<NodeId, Peer>,
    /// The nodes that were published as heard.
    pub(crate) heard: Vec<NodeId>,
    pub(crate) led: LedSet,
    pub(crate) controller: Controller,
    /// Groups whose members aren't all those that the metadata names, as far as it knows.
    pub(crate) moving: BTreeSet<GroupId>,
    /// When it is told again which of them are as they should be.
    pub(crate) next_report: Mono,
    pub(crate) coordinators: Coordinators,
    pub(crate) calls: Calls<Appended>,
    pub(crate) deletions: Calls<Offset>,
    pub(crate) next_retention: Mono,
    pub(crate) retention: Round,
    pub(crate) compactions: Compactions,
    pub(crate) expiries: Expiries,
    /// Names of topics that were deleted.
    pub(crate) namesakes: Namesakes,
    pub(crate) parks: BTreeMap<u64, Park>,
    pub(crate) parks_by_deadline: BTreeSet<(Mono, u64)>,
    /// The parked read that the next beat looks at first.
    pub(crate) next_reviewed: u64,
    /// Parked reads whose partitions got news in this turn.
    pub(crate) woken: BTreeSet<u64>,
    /// Offset questions that wait, by turn.
    pub(crate) deferred: VecDeque<Deferred>,
    pub(crate) elections: BTreeSet<(Mono, GroupId)>,
    pub(crate) next_beat: Mono,
    /// When this node last came back from a pause that was longer than others are waited for.
    pub(crate) awake_since: Mono,
    pub(crate) beats: u64,
    pub(crate) turn: Turn,
    /// Readies of the current turn.
    pub(crate) opened: Vec<InFlight>,
    /// Readies whose turns aren't durable yet.
    pub(crate) in_flight: VecDeque<(u64, Vec<InFlight>)>,
    /// What was written and can't be read from segments yet.
    pub(crate) unsettled: Unsettled,
    pub(crate) checkpoint_due: bool,
    /// Batches in memory in order of their append, to find the oldest.
    pub(crate) hot: VecDeque<(GroupId, RaftIndex, u64)>,
    /// Those that could not be dropped when it was their turn.
    pub(crate) hot_held: Vec<(GroupId, RaftIndex, u64)>,
    pub(crate) hot_bytes: u64,
    pub(crate) uncommitted_bytes: u64,
    /// As measured, without what was written since.
    pub(crate) disk_free: u64,
    /// What others say of their disks, and what was said of this one.
    pub(crate) peers_room: PeersRoom,
    /// Replicas that hold appends, and until when.
    pub(crate) holding: BTreeSet<(Mono, GroupId)>,
    /// The process is about to stop: leaderships go to others.
    pub(crate) leaving: bool,
    /// Calls that wait for their preferred leaders.
    pub(crate) awaiting: Awaiting,
    /// Where logs of groups without their majority end.
    pub(crate) ends: Ends,
    /// The slow look at everything on disk.
    pub(crate) checks: Checks,
    /// Groups whose replicas here stand aside.
    pub(crate) suspects: BTreeSet<GroupId>,
    /// Damaged replicas here: those that stand aside wait for others in their place, those that are the
    /// only ones serve what is whole.
    pub(crate) damage: Damage,
    /// Leaders that go back by themselves.
    pub(crate) balance: Balance,
    pub(crate) cold: BTreeMap<u64, ColdRequest>,
    /// Pieces of logs in front of their first entries that are read for followers, by ticket.
    pub(crate) lent: BTreeMap<u64, Lent>,
    /// Snapshots with records that are taken here.
    pub(crate) imports: Imports,
    /// The last turn that is known to be settled.
    pub(crate) settled_turn: u64,
    /// What may still be read for followers that are far behind.
    pub(crate) throttles: Throttles,
    /// The next name of something that waits.
    pub(crate) next_ticket: u64,
    pub(crate) effects: Effects,
    pub(crate) stats: Stats,
}

impl Shard {
    /// A shard over what recovery found. The groups of partitions come to life when the metadata
    /// has been read again.
    pub fn new(settings: Settings, recovered: Recovered, now: Now) -> Shard {
        let mut random = Random::new(settings.seed);
        let others = settings.voters.iter().filter(|n| **n != settings.node);
        let known = |n: &NodeId| (*n, Peer::new(*n, now.mono, &mut random));
        let peers = others.map(known).collect();
        let stored = |group: RecoveredGroup| (group.log.group(), Stored::recovered(group));
        let mut shard = Shard {
            random,
            now,
            replicas: BTreeMap::new(),
            lost: recovered.lost,
            stored: recovered.groups.into_iter().map(stored).collect(),
            dirty: Vec::new(),
            restless: Vec::new(),
            ended: BTreeSet::new(),
            peers,
            heard: Vec::new(),
            led: LedSet::default(),
            controller: Controller::new(&settings),
            moving: BTreeSet::new(),
            next_report: now.mono,
            coordinators: Coordinators::default(),
            calls: Calls::default(),
            deletions: Calls::default(),
            next_retention: now.mono.after(settings.retention_check),
            retention: Round::default(),
            compactions: Compactions::default(),
            expiries: Expiries::default(),
            namesakes: Namesakes::default(),
            parks: BTreeMap::new(),
            parks_by_deadline: BTreeSet::new(),
            next_reviewed: 0,
            woken: BTreeSet::new(),
            deferred: VecDeque::new(),
            elections: BTreeSet::new(),
            next_beat: now.mono,
            awake_since: now.mono,
            beats: 0,
            turn: Turn::new(recovered.next_turn),
            opened: Vec::new(),
            in_flight: VecDeque::new(),
            unsettled: Unsettled::default(),
            checkpoint_due: false,
            hot: VecDeque::new(),
            hot_held: Vec::new(),
            hot_bytes: 0,
            uncommitted_bytes: 0,
            disk_free: u64::MAX,
            peers_room: PeersRoom::default(),
            holding: BTreeSet::new(),
            leaving: false,
            awaiting: Awaiting::default(),
            ends: Ends::default(),
            checks: Checks::default(),
            suspects: BTreeSet::new(),
            damage: Damage::default(),
            balance: Balance::default(),
            cold: BTreeMap::new(),
            lent: BTreeMap::new(),
            imports: Imports::default(),
            settled_turn: 0,
            throttles: Throttles::default(),
            next_ticket: 0,
            effects: Effects::default(),
            stats: Stats::default(),
            settings,
        };
        shard.open_meta();
        shard
    }

    /// Takes an event.
    pub fn on(&mut self, now: Now, event: Event) {
        self.now = now;
        match event {
            Event::Command(command, to) => self.on_command(command, to),
            Event::Frame { from, bytes } => self.on_frame(from, bytes),
            Event::PeerUp(node) => self.on_peer_up(node),
            Event::PeerDown(node) => self.on_peer_down(node),
            Event::Coming { from, bytes } => self.on_coming(from, bytes),
            Event::Persisted { turn } => self.on_persisted(turn),
            Event::Settled { turn } => self.on_settled(turn),
            Event::CheckpointDue => self.checkpoint_due = true,
            Event::Done(job, result) => self.on_done(job, result),
            Event::DiskFree(bytes) => self.on_disk_free(bytes),
            Event::Drain => self.drain(),
        }
    }

    fn on_command(&mut self, command: Command, to: Option<ReplyTo>) {
        match (command, to) {
            (
                Command::Append {
                    acks,
                    deadline,
                    parts,
                },
                Some(to),
            ) => self.append(acks, deadline, parts, to),
            (
                Command::Read {
                    bytes_min,
                    bytes_max,
                    deadline,
                    parts,
                },
                Some(to),
            ) => {
                self.read(Park {
                    to,
                    parts,
                    bytes_min,
                    bytes_max,
                    deadline,
                    missing: 0,
                });
            }
            (Command::Offsets { parts }, Some(to)) => self.offsets(parts, to),
            (Command::EpochEnds { parts }, Some(to)) => self.epoch_ends(&parts, &to),
            (Command::Meta { command, deadline }, Some(to)) => {
                self.ask_controller(command, deadline, to);
            }
            (Command::Replicas { groups }, Some(to)) => self.report_replicas(&groups, &to),
            (Command::Stamps { places }, Some(to)) => self.report_stamps(&places, &to),
            (Command::Producers { groups }, Some(to)) => self.report_producers(&groups, &to),
            (
                Command::Prefer {
                    groups,
                    unclean,
                    deadline,
                },
                Some(to),
            ) => match unclean {
                true => self.elect_unclean(&groups, deadline, to),
                false => self.prefer(&groups, deadline, to),
            },
            (Command::AwaitLeader { group, deadline }, Some(to)) => {
                self.await_leader(group, deadline, to);
            }
            (Command::Check { group, from }, _) => self.check_now(group, from),
            (Command::DeleteRecords { deadline, parts }, Some(to)) => {
                self.delete_records(deadline, parts, to);
            }
            (
                Command::Group {
                    group,
                    command,
                    deadline,
                },
                Some(to),
            ) => self.coordinate(group, *command, deadline, to),
            (Command::Groups { filter, deadline }, Some(to)) => {
                self.list_groups(&filter, deadline, to);
            }
            // A question that nobody waits for.
            (_, None) => {}
        }
    }

    fn on_done(&mut self, job: Job, result: JobResult) {
        match (job, result) {
            (Job::Entries { ticket, .. }, JobResult::Entries(result)) => {
                self.on_cold_entries(ticket, result);
            }
            (Job::Records { ticket, .. }, JobResult::Records(result)) => {
                self.on_records(ticket, result);
            }
            (
                Job::Rewrite {
                    ticket, rewrite, ..
                },
                JobResult::Rewrite(result),
            ) => self.on_rewritten(ticket, rewrite, result),
            (Job::Rewrite { ticket, .. }, JobResult::Abandoned) => self.on_rewrite_given_up(ticket),
            (Job::Prefix { ticket, .. }, JobResult::Records(result)) => {
                self.on_prefix_read(ticket, result);
            }
            (Job::Check { ticket, .. }, JobResult::Records(result)) => {
                self.on_check_read(ticket, result);
            }
            (Job::Import { ticket, import, .. }, JobResult::Imported(result)) => {
                self.on_imported(ticket, import, result);
            }
            (Job::Import { ticket, .. }, JobResult::Abandoned) => {
                self.on_import_abandoned(ticket);
            }
            (Job::Discard { .. }, JobResult::Abandoned) => self.on_discarded(),
            // A driver that mixes jobs up has a bug; whoever waits for the job waits on.
            _ => self.alarm("a job came back with the outcome of another kind".into()),
        }
    }

    /// Ends a turn: does what is due, collects what came of the events, and hands it out.
    pub fn turn(&mut self, now: Now, effects: &mut Effects) {
        self.now = now;
        self.expire_held();
        self.calls.expire(now.mono);
        self.deletions.expire(now.mono);
        self.expire_reads();
        self.expire_deferred();
        self.beat_if_due();
        self.run_elections();
        self.retain_if_due();
        self.compact_if_due();
        self.expire_producers();
        self.run_controller();
        self.run_coordinators();
        self.collect();
        // What was applied just now may let the next command go.
        self.run_controller();
        self.collect();
        self.load_coordinators();
        self.answer_awaiting();
        self.answer_woken_reads();
        self.evict_hot();
        self.close_turn();
        self.answer_woken_reads();
        self.address_frames();
        self.publish_heard();
        self.tell_current();
        std::mem::swap(effects, &mut self.effects);
        self.effects = Effects::default();
    }

    /// When [`Shard::turn`] must be called again, events or not.
    pub fn deadline(&self) -> Option<Mono> {
        let parks = self.parks_by_deadline.first().map(|(at, _)| *at);
        let elections = self.elections.first().map(|(at, _)| *at);
        let held = self.holding.first().map(|(at, _)| *at);
        let retention = match self.retention.is_under_way() {
            true => self.now.mono,
            false => self.next_retention,
        };
        let all = [
            Some(self.next_beat),
            self.calls.deadline(),
            self.awaiting.deadline(),
            self.deletions.deadline(),
            Some(retention),
            Some(self.compactions.deadline(self.now.mono)),
            parks,
            elections,
            held,
            self.deferred_deadline(),
            self.coordinators.deadline(),
        ];
        all.into_iter()
            .flatten()
            .chain(self.controller.deadline())
            .min()
    }

    /// Puts a replica on the list of this turn.
    pub(crate) fn touch(&mut self, group: GroupId) {
        if let Some(replica) = self.replicas.get_mut(&group)
            && !replica.dirty
        {
            replica.dirty = true;
            replica.rouse(&mut self.restless);
            self.dirty.push(group);
        }
    }
}
