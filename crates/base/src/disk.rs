//! The port to a data directory. `os` implements it with real files, `sim` with files that
//! lose, tear and rot. Paths are relative to the data directory and use `/`.

use std::io;
use std::sync::Arc;

/// How to open a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Open {
    /// It must exist.
    Existing,
    /// It is made if it doesn't exist.
    OrCreate,
}

/// A data directory. Names of new files are durable once their directory is synced.
pub trait Disk: Send + Sync {
    /// Opens a file for reading and writing.
    fn open(&self, path: &str, how: Open) -> io::Result<Arc<dyn File>>;
    /// Opens a file that is there, to be written in whole sectors and synced after each write. Nobody
    /// will read it soon, so it may be kept out of the page cache.
    fn open_journal(&self, path: &str) -> io::Result<Arc<dyn File>> {
        self.open(path, Open::Existing)
    }
    /// Removes a file; a missing one is an error of kind `NotFound`.
    fn remove(&self, path: &str) -> io::Result<()>;
    /// As [`Disk::remove`], for files that may be large; the room may come back later.
    fn discard(&self, path: &str) -> io::Result<()> {
        self.remove(path)
    }
    /// Renames a file over another, atomically.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    /// The names in a directory, sorted.
    fn list(&self, dir: &str) -> io::Result<Vec<String>>;
    /// Makes a directory and its parents.
    fn create_dir(&self, dir: &str) -> io::Result<()>;
    /// Removes a directory and everything in it; its room may come back later.
    fn remove_dir(&self, dir: &str) -> io::Result<()>;
    /// Makes the names in a directory durable.
    fn sync_dir(&self, dir: &str) -> io::Result<()>;
    /// Makes written bytes of several files durable, perhaps at the same time. All syncs have ended
    /// when this returns; an error tells the place of one file that failed.
    fn sync_many(&self, files: &[Arc<dyn File>]) -> Result<(), (usize, io::Error)> {
        let mut outcome = Ok(());
        for (at, file) in files.iter().enumerate() {
            outcome = outcome.and(file.sync_data().map_err(|error| (at, error)));
        }
        outcome
    }
    /// Makes everything durable that was written below a directory, bytes and names of so many files,
    /// all in one go. False, and nothing is promised, where that can't be done, couldn't be relied on,
    /// or isn't worth it for so few: then each file is to be synced, and each directory.
    fn sync_below(&self, _dir: &str, _files: usize) -> io::Result<bool> {
        Ok(false)
    }
    /// Bytes that can still be written.
    fn free_bytes(&self) -> io::Result<u64>;
    /// Bytes that the whole device has, if that can be told.
    fn total_bytes(&self) -> io::Result<u64> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// An open file. Positions are absolute; no cursor is shared.
pub trait File: Send + Sync {
    /// Its length.
    fn len(&self) -> io::Result<u64>;
    /// True if it has no bytes.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }
    /// Fills `buf` from `pos`; an end before that is an error of kind `UnexpectedEof`.
    fn read_at(&self, buf: &mut [u8], pos: u64) -> io::Result<()>;
    /// As `read_at`, but only if no device has to be waited for; false if one has.
    fn read_at_cached(&self, buf: &mut [u8], pos: u64) -> io::Result<bool>;
    /// Writes all pieces one after the other from `pos`. Not durable before `sync_data`.
    fn write_at(&self, pieces: &[&[u8]], pos: u64) -> io::Result<()>;
    /// Cuts or extends (with zeros) to `len`.
    fn set_len(&self, len: u64) -> io::Result<()>;
    /// Writes real zeros up to `len` and syncs, so that later writes in place change no metadata.
    fn preallocate(&self, len: u64) -> io::Result<()>;
    /// Makes written bytes durable. After an error nothing may be assumed about any of them.
    fn sync_data(&self) -> io::Result<()>;
}
