//! A client that consumes as a member of a group, classic or of KIP-848: it finds its
//! coordinator, joins, believes what it is assigned, commits and asks for offsets, dies now and
//! then. What the two protocols do is in `member/classic.rs` and `member/consumer.rs`, offsets in
//! `member/offsets.rs`. The offsets that it commits stand for nothing but themselves: each value
//! is used once in a run.

mod classic;
mod consumer;
mod offsets;

use super::links::Ask;
use super::{Common, Reach, codes, decode};
use crate::checkers::{Checked, Part};
use crate::net::Place;
use crate::scheduler::Micros;
use base::Uuid;
use classic::Classic;
use consumer::Consumer;
use std::collections::BTreeSet;
use wire_kafka::Reader;
use wire_kafka::messages::find_coordinator_request::FindCoordinatorRequest;
use wire_kafka::messages::find_coordinator_response::FindCoordinatorResponse;

/// How a member works.
#[derive(Clone, Debug)]
pub(crate) struct Habits {
    /// The number of its group.
    pub(crate) group: u32,
    /// KIP-848, or the classic protocol.
    pub(crate) modern: bool,
    pub(crate) session_ms: i32,
    /// Mean time between two heartbeats.
    pub(crate) beat: Micros,
    pub(crate) commit_percent: u64,
    /// Of a thousand beats, before how many it leaves or dies.
    pub(crate) leaves: u64,
    pub(crate) dies: u64,
}

/// What a request of a member was for.
#[derive(Clone, Debug)]
pub(crate) enum GroupAsk {
    Coordinator,
    Join,
    /// When it was sent, and the newest generation known then.
    Sync(Micros, i32),
    Beat(Micros),
    Leave,
    Commit(Part, i64),
    /// When it was asked, and for which partitions.
    Offsets(Micros, Vec<Part>),
}

/// The member.
pub(crate) struct Member {
    pub(crate) habits: Habits,
    coordinator: Option<Place>,
    protocol: Protocol,
    /// A request about membership waits for its answer.
    busy: bool,
    committing: bool,
    fetching: bool,
    /// Before it commits it asks where the group is, as after any other coordinator.
    asks_first: bool,
    next_at: Micros,
    /// What it believes to own, as its group calls it.
    owned: BTreeSet<Part>,
    /// It keeps calm, and asks once more for all offsets that were ever committed.
    pub(crate) draining: bool,
    pub(crate) reviewed: bool,
}

enum Protocol {
    Classic(Classic),
    Modern(Consumer),
}

/// The name of a group by its number.
pub(crate) fn group_name(group: u32) -> String {
    format!("group-{group}")
}

/// The first topics of a run are consumed by every group.
pub(crate) const TOPICS: std::ops::Range<u32> = 0..3;

impl Member {
    pub(crate) fn new(habits: Habits) -> Member {
        let protocol = match habits.modern {
            true => Protocol::Modern(Consumer::default()),
            false => Protocol::Classic(Classic::default()),
        };
        Member {
            habits,
            coordinator: None,
            protocol,
            busy: false,
            committing: false,
            fetching: false,
            asks_first: true,
            next_at: 0,
            owned: BTreeSet::new(),
            draining: false,
            reviewed: false,
        }
    }

    /// What it owns, if it is a member in good standing; and the generation, if there is one
    /// common to all members.
    pub(crate) fn stands(&self) -> Option<(Option<i32>, &BTreeSet<Part>)> {
        let generation = match &self.protocol {
            Protocol::Classic(classic) => Some(classic.stable()?),
            Protocol::Modern(consumer) => {
                consumer.stable()?;
                None
            }
        };
        Some((generation, &self.owned))
    }

    fn name(&self) -> String {
        group_name(self.habits.group)
    }

    /// Until when a session lasts at least that was renewed by a request sent at `sent`.
    fn lasts(&self, sent: Micros) -> Micros {
        sent + self.habits.session_ms as Micros * 1_000
    }

    pub(crate) fn act(&mut self, common: &mut Common, reach: &mut Reach<'_>) -> Micros {
        if reach.now < self.next_at {
            return self.next_at;
        }
        self.next_at = reach.now + common.random.between(1_000, 2 * self.habits.beat);
        let Some(node) = self.coordinator else {
            self.find(common, reach);
            return self.next_at;
        };
        let roll = common.random.below(1_000);
        if roll < self.habits.dies && !self.draining {
            self.die(common, reach);
            return self.next_at;
        }
        // Now and then it looks for its coordinator though it has one: whoever led before may not
        // know that somebody else does.
        if common.random.percent(8) && !self.draining {
            self.find(common, reach);
            return self.next_at;
        }
        let leaves = roll < self.habits.dies + self.habits.leaves && !self.draining;
        if !self.busy {
            self.busy = true;
            match &mut self.protocol {
                Protocol::Classic(_) => self.act_classic(common, reach, node, leaves),
                Protocol::Modern(_) => self.act_modern(common, reach, node, leaves),
            }
        }
        self.act_on_offsets(common, reach, node);
        self.next_at
    }

    /// Dies without a word, and begins anew.
    fn die(&mut self, common: &Common, reach: &mut Reach<'_>) {
        reach.tell(|| format!("client {} dies and begins anew", common.id));
        self.own(BTreeSet::new(), common, reach);
        self.coordinator = None;
        self.protocol = match self.habits.modern {
            true => Protocol::Modern(Consumer::default()),
            false => Protocol::Classic(Classic::default()),
        };
    }

    /// Believes to own nothing but `parts`; what is new there comes with a told session.
    fn own(&mut self, parts: BTreeSet<Part>, common: &Common, reach: &mut Reach<'_>) {
        for part in self.owned.difference(&parts) {
            let owners = &mut reach.checkers.owners;
            owners.dropped(self.habits.group, *part, common.id);
        }
        self.owned = parts;
    }

    /// Takes over what it was given by `node` in answer to a request sent at `sent`.
    fn given(
        &mut self,
        parts: BTreeSet<Part>,
        common: &Common,
        reach: &mut Reach<'_>,
        (node, sent): (Place, Micros),
    ) -> Checked {
        let new: Vec<Part> = parts.difference(&self.owned).copied().collect();
        self.own(parts, common, reach);
        let until = self.lasts(sent);
        for part in new.into_iter().filter(|part| !reach.book.doomed(*part)) {
            let when = (node, reach.now, until);
            let owners = &mut reach.checkers.owners;
            owners.took(self.habits.group, part, common.id, when)?;
        }
        Ok(())
    }

    /// Its session was renewed by `node`, by a request sent at `sent`.
    fn renewed(&mut self, common: &Common, reach: &mut Reach<'_>, node: Place, sent: Micros) {
        let until = self.lasts(sent);
        for part in &self.owned {
            let owners = &mut reach.checkers.owners;
            owners.renewed(self.habits.group, *part, common.id, (node, until));
        }
    }

    fn find(&mut self, common: &mut Common, reach: &mut Reach<'_>) {
        if std::mem::replace(&mut self.busy, true) {
            return;
        }
        let node = common.any_node(reach);
        let version = common.version::<FindCoordinatorRequest>();
        let body = FindCoordinatorRequest {
            key: self.name(),
            key_type: 0,
            coordinator_keys: vec![self.name()],
        };
        let ask = Ask::Group(GroupAsk::Coordinator);
        common.ask(reach, node, version, &body, ask);
    }

    fn found(&mut self, answer: &FindCoordinatorResponse) -> Checked {
        let several = answer.coordinators.first();
        let (code, node) = several.map_or((answer.error_code, answer.node_id), |one| {
            (one.error_code, one.node_id)
        });
        match code {
            codes::NONE => {
                let found = usize::try_from(node).ok().and_then(|n| n.checked_sub(1));
                self.asks_first |= found != self.coordinator;
                self.coordinator = found;
                Ok(())
            }
            code if codes::retriable(code) => Ok(()),
            code => Err(super::producer::unexpected("FindCoordinator", code)),
        }
    }

    /// What a code says of the coordinator; false if it says something of the member.
    fn moved(&mut self, code: i16) -> bool {
        match code {
            codes::NOT_COORDINATOR | codes::COORDINATOR_NOT_AVAILABLE => {
                self.coordinator = None;
                true
            }
            codes::COORDINATOR_LOADING => true,
            _ => false,
        }
    }

    pub(crate) fn answered(
        &mut self,
        common: &mut Common,
        reach: &mut Reach<'_>,
        ask: GroupAsk,
        (version, node): (i16, Place),
        mut reader: Reader,
    ) -> Checked {
        match ask {
            GroupAsk::Commit(part, value) => {
                self.committing = false;
                self.committed(common, reach, (part, value), version, reader)
            }
            GroupAsk::Offsets(asked, parts) => {
                self.fetching = false;
                self.fetched(reach, (asked, &parts), (version, node), reader)
            }
            GroupAsk::Coordinator => {
                self.busy = false;
                let answer = decode(version, &mut reader)?;
                self.found(&answer)
            }
            ask => {
                self.busy = false;
                match &self.protocol {
                    Protocol::Classic(_) => {
                        self.classic_answered(common, reach, ask, (version, node), reader)
                    }
                    Protocol::Modern(_) => {
                        self.modern_answered(common, reach, ask, (version, node), reader)
                    }
                }
            }
        }
    }

    /// No answer will come.
    pub(crate) fn lost(&mut self, ask: &GroupAsk) {
        match ask {
            GroupAsk::Commit(..) => self.committing = false,
            GroupAsk::Offsets(..) => self.fetching = false,
            _ => {
                self.busy = false;
                if let Protocol::Modern(consumer) = &mut self.protocol {
                    consumer.tell_all();
                }
            }
        }
        self.coordinator = None;
    }
}

/// The id of a topic as a member names it; zero where it doesn't know it.
fn id_of(common: &Common, topic: u32) -> Uuid {
    common.view.ids.get(&topic).copied().unwrap_or_default()
}
