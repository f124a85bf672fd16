//! Partitions that go on without their majority: who was told to, when it happens, what may be lost.

use super::World;
use crate::checkers::eras::Piece;
use crate::checkers::{Checked, Part, violation};
use crate::net::Place;
use crate::payload::{self, Ident};
use crate::plan::SECOND;
use crate::scheduler::Micros;
use base::{Batch, GroupId, Member, record};
use log::{Record, Turn};
use meta::PartitionInfo;
use std::collections::BTreeMap;

/// After so long without any trouble every node is heard by all others, and whatever was decided
/// before is on record.
const CALM: Micros = 5 * SECOND;

impl World {
    /// Something is out of order, or has just been put in order again.
    pub(super) fn trouble(&mut self) {
        self.troubled_at = self.scheduler.now();
    }

    fn is_calm(&self) -> bool {
        let now = self.scheduler.now();
        let well = |node: &crate::node::Node| {
            node.process.is_some() && node.paused_until.is_none() && node.slow_until + CALM < now
        };
        self.troubled_at + CALM < now && self.net.is_free() && self.nodes.iter().all(well)
    }

    /// Whom the metadata tells to go on alone.
    pub(super) fn learn_survivors(&mut self, image: &meta::Image) -> Checked {
        for info in image.topics.values().flat_map(|topic| &topic.partitions) {
            let part = self.parts.get(&info.group.0).copied();
            if let (Some(survivor), Some(part), Some(moves)) = (info.survivor(), part, &info.moves)
            {
                // Other aims may follow while it is still the survivor.
                let over = |member: &&Member| moves.renewed.contains(&member.node);
                let renewed = moves.incarnations.iter().filter(over);
                let last = renewed.map(|member| member.incarnation).max().unwrap_or(0);
                if self.checkers.eras.told(part, survivor.node.0, last) {
                    self.check_needed(part, info)?;
                }
            }
        }
        Ok(())
    }

    fn check_needed(&self, part: Part, info: &PartitionInfo) -> Checked {
        if !self.book.elects(part) && !self.is_recovered() {
            let what = format!("{part} is to go on alone: {info:?}");
            return Err(violation("nobody goes on alone unasked", what));
        }
        if self.is_calm() && !self.is_recovered() {
            let what = format!("{part}, all of whose replicas are heard: {info:?}");
            return Err(violation(
                "no majority is done without while it is there",
                what,
            ));
        }
        Ok(())
    }

    /// What a turn of a node says of eras; `end` says where a log of that node ends.
    pub(super) fn watch(
        &mut self,
        place: Place,
        turn: &Turn,
        end: impl Fn(&World, GroupId) -> Option<i64>,
    ) -> Checked {
        let mut begun: BTreeMap<u64, u32> = BTreeMap::new();
        for record in &turn.records {
            let (group, term, batch) = match record {
                Record::Batch {
                    group, term, batch, ..
                } => (group, term, Some(batch)),
                Record::Internal { group, term, .. } => (group, term, None),
                Record::Create { group, .. } | Record::Install { group, .. } => {
                    if let Some(part) = self.parts.get(&group.0) {
                        self.checkers.eras.begins_anew(*part, place as u32 + 1);
                    }
                    continue;
                }
                _ => continue,
            };
            let Some(part) = self.parts.get(&group.0).copied() else {
                continue;
            };
            if !self.book.may_lose(part) {
                continue;
            }
            match batch {
                Some(batch) => {
                    if let Some(first) = first_of(batch) {
                        let header = batch.header();
                        let piece = Piece {
                            first,
                            base: header.base_offset.0,
                            next: header.next_offset().0,
                        };
                        let node = place as u32 + 1;
                        self.checkers.eras.appended(part, node, piece, term.0);
                    }
                }
                None if self.checkers.eras.is_new(part, term.0) => {
                    begun.entry(group.0).or_insert(term.0);
                }
                None => {}
            }
        }
        for (group, term) in begun {
            let end = end(self, GroupId(group));
            self.goes_on_alone(place, turn, (group, term), end)?;
        }
        Ok(())
    }

    fn goes_on_alone(
        &mut self,
        place: Place,
        turn: &Turn,
        (id, since): (u64, u32),
        end: Option<i64>,
    ) -> Checked {
        let part = self.parts[&id];
        let written = turn.records.iter().filter_map(|record| match record {
            Record::Batch {
                group, term, batch, ..
            } if group.0 == id && term.0 >= since => Some(batch.header().base_offset.0),
            _ => None,
        });
        let (end, node) = (written.min().or(end).unwrap_or(0), place as u32 + 1);
        self.trace.tell(self.scheduler.now(), || {
            format!("  {part} goes on with node {node} alone in term {since}, from offset {end} on")
        });
        self.checkers.goes_on_alone(part, node, since, end)
    }
}

/// The identity of a batch's first record.
fn first_of(batch: &Batch) -> Option<Ident> {
    let first = record::read(batch.body(), &mut 0).ok()?;
    payload::read(first.value?).ok()
}
