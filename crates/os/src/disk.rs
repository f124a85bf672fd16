//! A data directory on a real filesystem.

use crate::file::DataFile;
use crate::journal::JournalFile;
use crate::syncer::Syncer;
use crate::trash::Trash;
use crate::whole::Whole;
use base::{Disk, File, Open};
use rustix::fs::{fsync, statvfs};
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

/// Files for which the whole filesystem is synced. For fewer it would be a bad bargain: it waits for
/// what other programs wrote, too.
const FILES_AT_ONCE_MIN: usize = 64;

/// A data directory. All paths are relative to its root and stay inside of it.
pub struct DataDir {
    root: PathBuf,
    syncer: Syncer,
    trash: Trash,
    /// To sync everything at once.
    whole: Option<Whole>,
}

impl DataDir {
    /// Makes the directory if it isn't there, durably.
    pub fn open(root: &Path) -> io::Result<DataDir> {
        let parents = parents_of_missing(root);
        if !parents.is_empty() {
            fs::create_dir_all(root)?;
        }
        for parent in parents {
            sync_directory(parent)?;
        }
        Ok(DataDir {
            root: root.to_owned(),
            syncer: Syncer::default(),
            trash: Trash::of(root),
            whole: Whole::of(root)?,
        })
    }

    /// Where it is.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Gives back the room of what was removed before, as far as that wasn't done. By whoever has the
    /// directory to itself.
    pub fn sweep(&self) -> io::Result<()> {
        self.trash.sweep()
    }

    fn path(&self, path: &str) -> io::Result<PathBuf> {
        let relative = Path::new(path);
        let inside = relative
            .components()
            .all(|c| matches!(c, Component::Normal(_) | Component::CurDir));
        if inside {
            Ok(self.root.join(relative))
        } else {
            let text = format!("'{path}' leads out of the data directory");
            Err(io::Error::new(ErrorKind::InvalidInput, text))
        }
    }
}

impl Disk for DataDir {
    fn open(&self, path: &str, how: Open) -> io::Result<Arc<dyn File>> {
        let file = fs::File::options()
            .read(true)
            .write(true)
            .create(how == Open::OrCreate)
            .truncate(false)
            .open(self.path(path)?)?;
        Ok(Arc::new(DataFile::new(file)))
    }

    fn open_journal(&self, path: &str) -> io::Result<Arc<dyn File>> {
        match JournalFile::open(&self.path(path)?)? {
            Some(file) => Ok(Arc::new(file)),
            None => self.open(path, Open::Existing),
        }
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        fs::remove_file(self.path(path)?)
    }

    fn discard(&self, path: &str) -> io::Result<()> {
        let path = self.path(path)?;
        match self.trash.throw(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => fs::remove_file(path),
            thrown => thrown,
        }
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.path(from)?, self.path(to)?)
    }

    fn list(&self, dir: &str) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(self.path(dir)?)? {
            // Names that aren't text can't be ours.
            if let Ok(name) = entry?.file_name().into_string() {
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    }

    fn create_dir(&self, dir: &str) -> io::Result<()> {
        fs::create_dir_all(self.path(dir)?)
    }

    fn remove_dir(&self, dir: &str) -> io::Result<()> {
        let dir = self.path(dir)?;
        match self.trash.throw(&dir) {
            // A full disk may have no room for another name: then it takes as long as it takes.
            Err(error) if error.kind() != ErrorKind::NotFound => fs::remove_dir_all(dir),
            thrown => thrown,
        }
    }

    fn sync_dir(&self, dir: &str) -> io::Result<()> {
        sync_directory(&self.path(dir)?)
    }

    fn sync_many(&self, files: &[Arc<dyn File>]) -> Result<(), (usize, io::Error)> {
        self.syncer.sync_all(files)
    }

    fn sync_below(&self, dir: &str, files: usize) -> io::Result<bool> {
        match &self.whole {
            Some(whole) if files >= FILES_AT_ONCE_MIN => whole.sync(&self.path(dir)?),
            _ => Ok(false),
        }
    }

    fn free_bytes(&self) -> io::Result<u64> {
        let stat = statvfs(&self.root)?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }

    fn total_bytes(&self) -> io::Result<u64> {
        let stat = statvfs(&self.root)?;
        Ok(stat.f_blocks.saturating_mul(stat.f_frsize))
    }
}

/// Where the names of a directory, and of those above it that are missing as well, will be.
fn parents_of_missing(dir: &Path) -> Vec<&Path> {
    let missing = dir
        .ancestors()
        .take_while(|dir| !dir.as_os_str().is_empty() && !dir.is_dir());
    let above = missing.filter_map(Path::parent);
    let named = above.map(|dir| {
        if dir.as_os_str().is_empty() {
            Path::new(".")
        } else {
            dir
        }
    });
    named.collect()
}

fn sync_directory(path: &Path) -> io::Result<()> {
    Ok(fsync(fs::File::open(path)?)?)
}

#[cfg(test)]
pub(crate) mod tests;
