//! Ctrl-C, and what else ends a program: the first time a command that others count on gives up what it
//! holds, the second time it ends at once.

use crate::client::Trouble;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag::{register, register_conditional_shutdown};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// What a shell makes of a program that a signal ended is this and the signal's number.
const ENDED_BY_SIGNAL: i32 = 128;

/// Whether the command was told to stop.
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// From now on it is up to the command to stop.
    pub fn listen() -> Result<Stop, Trouble> {
        let told = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            let code = ENDED_BY_SIGNAL + signal;
            // In this order: the first signal finds nothing said yet.
            register_conditional_shutdown(signal, code, told.clone())?;
            register(signal, told.clone())?;
        }
        Ok(Stop(told))
    }

    /// Nobody tells it.
    #[cfg(test)]
    pub fn never() -> Stop {
        Stop(Arc::default())
    }

    /// True once it was told.
    pub fn is_told(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
