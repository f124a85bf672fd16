//! A data directory that is only looked at: files are opened for reading, and whatever is written
//! stays in memory and is forgotten. So a start can be tried on a directory that mustn't change.

use base::{Disk, File, Open};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

/// The unit in which writes are kept.
const PAGE: u64 = 4096;

/// The directory as it is, under what was written since.
pub struct Overlay {
    root: PathBuf,
    changes: Mutex<Changes>,
}

#[derive(Default)]
struct Changes {
    /// Files by path that were opened, or removed.
    files: BTreeMap<String, Option<Arc<Layer>>>,
    /// Directories that were made.
    made: BTreeSet<String>,
    /// Directories that were removed with everything in them.
    removed: BTreeSet<String>,
}

impl Overlay {
    /// Over a directory, which must be there.
    pub fn over(root: &Path) -> io::Result<Overlay> {
        fs::read_dir(root)?;
        Ok(Overlay {
            root: root.to_owned(),
            changes: Mutex::default(),
        })
    }

    fn changes(&self) -> MutexGuard<'_, Changes> {
        self.changes
            .lock()
            .expect("nobody panics while holding the changes")
    }
}

impl Changes {
    /// True if what the real directory has at this path is gone.
    fn hides(&self, path: &str) -> bool {
        let under = |dir: &String| path == dir || path.starts_with(&format!("{dir}/"));
        self.removed.iter().any(under)
    }
}

impl Disk for Overlay {
    fn open(&self, path: &str, how: Open) -> io::Result<Arc<dyn File>> {
        let mut changes = self.changes();
        if let Some(Some(layer)) = changes.files.get(path) {
            return Ok(Arc::clone(layer) as Arc<dyn File>);
        }
        let gone = changes.files.contains_key(path) || changes.hides(path);
        let real = match fs::File::open(self.root.join(path)) {
            Ok(_) if gone => None,
            Ok(file) => Some(file),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        if real.is_none() && how == Open::Existing {
            return Err(ErrorKind::NotFound.into());
        }
        let layer = Arc::new(Layer::over(real)?);
        changes
            .files
            .insert(path.to_owned(), Some(Arc::clone(&layer)));
        Ok(layer)
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        self.open(path, Open::Existing)?;
        self.changes().files.insert(path.to_owned(), None);
        Ok(())
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.open(from, Open::Existing)?;
        let mut changes = self.changes();
        let layer = changes.files.insert(from.to_owned(), None);
        changes.files.insert(to.to_owned(), layer.flatten());
        Ok(())
    }

    fn list(&self, dir: &str) -> io::Result<Vec<String>> {
        let changes = self.changes();
        let path = |name: &str| match dir {
            "" => name.to_owned(),
            dir => format!("{dir}/{name}"),
        };
        let mut names = BTreeSet::new();
        let mut there = dir.is_empty() || changes.made.contains(dir);
        match fs::read_dir(self.root.join(dir)) {
            Ok(_) if changes.hides(dir) => {}
            Ok(entries) => {
                there = true;
                for entry in entries {
                    if let Ok(name) = entry?.file_name().into_string() {
                        names.insert(name);
                    }
                }
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        names.retain(|name| {
            let path = path(name);
            !changes.hides(&path) && !matches!(changes.files.get(&path), Some(None))
        });
        let layers = changes.files.iter().filter(|(_, layer)| layer.is_some());
        let new = layers.map(|(path, _)| path).chain(&changes.made);
        names.extend(new.filter_map(|path| {
            let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
            (parent == dir && !name.is_empty()).then(|| name.to_owned())
        }));
        match there || !names.is_empty() {
            true => Ok(names.into_iter().collect()),
            false => Err(ErrorKind::NotFound.into()),
        }
    }

    fn create_dir(&self, dir: &str) -> io::Result<()> {
        self.changes().made.insert(dir.to_owned());
        Ok(())
    }

    fn remove_dir(&self, dir: &str) -> io::Result<()> {
        let mut changes = self.changes();
        let inside = format!("{dir}/");
        changes.files.retain(|path, _| !path.starts_with(&inside));
        changes
            .made
            .retain(|made| made != dir && !made.starts_with(&inside));
        changes.removed.insert(dir.to_owned());
        Ok(())
    }

    fn sync_dir(&self, _: &str) -> io::Result<()> {
        Ok(())
    }

    fn free_bytes(&self) -> io::Result<u64> {
        Ok(u64::MAX)
    }
}

/// One file: what is on disk under the pages that were written.
struct Layer {
    real: Option<fs::File>,
    state: Mutex<Pages>,
}

struct Pages {
    len: u64,
    /// Bytes of the real file that still count.
    valid: u64,
    written: BTreeMap<u64, Vec<u8>>,
}

impl Layer {
    fn over(real: Option<fs::File>) -> io::Result<Layer> {
        let len = match &real {
            Some(file) => file.metadata()?.len(),
            None => 0,
        };
        let pages = Pages {
            len,
            valid: len,
            written: BTreeMap::new(),
        };
        Ok(Layer {
            real,
            state: Mutex::new(pages),
        })
    }

    fn pages(&self) -> MutexGuard<'_, Pages> {
        self.state
            .lock()
            .expect("nobody panics while holding the pages")
    }

    /// What is on disk, of which bytes before `valid` still count; zeros after them.
    fn read_real(&self, out: &mut [u8], pos: u64, valid: u64) -> io::Result<()> {
        let there = valid.saturating_sub(pos).min(out.len() as u64) as usize;
        let (there, beyond) = out.split_at_mut(there);
        beyond.fill(0);
        match &self.real {
            Some(file) if !there.is_empty() => file.read_exact_at(there, pos),
            _ => Ok(()),
        }
    }
}

/// The pages that a range touches: page, where in it, and how much.
fn pages(pos: u64, len: usize) -> impl Iterator<Item = (u64, usize, usize)> {
    let end = pos + len as u64;
    (pos / PAGE..end.div_ceil(PAGE)).map(move |page| {
        let from = pos.max(page * PAGE);
        let upto = end.min((page + 1) * PAGE);
        (page, (from % PAGE) as usize, (upto - from) as usize)
    })
}

impl File for Layer {
    fn len(&self) -> io::Result<u64> {
        Ok(self.pages().len)
    }

    fn read_at(&self, buf: &mut [u8], pos: u64) -> io::Result<()> {
        let state = self.pages();
        if pos + buf.len() as u64 > state.len {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        let mut done = 0;
        for (page, at, len) in pages(pos, buf.len()) {
            let out = &mut buf[done..done + len];
            match state.written.get(&page) {
                Some(bytes) => out.copy_from_slice(&bytes[at..at + len]),
                None => self.read_real(out, page * PAGE + at as u64, state.valid)?,
            }
            done += len;
        }
        Ok(())
    }

    fn read_at_cached(&self, buf: &mut [u8], pos: u64) -> io::Result<bool> {
        self.read_at(buf, pos).map(|()| true)
    }

    fn write_at(&self, pieces: &[&[u8]], pos: u64) -> io::Result<()> {
        let mut state = self.pages();
        let mut pos = pos;
        for piece in pieces {
            let mut done = 0;
            for (page, at, len) in pages(pos, piece.len()) {
                if !state.written.contains_key(&page) {
                    let mut real = vec![0; PAGE as usize];
                    self.read_real(&mut real, page * PAGE, state.valid)?;
                    state.written.insert(page, real);
                }
                let bytes = state.written.get_mut(&page).expect("it was put there");
                bytes[at..at + len].copy_from_slice(&piece[done..done + len]);
                done += len;
            }
            pos += piece.len() as u64;
        }
        state.len = state.len.max(pos);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut state = self.pages();
        if len < state.len {
            state.written.split_off(&len.div_ceil(PAGE));
            if let Some(last) = state.written.get_mut(&(len / PAGE)) {
                last[(len % PAGE) as usize..].fill(0);
            }
            state.valid = state.valid.min(len);
        }
        state.len = len;
        Ok(())
    }

    fn preallocate(&self, len: u64) -> io::Result<()> {
        let mut state = self.pages();
        state.len = state.len.max(len);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::DataDir;
    use crate::disk::tests::TempDir;

    fn text(disk: &dyn Disk, path: &str) -> Option<Vec<u8>> {
        let file = disk.open(path, Open::Existing).ok()?;
        let mut bytes = vec![0; file.len().ok()? as usize];
        file.read_at(&mut bytes, 0).ok()?;
        Some(bytes)
    }

    #[test]
    fn everything_can_be_changed_and_nothing_is() {
        let temp = TempDir::new("overlay");
        let real = DataDir::open(temp.path()).expect("there");
        real.create_dir("d/e").expect("made");
        for (path, bytes) in [("a", b"first"), ("d/b", b"inner"), ("d/e/c", b"below")] {
            let file = real.open(path, Open::OrCreate).expect("made");
            file.write_at(&[bytes], 4094).expect("written");
        }
        let over = Overlay::over(temp.path()).expect("there");
        let file = over.open("a", Open::Existing).expect("there");
        file.write_at(&[b"XY", b"Z"], 4095).expect("written");
        let mut back = [0; 6];
        file.read_at(&mut back[..5], 4094).expect("read");
        assert_eq!(&back, b"fXYZt\0");
        assert!(file.read_at(&mut back, 4094).is_err(), "past the end");
        file.set_len(4096).expect("cut");
        file.set_len(8200).expect("longer");
        file.read_at(&mut back, 4094).expect("read");
        assert_eq!(&back, b"fX\0\0\0\0", "what was cut off stays away");

        over.rename("a", "d/z").expect("moved");
        over.remove("d/b").expect("removed");
        over.open("d/new", Open::OrCreate).expect("made");
        over.create_dir("d/made").expect("made");
        assert_eq!(over.list("d").expect("there"), ["e", "made", "new", "z"]);
        assert_eq!(over.list("").expect("there"), ["d"]);
        over.remove_dir("d/e").expect("removed");
        assert_eq!(over.list("d").expect("there"), ["made", "new", "z"]);
        assert!(over.open("d/e/c", Open::Existing).is_err());
        assert!(over.list("nowhere").is_err());

        assert_eq!(real.list("").expect("there"), ["a", "d"]);
        assert_eq!(real.list("d").expect("there"), ["b", "e"]);
        assert_eq!(&text(&real, "a").expect("there")[4094..], b"first");
        assert_eq!(&text(&real, "d/e/c").expect("there")[4094..], b"below");
    }
}
