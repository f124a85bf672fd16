//! A data directory in memory that behaves as badly as a real one may.
//!
//! Every file has bytes as written and bytes as durable. A power loss keeps of each unsynced
//! 512-byte sector the old or the new bytes, of each unsynced length one or the other, and of the
//! unsynced names of a directory any part. The machine can be stopped after any number of
//! operations, in the middle of a write, and operations can be made to fail.

use base::{Disk, File, Open, Random};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, ErrorKind};
use std::sync::{Arc, Mutex, MutexGuard};

const SECTOR: usize = 512;

/// How a run ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Loss {
    /// The process was killed; the page cache lives on.
    Process,
    /// Power was lost; the seed chooses what remains.
    Power(u64),
}

#[derive(Clone, Default)]
struct Node {
    bytes: Vec<u8>,
    durable: Vec<u8>,
    dirty: BTreeSet<usize>,
}

#[derive(Clone)]
enum NameOp {
    Put(String, usize),
    Gone(String),
    Rename(String, String, usize),
}

#[derive(Clone, Default)]
struct Dir {
    names: BTreeMap<String, usize>,
    durable: BTreeMap<String, usize>,
    ops: Vec<NameOp>,
}

#[derive(Clone, Default)]
struct State {
    nodes: Vec<Node>,
    /// Directories by path. A directory's own name is durable once its parent was synced.
    dirs: BTreeMap<String, Dir>,
    durable_dirs: BTreeSet<String>,
    /// Operations until the machine stops.
    stop_after: Option<u64>,
    stopped: bool,
    /// Writes until the disk is full; none means there is room.
    full_after: Option<u64>,
    /// There is no room for another file of the write-ahead log.
    no_new_files: bool,
    fail_syncs: bool,
    /// It can sync everything below a directory.
    syncs_at_once: bool,
    operations: u64,
}

/// The directory. Clones share it; [`MemDisk::fork`] makes another one.
#[derive(Clone)]
pub(crate) struct MemDisk(Arc<Mutex<State>>);

struct MemFile {
    disk: MemDisk,
    node: usize,
}

fn split(path: &str) -> (String, String) {
    match path.rsplit_once('/') {
        Some((dir, name)) => (dir.to_string(), name.to_string()),
        None => (String::new(), path.to_string()),
    }
}

impl MemDisk {
    pub(crate) fn new() -> MemDisk {
        let mut state = State::default();
        state.dirs.insert(String::new(), Dir::default());
        state.durable_dirs.insert(String::new());
        MemDisk(Arc::new(Mutex::new(state)))
    }

    pub(crate) fn fork(&self) -> MemDisk {
        MemDisk(Arc::new(Mutex::new(self.state().clone())))
    }

    pub(crate) fn port(&self) -> Arc<dyn Disk> {
        Arc::new(self.clone())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// The machine stops at the operation after this many more that change something.
    pub(crate) fn stop_after(&self, operations: u64) {
        self.state().stop_after = Some(operations);
    }

    pub(crate) fn stopped(&self) -> bool {
        self.state().stopped
    }

    /// Operations so far that changed something.
    pub(crate) fn operations(&self) -> u64 {
        self.state().operations
    }

    /// The disk is full after this many more writes; `None` makes room.
    pub(crate) fn full_after(&self, writes: Option<u64>) {
        self.state().full_after = writes;
    }

    /// From now on there is no room for another file of the write-ahead log.
    pub(crate) fn no_new_files(&self, none: bool) {
        self.state().no_new_files = none;
    }

    /// Syncs fail from now on, and forget what they had to write.
    pub(crate) fn fail_syncs(&self, fail: bool) {
        self.state().fail_syncs = fail;
    }

    /// Whether it can sync everything below a directory in one go.
    pub(crate) fn sync_at_once(&self, can: bool) {
        self.state().syncs_at_once = can;
    }

    /// Ends the run and starts the machine again.
    pub(crate) fn crash(&self, loss: Loss) {
        let mut state = self.state();
        if let Loss::Power(seed) = loss {
            state.lose_power(&mut Random::new(seed));
        }
        state.stop_after = None;
        state.stopped = false;
        state.full_after = None;
        state.fail_syncs = false;
    }

    /// All files with their lengths.
    pub(crate) fn all(&self) -> Vec<(String, usize)> {
        let state = self.state();
        let mut all = Vec::new();
        for (dir, content) in &state.dirs {
            for (name, node) in &content.names {
                let path = if dir.is_empty() {
                    name.clone()
                } else {
                    format!("{dir}/{name}")
                };
                all.push((path, state.nodes[*node].bytes.len()));
            }
        }
        all
    }

    pub(crate) fn bytes(&self, path: &str) -> Vec<u8> {
        let state = self.state();
        state.nodes[state.find(path).unwrap()].bytes.clone()
    }

    /// Puts a file there, durable.
    pub(crate) fn put(&self, path: &str, bytes: &[u8]) {
        let (dir, _) = split(path);
        self.create_dir(&dir).unwrap();
        let file = self.open(path, Open::OrCreate).unwrap();
        file.set_len(bytes.len() as u64).unwrap();
        file.write_at(&[bytes], 0).unwrap();
        file.sync_data().unwrap();
        for dir in [dir.as_str(), ""] {
            self.sync_dir(dir).unwrap();
        }
    }

    /// Turns a bit over, for good.
    pub(crate) fn flip(&self, path: &str, byte: usize, bit: u8) {
        let mut state = self.state();
        let node = state.find(path).unwrap();
        state.nodes[node].bytes[byte] ^= 1 << bit;
        if let Some(durable) = state.nodes[node].durable.get_mut(byte) {
            *durable ^= 1 << bit;
        }
    }
}

impl State {
    fn find(&self, path: &str) -> Option<usize> {
        let (dir, name) = split(path);
        self.dirs.get(&dir)?.names.get(&name).copied()
    }

    /// Counts an operation that changes something; an error once the machine has stopped. True if
    /// it stops in the middle of this one.
    fn step(&mut self) -> io::Result<bool> {
        if self.stopped {
            return Err(io::Error::other("the machine has stopped"));
        }
        self.operations += 1;
        if let Some(left) = &mut self.stop_after {
            if *left == 0 {
                self.stopped = true;
                return Ok(true);
            }
            *left -= 1;
        }
        Ok(false)
    }

    fn change(&mut self) -> io::Result<()> {
        if self.step()? {
            Err(io::Error::other("the machine stops"))
        } else {
            Ok(())
        }
    }

    fn dir(&mut self, path: &str) -> io::Result<&mut Dir> {
        self.dirs
            .get_mut(path)
            .ok_or_else(|| ErrorKind::NotFound.into())
    }

    fn take_room(&mut self) -> io::Result<()> {
        match &mut self.full_after {
            Some(0) => Err(ErrorKind::StorageFull.into()),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn lose_power(&mut self, random: &mut Random) {
        for node in &mut self.nodes {
            let mut bytes = node.durable.clone();
            if node.bytes.len() != bytes.len() && random.percent(50) {
                bytes.resize(node.bytes.len(), 0);
            }
            for sector in &node.dirty {
                let range = sector * SECTOR..((sector + 1) * SECTOR).min(bytes.len());
                if random.percent(50) && range.start < range.end && range.end <= node.bytes.len() {
                    bytes[range.clone()].copy_from_slice(&node.bytes[range]);
                }
            }
            node.durable.clone_from(&bytes);
            node.bytes = bytes;
            node.dirty.clear();
        }
        for dir in self.dirs.values_mut() {
            let mut names = dir.durable.clone();
            for op in std::mem::take(&mut dir.ops) {
                if random.percent(50) {
                    op.apply(&mut names);
                }
            }
            dir.durable.clone_from(&names);
            dir.names = names;
        }
        let lost: Vec<String> = self
            .dirs
            .keys()
            .filter(|dir| !self.durable_dirs.contains(*dir) && random.percent(50))
            .cloned()
            .collect();
        for dir in lost {
            let inside = format!("{dir}/");
            self.dirs
                .retain(|path, _| *path != dir && !path.starts_with(&inside));
        }
        self.durable_dirs = self.dirs.keys().cloned().collect();
    }
}

impl NameOp {
    fn apply(self, names: &mut BTreeMap<String, usize>) {
        match self {
            NameOp::Put(name, node) => {
                names.insert(name, node);
            }
            NameOp::Gone(name) => {
                names.remove(&name);
            }
            NameOp::Rename(from, to, node) => {
                names.remove(&from);
                names.insert(to, node);
            }
        }
    }
}

impl Disk for MemDisk {
    fn open(&self, path: &str, how: Open) -> io::Result<Arc<dyn File>> {
        let mut state = self.state();
        let node = match state.find(path) {
            Some(node) => node,
            None if how == Open::Existing => return Err(ErrorKind::NotFound.into()),
            None => {
                let (dir, name) = split(path);
                state.dir(&dir)?;
                if state.no_new_files && dir == "wal" {
                    return Err(ErrorKind::StorageFull.into());
                }
                state.change()?;
                state.take_room()?;
                let node = state.nodes.len();
                state.nodes.push(Node::default());
                let dir = state.dir(&dir)?;
                dir.names.insert(name.clone(), node);
                dir.ops.push(NameOp::Put(name, node));
                node
            }
        };
        Ok(Arc::new(MemFile {
            disk: self.clone(),
            node,
        }))
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        let mut state = self.state();
        state.find(path).ok_or(ErrorKind::NotFound)?;
        state.change()?;
        let (dir, name) = split(path);
        let dir = state.dir(&dir)?;
        dir.names.remove(&name);
        dir.ops.push(NameOp::Gone(name));
        Ok(())
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut state = self.state();
        let node = state.find(from).ok_or(ErrorKind::NotFound)?;
        state.change()?;
        let ((dir, from), (_, to)) = (split(from), split(to));
        let dir = state.dir(&dir)?;
        let op = NameOp::Rename(from, to, node);
        op.clone().apply(&mut dir.names);
        dir.ops.push(op);
        Ok(())
    }

    fn list(&self, dir: &str) -> io::Result<Vec<String>> {
        let mut state = self.state();
        let mut names: Vec<String> = state.dir(dir)?.names.keys().cloned().collect();
        let inside = if dir.is_empty() {
            String::new()
        } else {
            format!("{dir}/")
        };
        names.extend(state.dirs.keys().filter_map(|path| {
            let name = path.strip_prefix(&inside)?;
            (!name.is_empty() && !name.contains('/')).then(|| name.to_string())
        }));
        names.sort();
        Ok(names)
    }

    fn create_dir(&self, dir: &str) -> io::Result<()> {
        let mut state = self.state();
        if !state.dirs.contains_key(dir) {
            state.change()?;
            state.dirs.insert(dir.to_string(), Dir::default());
        }
        Ok(())
    }

    fn remove_dir(&self, dir: &str) -> io::Result<()> {
        let mut state = self.state();
        state.dir(dir)?;
        state.change()?;
        state.dirs.remove(dir);
        state.durable_dirs.remove(dir);
        Ok(())
    }

    fn sync_dir(&self, dir: &str) -> io::Result<()> {
        let mut state = self.state();
        state.dir(dir)?;
        state.change()?;
        let content = state.dir(dir)?;
        content.durable = content.names.clone();
        content.ops.clear();
        let inside = if dir.is_empty() {
            String::new()
        } else {
            format!("{dir}/")
        };
        let within: Vec<String> = state
            .dirs
            .keys()
            .filter(|path| {
                path.strip_prefix(&inside)
                    .is_some_and(|name| !name.contains('/'))
            })
            .cloned()
            .collect();
        state.durable_dirs.extend(within);
        Ok(())
    }

    fn sync_below(&self, dir: &str, _: usize) -> io::Result<bool> {
        if !self.state().syncs_at_once {
            return Ok(false);
        }
        let inside = format!("{dir}/");
        let below: Vec<(String, Vec<usize>)> = self
            .state()
            .dirs
            .iter()
            .filter(|(path, _)| *path == dir || path.starts_with(&inside))
            .map(|(path, content)| (path.clone(), content.names.values().copied().collect()))
            .collect();
        for (dir, nodes) in below {
            for node in nodes {
                let disk = self.clone();
                MemFile { disk, node }.sync_data()?;
            }
            self.sync_dir(&dir)?;
        }
        Ok(true)
    }

    fn free_bytes(&self) -> io::Result<u64> {
        Ok(u64::MAX)
    }
}

impl File for MemFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.disk.state().nodes[self.node].bytes.len() as u64)
    }

    fn read_at(&self, buf: &mut [u8], pos: u64) -> io::Result<()> {
        let state = self.disk.state();
        let bytes = &state.nodes[self.node].bytes;
        let range = pos as usize..pos as usize + buf.len();
        buf.copy_from_slice(bytes.get(range).ok_or(ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn read_at_cached(&self, buf: &mut [u8], pos: u64) -> io::Result<bool> {
        self.read_at(buf, pos).map(|()| true)
    }

    fn write_at(&self, pieces: &[&[u8]], pos: u64) -> io::Result<()> {
        let mut state = self.disk.state();
        let stops = state.step()?;
        let mut whole = pieces.concat();
        if stops {
            // Killed in the middle: whole sectors up to there.
            let upto = (pos as usize + whole.len() / 2) / SECTOR * SECTOR;
            whole.truncate(upto.saturating_sub(pos as usize));
        } else {
            state.take_room()?;
        }
        let node = &mut state.nodes[self.node];
        let (from, upto) = (pos as usize, pos as usize + whole.len());
        if node.bytes.len() < upto {
            node.bytes.resize(upto, 0);
        }
        node.bytes[from..upto].copy_from_slice(&whole);
        if from < upto {
            node.dirty.extend(from / SECTOR..=(upto - 1) / SECTOR);
        }
        if stops {
            Err(io::Error::other("the machine stops"))
        } else {
            Ok(())
        }
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut state = self.disk.state();
        state.change()?;
        let node = &mut state.nodes[self.node];
        let old = node.bytes.len();
        node.bytes.resize(len as usize, 0);
        let touched = old.min(len as usize) / SECTOR..=old.max(len as usize) / SECTOR;
        node.dirty.extend(touched);
        Ok(())
    }

    fn preallocate(&self, len: u64) -> io::Result<()> {
        let now = self.len()?;
        if now < len {
            self.write_at(&[&vec![0; (len - now) as usize]], now)?;
        }
        self.sync_data()
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.disk.state();
        state.change()?;
        let fails = state.fail_syncs;
        let node = &mut state.nodes[self.node];
        if fails {
            // As Linux does it: the bytes stay in the cache and count as written.
            node.dirty.clear();
            return Err(io::Error::other("the device failed"));
        }
        let Node {
            bytes,
            durable,
            dirty,
        } = node;
        durable.resize(bytes.len(), 0);
        for sector in std::mem::take(dirty) {
            let range = sector * SECTOR..((sector + 1) * SECTOR).min(bytes.len());
            if range.start < range.end {
                durable[range.clone()].copy_from_slice(&bytes[range]);
            }
        }
        Ok(())
    }
}
