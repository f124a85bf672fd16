//! Snapshots as the `raft` crate asks for them: when a follower needs entries that are gone.

use super::{Contradiction, Group};
use crate::Message;
use crate::configure::{self, id_of};
use base::{Bug, Configuration, Mark, Member, RaftIndex, Term, mark, planted};
use bytes::Bytes;
use raft::eraftpb::Snapshot;
use raft::{ProgressState, SnapshotStatus};

/// A snapshot that takes the place of the whole log, up to its entry. Until that is durable nothing
/// is answered, so a crash before it leaves the old log and all that it acknowledged.
#[derive(Debug, Clone)]
pub struct Install {
    /// The last entry that it stands for.
    pub index: RaftIndex,
    /// Its term.
    pub term: Term,
    /// Who belongs to the group, and the entry that says so; it may be a later one.
    pub configuration: (Configuration, RaftIndex),
    /// What the leader's driver said.
    pub data: Bytes,
}

impl Group {
    /// A snapshot for this replica is lost, or took too long: it is probed again.
    pub fn snapshot_failed(&mut self, member: Member) {
        let progress = self.raw.raft.prs().get(id_of(member));
        let is_sent = progress.is_some_and(|p| p.state == ProgressState::Snapshot);
        if !is_sent || planted(Bug::SnapshotNeverFails) {
            return;
        }
        mark(Mark::SnapshotFailed);
        self.raw
            .report_snapshot(id_of(member), SnapshotStatus::Failure);
    }

    /// True if the crate, handed this snapshot now, may replace the log by it: by the crate's own rule,
    /// which takes one whose last entry is here for news of a commit.
    pub fn would_install(&self, message: &Message) -> bool {
        let log = &self.raw.raft.raft_log;
        let about = message.raft.get_snapshot().get_metadata();
        about.index >= log.committed && !log.match_term(about.index, about.term)
    }

    /// A snapshot that has another entry where one is committed here.
    pub(super) fn replaced_by(&self, snapshot: &Snapshot) -> Option<Contradiction> {
        let log = &self.raw.raft.raft_log;
        let about = snapshot.get_metadata();
        let here = log.term(about.index).unwrap_or(0);
        let replaced = about.index <= log.committed && here != 0 && here != about.term;
        replaced.then_some(Contradiction::Replaced {
            index: RaftIndex(about.index),
        })
    }

    pub(super) fn take_snapshot(&mut self, number: u64, snapshot: &Snapshot) -> Install {
        let about = snapshot.get_metadata();
        let (index, term) = (RaftIndex(about.index), Term(about.term as u32));
        let (configured, aim) = Message::configured(snapshot);
        let configuration = configure::of_state(about.get_conf_state(), aim);
        let store = self.raw.mut_store();
        store.install(index, term);
        store.configure(configuration.clone(), configured);
        self.installing = Some((number, index));
        Install {
            index,
            term,
            configuration: (configuration, configured),
            data: Message::data_of(snapshot),
        }
    }
}
