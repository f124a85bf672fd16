//! Who is connected: how many in all and from each address, so that neither becomes too many.

use broker::ConnectionBounds;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// All connections that are open.
#[derive(Debug, Default)]
pub struct Crowd(Mutex<Counts>);

#[derive(Debug, Default)]
struct Counts {
    all: usize,
    from: HashMap<IpAddr, usize>,
}

/// A connection's place, given back when it ends.
pub struct Place<'a> {
    crowd: &'a Crowd,
    address: IpAddr,
}

impl Crowd {
    /// Counts one more from this address, or says why there may be none.
    pub fn enter(&self, address: IpAddr, bounds: &ConnectionBounds) -> Result<(), String> {
        let mut counts = self.counts();
        if counts.all >= bounds.all {
            return Err(format!("{} connections are open already", bounds.all));
        }
        let most = bounds.from(address);
        let from = counts.from.get(&address).copied().unwrap_or(0);
        if from >= most {
            return Err(format!("it has {most} connections already"));
        }
        counts.all += 1;
        counts.from.insert(address, from + 1);
        Ok(())
    }

    /// The place of one that has entered.
    pub fn place(&self, address: IpAddr) -> Place<'_> {
        let crowd = self;
        Place { crowd, address }
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
        let left = counts.from.get_mut(&self.address).map(|from| {
            *from -= 1;
            *from
        });
        if left == Some(0) {
            counts.from.remove(&self.address);
        }
    }
}
