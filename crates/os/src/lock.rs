//! One process per data directory: an advisory lock that the kernel drops with the process.

use rustix::fs::{FlockOperation, flock};
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

/// Holds the lock of a directory until it is dropped or the process ends, however it ends.
#[derive(Debug)]
pub struct DirLock {
    _file: File,
}

/// Why the lock was not had.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process has it.
    #[error("{} is in use by {holder}; stop that process or choose another directory", path.display())]
    InUse {
        /// The lock file.
        path: PathBuf,
        /// "process 123", as far as it is known.
        holder: String,
    },
    /// The file can't be made or locked.
    #[error("can't lock {}: {source}", path.display())]
    Io {
        /// The lock file.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
}

impl DirLock {
    /// Takes the lock `dir/lock`, without waiting, and writes this process's id into it.
    pub fn take(dir: &Path) -> Result<DirLock, LockError> {
        let path = dir.join("lock");
        let io = |source| LockError::Io {
            path: path.clone(),
            source,
        };
        let mut file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(io)?;
        lock(&mut file, FlockOperation::NonBlockingLockExclusive, &path)?;
        file.set_len(0).map_err(io)?;
        // A full disk must not keep a node from starting: the id is a help, the lock is the lock.
        let _ = file.write_all(format!("{}\n", std::process::id()).as_bytes());
        Ok(DirLock { _file: file })
    }

    /// Takes it to look only, beside others who look, and writes nothing. None if no process ever
    /// had the directory.
    pub fn look(dir: &Path) -> Result<Option<DirLock>, LockError> {
        let path = dir.join("lock");
        let mut file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(LockError::Io { path, source }),
        };
        lock(&mut file, FlockOperation::NonBlockingLockShared, &path)?;
        Ok(Some(DirLock { _file: file }))
    }
}

fn lock(file: &mut File, how: FlockOperation, path: &Path) -> Result<(), LockError> {
    let path = path.to_owned();
    match flock(&*file, how) {
        Ok(()) => Ok(()),
        Err(rustix::io::Errno::WOULDBLOCK) => {
            let holder = holder(file);
            Err(LockError::InUse { path, holder })
        }
        Err(error) => {
            let source = error.into();
            Err(LockError::Io { path, source })
        }
    }
}

fn holder(file: &mut File) -> String {
    let mut text = String::new();
    match file.take(32).read_to_string(&mut text) {
        Ok(_) if !text.trim().is_empty() => format!("process {}", text.trim()),
        _ => "another process".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::tests::TempDir;

    #[test]
    fn the_second_taker_is_told_who_has_it_and_the_next_one_gets_it() {
        let dir = TempDir::new("lock");
        let first = DirLock::take(dir.path()).expect("nobody has it");
        let refused = DirLock::take(dir.path())
            .expect_err("it is taken")
            .to_string();
        let id = std::process::id();
        assert!(
            refused.contains(&format!("in use by process {id};")),
            "{refused}"
        );
        DirLock::look(dir.path()).expect_err("it is taken");
        drop(first);
        let looking = DirLock::look(dir.path()).expect("nobody has it");
        DirLock::look(dir.path()).expect("others may look too");
        DirLock::take(dir.path()).expect_err("somebody looks");
        drop(looking);
        DirLock::take(dir.path()).expect("it was given back");
    }
}
