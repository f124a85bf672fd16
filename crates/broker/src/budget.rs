//! Memory that requests in flight may take, or answers, over all connections of the node.

use base::Mono;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The budget.
#[derive(Debug)]
pub struct Budget {
    limit: u64,
    used: AtomicU64,
    /// When somebody asked in vain last, in microseconds.
    lacked: AtomicU64,
}

/// A part of the budget; given back when dropped.
#[derive(Debug)]
pub struct Share {
    budget: Arc<Budget>,
    bytes: u64,
}

impl Budget {
    /// A budget of `limit` bytes.
    pub fn new(limit: u64) -> Budget {
        Budget {
            limit,
            used: AtomicU64::new(0),
            lacked: AtomicU64::new(0),
        }
    }

    /// Notes that somebody asks in vain now.
    pub fn lack(&self, now: Mono) {
        self.lacked.fetch_max(now.0, Ordering::Relaxed);
    }

    /// True if somebody asked in vain within this time.
    pub fn is_lacked(&self, now: Mono, within: Duration) -> bool {
        let last = self.lacked.load(Ordering::Relaxed);
        last > 0 && now.since(Mono(last)) <= within
    }

    /// Takes bytes, unless that would exceed the budget. What exceeds it alone gets it whole when
    /// nobody else has any, or it would wait for ever.
    pub fn take(self: &Arc<Self>, bytes: u64) -> Option<Share> {
        let grown = |used: u64| {
            let sum = used.saturating_add(bytes);
            (sum <= self.limit || used == 0).then_some(sum)
        };
        self.used
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, grown)
            .ok()?;
        Some(Share {
            budget: self.clone(),
            bytes,
        })
    }

    /// Takes as many of these bytes as there are, perhaps none.
    pub fn take_some(self: &Arc<Self>, bytes: u64) -> Share {
        let mut taken = 0;
        let grown = |used: u64| {
            taken = bytes.min(self.limit.saturating_sub(used));
            Some(used + taken)
        };
        let _ = self
            .used
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, grown);
        Share {
            budget: self.clone(),
            bytes: taken,
        }
    }

    /// Bytes taken.
    pub fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    /// Bytes that there are.
    pub fn limit(&self) -> u64 {
        self.limit
    }

    /// Bytes that nobody has taken.
    pub fn left(&self) -> u64 {
        self.limit.saturating_sub(self.used())
    }
}

impl Share {
    /// Bytes of it.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Makes it so large, within the budget or not: for what can't be refused any more.
    pub fn resize(&mut self, bytes: u64) {
        let used = &self.budget.used;
        if bytes >= self.bytes {
            used.fetch_add(bytes - self.bytes, Ordering::Relaxed);
        } else {
            used.fetch_sub(self.bytes - bytes, Ordering::Relaxed);
        }
        self.bytes = bytes;
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.budget.used.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_budget_is_never_exceeded_but_by_one_alone() {
        let budget = Arc::new(Budget::new(10));
        let first = budget.take(6).unwrap();
        assert!(budget.take(5).is_none());
        let second = budget.take(4).unwrap();
        drop(first);
        assert!(budget.take(7).is_none());
        drop(second);
        assert_eq!(budget.used(), 0);
        let huge = budget.take(100).unwrap();
        assert!(budget.take(1).is_none());
        drop(huge);
        assert!(budget.take(1).is_some());
    }

    #[test]
    fn some_is_what_is_left_and_a_share_may_change() {
        let budget = Arc::new(Budget::new(10));
        let first = budget.take(7).unwrap();
        let mut second = budget.take_some(7);
        assert_eq!((second.bytes(), budget.left()), (3, 0));
        assert_eq!(budget.take_some(1).bytes(), 0);
        second.resize(5);
        assert_eq!((budget.used(), budget.left()), (12, 0));
        second.resize(1);
        assert_eq!(budget.left(), 2);
        drop((first, second));
        assert_eq!(budget.used(), 0);
    }
}
