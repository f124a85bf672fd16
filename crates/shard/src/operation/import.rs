//! A follower's part in a snapshot with records: what lies in front of the first entry of its leader's
//! log is fetched and written, and only then the snapshot is handed to the group, which takes it like
//! any other.
//!
//! Until then this replica is what it was, votes and all, so it may be given up at any point: when
//! there is another leader or another snapshot, when the replica goes, when the disk is full. The
//! leader sends the snapshot again after a while. One log is taken over at a time on each node;
//! further snapshots wait. What is asked and not answered is asked again.

use super::snapshot::Contents;
use crate::Shard;
use crate::api::Job;
use crate::replica::Replica;
use base::{GroupId, Mark, Mono, NodeId, Offset, Term, limits, mark};
use consensus::{Item, Message, PrefixAsk, PrefixPiece};
use log::{Import, ImportFault, Imported};
use std::collections::BTreeMap;

/// What is under way.
#[derive(Default)]
pub(crate) struct Imports {
    running: Option<Running>,
    /// Snapshots that wait, the last one of each group.
    waiting: BTreeMap<GroupId, Message>,
    /// What was brought and not taken is being removed: until then nothing is brought anew, perhaps
    /// under the same names.
    discarding: usize,
    next_ticket: u64,
}

/// The log that is taken over.
struct Running {
    ticket: u64,
    group: GroupId,
    /// The snapshot, to be handed to the group in the end.
    snapshot: Message,
    leader: NodeId,
    /// Which records these are; the offset is the next one.
    ask: PrefixAsk,
    /// None while a job has it.
    import: Option<Box<Import>>,
    /// When it was asked for what comes next, until that is here.
    asked: Option<Mono>,
    /// It isn't wanted any more.
    given_up: bool,
}

/// Whether a snapshot is of use to a replica.
#[derive(PartialEq, Eq)]
enum Use {
    Now,
    /// It may be once the replica has heard of its leader.
    Later,
    Never,
}

impl Shard {
    /// Takes note of a snapshot whose records are to be fetched. One that comes again changes nothing.
    pub(crate) fn take_over(&mut self, group: GroupId, message: Message) {
        if let Some(running) = &mut self.imports.running
            && running.group == group
        {
            if !running.given_up && ask_of(&message).is_some_and(|ask| running.is_of(&ask)) {
                return;
            }
            self.give_up_import();
        }
        self.imports.waiting.insert(group, message);
        self.begin_import();
    }

    /// At each beat: what isn't wanted any more is given up, what wasn't answered is asked again. Whoever
    /// isn't heard for long keeps the others waiting no longer; it sends the snapshot again.
    pub(crate) fn review_imports(&mut self) {
        if let Some(running) = &self.imports.running
            && !running.given_up
            && (self.use_of(running.group, &running.snapshot) == Use::Never
                || self.is_gone(running.leader)
                || self.is_disk_full())
        {
            mark(Mark::SnapshotAborted);
            self.give_up_import();
        }
        self.begin_import();
        self.ask_for_prefix();
    }

    fn use_of(&self, group: GroupId, message: &Message) -> Use {
        let Some(replica) = self.replicas.get(&group) else {
            return Use::Never;
        };
        let term = u64::from(replica.group.term().0);
        let over = message.term() < term
            || message.to() != replica.group.me()
            || replica.suspect.is_some()
            || !replica.group.would_install(message);
        if over {
            return Use::Never;
        }
        let heard = message.term() == term && replica.group.leader() == Some(message.from().node);
        // Before its directory is there, and an older one of its name gone, nothing is put into it.
        let made = self.settled_turn >= replica.made_in;
        match heard && made && !self.is_disk_full() {
            true => Use::Now,
            false if message.term() == term && replica.group.leader().is_some() && !heard => {
                Use::Never
            }
            false => Use::Later,
        }
    }

    fn begin_import(&mut self) {
        if self.imports.running.is_some() || self.imports.discarding > 0 {
            return;
        }
        let mut next = None;
        for (group, message) in std::mem::take(&mut self.imports.waiting) {
            match self.use_of(group, &message) {
                Use::Now if next.is_none() => next = Some((group, message)),
                Use::Now | Use::Later => {
                    self.imports.waiting.insert(group, message);
                }
                Use::Never => {}
            }
        }
        let Some((group, snapshot)) = next else {
            return;
        };
        let contents = Contents::decode(snapshot.snapshot_data());
        let contents = contents.and_then(|c| Some((c.origin, c.prefix?)));
        let ask = ask_of(&snapshot);
        let (Some((origin, prefix)), Some(ask), Some(replica)) =
            (contents, ask, self.replicas.get_mut(&group))
        else {
            return;
        };
        mark(Mark::SnapshotFetched);
        let import = replica.log.plan_import(origin, prefix.about);
        self.stats.snapshot_bytes_left = prefix.bytes;
        self.imports.next_ticket += 1;
        self.imports.running = Some(Running {
            ticket: self.imports.next_ticket,
            group,
            leader: snapshot.from().node,
            snapshot,
            ask,
            import: Some(Box::new(import)),
            asked: None,
            given_up: false,
        });
        self.ask_for_prefix();
    }

    /// Asks for the next piece, or again for one that didn't come.
    fn ask_for_prefix(&mut self) {
        let now = self.now.mono;
        let Some(running) = &mut self.imports.running else {
            return;
        };
        let late = |at: Mono| now.since(at) >= limits::PREFIX_PATIENCE;
        if running.import.is_none() || running.asked.is_some_and(|at| !late(at)) {
            return;
        }
        if running.asked.is_some() {
            mark(Mark::SnapshotAskedAgain);
        }
        running.asked = Some(now);
        let item = Item::AskPrefix(running.group, running.ask);
        if let Some(peer) = self.peers.get_mut(&running.leader) {
            peer.outbox.push(item);
        }
    }

    pub(crate) fn on_prefix(
        &mut self,
        from: NodeId,
        group: GroupId,
        ask: PrefixAsk,
        piece: PrefixPiece,
    ) {
        let Some(running) = &mut self.imports.running else {
            return;
        };
        let waits = running.group == group && running.leader == from && running.ask == ask;
        if !waits || running.asked.is_none() {
            return;
        }
        running.asked = None;
        let bytes = piece.bytes();
        match piece {
            // The next beat asks again.
            PrefixPiece::Later => {}
            PrefixPiece::Gone => {
                mark(Mark::SnapshotGone);
                self.give_up_import();
            }
            PrefixPiece::Batches(batches) => {
                self.stats.snapshot_bytes += bytes;
                let left = &mut self.stats.snapshot_bytes_left;
                *left = left.saturating_sub(bytes);
                if let Some(import) = running.import.take() {
                    self.effects.jobs.push(Job::Import {
                        ticket: running.ticket,
                        group,
                        import,
                        batches: Some(batches),
                    });
                }
            }
        }
    }

    /// A job has written a piece, or taken away what was written.
    pub(crate) fn on_imported(
        &mut self,
        ticket: u64,
        import: Box<Import>,
        result: Result<Option<Imported>, ImportFault>,
    ) {
        let running = self.imports.running.as_mut();
        let Some(running) = running.filter(|running| running.ticket == ticket) else {
            return;
        };
        running.ask.from = import.next();
        match result {
            Ok(Some(imported)) => self.end_import(imported),
            Ok(None) if running.given_up => {
                running.import = Some(import);
                self.give_up_import();
            }
            Ok(None) => {
                running.import = Some(import);
                self.ask_for_prefix();
            }
            // Nothing of it is left; the leader will send the snapshot again.
            Err(fault) => {
                let group = running.group;
                self.stop_import();
                self.alarm(format!(
                    "the snapshot of group {group} was given up and will be asked for again: {fault}"
                ));
            }
        }
    }

    /// What was written was taken away.
    pub(crate) fn on_import_abandoned(&mut self, ticket: u64) {
        let running = self.imports.running.as_ref();
        if running.is_some_and(|running| running.ticket == ticket) {
            self.stop_import();
        }
    }

    fn stop_import(&mut self) {
        self.imports.running = None;
        self.stats.snapshot_bytes_left = 0;
        self.begin_import();
    }

    /// Ends what is under way, as soon as no job has it.
    fn give_up_import(&mut self) {
        let Some(running) = &mut self.imports.running else {
            return;
        };
        running.given_up = true;
        let Some(import) = running.import.take() else {
            return;
        };
        let (ticket, group) = (running.ticket, running.group);
        let replica = self.replicas.get(&group);
        let same = replica.is_some_and(|r| r.group.me() == running.snapshot.to());
        if !same {
            // Its directory is gone, and what was written there; there may be another one.
            return self.stop_import();
        }
        self.effects.jobs.push(Job::Import {
            ticket,
            group,
            import,
            batches: None,
        });
    }

    /// All is there and durable: the group takes the snapshot, if it still needs it.
    fn end_import(&mut self, imported: Imported) {
        let Some(running) = self.imports.running.take() else {
            return;
        };
        self.stats.snapshot_bytes_left = 0;
        let Running {
            group, snapshot, ..
        } = running;
        let wanted = !running.given_up && self.use_of(group, &snapshot) != Use::Never;
        let from = running.leader;
        if let Some(replica) = self.replicas.get_mut(&group)
            && replica.group.me() == snapshot.to()
        {
            replica.imported = Some(imported);
            if wanted && let Err(contradiction) = replica.group.step(snapshot) {
                self.on_contradiction(from, group, contradiction);
            }
            // If it came to nothing, collecting discards it.
            self.touch(group);
        }
        self.begin_import();
    }

    /// What was imported and not installed goes.
    pub(crate) fn discard_imported(&mut self, replica: &mut Replica) {
        if let Some(imported) = replica.imported.take() {
            mark(Mark::SnapshotAborted);
            self.imports.discarding += 1;
            let group = replica.id;
            self.effects.jobs.push(Job::Discard { group, imported });
        }
    }

    pub(crate) fn on_discarded(&mut self) {
        self.imports.discarding -= 1;
        self.begin_import();
    }

    /// True while a log is taken over in the place of this one. A rewrite that begins meanwhile would have a
    /// later name than what takes its place, and files of earlier names than one that is gone are
    /// taken for gone.
    pub(crate) fn is_replacing(&self, group: GroupId) -> bool {
        let running = self.imports.running.as_ref();
        let handed = self.replicas.get(&group).map(|r| r.imported.is_some());
        running.is_some_and(|running| running.group == group) || handed == Some(true)
    }
}

impl Running {
    /// True if this asks for the same records, wherever it begins.
    fn is_of(&self, ask: &PrefixAsk) -> bool {
        let from = self.ask.from;
        self.ask == PrefixAsk { from, ..*ask }
    }
}

/// How the records of a snapshot are asked for, from the first one on.
fn ask_of(message: &Message) -> Option<PrefixAsk> {
    let contents = Contents::decode(message.snapshot_data())?;
    Some(PrefixAsk {
        term: Term(u32::try_from(message.term()).ok()?),
        index: contents.origin.index,
        clean: contents.prefix?.about.clean,
        from: Offset(0),
    })
}
