//! Moments at which something may be due. An entry is a hint: whoever put it in keeps the real
//! deadline and looks at it when the entry comes up. So a heartbeat, which only moves a deadline,
//! doesn't touch this at all. Who doesn't wait any more takes its entry out.

use base::Mono;
use std::collections::BTreeSet;
use std::sync::Arc;

/// What may be due.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Timer {
    /// The session of a member, or of an id that waits to be used.
    Session {
        /// The group.
        group: Arc<str>,
        /// The member.
        member: Arc<str>,
    },
    /// A phase of joining.
    Join(Arc<str>),
    /// A phase of syncing.
    Sync(Arc<str>),
    /// The next part of the search for offsets that are too old.
    Sweep,
    /// The next part of the search for offsets whose topics are gone.
    Gone,
    /// The next part of groups that are being deleted.
    Deletions,
}

/// The entries in order of time.
#[derive(Debug, Default)]
pub(crate) struct Timers(BTreeSet<(Mono, Timer)>);

impl Timers {
    pub(crate) fn arm(&mut self, at: Mono, timer: Timer) {
        self.0.insert((at, timer));
    }

    pub(crate) fn disarm(&mut self, at: Mono, timer: Timer) {
        self.0.remove(&(at, timer));
    }

    /// Takes the entry at `old` out, if there is one, and puts one in at `at`.
    pub(crate) fn move_to(&mut self, old: Option<Mono>, at: Mono, timer: Timer) {
        if let Some(old) = old {
            self.disarm(old, timer.clone());
        }
        self.arm(at, timer);
    }

    /// Entries.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The first entry's time.
    pub(crate) fn due(&self) -> Option<Mono> {
        self.0.first().map(|(at, _)| *at)
    }

    /// Takes the first entry, if its time has come.
    pub(crate) fn pop(&mut self, now: Mono) -> Option<(Mono, Timer)> {
        if self.due()? > now {
            return None;
        }
        self.0.pop_first()
    }
}
