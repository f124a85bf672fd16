//! Memory that requests in flight may take, over all connections of the node.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The budget.
#[derive(Debug)]
pub struct Budget {
    limit: u64,
    used: AtomicU64,
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
        }
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

    /// Bytes taken.
    pub fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    /// Bytes that there are.
    pub fn limit(&self) -> u64 {
        self.limit
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
}
