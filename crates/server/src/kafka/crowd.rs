//! Who is connected: how many in all and from each address, so that neither becomes too many.

use broker::ConnectionBounds;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// All connections that are open.
#[derive(Debug, Default)]
pub struct Crowd(Mutex<Counts>);

#[derive(Debug, Default)]
struct Counts {
    all: usize,
    by: HashMap<Arc<str>, usize>,
    from: HashMap<IpAddr, usize>,
}

/// A connection's place, given back when it ends.
pub struct Place<'a> {
    crowd: &'a Crowd,
    address: IpAddr,
    listener: Arc<str>,
}

impl Crowd {
    /// Counts one more from this address by this listener, or says why there may be none.
    pub fn enter(
        &self,
        address: IpAddr,
        listener: &Arc<str>,
        bounds: &ConnectionBounds,
    ) -> Result<(), String> {
        let mut counts = self.counts();
        if counts.all >= bounds.all {
            return Err(format!("{} connections are open already", bounds.all));
        }
        let most = bounds.at_a_time_by(listener);
        let by = counts.by.get(listener).copied().unwrap_or(0);
        if by >= most {
            return Err(format!("{most} connections by {listener} are open already"));
        }
        let most = bounds.from(address);
        let from = counts.from.get(&address).copied().unwrap_or(0);
        if from >= most {
            return Err(format!("it has {most} connections already"));
        }
        counts.all += 1;
        counts.by.insert(Arc::clone(listener), by + 1);
        counts.from.insert(address, from + 1);
        Ok(())
    }

    /// The place of one that has entered.
    pub fn place(&self, address: IpAddr, listener: Arc<str>) -> Place<'_> {
        Place {
            crowd: self,
            address,
            listener,
        }
    }

    /// Connections open now.
    pub fn open(&self) -> usize {
        self.counts().all
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut counts = self.crowd.counts();
        counts.all -= 1;
        // Listeners are few, so their counts stay.
        if let Some(by) = counts.by.get_mut(&self.listener) {
            *by -= 1;
        }
        let left = counts.from.get_mut(&self.address).map(|from| {
            *from -= 1;
            *from
        });
        if left == Some(0) {
            counts.from.remove(&self.address);
        }
    }
}
