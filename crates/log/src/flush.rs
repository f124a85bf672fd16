//! A flush: what lets the write-ahead log forget. Runs off the storage thread.

use crate::fault::Fault;

/// A flush to run: segments are synced, then the checkpoint is replaced.
pub struct Flush {}

impl Flush {
    /// Runs it.
    pub fn run(&mut self) -> Result<(), Fault> {
        Ok(())
    }
}
