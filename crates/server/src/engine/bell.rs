//! A bell for one sleeper.

use std::sync::{Condvar, Mutex};
use std::time::Duration;

/// The bell. A ring while nobody sleeps isn't lost: the next sleep ends at once.
#[derive(Default)]
pub struct Bell {
    rung: Mutex<bool>,
    wake: Condvar,
}

impl Bell {
    /// Wakes the sleeper.
    pub fn ring(&self) {
        *self.rung.lock().expect(UNPOISONED) = true;
        self.wake.notify_one();
    }

    /// Sleeps until the next ring: for ever, or for at most `wait`.
    pub fn sleep(&self, wait: Option<Duration>) {
        let rung = self.rung.lock().expect(UNPOISONED);
        let quiet = |rung: &mut bool| !*rung;
        let mut rung = match wait {
            None => self.wake.wait_while(rung, quiet).expect(UNPOISONED),
            Some(wait) => {
                self.wake
                    .wait_timeout_while(rung, wait, quiet)
                    .expect(UNPOISONED)
                    .0
            }
        };
        *rung = false;
    }
}

const UNPOISONED: &str = "no thread panics while it holds the bell";
