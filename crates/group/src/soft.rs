//! What only the leader knows, and only while it leads. It is never needed to understand a
//! record, so a new leader starts without it.

mod timers;

pub(crate) use timers::{Timer, Timers};

use crate::classic::Live;
use crate::consumer;
use crate::offsets::{Deletion, Search, Sweep};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// Sessions, joins and syncs under way, timers.
#[derive(Debug, Default)]
pub struct Soft {
    /// Classic groups in use.
    pub(crate) classic: BTreeMap<Arc<str>, Live>,
    /// When something is due in them.
    pub(crate) timers: Timers,
    /// How far the search for offsets that are too old has come.
    pub(crate) sweep: Sweep,
    /// Searches for offsets whose topics are gone, one after the other.
    pub(crate) gone: VecDeque<Search>,
    /// Groups that are being deleted, one request after the other.
    pub(crate) deletions: VecDeque<Deletion>,
    /// What groups of KIP-848 need.
    pub(crate) consumer: consumer::Soft,
}

impl Soft {
    /// A classic group is no more; what it was, if it was in use.
    pub(crate) fn retire(&mut self, name: &str) -> Option<Live> {
        let mut live = self.classic.remove(name)?;
        live.stop_waits(&mut self.timers);
        Some(live)
    }
}
