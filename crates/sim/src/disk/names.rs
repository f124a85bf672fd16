//! The names of a simulated directory: what a process sees, what is durable, and the changes
//! between the two, each of which waits for the `sync_dir` of its directory.

use base::Random;
use std::collections::{BTreeMap, BTreeSet};
use std::io;

/// A change of names that isn't durable yet.
#[derive(Clone, Debug)]
enum Change {
    Create {
        path: String,
        inode: usize,
    },
    MakeDir {
        path: String,
    },
    Remove {
        path: String,
    },
    Rename {
        from: String,
        to: String,
    },
    /// With the files that were there: those of a directory of the same name that is made later
    /// have later inodes.
    RemoveTree {
        path: String,
        newest: usize,
    },
}

/// One tree of names.
#[derive(Clone, Debug, Default)]
struct Tree {
    files: BTreeMap<String, usize>,
    dirs: BTreeSet<String>,
}

/// Names now, names after a power loss, and what lies between.
#[derive(Debug, Default)]
pub(super) struct Names {
    now: Tree,
    durable: Tree,
    /// Changes in their order, each with the directory whose sync makes it durable.
    pending: Vec<(String, Change)>,
    /// The latest inode that got a name.
    newest: usize,
}

fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(dir, _)| dir)
}

fn under(dir: &str, path: &str) -> bool {
    dir.is_empty()
        || path
            .strip_prefix(dir)
            .is_some_and(|rest| rest.starts_with('/'))
}

impl Tree {
    fn has_dir(&self, dir: &str) -> bool {
        dir.is_empty() || self.dirs.contains(dir)
    }

    fn apply(&mut self, change: &Change) {
        match change {
            Change::Create { path, inode } => {
                self.files.insert(path.clone(), *inode);
            }
            Change::MakeDir { path } => {
                self.dirs.insert(path.clone());
            }
            Change::Remove { path } => {
                self.files.remove(path);
            }
            Change::Rename { from, to } => {
                if let Some(inode) = self.files.remove(from) {
                    self.files.insert(to.clone(), inode);
                }
            }
            Change::RemoveTree { path, newest } => {
                self.files
                    .retain(|file, inode| !under(path, file) || *inode > *newest);
                self.dirs.retain(|dir| dir != path && !under(path, dir));
            }
        }
    }

    /// Drops what lies in directories that don't exist.
    fn prune(&mut self) {
        let whole = |dirs: &BTreeSet<String>, path: &str| {
            let mut at = parent(path);
            while !at.is_empty() {
                if !dirs.contains(at) {
                    return false;
                }
                at = parent(at);
            }
            true
        };
        let dirs = self.dirs.clone();
        self.dirs.retain(|dir| whole(&dirs, dir));
        let dirs = &self.dirs;
        self.files.retain(|file, _| whole(dirs, file));
    }
}

impl Names {
    pub(super) fn file(&self, path: &str) -> Option<usize> {
        self.now.files.get(path).copied()
    }

    pub(super) fn files(&self) -> impl Iterator<Item = (&str, usize)> {
        self.now
            .files
            .iter()
            .map(|(path, inode)| (path.as_str(), *inode))
    }

    /// The files below a directory, and the directories: it, and those below it.
    pub(super) fn below(&self, dir: &str) -> (Vec<usize>, Vec<String>) {
        let files = self.files().filter(|(path, _)| under(dir, path));
        let dirs = self.now.dirs.iter();
        let dirs = dirs.filter(|path| *path == dir || under(dir, path));
        (
            files.map(|(_, inode)| inode).collect(),
            dirs.cloned().collect(),
        )
    }

    fn change(&mut self, dir: &str, change: Change) {
        self.now.apply(&change);
        self.pending.push((dir.to_string(), change));
    }

    pub(super) fn create(&mut self, path: &str, inode: usize) -> io::Result<()> {
        if !self.now.has_dir(parent(path)) || self.now.dirs.contains(path) {
            return Err(io::ErrorKind::NotFound.into());
        }
        self.newest = self.newest.max(inode);
        self.change(
            parent(path),
            Change::Create {
                path: path.to_string(),
                inode,
            },
        );
        Ok(())
    }

    pub(super) fn create_dir(&mut self, dir: &str) {
        let ends = dir.match_indices('/').map(|(at, _)| at).chain([dir.len()]);
        for end in ends.collect::<Vec<_>>() {
            let path = &dir[..end];
            if !self.now.has_dir(path) {
                self.change(
                    parent(path),
                    Change::MakeDir {
                        path: path.to_string(),
                    },
                );
            }
        }
    }

    pub(super) fn remove(&mut self, path: &str) -> io::Result<()> {
        if !self.now.files.contains_key(path) {
            return Err(io::ErrorKind::NotFound.into());
        }
        self.change(
            parent(path),
            Change::Remove {
                path: path.to_string(),
            },
        );
        Ok(())
    }

    pub(super) fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        if !self.now.files.contains_key(from) || !self.now.has_dir(parent(to)) {
            return Err(io::ErrorKind::NotFound.into());
        }
        self.change(
            parent(to),
            Change::Rename {
                from: from.to_string(),
                to: to.to_string(),
            },
        );
        Ok(())
    }

    pub(super) fn remove_dir(&mut self, dir: &str) -> io::Result<()> {
        if !self.now.dirs.contains(dir) {
            return Err(io::ErrorKind::NotFound.into());
        }
        self.change(
            parent(dir),
            Change::RemoveTree {
                path: dir.to_string(),
                newest: self.newest,
            },
        );
        Ok(())
    }

    pub(super) fn list(&self, dir: &str) -> io::Result<Vec<String>> {
        if !self.now.has_dir(dir) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let names = self.now.files.keys().chain(self.now.dirs.iter());
        let mut here: Vec<String> = names
            .filter(|path| parent(path) == dir)
            .map(|path| path.rsplit('/').next().unwrap_or(path).to_string())
            .collect();
        here.sort();
        Ok(here)
    }

    pub(super) fn sync(&mut self, dir: &str) -> io::Result<()> {
        if !self.now.has_dir(dir) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let durable = &mut self.durable;
        self.pending.retain(|(at, change)| {
            if at == dir {
                durable.apply(change);
            }
            at != dir
        });
        Ok(())
    }

    /// The power goes: of each directory's pending changes the first few made it.
    pub(super) fn power_loss(&mut self, random: &mut Random) {
        let mut left: BTreeMap<String, u64> = BTreeMap::new();
        for (dir, _) in &self.pending {
            *left.entry(dir.clone()).or_insert(0) += 1;
        }
        for count in left.values_mut() {
            *count = random.between(0, *count);
        }
        for (dir, change) in std::mem::take(&mut self.pending) {
            let left = left.get_mut(&dir).expect("counted above");
            if *left > 0 {
                *left -= 1;
                self.durable.apply(&change);
            }
        }
        self.durable.prune();
        self.now = self.durable.clone();
    }

    /// Inodes that a name leads to, now or after a power loss.
    pub(super) fn reachable(&self) -> BTreeSet<usize> {
        let pending = self.pending.iter().filter_map(|(_, change)| match change {
            Change::Create { inode, .. } => Some(*inode),
            _ => None,
        });
        let named = self
            .now
            .files
            .values()
            .chain(self.durable.files.values())
            .copied();
        named.chain(pending).collect()
    }
}
