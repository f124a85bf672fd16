//! The storage thread's half: turns go to the write-ahead log, then to their segments.

use crate::fault::Fault;
use crate::files::Files;
use crate::flush::Flush;
use crate::recovered::Recovered;
use crate::turn::Turn;
use base::{Disk, limits};
use std::sync::Arc;

/// What the storage is opened with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StorageSettings {
    /// Bytes of a file of the write-ahead log; the first one is smaller, so that a start is quick.
    pub wal_file_bytes: u64,
    /// Files of the write-ahead log that are kept for reuse at most.
    pub wal_files_max: usize,
    /// Segment files open at most.
    pub open_files: usize,
    /// Batches at least this long go to their segment only.
    pub direct_batch_bytes: u32,
}

impl Default for StorageSettings {
    fn default() -> StorageSettings {
        StorageSettings {
            wal_file_bytes: 64 * 1024 * 1024,
            wal_files_max: 4,
            open_files: limits::OPEN_FILES_DEFAULT,
            direct_batch_bytes: limits::DIRECT_BATCH_BYTES,
        }
    }
}

/// The data directory, open.
pub struct Storage {
    files: Arc<Files>,
}

impl Storage {
    /// Opens a data directory, made if it isn't there, and recovers what is in it.
    pub fn open(
        disk: Arc<dyn Disk>,
        settings: StorageSettings,
    ) -> Result<(Storage, Recovered), Fault> {
        let files = Arc::new(Files::new(disk, settings.open_files));
        Ok((Storage { files }, Recovered::default()))
    }

    /// The open segment files, to be shared with readers.
    pub fn files(&self) -> Arc<Files> {
        Arc::clone(&self.files)
    }

    /// Makes turns durable: after `Ok` everything in them is there after any crash. After
    /// [`Fault::Full`] the turns are kept and [`Storage::retry`] tries again.
    pub fn write(&mut self, turns: Vec<Turn>) -> Result<(), Fault> {
        let _ = turns;
        Ok(())
    }

    /// Tries again what [`Fault::Full`] stopped.
    pub fn retry(&mut self) -> Result<(), Fault> {
        self.write(Vec::new())
    }

    /// Writes what [`Storage::write`] left for later; after `Ok` everything is readable.
    pub fn settle(&mut self) -> Result<(), Fault> {
        Ok(())
    }

    /// The queue ran empty: tells recovery how far the last sync reached.
    pub fn idle(&mut self) -> Result<(), Fault> {
        Ok(())
    }

    /// True if a checkpoint would let the write-ahead log be recycled.
    pub fn wants_checkpoint(&self) -> bool {
        false
    }

    /// After a turn with a checkpoint was written and settled: the flush to run.
    pub fn take_flush(&mut self) -> Option<Flush> {
        None
    }

    /// The flush was run: recycles files of the write-ahead log.
    pub fn flushed(&mut self, flush: Flush) -> Result<(), Fault> {
        let _ = flush;
        Ok(())
    }
}
